/* The same page, flags and flushes without a VM: for whom L0 shadows the VMM's own tables. */
#include "vmx_paging.h"

static volatile u64 *const window = (u64 *)WINDOW;

static void show(const char *what)
{
	print("%s: %s, entry %lx\n", what, fault_text(), table[0] & 0x67);
}

/* What CPUID promises of paging can be turned on; which of it depends on the machine. */
static void test_promises(void)
{
	static const struct { const char *name; u32 leaf; u8 reg, bit, cr4; } promises[] = {
		{ "PCID", 1, 2, 17, 17 },
		{ "PKU", 7, 2, 3, 22 },
		{ "CET_SS", 7, 2, 7, 23 },
		{ "PKS", 7, 2, 31, 24 },
		{ "CET_IBT", 7, 3, 20, 23 },
	};
	u64 all[2] = { 0, 0 }, cr4 = read_cr4();
	u32 leaves = cpuid(0, 0).eax;

	print("promised in vain:");
	for (unsigned int i = 0; i < ARRAY_SIZE(promises); i++) {
		struct cpuid_regs r = cpuid(promises[i].leaf, 0);

		if (leaves < promises[i].leaf ||
		    !((promises[i].reg == 2 ? r.ecx : r.edx) >> promises[i].bit & 1))
			continue;
		if (!TRY("mov %3, %%cr4", "r" (cr4 | BIT(promises[i].cr4))))
			print(" %s", promises[i].name);
		write_cr4(cr4);
	}
	if (leaves >= 7 && (cpuid(7, 0).ebx >> 10 & 1) &&
	    !TRY("invpcid %4, %3", "r" (2ul), "m" (all)))
		print(" INVPCID");
	print("\n");
}

void test_own_paging(void)
{
	u64 old = pdpt[5], value;

	print("-- without a VM\n");
	pdpt[5] = (u64)directory | PTE_ALL;
	directory[0] = (u64)table | PTE_ALL;
	table[0] = (u64)page[0] | PTE_ALL;
	table[1] = (u64)page[1] | PTE_ALL;
	page[0][0] = 0x11;
	page[1][0] = 0x22;
	write_cr3(read_cr3());
	print("read %lx", window[0]);
	print(", entry %lx\n", table[0] & 0x67);
	window[1] = 5;
	print("written, entry %lx\n", table[0] & 0x67);
	table[0] &= ~(PTE_A | PTE_D);
	invlpg(WINDOW);
	value = window[0];
	print("flags taken away, read %lx, entry %lx\n", value, table[0] & 0x67);
	table[0] = (u64)page[1] | PTE_P | PTE_U;
	write_cr3(read_cr3());
	print("another page: %lx\n", window[0]);
	TRY("movl $3, (%3)", "r" (window));
	show("write to it, read-only");
	write_cr0(read_cr0() & ~CR0_WP);
	TRY("movl $3, (%3)", "r" (window));
	show("with CR0.WP clear");
	write_cr0(read_cr0() | CR0_WP);
	TRY("movl $3, (%3)", "r" (window));
	show("and set");
	table[0] |= PTE_NX;
	invlpg(WINDOW);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_NXE);
	TRY("mov (%3), %%rax", "r" (window));
	show("NX without EFER.NXE");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	TRY("mov (%3), %%rax", "r" (window));
	show("and with it");
	table[0] = (u64)page[0] | PTE_ALL | PTE_G;
	write_cr4(read_cr4() | CR4_PGE);
	value = window[0];
	table[0] = (u64)page[1] | PTE_ALL | PTE_G;
	write_cr4(read_cr4() & ~CR4_PGE);
	print("global page, CR4.PGE off: %lx, was %lx\n", window[0], value);
	pdpt[5] = old;
	write_cr3(read_cr3());
	TRY("mov (%3), %%rax", "r" (window));
	print("nothing there: %s, CR2 %lx\n", fault_text(), trap_last.cr2);
	test_promises();
}
