/*
 * Executes vectors with the machine's own VMX and writes what became of each, a
 * few bytes apiece, to port 0xE9. Command line: seed=S from=N, and how many of each
 * kind: entries=N, instructions=N for those of gen_insn.h. It judges nothing.
 */
#include "runner.h"

#define FIELDS 256

static struct gen_world world;
static u64 written[FIELDS];	/* what the VMCS holds, but for guest state if stale */
static bool writable[FIELDS];
static bool guest_is_stale, launched;
static u64 stack;		/* of the host state */

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

static bool is_guest_field(u32 encoding)
{
	return (encoding >> 10 & 3) == 2 || encoding == ENTRY_INTR_INFO;
}

static void start_vmx(void)
{
	vmx_prepare();
	world_make(&world);
	gen_fill(&world, (void *)world.w[W_SCRATCH]);
	must(vmxon(world.w[W_SCRATCH] + PAGE_VMXON * PAGE_SIZE), "VMXON");
	stack = (u64)page_alloc() + PAGE_SIZE;
}

/* Memory and VMCS as if nothing had been. */
static void start_vmcs(void)
{
	u64 vmcs = world.w[W_SCRATCH] + PAGE_VMCS * PAGE_SIZE, value;

	must(vmclear(vmcs), "VMCLEAR");
	gen_fill(&world, (void *)world.w[W_SCRATCH]);
	must(vmptrld(vmcs), "VMPTRLD");
	vmwrite(HOST_RSP, stack);
	launched = guest_is_stale = false;
	for (unsigned int i = 0; i < gen_field_count; i++) {
		bool is_info = (gen_encoding[i] >> 10 & 3) == 1;

		written[i] = 0;
		writable[i] = !is_info && gen_encoding[i] != HOST_RSP &&
			      vmread_try(gen_encoding[i], &value).kind == DID_OK;
		if (writable[i])
			vmwrite(gen_encoding[i], 0);
	}
}

static void write_fields(const u64 *v)
{
	for (unsigned int i = 0; i < gen_field_count; i++) {
		if (!writable[i])
			continue;
		if (v[i] == written[i] && !(guest_is_stale && is_guest_field(gen_encoding[i])))
			continue;
		asm volatile("vmwrite %0, %1" : : "r" (v[i]), "r" ((u64)gen_encoding[i]) : "cc");
		written[i] = v[i];
	}
	guest_is_stale = false;
}

static u8 outcome_of_exit(bool from_32)
{
	u64 reason = vmread(EXIT_REASON), qualification = vmread(EXIT_QUALIFICATION);

	if (!(reason & REASON_ENTRY_FAILURE)) {
		launched = !from_32;
		guest_is_stale = true;
		return reason < 0x70 ? (u8)(OUTCOME_ENTERED + reason) : OUTCOME_ODD;
	}
	if ((u16)reason == REASON_GUEST_STATE && qualification < 16)
		return (u8)(OUTCOME_GUEST + qualification);
	if ((u16)reason == REASON_MSR_LOADING)
		return qualification == 1 ? OUTCOME_MSR_FIRST : OUTCOME_MSR_LATER;
	return OUTCOME_ODD;
}

static u8 execute(const u64 *v, bool from_32)
{
	u64 flags;

	write_fields(v);
	flags = from_32 ? entry_run32() : entry_run(launched);
	if (from_32)
		launched = false;
	if (!flags) {
		world_restore(&world);
		return outcome_of_exit(from_32);
	}
	if (flags & BIT(0))
		return OUTCOME_VMFAIL_INVALID;
	return (u8)(OUTCOME_VMFAIL + vmread(VM_INSN_ERROR));
}

static void run_entries(const struct gen_world *w, u64 seed, u64 from, u64 count)
{
	static u64 v[FIELDS];
	u32 sum = 0;

	for (u64 i = from; i < from + count; i++) {
		bool from_32 = gen_entry(w, seed, i, v);

		sum = gen_sum(sum, v);
		put_char((char)execute(v, from_32));
		if ((i + 1 - from) % GEN_BLOCK == 0 || i + 1 == from + count) {
			print("\n%08x\n", sum);
			sum = 0;
		}
	}
}

/* What the vectors that follow are, and the machine they are for. */
static void announce(const char *kind, u64 seed, u64 from, u64 count)
{
	print("%s seed %lu from %lu count %lu\n", kind, seed, from, count);
	for (unsigned int i = 0; i < W_COUNT; i++)
		print("%lx%c", world.w[i], i + 1 < W_COUNT ? ' ' : '\n');
	for (unsigned int i = 0; i < gen_field_count; i++)
		put_char(writable[i] ? '1' : '0');
	print("\n");
}

static void run_kind(const char *kind, void (*run)(const struct gen_world *, u64, u64, u64))
{
	u64 seed = argument("seed", 1), from = argument("from", 0), count = argument(kind, 0);

	if (!count)
		return;
	start_vmcs();
	announce(kind, seed, from, count);
	run(&world, seed, from, count);
}

int main(void)
{
	if (gen_field_count > FIELDS)
		die("%u fields are more than this runner has room for", gen_field_count);
	start_vmx();
	run_kind("entries", run_entries);
	run_kind("instructions", insn_run);	/* leaves the machine changed */
	return 0;
}
