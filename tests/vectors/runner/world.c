/*
 * The machine as the generator needs to know it, and page tables of the
 * runner's own: supervisor pages, so that an exit may set SMEP and SMAP, and
 * the stub of enter.S at both ends of what is canonical.
 */
#include "runner.h"

#define MSR_VMX(n) (0x480u + (n))
#define STUB_LOW 0x00007ffffffff000ull
#define STUB_HIGH 0xffff800000000000ull
#define TABLE (BIT(0) | BIT(1))
#define USER BIT(2)

static u64 *table_with(unsigned int index, u64 entry)
{
	u64 *t = page_alloc();

	t[index] = entry | TABLE;
	return t;
}

/* The kit's 4 GiB, for the supervisor, and the stub's page twice. */
static u64 new_root(void)
{
	u64 *root = page_alloc(), stub = (u64)entry_stub;
	u64 *low = table_with(511, (u64)table_with(511, (u64)table_with(511, stub)));
	u64 *high = table_with(0, (u64)table_with(0, (u64)table_with(0, stub)));

	root[0] = pml4[0] & ~USER;
	root[255] = (u64)low | TABLE;
	root[256] = (u64)high | TABLE;
	return (u64)root;
}

/* The same 4 GiB for 32-bit mode, whose upper level has no rights. */
static u64 new_root_32(void)
{
	u64 *root = page_alloc(), *tables = pages_alloc(4);

	for (unsigned int i = 0; i < 4 * 512; i++)
		tables[i] = pd[i] & ~USER;
	for (unsigned int i = 0; i < 4; i++)
		root[i] = (u64)&tables[i * 512] | BIT(0);
	return (u64)root;
}

static void read_capabilities(u64 *w)
{
	u32 true_ones;

	w[W_BASIC] = rdmsr(MSR_VMX(0));
	true_ones = w[W_BASIC] & BIT(55) ? 0xc : 0;
	w[W_PIN] = rdmsr(MSR_VMX(1 + true_ones));
	w[W_PROC] = rdmsr(MSR_VMX(2 + true_ones));
	w[W_EXIT] = rdmsr(MSR_VMX(3 + true_ones));
	w[W_ENTRY] = rdmsr(MSR_VMX(4 + true_ones));
	w[W_MISC] = rdmsr(MSR_VMX(5));
	w[W_CR0_FIXED0] = rdmsr(MSR_VMX(6));
	w[W_CR0_FIXED1] = rdmsr(MSR_VMX(7));
	w[W_CR4_FIXED0] = rdmsr(MSR_VMX(8));
	w[W_CR4_FIXED1] = rdmsr(MSR_VMX(9));
	w[W_VMCS_ENUM] = rdmsr(MSR_VMX(0xa));
	if (w[W_PROC] >> 32 & PRI_SECONDARY)
		w[W_PROC2] = rdmsr(MSR_VMX(0xb));
	if (w[W_PROC2] >> 32 & (SEC_EPT | SEC_VPID))
		w[W_EPT_VPID] = rdmsr(MSR_VMX(0xc));
	if (w[W_PROC2] >> 32 & SEC_VMFUNC)
		w[W_VMFUNC] = rdmsr(MSR_VMX(0x11));
}

static void read_cpuid(u64 *w)
{
	u32 highest = cpuid(0, 0).eax;

	w[W_MAXPHYADDR] = cpuid(0x80000008, 0).eax & 0xff;
	if (highest >= 7 && (cpuid(7, 0).ebx & BIT(11)))
		w[W_FEATURES] |= W_HAS_RTM;
	if (highest >= 10) {
		struct cpuid_regs r = cpuid(10, 0);

		w[W_PERF_GLOBAL] = (BIT(r.eax >> 8 & 0xff) - 1) |
				   ((r.eax & 0xff) > 1 ? (BIT(r.edx & 0x1f) - 1) << 32 : 0);
	}
}

void world_make(struct gen_world *world)
{
	u64 *w = world->w;

	read_capabilities(w);
	read_cpuid(w);
	w[W_CR3_OTHER] = new_root();
	w[W_CR3] = new_root();
	write_cr3(w[W_CR3]);
	w[W_CR0] = read_cr0();
	w[W_CR4] = read_cr4();
	w[W_EFER] = rdmsr(MSR_EFER);
	w[W_PAT] = rdmsr(MSR_PAT);
	w[W_GDT] = (u64)gdt;
	w[W_IDT] = (u64)idt;
	w[W_TSS] = (u64)&tss;
	w[W_CS] = SEL_CODE;
	w[W_SS] = SEL_DATA;
	w[W_TR] = SEL_TSS;
	w[W_CS32] = SEL_CODE32;
	w[W_CR3_32] = new_root_32();
	w[W_RIP32] = (u64)entry_exit32;
	w[W_RIP] = (u64)entry_exit;
	w[W_RSP] = (u64)page_alloc() + PAGE_SIZE;
	w[W_RIP_LOW] = STUB_LOW + 0xff0;
	w[W_RIP_HIGH] = STUB_HIGH;
	w[W_SCRATCH] = (u64)pages_alloc(PAGE_COUNT);
	entry32_cr3 = w[W_CR3_32];
	entry32_vmcs = w[W_SCRATCH] + PAGE_VMCS * PAGE_SIZE;
	entry32_vmxon = w[W_SCRATCH] + PAGE_VMXON * PAGE_SIZE;
}

void world_restore(const struct gen_world *world)
{
	const u64 *w = world->w;

	write_idtr((struct table_register){ sizeof(idt) - 1, (u64)idt });
	if (read_cr0() != w[W_CR0])
		write_cr0(w[W_CR0]);
	if (read_cr4() != w[W_CR4])
		write_cr4(w[W_CR4]);
	if (read_cr3() != w[W_CR3])
		write_cr3(w[W_CR3]);
	if (rdmsr(MSR_EFER) != w[W_EFER])
		wrmsr(MSR_EFER, w[W_EFER]);
	if (rdmsr(MSR_PAT) != w[W_PAT])
		wrmsr(MSR_PAT, w[W_PAT]);
}
