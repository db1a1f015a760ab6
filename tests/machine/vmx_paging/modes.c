/*
 * Guests in 32-bit protected mode with PAE paging and with tables of two levels, with large
 * pages and small ones, and what they find after the VMM has changed their mode. SDM: Paging.
 */
#include "vmx_paging.h"

asm(".code32\n"
    "m_read: mov (%esi), %ebx; mov (%edi), %ecx; vmcall\n"
    "m_write: mov (%esi), %ebx; mov %ebx, (%esi); incl (%edi); mov (%edi), %ecx; vmcall\n"
    "m_cr3: mov (%esi), %ebx; mov %edx, (%ebp); mov %cr3, %eax; mov %eax, %cr3; mov (%esi), %ecx;"
    "	vmcall\n"
    "m_invlpg: mov (%esi), %ebx; mov %edx, (%ebp); invlpg (%esi); mov (%esi), %ecx; vmcall\n"
    ".code64\n");
extern const char m_read[], m_write[], m_cr3[], m_invlpg[];

static u32 *narrow, *narrow_table;
static u64 *pdpte, *wide, *wide_table;

/* The first 4 MiB and [1 GiB, 1 GiB + 4 MiB): the same memory in large pages; 2 GiB: the window. */
static void make_narrow(void)
{
	memset(narrow, 0, PAGE_SIZE);
	memset(narrow_table, 0, PAGE_SIZE);
	for (u32 i = 0; i < 32; i++)
		narrow[i] = i << 22 | 0x87;
	narrow[256] = 0x87;
	narrow[512] = (u32)(u64)narrow_table | 7;
	narrow_table[0] = (u32)(u64)page[0] | 7;
	narrow_table[1023] = (u32)(u64)page[1] | 7;
}

static void make_wide(void)
{
	memset(wide, 0, PAGE_SIZE);
	memset(wide_table, 0, PAGE_SIZE);
	for (u64 i = 0; i < 64; i++)
		wide[i] = i << 21 | 0x87;
	wide[511] = (u64)wide_table | 7;
	wide_table[0] = (u64)page[0] | 7;
	wide_table[511] = (u64)page[1] | 7;
	memset(pdpte, 0, 32);
	pdpte[0] = (u64)wide | 1;
	pdpte[2] = (u64)wide | 1;
}

static void start_32(struct vm *vm, const char *code, bool pae, u64 esi, u64 edi)
{
	start_guest(vm, code, 0);
	if (pae)
		make_wide();
	else
		make_narrow();
	control_clear(ENTRY_CONTROLS, ENTRY_GUEST_64);
	vmwrite(GUEST_CS, SEL_CODE32);
	vmwrite(GUEST_CS_RIGHTS, 0xc09b);
	vmwrite(GUEST_CR3, pae ? (u64)pdpte : (u64)narrow);
	vmwrite(GUEST_CR4, (vmread(GUEST_CR4) & ~CR4_PAE) | (pae ? CR4_PAE : CR4_PSE));
	vmwrite(EXCEPTION_BITMAP, BIT(14) | BIT(13));
	vm->regs[RSI] = esi;
	vm->regs[RDI] = edi;
}

static void show_narrow(void)
{
	print("flags %x %x %x %x\n", narrow[256] & 0xe7, narrow[512] & 0xe7, narrow_table[0] & 0x67,
	      narrow_table[1023] & 0x67);
}

static void test_two_levels(struct vm *vm)
{
	print("-- two levels\n");
	start_32(vm, m_read, false, 0x80000000, 0x803ff000);
	run_guest(vm, "read");
	show_narrow();
	start_32(vm, m_write, false, 0x803ff000, 0x80000000);
	run_guest(vm, "write");
	show_narrow();
	start_32(vm, m_read, false, 0x40000000 + (u64)page[5], 0x40000000 + (u64)page[6]);
	if ((u64)page[6] < 4 << 20)
		run_guest(vm, "large page");
	show_narrow();
	start_32(vm, m_read, false, 0x80001000, 0);
	run_guest(vm, "no page");
	start_32(vm, m_write, false, 0x80000000, 0);
	narrow[512] &= ~2u;
	run_guest(vm, "no right to write");
	start_32(vm, m_read, false, 0x80000000, 0x80000000);
	vmwrite(GUEST_CR4, vmread(GUEST_CR4) & ~CR4_PSE);
	print("large pages not enabled: %s", reason_name(vm_run(vm)));
	print(", error %lx\n", vmread(EXIT_INTR_ERROR));
	start_32(vm, m_cr3, false, 0x80000000, 0);
	vm->regs[RBP] = (u64)narrow_table;
	vm->regs[RDX] = (u64)page[9] | 7;
	run_guest(vm, "MOV to CR3");
	start_32(vm, m_invlpg, false, 0x803ff000, 0);
	vm->regs[RBP] = (u64)&narrow_table[1023];
	vm->regs[RDX] = (u64)page[9] | 7;
	run_guest(vm, "INVLPG");
}

static void show_wide(void)
{
	print("flags %lx %lx %lx %lx\n", wide[3] & 0xe7, wide[511] & 0xe7, wide_table[0] & 0x67,
	      wide_table[511] & 0x67);
}

static void test_pae(struct vm *vm)
{
	u64 end = 0x80000000 + 511 * (2ul << 20);

	print("-- PAE\n");
	start_32(vm, m_read, true, end, end + 511 * PAGE_SIZE);
	run_guest(vm, "read");
	show_wide();
	start_32(vm, m_write, true, end + 511 * PAGE_SIZE, end);
	run_guest(vm, "write");
	show_wide();
	start_32(vm, m_read, true, 0x40000000, 0);
	run_guest(vm, "no PDPTE");
	start_32(vm, m_read, true, end, end);
	wide_table[0] |= PTE_NX;
	run_guest(vm, "NX and a read");
	start_32(vm, m_read, true, end, 0);
	wide_table[0] |= BIT(55);
	run_guest(vm, "reserved bit");
	start_32(vm, m_cr3, true, end, 0);
	vm->regs[RBP] = (u64)wide_table;
	vm->regs[RDX] = (u64)page[9] | 7;
	run_guest(vm, "MOV to CR3");
	/* PDPTEs are loaded with CR3, and not before. */
	start_32(vm, m_cr3, true, end, 0);
	vm->regs[RBP] = (u64)&pdpte[2];
	vm->regs[RDX] = 0;
	run_guest(vm, "MOV to CR3 without a PDPTE");
	start_32(vm, m_invlpg, true, end, 0);
	vm->regs[RBP] = (u64)&pdpte[2];
	vm->regs[RDX] = 0;
	run_guest(vm, "INVLPG keeps the PDPTE");
	start_32(vm, m_read, true, end, 0);
	pdpte[1] = (u64)wide | 3;
	print("bad PDPTE: ");
	print_exit(vm, vm_run(vm));
	print("\n");
}

void test_modes(struct vm *vm)
{
	narrow = page_alloc();
	narrow_table = page_alloc();
	pdpte = page_alloc();
	wide = page_alloc();
	wide_table = page_alloc();
	test_two_levels(vm);
	test_pae(vm);
}
