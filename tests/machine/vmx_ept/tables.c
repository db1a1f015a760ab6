/*
 * The guest's own 4-level tables: changed by the VMM with INVVPID, by the guest with INVLPG and MOV
 * to CR3, with EPT and without; tables that EPT takes away.
 */
#include "vmx_ept.h"

#define LINEAR	0x8000000000ull		/* the second entry of the guest's top level */

static u64 *top, *directory_pointers, *directory, *table;

asm("guest_invlpg: mov %rcx, (%rdx); invlpg (%rsi); mov (%rsi), %ebx; vmcall\n"
    "guest_cr3: mov %rcx, (%rdx); mov %cr3, %rax; mov %rax, %cr3; mov (%rsi), %ebx; vmcall\n"
    "guest_other_cr3: mov %rcx, %cr3; mov (%rsi), %ebx; mov %rdx, %cr3; shl $16, %ebx; or (%rsi), %ebx; vmcall\n");
extern const char guest_invlpg[], guest_cr3[], guest_other_cr3[];

static void make_tables(void)
{
	top = page_alloc();
	directory_pointers = page_alloc();
	directory = page_alloc();
	table = page_alloc();
	top[0] = *(u64 *)read_cr3();
	top[1] = (u64)directory_pointers | 7;
	directory_pointers[0] = (u64)directory | 7;
	directory[0] = (u64)table | 7;
	table[0] = (u64)page_a | 7;
}

static void reset(struct vm *vm, bool ept, u16 vpid)
{
	static u64 *root;

	vm_reset(vm, NULL);
	vmwrite(GUEST_CR3, (u64)top);
	if (!root)
		root = identity_root();
	if (ept)
		vm_use_ept(ept_pointer(root));
	if (vpid) {
		control_set(SECONDARY_CONTROLS, SEC_VPID);
		vmwrite(VPID, vpid);
	}
	table[0] = (u64)page_a | 7;
}

static void test_vmm_changes(struct vm *vm, bool ept)
{
	static const char *const types[] = { "address", "VPID", "all", "VPID but globals" };

	for (u64 type = 0; type < 4; type++) {
		reset(vm, ept, 5);
		must(invvpid(2, 0, 0), "INVVPID");
		print("EPT %s, INVVPID of %s:", ept ? "on" : "off", types[type]);
		show_read(vm, LINEAR + 8);
		table[0] = (u64)page_b | 7;
		must(invvpid(type, type == 2 ? 0 : 5, type ? 0 : LINEAR + 0x10), "INVVPID");
		show_read(vm, LINEAR + 8);
		print("\n");
	}
	reset(vm, ept, 0);
	print("EPT %s, VPID off, nothing to invalidate:", ept ? "on" : "off");
	show_read(vm, LINEAR + 8);
	table[0] = (u64)page_c | 7;
	show_read(vm, LINEAR + 8);
	print("\n");
}

static void test_guest_changes(struct vm *vm, bool ept, u16 vpid)
{
	u64 *other = page_alloc(), *other_pointers = page_alloc();

	reset(vm, ept, vpid);
	print("EPT %s, VPID %u, guest's INVLPG:", ept ? "on" : "off", vpid);
	show_read(vm, LINEAR + 8);
	vm->regs[RDX] = (u64)table;
	vm->regs[RCX] = (u64)page_b | 7;
	show_access(vm, guest_invlpg, LINEAR + 8);
	vm->regs[RCX] = (u64)page_c | 7;
	print(", MOV to CR3:");
	show_access(vm, guest_cr3, LINEAR + 8);
	print(", other CR3 and back:");
	other[0] = top[0];
	other[1] = (u64)other_pointers | 7;
	other_pointers[0] = directory_pointers[0];
	vm->regs[RCX] = (u64)other;
	vm->regs[RDX] = (u64)top;
	show_access(vm, guest_other_cr3, LINEAR + 8);
	print(", CR3 saved: %s\n", vmread(GUEST_CR3) == (u64)top ? "yes" : "no");
}

static void test_faults(struct vm *vm, bool ept)
{
	reset(vm, ept, 0);
	vmwrite(EXCEPTION_BITMAP, BIT(14));
	print("EPT %s, faults of the guest's tables:", ept ? "on" : "off");
	table[0] = 0;
	show_read(vm, LINEAR);
	table[0] = (u64)page_a | 5;
	show_access(vm, guest_write, LINEAR);
	directory[0] = (u64)table | 7 | BIT(51);
	show_read(vm, LINEAR);
	directory[0] = (u64)table | 7;
	table[0] = (u64)page_a | 7;
	show_read(vm, LINEAR);
	print(" flags %lx", table[0] & 0x60);
	vm->regs[RBX] = 0;
	show_access(vm, guest_write, LINEAR + 0xff8);
	print(" %lx\n", table[0] & 0x60);
	page_a[511] = 0xa000 + 511;
}

/*
 * Tables in a window that EPT does not map at first. Bit 8 of the qualification is clear: a walk.
 */
static void test_missing_tables(struct vm *vm)
{
	u64 *root = identity_root();
	u64 saved = directory[0];

	reset(vm, false, 0);
	vm_use_ept(ept_pointer(root));
	table[0] = (u64)page_a | 0x67;
	directory[0] = (WINDOW + 0x7000) | 0x67;
	print("guest's table not in EPT:");
	show_read(vm, LINEAR + 8);
	ept_map(root, WINDOW + 0x7000, (u64)table, PAGE_SIZE, EPT_RWX);
	show_read(vm, LINEAR + 8);
	directory[0] = saved;
	print("\n");
}

void test_guest_tables(struct vm *vm)
{
	make_tables();
	for (int ept = 1; ept >= 0; ept--) {
		test_vmm_changes(vm, ept);
		test_guest_changes(vm, ept, 0);
		test_guest_changes(vm, ept, 7);
		test_faults(vm, ept);
	}
	test_missing_tables(vm);
}
