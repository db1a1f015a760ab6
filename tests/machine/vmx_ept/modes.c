/*
 * Guests in each paging mode, with EPT and without: a linear address that is mapped to page_a, page
 * directory pointers from the VMCS or from memory, and a guest that goes from one mode to the next.
 */
#include "vmx_ept.h"

#define LINEAR	0x50000000u	/* of the 32-bit guests */

static u64 *root;
static u32 *directory32;
static u64 *pointers;		/* PAE: four entries */

asm(".code32\n"
    "mode_cr3: mov %ecx, %cr3; mov (%esi), %ebx; vmcall\n"
    /* from protected mode without paging to PAE paging to 32-bit paging and off again */
    "mode_switch: mov %cr4, %eax; or $0x20, %eax; mov %eax, %cr4; mov %ecx, %cr3;"
    "mov %cr0, %eax; bts $31, %eax; mov %eax, %cr0; mov (%esi), %ebx;"
    "btr $31, %eax; mov %eax, %cr0; mov %cr4, %ebp; and $~0x20, %ebp; or $0x10, %ebp; mov %ebp, %cr4;"
    "mov %edx, %cr3; bts $31, %eax; mov %eax, %cr0; mov (%esi), %edi;"
    "btr $31, %eax; mov %eax, %cr0; shl $16, %ebx; or %edi, %ebx; vmcall\n"
    /* on to 64-bit mode: ECX is CR3 */
    "mode_long: mov %cr4, %eax; or $0x20, %eax; mov %eax, %cr4; mov %ecx, %cr3;"
    "mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr;"
    "mov %cr0, %eax; bts $31, %eax; mov %eax, %cr0; ljmp $8, $mode_64\n"
    ".code64\n"
    "mode_64: mov $0x7777, %ebx; shl $32, %rbx; shr $16, %rbx; vmcall\n"
    ".code16\n"
    ".balign 16\n"
    "mode_real: mov %ds, %ax; mov $0x1234, %bx; mov %bx, %ds; mov (%esi), %ebx; mov %ax, %ds; vmcall\n"
    ".code64");
extern const char mode_cr3[], mode_switch[], mode_long[], mode_real[];

static void make_tables(void)
{
	u32 *table32 = page_alloc();
	u64 *directory0 = page_alloc(), *directory1 = page_alloc(), *table = page_alloc();

	directory32 = page_alloc();
	for (u32 i = 0; i < 1024; i++)
		directory32[i] = i << 22 | 0x87;
	directory32[LINEAR >> 22] = (u32)(u64)table32 | 7;
	table32[0] = (u32)(u64)page_a | 7;

	pointers = page_alloc();
	pointers[0] = (u64)directory0 | 1;
	pointers[1] = (u64)directory1 | 1;
	for (u64 i = 0; i < 512; i++)
		directory0[i] = i << 21 | 0x87;
	directory1[(LINEAR >> 21) % 512] = (u64)table | 7;
	table[0] = (u64)page_b | 7;
	root = identity_root();
}

static void segments(u32 code_rights, u32 data_rights)
{
	static const u16 data[] = { GUEST_ES_RIGHTS, GUEST_SS_RIGHTS, GUEST_DS_RIGHTS };

	vmwrite(GUEST_CS_RIGHTS, code_rights);
	for (unsigned int i = 0; i < ARRAY_SIZE(data); i++)
		vmwrite(data[i], data_rights);
}

static void set_mode(struct vm *vm, bool ept, u64 cr0_clear, u64 cr4, u64 cr3)
{
	vm_reset(vm, NULL);
	control_clear(ENTRY_CONTROLS, ENTRY_GUEST_64);
	if (ept)
		vm_use_ept(ept_pointer(root));
	if (cr0_clear)
		control_set(SECONDARY_CONTROLS, SEC_UNRESTRICTED);
	control_set(ENTRY_CONTROLS, ENTRY_LOAD_EFER);
	vmwrite(GUEST_EFER, 0);
	vmwrite(GUEST_CR0, read_cr0() & ~cr0_clear);
	vmwrite(GUEST_CR4, CR4_VMXE | cr4);
	vmwrite(GUEST_CR3, cr3);
	vmwrite(GUEST_TR_RIGHTS, 0x8b);
	segments(0xc09b, 0xc093);
}

static void load_pointers(void)
{
	for (u32 i = 0; i < 4; i++)
		vmwrite(GUEST_PDPTE0 + 2 * i, pointers[i]);
}

