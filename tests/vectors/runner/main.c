/*
 * Executes vectors with the machine's own VMX and writes what became of each, a
 * few bytes apiece, to port 0xE9. Command line: seed=S from=N, and how many of each
 * kind: entries=N, exits=N for those of gen_exit.h, instructions=N for those of
 * gen_insn.h, modes=N for those of gen_mode.h, real=N for those of gen_real.h. It judges
 * nothing.
 */
#include "runner.h"

static struct gen_world world;

static u64 argument(const char *name, u64 otherwise)
{
	const char *p = boot.command_line;
	u64 value = 0;

	for (; *p; p++) {
		const char *q = p, *n = name;

		while (*n && *q == *n)
			q++, n++;
		if (*n || *q != '=' || (p != boot.command_line && p[-1] != ' '))
			continue;
		for (q++; *q >= '0' && *q <= '9'; q++)
			value = value * 10 + (u64)(*q - '0');
		return value;
	}
	return otherwise;
}

/* What the vectors that follow are, and the machine they are for. */
static void announce(const char *kind, u64 seed, u64 from, u64 count)
{
	print("%s seed %lu from %lu count %lu\n", kind, seed, from, count);
	for (unsigned int i = 0; i < W_COUNT; i++)
		print("%lx%c", world.w[i], i + 1 < W_COUNT ? ' ' : '\n');
	for (unsigned int i = 0; i < gen_field_count; i++)
		put_char(vmcs_writable[i] ? '1' : '0');
	print("\n");
}

static void run_kind(const char *kind, void (*run)(const struct gen_world *, u64, u64, u64))
{
	u64 seed = argument("seed", 1), from = argument("from", 0), count = argument(kind, 0);

	if (!count)
		return;
	vmcs_start(&world);
	announce(kind, seed, from, count);
	run(&world, seed, from, count);
}

int main(void)
{
	vmx_prepare();
	world_make(&world);
	gen_fill(&world, (void *)world.w[W_SCRATCH]);
	must(vmxon(world.w[W_SCRATCH] + PAGE_VMXON * PAGE_SIZE), "VMXON");
	run_kind("entries", entries_run);
	run_kind("exits", exits_run);
	run_kind("real", real_run);
	run_kind("instructions", insn_run);	/* leaves the machine changed */
	run_kind("modes", modes_run);
	return 0;
}
