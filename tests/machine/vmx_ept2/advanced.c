/*
 * Advanced exit information of EPT violations: whether the guest's own tables make the page a
 * user's, writable, and not executable. SDM: Exit Qualification for EPT Violations, bits 9 to 11;
 * they are defined for accesses to the translation of a linear address alone.
 */
#include "vmx_ept2.h"

#define CAP_ADVANCED	BIT(22)

static u64 *root;

static void one(struct vm *vm, const char *text, const char *code, u64 address)
{
	u64 mask = 0x1ff;

	print("%s:", text);
	if (run(vm, code, address) != REASON_EPT_VIOLATION) {
		print(" no violation\n");
		return;
	}
	if ((vmread(EXIT_QUALIFICATION) & 0x180) == 0x180 && vmx_caps.ept_vpid & CAP_ADVANCED)
		mask = 0xfff;
	print(" q=%lx\n", vmread(EXIT_QUALIFICATION) & mask);
}

static void test_page(struct vm *vm, u64 rights)
{
	print("%s, %s, %s\n", rights & PTE_U ? "user" : "supervisor",
	      rights & PTE_W ? "writable" : "read-only",
	      rights & PTE_NX ? "not executable" : "executable");
	allow(1, rights);
	reset(vm, root);
	one(vm, "  read", guest_read, linear(1));
	if (rights & PTE_W)
		one(vm, "  write", guest_write, linear(1));
	if (!(rights & PTE_NX))
		one(vm, "  fetch", guest_jump, linear(1));
}

void test_advanced(struct vm *vm)
{
	root = new_root();
	print("advanced exit information: %s\n", vmx_caps.ept_vpid & CAP_ADVANCED ? "yes" : "no");
	map(root, 1, page_a, 0);
	for (unsigned int i = 0; i < 8; i++)
		test_page(vm, (i & 1 ? PTE_U : 0) | (i & 2 ? PTE_W : 0) | (i & 4 ? PTE_NX : 0));
	allow(1, PTE_W);
	map(root, 1, page_a, EPT_R);
	one(vm, "not writable in EPT, write", guest_write, linear(1));
	one(vm, "not executable in EPT, fetch", guest_jump, linear(1));
	reset(vm, root);
	control_clear(ENTRY_CONTROLS, ENTRY_GUEST_64);
	control_set(SECONDARY_CONTROLS, SEC_UNRESTRICTED);
	vmwrite(GUEST_EFER, 0);
	vmwrite(GUEST_CR0, read_cr0() & ~BIT(31));
	vmwrite(GUEST_CR4, BIT(13));
	vmwrite(GUEST_CS_RIGHTS, 0xc09b);
	ept_map(root, 0xe0000000, 0, PAGE_SIZE, 0);
	invalidate(root);
	one(vm, "no paging, read", guest_read, 0xe0000000);
	one(vm, "no paging, fetch", guest_jump, 0xe0000000);
}
