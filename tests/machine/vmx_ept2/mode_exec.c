/*
 * Mode-based execute control: one execute right of EPT for linear addresses of the supervisor,
 * another for the user's. Which kind an address is, the guest's tables say, not its CPL. SDM:
 * Mode-Based Execute Control for EPT.
 */
#include "vmx_ept2.h"

static u64 *root;

/*
 * Bit 6 of a data access's qualification is not what the SDM says in the emulator, which moves it
 * to bit 13.
 */
static u64 known_bits(void)
{
	u64 q = vmread(EXIT_QUALIFICATION);

	return q & (q & 4 ? 0x1ff : 0x1bf);
}

static void one(struct vm *vm, const char *text, const char *code, unsigned int n, u64 offset)
{
	u32 reason = run(vm, code, linear(n) + offset);

	if (reason == REASON_VMCALL)
		print(" %s: %lx", text, vm->regs[RBX]);
	else if (reason == REASON_EPT_VIOLATION)
		print(" %s: q=%lx", text, known_bits());
	else
		print(" %s: %s", text, reason_name(reason));
}

static void test_rights(struct vm *vm, u64 rights)
{
	map(root, 1, page_a, rights);
	map(root, 2, page_a, rights);
	print("%s%s%s%s:", rights & EPT_R ? "R" : "-", rights & EPT_W ? "W" : "-",
	      rights & EPT_X ? "X" : "-", rights & EPT_XU ? "U" : "-");
	one(vm, "supervisor's", guest_jump, 1, 0xff8);
	one(vm, "user's", guest_jump, 2, 0xff8);
	one(vm, "read", guest_read, 1, 8);
	print("\n");
}

/* The rights of a level above count as well. */
static void test_above(struct vm *vm)
{
	u64 *directory = ept_entry(root, WINDOW, 2 << 20);

	print("above");
	*directory &= ~(u64)EPT_X;
	*directory |= EPT_XU;
	test_rights(vm, EPT_RWX | EPT_XU);
	*directory |= EPT_X;
}

void test_mode_exec(struct vm *vm)
{
	static const u64 rights[] = {
		EPT_RWX | EPT_XU, EPT_RWX, EPT_R | EPT_XU, EPT_R, EPT_R | EPT_W, EPT_X, EPT_XU,
		EPT_X | EPT_XU, EPT_W | EPT_XU, 0,
	};
	bool offered = control_can(SECONDARY_CONTROLS, SEC_MODE_EXEC);

	print("mode-based execute control: %s\n", offered ? "yes" : "no");
	if (!offered)
		return;
	root = new_root();
	allow(1, PTE_W);
	allow(2, PTE_W | PTE_U);
	map(root, 1, page_a, EPT_RWX);
	set_everywhere(root, EPT_XU);
	for (int on = 1; on >= 0; on--) {
		reset(vm, root);
		print("control %s\n", on ? "on" : "off");
		if (on)
			control_set(SECONDARY_CONTROLS, SEC_MODE_EXEC);
		for (unsigned int i = 0; i < ARRAY_SIZE(rights); i++)
			test_rights(vm, rights[i]);
		test_above(vm);
	}
	reset(vm, root);
	control_set(SECONDARY_CONTROLS, SEC_MODE_EXEC);
	control_clear(SECONDARY_CONTROLS, SEC_EPT);
	show_entry(vm, "without EPT");
}
