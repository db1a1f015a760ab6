/*
 * nested/instr.c, instr_region.c: each instruction in each mode with each fault and failure,
 * in the SDM's order; and that a failure leaves everything as it was.
 */
#include "instr_world.h"

static const struct { u32 reason; const char *name; bool memory; } all[] = {
	{ EXIT_VMCALL, "vmcall", false }, { EXIT_VMCLEAR, "vmclear", true },
	{ EXIT_VMLAUNCH, "vmlaunch", false }, { EXIT_VMPTRLD, "vmptrld", true },
	{ EXIT_VMPTRST, "vmptrst", true }, { EXIT_VMREAD, "vmread", true },
	{ EXIT_VMRESUME, "vmresume", false }, { EXIT_VMWRITE, "vmwrite", true },
	{ EXIT_VMXOFF, "vmxoff", false }, { EXIT_VMXON, "vmxon", true },
	{ EXIT_INVEPT, "invept", true }, { EXIT_INVVPID, "invvpid", true },
};

enum mode { MODE_64, MODE_32, MODE_COMPAT, MODE_REAL, MODE_V86 };

static void enter_mode(struct kit *k, enum mode mode)
{
	if (mode == MODE_64 || mode == MODE_COMPAT)
		kit_long_mode(k);
	else
		kit_protected_mode(k);
	if (mode == MODE_COMPAT)
		kit_set(k, VMCS_GUEST_CS_AR, 0xc09b);
	if (mode == MODE_REAL)
		kit_set(k, VMCS_GUEST_CR0, CR0_ET | CR0_NE);
	if (mode == MODE_V86)
		kit_set(k, VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_VM);
}

static void undefined_in_every_mode(void **state)
{
	static const enum mode modes[] = { MODE_COMPAT, MODE_REAL, MODE_V86 };
	struct kit k;

	(void)state;
	kit_start(&k);
	for (unsigned root = 0; root < 2; root++) {
		for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
			enter_mode(&k, modes[m]);
			for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
				for (u32 dpl = 0; dpl < 4; dpl += 3) {	/* #UD before #GP */
					kit_set(&k, VMCS_GUEST_SS_AR, 0xc093 | dpl << 5);
					assert_fault(run_for_nothing(&k, all[i].reason,
								     KIT_NOT_PRESENT), X86_UD, 0);
				}
		}
		kit_long_mode(&k);
		if (!root)
			kit_enter_root_with_vmcs(&k);
	}
	kit_end(&k);
}

static void undefined_outside_vmx_operation(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].reason != EXIT_VMXON)
			assert_fault(run_for_nothing(&k, all[i].reason, KIT_NOT_PRESENT),
				     X86_UD, 0);
	assert_fault(run_for_nothing(&k, EXIT_CPUID, 0), X86_UD, 0);
	assert_fault(run_for_nothing(&k, 0xffff, 0), X86_UD, 0);
	kit_end(&k);
}

static void privileged(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_set(&k, VMCS_GUEST_SS_AR, 0xc0f3);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), X86_GP, 0);
	kit_long_mode(&k);
	kit_enter_root(&k);
	for (u32 dpl = 1; dpl < 4; dpl++) {
		kit_set(&k, VMCS_GUEST_SS_AR, 0xc093 | dpl << 5);
		for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
			assert_fault(run_for_nothing(&k, all[i].reason, KIT_NOT_PRESENT),
				     X86_GP, 0);
	}
	kit_end(&k);
}

static void operands_fault(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), X86_PF, 0);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, 1ull << 63), X86_GP, 0);
	kit_enter_root_with_vmcs(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		u32 r = all[i].reason;
		bool writes = r == EXIT_VMREAD || r == EXIT_VMPTRST;
		struct outcome o;

		if (!all[i].memory || r == EXIT_VMXON)
			continue;
		o = run_for_nothing(&k, r, KIT_NOT_PRESENT);
		assert_fault(o, X86_PF, writes ? PF_W : 0);
		assert_int_equal(o.value, KIT_NOT_PRESENT);
		assert_fault(run_for_nothing(&k, r, 1ull << 63), X86_GP, 0);
		if (writes)
			assert_fault(run_for_nothing(&k, r, KIT_READ_ONLY), X86_PF, PF_W | PF_P);
	}
	kit_end(&k);
}

