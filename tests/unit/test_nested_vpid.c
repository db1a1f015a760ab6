/*
 * nested/vpid.c: hardware VPIDs for L1's, and what is flushed when.
 * Source: SDM 3C "Operations that Invalidate Cached Mappings".
 */
#include "engine_fixture.h"
#include "nested/vpid.h"

#define LAST (NESTED_VPID_FIRST + NESTED_VPIDS)

static struct fx f;

static void use_vpid(u16 vpid12)
{
	u64 proc2 = FX12_READ(&f, PROC2_CONTROLS) & ~(u64)PROC2_VPID;

	if (vpid12)
		FX12_WRITE(&f, VPID, vpid12);
	FX12_WRITE(&f, PROC2_CONTROLS, vpid12 ? proc2 | PROC2_VPID : proc2);
}

/* The hardware VPID that L2 runs with. */
static u16 run(u16 vpid12)
{
	u16 hw;

	use_vpid(vpid12);
	hw_forget(&f.hw);
	fx_enter(&f);
	hw = (u16)FX02(&f, VPID);
	fx_exit_to_l1(&f);
	return hw;
}

static bool flushed(u32 type, u16 vpid)
{
	for (unsigned i = 0; i < f.hw.flushes; i++)
		if (f.hw.flush[i].type == type && f.hw.flush[i].what == vpid)
			return true;
	return false;
}

static void a_tagged_L2_is_not_flushed(void **state)
{
	u16 hw;

	(void)state;
	fx_start(&f, B64, false);
	hw = run(5);
	assert_true(hw >= NESTED_VPID_FIRST && hw < LAST);
	assert_int_equal(f.hw.count.invvpids, 0);
	assert_int_equal(run(5), hw);
	assert_int_equal(f.hw.count.invvpids, 0);
	assert_int_not_equal(run(6), hw);
	assert_int_equal(f.hw.count.invvpids, 0);
	assert_int_equal(run(5), hw);
	assert_int_equal(f.hw.count.invvpids, 0);
	fx_end(&f);
}

/* Without VPID both sides of a transition share VPID 0, which it flushes. */
static void an_untagged_L2_is_flushed_at_each_transition(void **state)
{
	u16 hw;

	(void)state;
	fx_start(&f, B64, false);
	use_vpid(0);
	for (unsigned i = 0; i < 3; i++) {
		hw_forget(&f.hw);
		fx_enter(&f);
		hw = (u16)FX02(&f, VPID);
		assert_int_not_equal(hw, 0);
		assert_int_not_equal(hw, FX_VPID01);
		assert_true(hw < NESTED_VPID_FIRST || hw >= LAST);
		assert_true(flushed(INVVPID_SINGLE, hw));
		assert_true(FX02(&f, PROC2_CONTROLS) & PROC2_VPID);
		hw_forget(&f.hw);
		fx_exit_to_l1(&f);
		assert_true(flushed(INVVPID_SINGLE, FX_VPID01));
	}
	fx_end(&f);
}

static void two_VMCSs_with_one_vpid_share_the_hardware_one(void **state)
{
	u16 hw;

	(void)state;
	fx_start(&f, B64, false);
	hw = run(9);
	fx_vmptrld(&f, FX_VMCS(1));
	fx_load_state(&f, B64);
	assert_int_equal(run(9), hw);
	assert_int_equal(f.hw.count.invvpids, 0);
	fx_end(&f);
}

/* More VPIDs than the hardware's share: one that changes hands is flushed first. */
static void a_vpid_that_changes_hands_is_flushed(void **state)
{
	static u16 owner[LAST];

	(void)state;
	fx_start(&f, B64, false);
	memset(owner, 0, sizeof(owner));
	for (unsigned round = 0; round < 3000; round++) {
		u16 vpid12 = (u16)(1 + fx_below(&f, round < 1000 ? 8 : NESTED_VPIDS * 2));
		u16 hw = run(vpid12);

		assert_true(hw >= NESTED_VPID_FIRST && hw < LAST);
		for (u16 other = NESTED_VPID_FIRST; other < LAST; other++)
			if (other != hw)
				assert_int_not_equal(owner[other], vpid12);
		if (owner[hw] && owner[hw] != vpid12)
			assert_true(flushed(INVVPID_SINGLE, hw));
		owner[hw] = vpid12;
	}
	fx_end(&f);
}

static void invvpid_of_L1(void **state)
{
	static const u32 types[] = { INVVPID_ADDR, INVVPID_SINGLE, INVVPID_SINGLE_RG };
	u16 five, six;

	(void)state;
	fx_start(&f, B64, false);
	five = run(5);
	six = run(6);
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		hw_forget(&f.hw);
		nested_vpid_flush(&f.n, types[i], 5, GVA(0x7000));
		assert_int_equal(f.hw.flushes, 1);
		assert_true(flushed(types[i], five));
		if (types[i] == INVVPID_ADDR)
			assert_int_equal(f.hw.flush[0].address.v, 0x7000);
	}
	hw_forget(&f.hw);
	nested_vpid_flush(&f.n, INVVPID_ALL, 0, GVA(0));
	assert_true(flushed(INVVPID_SINGLE, five) && flushed(INVVPID_SINGLE, six));
	/* Of a VPID that never ran nothing is cached. */
	hw_forget(&f.hw);
	nested_vpid_flush(&f.n, INVVPID_SINGLE, 77, GVA(0));
	assert_int_equal(f.hw.flushes, 0);
	/* L1's own entries are not its guests'. */
	assert_false(flushed(INVVPID_SINGLE, FX_VPID01));
	fx_end(&f);
}

/* VPID off and on again, and a VMCS that comes to another slot. */
static void vmcs02_has_the_right_vpid_after_changes(void **state)
{
	u16 hw;

	(void)state;
	fx_start(&f, B64, false);
	hw = run(5);
	assert_int_not_equal(run(0), hw);
	assert_int_equal(run(5), hw);
	fx_vmclear(&f, FX_VMCS(0));
	fx_vmptrld(&f, FX_VMCS(0));
	fx_load_state(&f, B64);
	assert_int_equal(run(5), hw);
	fx_vmclear(&f, FX_VMCS(0));
	fx_vmptrld(&f, FX_VMCS(1));
	fx_load_state(&f, B64);
	assert_int_not_equal(run(8), hw);
	fx_vmptrld(&f, FX_VMCS(0));
	fx_load_state(&f, B64);
	assert_int_equal(run(5), hw);
	fx_end(&f);
}

/* SDM 3C "Checks on VMX Controls": a VPID of 0 is refused. */
static void vpid_zero_is_refused(void **state)
{
	struct outcome o;

	(void)state;
	fx_start(&f, B64, false);
	use_vpid(5);
	FX12_WRITE(&f, VPID, 0);
	o = fx_launch(&f);
	assert_int_equal(o.kind, OUT_VMFAIL_VALID);
	assert_int_equal(o.error_code, VMERR_ENTRY_CONTROLS);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tagged_L2_is_not_flushed),
		cmocka_unit_test(an_untagged_L2_is_flushed_at_each_transition),
		cmocka_unit_test(two_VMCSs_with_one_vpid_share_the_hardware_one),
		cmocka_unit_test(a_vpid_that_changes_hands_is_flushed),
		cmocka_unit_test(invvpid_of_L1),
		cmocka_unit_test(vmcs02_has_the_right_vpid_after_changes),
		cmocka_unit_test(vpid_zero_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