static void test_paging(struct vm *vm, bool ept)
{
	const char *on = ept ? "on" : "off";

	print("EPT %s, 32-bit paging:", on);
	set_mode(vm, ept, 0, CR4_PSE, (u64)directory32);
	show_read(vm, LINEAR + 8);
	show_read(vm, (u64)page_c);
	vm->regs[RCX] = (u64)directory32;
	show_access(vm, mode_cr3, LINEAR + 16);
	print("\nEPT %s, PAE paging:", on);
	set_mode(vm, ept, 0, CR4_PAE, (u64)pointers);
	if (ept)
		load_pointers();
	show_read(vm, LINEAR + 8);
	show_read(vm, (u64)page_c);
	if (ept)
		print(" entries saved: %s",
		      vmread(GUEST_PDPTE0) == pointers[0] && vmread(GUEST_PDPTE1) == pointers[1] &&
		      !vmread(GUEST_PDPTE2) ? "yes" : "no");
	print("\nEPT %s, bad directory pointer:", on);
	if (ept)
		vmwrite(GUEST_PDPTE2, 0x23);
	else
		pointers[2] = 0x23;
	show_read(vm, LINEAR + 8);
	pointers[2] = 0;
	if (ept)
		load_pointers();
	show_read(vm, LINEAR + 8);
	print("\n");
}

/* The guest's MOV to CR3 reads directory pointers from memory, whatever the VMCS had. */
static void test_pae_cr3(struct vm *vm, bool ept)
{
	u64 *other = page_alloc(), *bad = page_alloc();

	print("EPT %s, MOV to CR3 with PAE:", ept ? "on" : "off");
	memcpy(other, pointers, 32);
	memcpy(bad, pointers, 32);
	bad[3] = 0x1e1;
	set_mode(vm, ept, 0, CR4_PAE, (u64)pointers);
	if (ept)
		load_pointers();
	other[1] = 0;
	vmwrite(EXCEPTION_BITMAP, BIT(14) | BIT(13));
	vm->regs[RCX] = (u64)other;
	show_access(vm, mode_cr3, LINEAR + 24);
	vm->regs[RCX] = (u64)pointers;
	show_access(vm, mode_cr3, LINEAR + 24);
	vm->regs[RCX] = (u64)bad;
	show_access(vm, mode_cr3, LINEAR + 24);
	print("\n");
}

static void test_unpaged(struct vm *vm)
{
	static const u16 real_data[] = { GUEST_ES, GUEST_SS, GUEST_DS };
	u64 base = (u64)mode_real & ~0xffffull;

	print("no paging:");
	set_mode(vm, true, CR0_PG, 0, 0);
	show_read(vm, (u64)page_b + 8);
	print("\nreal mode:");
	set_mode(vm, true, CR0_PG | CR0_PE, 0, 0);
	segments(0x9b, 0x93);
	for (unsigned int i = 0; i < ARRAY_SIZE(real_data); i++)
		vmwrite(real_data[i] - GUEST_ES + GUEST_ES_LIMIT, 0xffff);
	vmwrite(GUEST_CS_LIMIT, 0xffff);
	vmwrite(GUEST_CS_BASE, base);
	*(u32 *)(0x12340 + 0x40) = 0x5eed;
	vmwrite(GUEST_RIP, (u64)mode_real - base);
	vm->regs[RSI] = 0x40;
	print(" %s", vm_run(vm) == REASON_VMCALL ? "ok" : "no");
	print(" %lx\n", vm->regs[RBX]);
	print("no paging, PAE, 32-bit paging, no paging:");
	set_mode(vm, true, CR0_PG, 0, 0);
	vm->regs[RCX] = (u64)pointers;
	vm->regs[RDX] = (u64)directory32;
	show_access(vm, mode_switch, LINEAR + 40);
	print(" CR0.PG %lu CR4 %lx\n", vmread(GUEST_CR0) >> 31, vmread(GUEST_CR4));
}

static void test_long(struct vm *vm)
{
	static const u8 no_bits[PAGE_SIZE] __attribute__((aligned(4096)));

	print("no paging, then 64-bit:");
	set_mode(vm, true, CR0_PG, 0, 0);
	control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
	vmwrite(MSR_BITMAP, (u64)no_bits);
	control_set(EXIT_CONTROLS, EXIT_SAVE_EFER | EXIT_LOAD_EFER);
	vmwrite(HOST_EFER, rdmsr(MSR_EFER));
	vm->regs[RCX] = read_cr3();
	show_access(vm, mode_long, 0);
	print(" EFER %lx, control %lu, CS rights %lx\n", vmread(GUEST_EFER),
	      vmread(ENTRY_CONTROLS) >> 9 & 1, vmread(GUEST_CS_RIGHTS));
}

void test_modes(struct vm *vm)
{
	make_tables();
	for (int ept = 1; ept >= 0; ept--) {
		test_paging(vm, ept);
		test_pae_cr3(vm, ept);
	}
	test_unpaged(vm);
	test_long(vm);
}