/* #GP(0) for what VMXON asks of the processor, before its operand is touched. */
static void vmxon_conditions(void **state)
{
	static const struct { u32 field; u64 value; } bad[] = {
		{ VMCS_GUEST_CR0, KIT_CR0 & ~CR0_NE }, { VMCS_GUEST_CR0, KIT_CR0 | 1ull << 32 },
		{ VMCS_GUEST_CR0, KIT_CR0 & ~CR0_PG },
		{ VMCS_GUEST_CR4, KIT_CR4 | CR4_PKS },
	};
	static const u64 feature[] = { 0, 1, 4, 2, 3 };
	struct kit k;

	(void)state;
	kit_start(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		kit_set(&k, bad[i].field, bad[i].value);
		assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), X86_GP, 0);
		kit_long_mode(&k);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(feature); i++) {
		hw_msr_set(&k.hw, MSR_IA32_FEATURE_CONTROL, feature[i]);
		assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), X86_GP, 0);
	}
	k.hw.msrs = 0;
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_OPERAND), X86_GP, 0);
	hw_msr_set(&k.hw, MSR_IA32_FEATURE_CONTROL, 5);
	kit_set(&k, VMCS_GUEST_CR4, KIT_CR4 & ~CR4_VMXE);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_OPERAND), X86_UD, 0);
	kit_long_mode(&k);
	assert_ok(run(&k, EXIT_VMXON, KIT_OPERAND));
	kit_end(&k);
}

/* What counts are the bits L1 sees: those that L0 masks come from the shadow. */
static void vmxon_sees_the_read_shadows(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_set(&k, VMCS_CR4_MASK, CR4_VMXE);
	kit_set(&k, VMCS_CR4_SHADOW, 0);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_OPERAND), X86_UD, 0);
	kit_set(&k, VMCS_CR4_SHADOW, CR4_VMXE);
	kit_set(&k, VMCS_CR0_MASK, CR0_NE);
	kit_set(&k, VMCS_CR0_SHADOW, 0);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_OPERAND), X86_GP, 0);
	kit_set(&k, VMCS_CR0_SHADOW, CR0_NE);
	assert_ok(run(&k, EXIT_VMXON, KIT_OPERAND));
	kit_end(&k);
}

static void vmxon_regions(void **state)
{
	static const u64 bad[] = { KIT_VMXON + 8, KIT_VMXON + 0x800, 1ull << 40, ~0ull,
				   KIT_RAM /* nothing there */ };
	struct kit k;

	(void)state;
	kit_start(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_kind(kit_m64(&k, EXIT_VMXON, bad[i]), OUT_VMFAIL_INVALID);
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS) & RFLAGS_ARITH, RFLAGS_CF);
	kit_poke(&k, KIT_VMXON, NESTED_REVISION + 1);
	assert_kind(kit_m64(&k, EXIT_VMXON, KIT_VMXON), OUT_VMFAIL_INVALID);
	kit_poke(&k, KIT_VMXON, NESTED_REVISION | VMCS_SHADOW_INDICATOR);
	assert_kind(kit_m64(&k, EXIT_VMXON, KIT_VMXON), OUT_VMFAIL_INVALID);
	assert_false(k.n.vmxon);
	kit_poke(&k, KIT_VMXON, NESTED_REVISION);
	assert_ok(kit_m64(&k, EXIT_VMXON, KIT_VMXON));
	assert_true(k.n.vmxon && !k.n.current);
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS) & RFLAGS_ARITH, 0);
	kit_end(&k);
}

