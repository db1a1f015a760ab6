/*
 * Executes exit vectors: an entry whose guest runs one instruction, and after it
 * all of the VMCS and what L1 has in registers, as far as they changed.
 */
#include "../gen_exit.h"
#include "runner.h"

static const void *area;
static u64 seen[SEEN_COUNT], reported[SEEN_COUNT];

static u64 read_dr7(void)
{
	u64 v;

	asm volatile("mov %%dr7, %0" : "=r" (v));
	return v;
}

static void write_dr7(u64 v)
{
	asm volatile("mov %0, %%dr7" : : "r" (v));
}

static void look(void)
{
	static const u32 msrs[] = {
		MSR_EFER, MSR_PAT, MSR_DEBUGCTL, MSR_SYSENTER_CS, MSR_SYSENTER_ESP,
		MSR_SYSENTER_EIP,
		GEN_MSR,
	};

	for (unsigned int i = SEEN_ES; i <= SEEN_TR; i++)
		seen[i] = entry_seen_selectors[i];
	seen[SEEN_FS_BASE] = entry_seen_bases[0];
	seen[SEEN_GS_BASE] = entry_seen_bases[1];
	seen[SEEN_GDTR_BASE] = entry_seen_gdtr.base;
	seen[SEEN_GDTR_LIMIT] = entry_seen_gdtr.limit;
	seen[SEEN_IDTR_BASE] = entry_seen_idtr.base;
	seen[SEEN_IDTR_LIMIT] = entry_seen_idtr.limit;
	seen[SEEN_RSP] = entry_seen_rsp;
	seen[SEEN_RFLAGS] = entry_seen_rflags;
	seen[SEEN_CR0] = read_cr0();
	seen[SEEN_CR3] = read_cr3();
	seen[SEEN_CR4] = read_cr4();
	seen[SEEN_DR7] = read_dr7();
	for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++)
		seen[SEEN_EFER + i] = rdmsr(msrs[i]);
	seen[SEEN_LIST] = gen_exit_list_sum(area);
}

static void put_value(unsigned int place, u64 value)
{
	put_char((char)(EXIT_PLACE + place / EXIT_PLACES));
	put_char((char)(EXIT_PLACE + place % EXIT_PLACES));
	print("%lx ", value);
}

static void put_seen(void)
{
	for (unsigned int i = 0; i < SEEN_COUNT; i++)
		if (seen[i] != reported[i])
			put_value(gen_field_count + i, seen[i]);
	memcpy(reported, seen, sizeof(seen));
}

static void execute(const struct gen_world *world, const u64 *v, const struct exit_vector *x)
{
	const u64 registers[] = { x->rax, x->rcx, x->rdx, x->rbx, x->rdi };

	gen_exit_place(world, (void *)area, x);
	memcpy(entry_registers, registers, sizeof(registers));
	wrmsr(MSR_PAT, x->pat01);
	wrmsr(GEN_MSR, 0);
	write_dr7(x->dr7_01);
	put_char((char)vmcs_execute(world, v, false, look));
	vmcs_read_back(put_value);
	put_seen();
	put_char('\n');
}

void exits_run(const struct gen_world *world, u64 seed, u64 from, u64 count)
{
	static u64 v[256];
	struct exit_vector x;
	u32 sum = 0;

	area = (const void *)world->w[W_SCRATCH];
	for (u64 i = from; i < from + count; i++) {
		gen_exit_vector(world, seed, i, v, &x);
		sum = gen_exit_sum(gen_sum(sum, v), &x);
		execute(world, v, &x);
		if ((i + 1 - from) % GEN_BLOCK == 0 || i + 1 == from + count) {
			print("\n%08x\n", sum);
			sum = 0;
		}
	}
	wrmsr(MSR_PAT, world->w[W_PAT]);
	write_dr7(0x400);
}
