/* nested/caps.c: what L1 is told, on the Skylake-X of Bochs 3.0 and on lesser CPUs. */
#include "nested_kit.h"

static const struct { u32 msr; u64 value; } skylake[] = {
	{ MSR_IA32_VMX_BASIC, 0x00d8100000000000 | NESTED_REVISION },
	{ MSR_IA32_VMX_PINBASED, 0x000000ff00000016 },
	{ MSR_IA32_VMX_PROCBASED, 0xfff9fffe0401e172 },
	{ MSR_IA32_VMX_EXIT, 0x007fefff00036dff },
	{ MSR_IA32_VMX_ENTRY, 0x0000d3ff000011ff },
	{ MSR_IA32_VMX_MISC, 0x600401e0 },
	{ MSR_IA32_VMX_CR0_FIXED0, 0x80000021 },
	{ MSR_IA32_VMX_CR0_FIXED1, 0xffffffff },
	{ MSR_IA32_VMX_CR4_FIXED0, 0x2000 },
	{ MSR_IA32_VMX_CR4_FIXED1, 0x3727ff },
	{ MSR_IA32_VMX_VMCS_ENUM, 0x32 },
	{ MSR_IA32_VMX_PROCBASED2, 0x02573fff00000000 },
	{ MSR_IA32_VMX_EPT_VPID_CAP, 0x00000f0106734141 },
	{ MSR_IA32_VMX_TRUE_PINBASED, 0x000000ff00000016 },
	{ MSR_IA32_VMX_TRUE_PROCBASED, 0xfff9fffe04006172 },
	{ MSR_IA32_VMX_TRUE_EXIT, 0x007fefff00036dfb },
	{ MSR_IA32_VMX_TRUE_ENTRY, 0x0000d3ff000011fb },
	{ MSR_IA32_VMX_VMFUNC, 1 },
};

static void the_truth_on_skylake(void **state)
{
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(skylake); i++) {
		assert_true(nested_caps_read(&k.n, skylake[i].msr, &v));
		if (v != skylake[i].value)
			fail_msg("MSR %#x is %#llx", skylake[i].msr, (unsigned long long)v);
	}
	kit_end(&k);
}

static void absent_msrs_fault(void **state)
{
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	assert_false(nested_caps_read(&k.n, MSR_IA32_VMX_PROCBASED3, &v));
	assert_false(nested_caps_read(&k.n, MSR_IA32_VMX_EXIT2, &v));
	assert_false(nested_caps_read(&k.n, MSR_IA32_FEATURE_CONTROL, &v));
	k.hw.caps.proc2.may = 0;
	nested_caps_init(&k.n);
	assert_false(nested_caps_read(&k.n, MSR_IA32_VMX_EPT_VPID_CAP, &v));
	assert_false(nested_caps_read(&k.n, MSR_IA32_VMX_VMFUNC, &v));
	k.hw.caps.proc.may &= ~PROC_SECONDARY;
	nested_caps_init(&k.n);
	assert_false(nested_caps_read(&k.n, MSR_IA32_VMX_PROCBASED2, &v));
	kit_end(&k);
}

static void no_bit_is_in_two_rows(void **state)
{
	u64 seen[CAP_REGISTERS] = { 0 };

	(void)state;
	for (unsigned i = 0; i < nested_cap_row_count; i++) {
		const struct nested_cap_row *r = &nested_cap_rows[i];

		assert_int_equal(seen[r->reg] & r->bits, 0);
		seen[r->reg] |= r->bits;
	}
}

