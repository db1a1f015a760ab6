/*
 * EPT tables changed under the guest: with INVEPT where the SDM wants it, without where it does not
 * ("Operations that Invalidate Cached Mappings": an EPT violation drops what it used; what is not
 * present is not cached), and several roots.
 */
#include "vmx_ept.h"

#define LARGE	((u64)2 << 20)

static u64 *root;

static void map(u64 offset, const u64 *page, u32 rights)
{
	ept_map(root, WINDOW + offset, (u64)page, PAGE_SIZE, rights);
}

static void reset(struct vm *vm)
{
	vm_reset(vm, NULL);
	vm_use_ept(ept_pointer(root));
}

static void test_pages(struct vm *vm)
{
	print("change with INVEPT single:");
	map(0, page_a, EPT_RWX);
	show_read(vm, WINDOW + 8);
	map(0, page_b, EPT_RWX);
	invalidate(root);
	show_read(vm, WINDOW + 8);
	print("\nchange with INVEPT all:");
	map(0, page_c, EPT_RWX);
	must(invept(2, 0), "INVEPT");
	show_read(vm, WINDOW + 8);
	map(0, NULL, 0);
	must(invept(2, 0), "INVEPT");
	show_read(vm, WINDOW + 8);
	print("\npresent after a violation, no INVEPT:");
	map(0, page_a, EPT_RWX);
	show_read(vm, WINDOW + 16);
	print("\nwritable after a violation, no INVEPT:");
	map(0, page_a, EPT_R);
	invalidate(root);
	show_read(vm, WINDOW);
	show_access(vm, guest_write, WINDOW);
	map(0, page_a, EPT_RWX);
	show_access(vm, guest_write, WINDOW);
	print(" then %lx\n", page_a[0]);
	page_a[0] = 0xa000;
	print("never touched, made present, no INVEPT:");
	map(0x5000, page_b, EPT_R);
	show_read(vm, WINDOW + 0x5008);
	print("\n");
}

static void test_tables(struct vm *vm)
{
	u64 *entry, *other = page_alloc();

	print("another page table:");
	map(0x1000, page_a, EPT_RWX);
	invalidate(root);
	show_read(vm, WINDOW + 0x1008);
	other[1] = (u64)page_c | EPT_RWX | EPT_WB;
	entry = ept_entry(root, WINDOW, LARGE);
	*entry = (u64)other | EPT_RWX;
	invalidate(root);
	show_read(vm, WINDOW + 0x1008);
	show_read(vm, WINDOW + 8);
	print("\nrights of the levels above:");
	*entry = (u64)other | EPT_R;
	invalidate(root);
	show_read(vm, WINDOW + 0x1008);
	show_access(vm, guest_write, WINDOW + 0x1008);
	*ept_entry(root, WINDOW, BIT(30)) &= ~(u64)EPT_R;	/* leaves W and X: a misconfiguration */
	invalidate(root);
	show_read(vm, WINDOW + 0x1008);
	*ept_entry(root, WINDOW, BIT(30)) |= EPT_R;
	print("\na large page, split, and joined:");
	ept_map(root, WINDOW, (u64)page_a & -LARGE, LARGE, EPT_RWX);
	invalidate(root);
	show_read(vm, WINDOW + (u64)page_a % LARGE + 24);
	map(0x3000, page_b, EPT_RWX);
	invalidate(root);
	show_read(vm, WINDOW + 0x3018);
	show_read(vm, WINDOW + (u64)page_a % LARGE + 32);
	*entry = ((u64)page_a & -LARGE) | EPT_RWX | EPT_WB | EPT_LARGE;
	invalidate(root);
	show_read(vm, WINDOW + (u64)page_a % LARGE + 40);
	print("\n1 GiB:");
	ept_map(root, WINDOW, 0, BIT(30), EPT_RWX);
	invalidate(root);
	show_read(vm, WINDOW + (u64)page_c + 48);
	show_read(vm, WINDOW + (u64)page_b + 56);
	print("\n");
}

void test_changes(struct vm *vm)
{
	root = identity_root();
	reset(vm);
	test_pages(vm);
	test_tables(vm);
}

static void use(const u64 *which)
{
	vmwrite(EPTP, ept_pointer(which));
}

/*
 * The tables below the two roots differ in one leaf; the third shares all but its root with the
 * first.
 */
void test_roots(struct vm *vm)
{
	u64 *second = identity_root(), *third = ept_new();

	root = identity_root();
	map(0, page_a, EPT_RWX);
	ept_map(second, WINDOW, (u64)page_b, PAGE_SIZE, EPT_RWX);
	third[0] = root[0];
	reset(vm);
	print("EPTP switched, no INVEPT:");
	for (int i = 0; i < 3; i++) {
		use(root);
		show_read(vm, WINDOW);
		use(second);
		show_read(vm, WINDOW);
		use(third);
		show_read(vm, WINDOW);
	}
	print("\nshared table changed, INVEPT of both:");
	map(0, page_c, EPT_RWX);
	invalidate(root);
	invalidate(third);
	show_read(vm, WINDOW);
	use(root);
	show_read(vm, WINDOW);
	print("\nroot that is not in use changed:");
	ept_map(second, WINDOW, (u64)page_a, PAGE_SIZE, EPT_RWX);
	invalidate(second);
	show_read(vm, WINDOW);
	use(second);
	show_read(vm, WINDOW);
	print("\nwith VPIDs:");
	control_set(SECONDARY_CONTROLS, SEC_VPID);
	for (u64 vpid = 1; vpid < 4; vpid++) {
		vmwrite(VPID, vpid);
		use(root);
		show_read(vm, WINDOW);
		use(second);
		show_read(vm, WINDOW);
	}
	print("\nEPT off, on, off:");
	for (int i = 0; i < 3; i++) {
		control_clear(SECONDARY_CONTROLS, SEC_EPT);
		if (i == 1)
			control_set(SECONDARY_CONTROLS, SEC_EPT);
		show_read(vm, (u64)page_a + 64);
		if (i == 1)
			show_read(vm, WINDOW + 64);
	}
	print("\nVPID 0:");
	vmwrite(VPID, 0);
	show_read(vm, (u64)page_a);
	print("\n");
}
