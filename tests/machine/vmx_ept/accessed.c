/*
 * EPT's accessed and dirty flags: set by the guest's accesses, at every level, and not when EPTP
 * does not enable them. Not printed: flags of a page that holds guest page tables, where the
 * emulator departs (SDM: Accessed and Dirty Flags for EPT).
 */
#include "vmx_ept.h"

#define FLAGS	((u64)0x300)
#define LARGE	((u64)2 << 20)
#define EPTP_AD	BIT(6)

static u64 *root;

static void show_flags(const char *text)
{
	print("%s: level 1 %lx, level 2 %lx, level 3 %lx, level 4 %lx\n", text,
	      *ept_entry(root, WINDOW, PAGE_SIZE) & FLAGS, *ept_entry(root, WINDOW, LARGE) & FLAGS,
	      *ept_entry(root, WINDOW, BIT(30)) & FLAGS, root[0] & FLAGS);
}

static void clear(void)
{
	*ept_entry(root, WINDOW, PAGE_SIZE) &= ~FLAGS;
	*ept_entry(root, WINDOW, LARGE) &= ~FLAGS;
	*ept_entry(root, WINDOW, BIT(30)) &= ~FLAGS;
	must(invept(1, ept_pointer(root) | EPTP_AD), "INVEPT");
}

static void access(struct vm *vm, const char *code, const char *text)
{
	print("%s:", text);
	show_access(vm, code, WINDOW);
	print("\n");
}

void test_accessed_dirty(struct vm *vm)
{
	root = identity_root();
	ept_map(root, WINDOW, (u64)page_a, PAGE_SIZE, EPT_RWX);
	vm_reset(vm, NULL);
	vm_use_ept(ept_pointer(root));
	access(vm, guest_write, "A/D off, write");
	show_flags("flags");
	vmwrite(EPTP, ept_pointer(root) | EPTP_AD);
	clear();
	access(vm, guest_read, "A/D on, read");
	show_flags("flags");
	access(vm, guest_write, "write");
	show_flags("flags");
	clear();
	show_flags("cleared");
	access(vm, guest_read, "read again");
	show_flags("flags");
	clear();
	access(vm, guest_write, "write at once");
	show_flags("flags");
	*ept_entry(root, WINDOW, PAGE_SIZE) = (u64)page_a | EPT_R | EPT_WB;
	clear();
	access(vm, guest_read, "read-only page, read");
	show_flags("flags");
	ept_map(root, WINDOW, (u64)page_b & -LARGE, LARGE, EPT_RWX);
	must(invept(1, ept_pointer(root) | EPTP_AD), "INVEPT");
	print("2-MiB page, read:");
	show_access(vm, guest_read, WINDOW + (u64)page_b % LARGE);
	print(" flags %lx\n", *ept_entry(root, WINDOW, LARGE) & FLAGS);
	page_a[0] = 0xa000;
}