/* Whatever the hardware says, L1 is told no more, and nothing that is not in the table. */
static void random_hardware(void **state)
{
	struct unit_random r = { 7 };
	struct kit k;

	(void)state;
	kit_start(&k);
	for (unsigned i = 0; i < 20000; i++) {
		struct vmx_allowed *pair[] = { &k.hw.caps.pin, &k.hw.caps.proc, &k.hw.caps.proc2,
					       &k.hw.caps.exit, &k.hw.caps.entry };
		const struct vmx_allowed *mine[] = { &k.n.caps.pin, &k.n.caps.proc,
						     &k.n.caps.proc2, &k.n.caps.exit,
						     &k.n.caps.entry };

		for (unsigned p = 0; p < ARRAY_SIZE(pair); p++)
			pair[p]->may = (u32)unit_random(&r) | pair[p]->must;
		k.hw.caps.ept_vpid = unit_random(&r);
		k.hw.caps.vmfunc = unit_random(&r);
		k.hw.caps.misc = unit_random(&r);
		nested_caps_init(&k.n);
		for (unsigned p = 0; p < ARRAY_SIZE(pair); p++)
			assert_int_equal(mine[p]->may & ~pair[p]->may, 0);
		assert_int_equal(k.n.caps.ept_vpid & ~k.hw.caps.ept_vpid, 0);
		assert_false(k.n.caps.proc2.may &
			     (PROC2_SHADOW_VMCS | PROC2_SPP | PROC2_ENCLS | BIT32(31)));
		assert_false((k.n.caps.exit.may & EXIT_LOAD_PERF) |
			     (k.n.caps.entry.may & ENTRY_SMM));
		if (!(k.n.caps.proc2.may & PROC2_EPT))
			assert_int_equal(k.n.caps.ept_vpid & (EPTCAP_INVEPT | EPTCAP_WB), 0);
		assert_int_equal(k.n.caps.vmfunc & ~(k.hw.caps.vmfunc & 1), 0);
		if (!(k.n.caps.proc2.may & PROC2_VMFUNC))
			assert_int_equal(k.n.caps.vmfunc, 0);
		if (!(k.n.caps.proc2.may & PROC2_VPID))
			assert_int_equal(k.n.caps.ept_vpid & EPTCAP_INVVPID, 0);
		if (k.n.caps.pin.may & PIN_POSTED_INTERRUPTS)
			assert_true(k.n.caps.proc2.may & PROC2_VIRTUAL_INTR);
	}
	kit_end(&k);
}

/* nested.ept=off: neither EPT nor anything that needs it; the rest as before. */
static void hidden_ept(void **state)
{
	const u32 gone = PROC2_EPT | PROC2_UNRESTRICTED | PROC2_MODE_BASED_EXEC | PROC2_PML |
			 PROC2_VMFUNC | PROC2_EPT_VE;
	struct vmx_caps with;
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	k.hw.caps.proc2.may |= PROC2_EPT_VE;
	nested_caps_init(&k.n);
	with = k.n.caps;
	assert_int_equal(with.proc2.may & gone, gone);
	k.n.hide_ept = true;
	nested_caps_init(&k.n);
	assert_int_equal(k.n.caps.proc2.may, with.proc2.may & ~gone);
	assert_int_equal(k.n.caps.proc.may, with.proc.may);
	assert_true(nested_caps_read(&k.n, MSR_IA32_VMX_EPT_VPID_CAP, &v));
	assert_int_equal(v, 0x00000f0100000000);	/* INVVPID's alone */
	assert_false(nested_caps_read(&k.n, MSR_IA32_VMX_VMFUNC, &v));
	assert_false(field_test(&k.n.exists, VF_EPT_POINTER));
	assert_false(field_test(&k.n.exists, VF_GUEST_PHYSICAL_ADDRESS));
	assert_false(field_test(&k.n.exists, VF_GUEST_PDPTE0));
	assert_false(field_test(&k.n.exists, VF_PML_INDEX));
	assert_true(field_test(&k.n.exists, VF_VPID));
	kit_end(&k);
}

