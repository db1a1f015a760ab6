/*
 * What L1's EPT has beyond mapping, in nested/: mode-based execute control.
 */
#include "engine_fixture.h"

#define PD (FX_EPT12 + 2 * PAGE_SIZE)
#define PT (FX_EPT12 + 3 * PAGE_SIZE)
#define FINAL (EPTQ_GLA_VALID | EPTQ_GLA_FINAL)

static struct fx f;

static void poke(u64 at, u64 value)
{
	memcpy(fx_at(&f, at), &value, sizeof(value));
}

/* L1's tables give all to everybody; its page n of the first 2 MiB is this entry. */
static void map12(unsigned n, u64 entry)
{
	u64 all = EPT_RWX | EPT_XU;

	poke(FX_EPT12, (FX_EPT12 + PAGE_SIZE) | all);
	poke(FX_EPT12 + PAGE_SIZE, PD | all);
	poke(PD, PT | all);
	poke(PT + 8 * n, entry);
}

static u64 page12(unsigned n, u64 rights)
{
	return n * PAGE_SIZE | MT_WB << EPT_MT_SHIFT | rights;
}

static void start(u32 proc2)
{
	fx_start(&f, B64, false);
	f.ept02s.caps_hw.mode_based_exec = f.ept02s.caps_hw.adv_exit_info = true;
	f.ept02s.caps12 = f.ept02s.caps_hw;
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) | proc2);
}

static enum nested_verdict touch(u64 gpa2, u64 qualification)
{
	FX02(&f, IDT_VECTORING_INFO) = 0;
	FX02(&f, GUEST_PHYSICAL_ADDRESS) = gpa2;
	FX02(&f, GUEST_LINEAR_ADDRESS) = gpa2 + 0x1000;
	FX02(&f, EXIT_QUALIFICATION) = qualification;
	return fx_exit(&f, EXIT_EPT_VIOLATION);
}

/* SDM 3C "Mode-Based Execute Control for EPT": whose linear address it is decides. */
static void execute_rights_by_mode(void **state)
{
	(void)state;
	start(PROC2_MODE_BASED_EXEC);
	map12(1, page12(1, EPT_R | EPT_XU));
	map12(2, page12(2, EPT_R | EPT_X));
	fx_enter(&f);
	assert_true(FX02(&f, PROC2_CONTROLS) & PROC2_MODE_BASED_EXEC);
	assert_int_equal(touch(PAGE_SIZE, EPTQ_FETCH | FINAL | EPTQ_GLA_USER), NESTED_RESUME);
	assert_int_equal(touch(2 * PAGE_SIZE, EPTQ_FETCH | FINAL), NESTED_RESUME);
	assert_int_equal(touch(PAGE_SIZE, EPTQ_FETCH | FINAL), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), EPTQ_FETCH | FINAL | 1 << EPTQ_RIGHTS_SHIFT |
							    EPTQ_MAY_XU);
	fx_enter(&f);
	assert_int_equal(touch(2 * PAGE_SIZE, EPTQ_FETCH | FINAL | EPTQ_GLA_USER), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), EPTQ_FETCH | FINAL | EPTQ_GLA_USER |
							    1 << EPTQ_RIGHTS_SHIFT | EPTQ_MAY_X);
	fx_end(&f);
}

/* The same tables mean something else with the control and without: they are two roots. */
static void the_control_is_part_of_the_role(void **state)
{
	u64 with, without;

	(void)state;
	start(PROC2_MODE_BASED_EXEC);
	map12(1, page12(1, EPT_R | EPT_XU));
	fx_enter(&f);
	with = FX02(&f, EPT_POINTER);
	assert_int_equal(touch(PAGE_SIZE, EPTQ_FETCH | FINAL | EPTQ_GLA_USER), NESTED_RESUME);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) & ~(u64)PROC2_MODE_BASED_EXEC);
	fx_enter(&f);
	without = FX02(&f, EPT_POINTER);
	assert_int_not_equal(with, without);
	assert_false(FX02(&f, PROC2_CONTROLS) & PROC2_MODE_BASED_EXEC);
	assert_int_equal(touch(PAGE_SIZE, EPTQ_FETCH | FINAL | EPTQ_GLA_USER), NESTED_REFLECTED);
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) | PROC2_MODE_BASED_EXEC);
	fx_enter(&f);
	assert_int_equal(FX02(&f, EPT_POINTER), with);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(execute_rights_by_mode),
		cmocka_unit_test(the_control_is_part_of_the_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