static void vmxon_in_root_operation(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	/* The operand is not looked at. */
	assert_kind(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), OUT_VMFAIL_INVALID);
	assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)));
	assert_vmfail(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), VMERR_VMXON_IN_ROOT);
	kit_end(&k);
}

static const struct { u32 reason; u64 operand; u32 error; } regions[] = {
	{ EXIT_VMCLEAR, KIT_VMCS(1) + 4, VMERR_VMCLEAR_ADDRESS },
	{ EXIT_VMCLEAR, 1ull << 40, VMERR_VMCLEAR_ADDRESS },
	{ EXIT_VMCLEAR, ~0ull, VMERR_VMCLEAR_ADDRESS },
	{ EXIT_VMCLEAR, KIT_VMXON, VMERR_VMCLEAR_VMXON },
	{ EXIT_VMPTRLD, KIT_VMCS(1) + 4, VMERR_VMPTRLD_ADDRESS },
	{ EXIT_VMPTRLD, 1ull << 63, VMERR_VMPTRLD_ADDRESS },
	{ EXIT_VMPTRLD, ~0ull, VMERR_VMPTRLD_ADDRESS },
	{ EXIT_VMPTRLD, KIT_VMXON, VMERR_VMPTRLD_VMXON },
	{ EXIT_VMPTRLD, KIT_OPERAND + 0x1000, VMERR_VMPTRLD_REVISION },
	{ EXIT_VMPTRLD, KIT_RAM, VMERR_VMPTRLD_REVISION },
	{ EXIT_VMPTRLD, KIT_VMCS(2), VMERR_VMPTRLD_REVISION },	/* shadow indicator */
};

static void region_failures(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	kit_poke(&k, KIT_VMCS(2), NESTED_REVISION | VMCS_SHADOW_INDICATOR);
	for (unsigned current = 0; current < 2; current++) {
		for (unsigned i = 0; i < ARRAY_SIZE(regions); i++) {
			struct nested_vmcs *was = k.n.current;
			struct outcome o = kit_m64(&k, regions[i].reason, regions[i].operand);
			u64 flags = kit_get(&k, VMCS_GUEST_RFLAGS) & RFLAGS_ARITH;

			assert_ptr_equal(k.n.current, was);
			if (!current) {
				assert_kind(o, OUT_VMFAIL_INVALID);
				assert_int_equal(flags, RFLAGS_CF);
				continue;
			}
			assert_vmfail(o, regions[i].error);
			assert_int_equal(flags, RFLAGS_ZF);
			assert_int_equal(was->v[VF_VM_INSTRUCTION_ERROR], regions[i].error);
		}
		assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)));
	}
	kit_end(&k);
}

static void vmclear_and_vmptrst(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	assert_ok(run(&k, EXIT_VMPTRST, KIT_OPERAND + 8));
	assert_int_equal(kit_peek(&k, KIT_OPERAND + 8), ~0ull);
	assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(3)));
	assert_ok(run(&k, EXIT_VMPTRST, KIT_OPERAND + 8));
	assert_int_equal(kit_peek(&k, KIT_OPERAND + 8), KIT_VMCS(3));
	assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(4)));
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(3)));	/* not the current one */
	assert_int_equal(k.n.current->gpa.v, KIT_VMCS(4));
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(4)));
	assert_null(k.n.current);
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_RAM));		/* as a bus: nobody minds */
	kit_end(&k);
}