/* Five levels of EPT: the hardware's, or always, if no address is out of four levels' reach. */
static void five_levels(void **state)
{
	static const struct { bool hw, always; u8 maxphyaddr; bool offered; } cases[] = {
		{ false, false, 40, false }, { true, false, 40, true }, { true, false, 52, true },
		{ false, true, 40, true }, { false, true, 48, true }, { false, true, 49, false },
		{ true, true, 52, true }, { true, true, 40, true },
	};
	struct kit k;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		kit_start(&k);
		k.hw.caps.ept_vpid |= cases[i].hw ? EPTCAP_WALK5 : 0;
		k.hw.caps.maxphyaddr = cases[i].maxphyaddr;
		k.n.always_ept5 = cases[i].always;
		nested_caps_init(&k.n);
		assert_int_equal(!!(k.n.caps.ept_vpid & EPTCAP_WALK5), cases[i].offered);
		assert_int_equal(k.n.caps.ept_vpid & ~EPTCAP_WALK5, 0x00000f0106734141);
		k.n.hide_ept = true;
		nested_caps_init(&k.n);
		assert_int_equal(k.n.caps.ept_vpid & EPTCAP_WALK5, 0);
		kit_end(&k);
	}
}

static u64 read(struct kit *k, u32 msr)
{
	u64 v;

	return nested_caps_read(&k->n, msr, &v) ? v : 0;
}

/* What must be 1 on the hardware must be 1 for L1; what may not be 1 may not. */
static void assert_pair(u64 l1, struct vmx_allowed hw, u32 default1)
{
	u32 must = (u32)l1, may = (u32)(l1 >> 32);

	assert_int_equal(hw.must & ~must, 0);
	assert_int_equal(may & ~(hw.may | default1), 0);
	assert_int_equal(must & ~may, 0);
	assert_int_equal(must & default1, default1);
}

static void assert_control_msrs(struct kit *k)
{
	const struct vmx_caps *hw = &k->hw.caps;

	assert_pair(read(k, MSR_IA32_VMX_TRUE_PINBASED), hw->pin, 0);
	assert_pair(read(k, MSR_IA32_VMX_TRUE_PROCBASED), hw->proc, 0);
	assert_pair(read(k, MSR_IA32_VMX_TRUE_EXIT), hw->exit, 0);
	assert_pair(read(k, MSR_IA32_VMX_TRUE_ENTRY), hw->entry, 0);
	assert_pair(read(k, MSR_IA32_VMX_PINBASED), hw->pin, PIN_DEFAULT1);
	assert_pair(read(k, MSR_IA32_VMX_PROCBASED), hw->proc, PROC_DEFAULT1);
	assert_pair(read(k, MSR_IA32_VMX_EXIT), hw->exit, EXIT_DEFAULT1);
	assert_pair(read(k, MSR_IA32_VMX_ENTRY), hw->entry, ENTRY_DEFAULT1);
	if (k->n.caps.proc.may & PROC_SECONDARY)
		assert_pair(read(k, MSR_IA32_VMX_PROCBASED2), hw->proc2, 0);
	else
		assert_int_equal(read(k, MSR_IA32_VMX_PROCBASED2), 0);
}

/* SDM 3C App. A: of each number the smaller is less; of each set of bits the subset. */
static void assert_other_msrs(struct kit *k)
{
	const struct vmx_caps *hw = &k->hw.caps;
	const u64 targets = 0x1ffull << 16, list = 7ull << 25, timer = MISC_TIMER_RATE;
	u64 basic = read(k, MSR_IA32_VMX_BASIC), misc = read(k, MSR_IA32_VMX_MISC);

	assert_int_equal(basic & (BASIC_DUAL_MONITOR | BIT(31)), 0);
	assert_int_equal(basic & (BASIC_INS_OUTS | BASIC_ANY_ERRCODE) & ~hw->basic, 0);
	assert_true((basic >> 32 & 0x1fff) <= PAGE_SIZE);
	assert_int_equal(misc & timer, hw->misc & timer);
	assert_true((misc & targets) <= (hw->misc & targets) && (misc & list) <= (hw->misc & list));
	assert_int_equal(misc & ~(hw->misc | MISC_VMWRITE_ANY | targets | list), 0);
	assert_int_equal(hw->cr0_fixed0 & ~read(k, MSR_IA32_VMX_CR0_FIXED0), 0);
	assert_int_equal(read(k, MSR_IA32_VMX_CR0_FIXED1) & ~hw->cr0_fixed1, 0);
	assert_int_equal(hw->cr4_fixed0 & ~read(k, MSR_IA32_VMX_CR4_FIXED0), 0);
	assert_int_equal(read(k, MSR_IA32_VMX_CR4_FIXED1) & ~hw->cr4_fixed1, 0);
	assert_int_equal(read(k, MSR_IA32_VMX_EPT_VPID_CAP) & ~hw->ept_vpid, 0);
	assert_int_equal(read(k, MSR_IA32_VMX_VMFUNC) & ~hw->vmfunc, 0);
}

/* Processors that nobody built: every MSR that L1 can read claims no more than they have.
 * (SDM 3C App. A: only controls of the default1 class may have to be 1.) */
static void every_msr_is_within_the_hardware(void **state)
{
	struct unit_random r = { 8 };
	struct kit k;

	(void)state;
	kit_start(&k);
	for (unsigned i = 0; i < 20000; i++) {
		struct vmx_caps *hw = &k.hw.caps;
		struct vmx_allowed *pair[] = { &hw->pin, &hw->proc, &hw->proc2, &hw->exit,
					       &hw->entry };
		u64 *word[] = { &hw->basic, &hw->misc, &hw->ept_vpid, &hw->vmfunc,
				&hw->cr0_fixed0, &hw->cr0_fixed1,
				&hw->cr4_fixed0, &hw->cr4_fixed1 };
		static const u32 default1[] = { PIN_DEFAULT1, PROC_DEFAULT1, 0, EXIT_DEFAULT1,
						ENTRY_DEFAULT1 };
		u64 v;

		for (unsigned p = 0; p < ARRAY_SIZE(pair); p++) {
			pair[p]->must = (u32)unit_random(&r) & default1[p];
			pair[p]->may = pair[p]->must | (u32)unit_random(&r);
		}
		for (unsigned w = 0; w < ARRAY_SIZE(word); w++)
			*word[w] = unit_random(&r);
		k.n.use_shadow = i & 1;
		nested_caps_init(&k.n);
		assert_control_msrs(&k);
		assert_other_msrs(&k);
		assert_false(nested_caps_read(&k.n, MSR_IA32_VMX_PROCBASED3, &v));
		assert_false(nested_caps_read(&k.n, MSR_IA32_VMX_EXIT2, &v));
	}
	kit_end(&k);
}

static void fields_follow_controls(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	assert_true(field_test(&k.n.exists, VF_EPT_POINTER));
	assert_true(field_test(&k.n.exists, VF_GUEST_INTR_STATUS));
	assert_true(field_test(&k.n.exists, VF_TSC_MULTIPLIER));
	assert_false(field_test(&k.n.exists, VF_VMREAD_BITMAP));
	assert_true(field_test(&k.n.exists, VF_PML_ADDRESS));
	assert_true(field_test(&k.n.exists, VF_EPTP_LIST));
	assert_false(field_test(&k.n.exists, VF_GUEST_PERF_GLOBAL_CTRL));
	k.hw.caps.proc2.may = PROC2_VPID;
	nested_caps_init(&k.n);
	assert_true(field_test(&k.n.exists, VF_VPID));
	assert_false(field_test(&k.n.exists, VF_EPT_POINTER));
	assert_false(field_test(&k.n.exists, VF_GUEST_PHYSICAL_ADDRESS));
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_truth_on_skylake),
		cmocka_unit_test(absent_msrs_fault),
		cmocka_unit_test(no_bit_is_in_two_rows),
		cmocka_unit_test(random_hardware),
		cmocka_unit_test(hidden_ept),
		cmocka_unit_test(five_levels),
		cmocka_unit_test(every_msr_is_within_the_hardware),
		cmocka_unit_test(fields_follow_controls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