static void entries(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	seen.entries = 0;
	assert_kind(run_for_nothing(&k, EXIT_VMLAUNCH, 0), OUT_VMFAIL_INVALID);
	assert_kind(run_for_nothing(&k, EXIT_VMRESUME, 0), OUT_VMFAIL_INVALID);
	assert_kind(run_for_nothing(&k, EXIT_VMCALL, 0), OUT_VMFAIL_INVALID);
	assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)));
	assert_vmfail(run_for_nothing(&k, EXIT_VMCALL, 0), VMERR_VMCALL_IN_ROOT);
	assert_vmfail(run_for_nothing(&k, EXIT_VMRESUME, 0), VMERR_VMRESUME_NOT_LAUNCHED);
	kit_set(&k, VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS);
	assert_vmfail(run_for_nothing(&k, EXIT_VMLAUNCH, 0), VMERR_ENTRY_MOV_SS);
	assert_vmfail(run_for_nothing(&k, EXIT_VMRESUME, 0), VMERR_ENTRY_MOV_SS);
	kit_set(&k, VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI);
	assert_int_equal(seen.entries, 0);
	assert_kind(run(&k, EXIT_VMLAUNCH, 0), OUT_ENTER_L2);
	k.n.current->launched = true;
	assert_vmfail(run_for_nothing(&k, EXIT_VMLAUNCH, 0), VMERR_VMLAUNCH_NOT_CLEAR);
	assert_kind(run(&k, EXIT_VMRESUME, 0), OUT_ENTER_L2);
	assert_int_equal(seen.entries, 2);
	kit_end(&k);
}

static void vmxoff(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	assert_ok(kit_vmwrite(&k, VMCS_HOST_RIP, 0x77));
	assert_ok(kit_plain(&k, EXIT_VMXOFF));
	assert_false(k.n.vmxon || k.n.current);
	for (unsigned i = 0; i < NESTED_SLOTS; i++)
		assert_int_equal(k.n.slot[i].gpa.v, NESTED_NO_VMPTR.v);
	assert_fault(run_for_nothing(&k, EXIT_VMXOFF, 0), X86_UD, 0);
	kit_end(&k);
}

static void flags_and_the_error_field(void **state)
{
	static const u64 other = RFLAGS_FIXED | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_AC;
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	kit_set(&k, VMCS_GUEST_RFLAGS, other | RFLAGS_ARITH);
	nested_commit_flags(&k.n, OUTCOME_UD);
	nested_commit_flags(&k.n, OUTCOME_ENTER_L2);
	nested_commit_flags(&k.n, OUTCOME_ENTRY_FAIL(33, 0));
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS), other | RFLAGS_ARITH);
	nested_commit_flags(&k.n, OUTCOME_OK);
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS), other);
	nested_commit_flags(&k.n, OUTCOME_VALID(12));
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS), other | RFLAGS_ZF);
	assert_int_equal(k.n.current->v[VF_VM_INSTRUCTION_ERROR], 12);
	nested_commit_flags(&k.n, OUTCOME_INVALID);
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS), other | RFLAGS_CF);
	assert_int_equal(k.n.current->v[VF_VM_INSTRUCTION_ERROR], 12);
	kit_end(&k);
}

static void explanations(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	kit_poke(&k, KIT_VMCS(1), 0x1234);
	kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(1));
	assert_string_equal(k.hw.log, "");
	k.n.explain = true;
	kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(1));
	assert_string_equal(k.hw.log, "L1 vmptrld: VMfail 11 (VMPTRLD with incorrect VMCS revision "
			    "identifier): revision 0x1234 at 0x101000 is not 0x504c5301\n");
	k.hw.log_len = 0;
	kit_plain(&k, EXIT_VMXOFF);
	kit_plain(&k, EXIT_VMXOFF);
	assert_string_equal(k.hw.log, "L1 vmxoff: #UD: not in VMX operation\n");
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(undefined_in_every_mode),
		cmocka_unit_test(undefined_outside_vmx_operation),
		cmocka_unit_test(privileged),
		cmocka_unit_test(operands_fault),
		cmocka_unit_test(vmxon_conditions),
		cmocka_unit_test(vmxon_sees_the_read_shadows),
		cmocka_unit_test(vmxon_regions),
		cmocka_unit_test(vmxon_in_root_operation),
		cmocka_unit_test(region_failures),
		cmocka_unit_test(vmclear_and_vmptrst),
		cmocka_unit_test(entries),
		cmocka_unit_test(vmxoff),
		cmocka_unit_test(flags_and_the_error_field),
		cmocka_unit_test(explanations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
