/* nested/: mode-based execute control, and the log of pages that L2 modifies. */
#include "ept_features.h"

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
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION),
			 EPTQ_FETCH | FINAL | 1 << EPTQ_RIGHTS_SHIFT | EPTQ_MAY_XU);
	fx_enter(&f);
	assert_int_equal(touch(2 * PAGE_SIZE, EPTQ_FETCH | FINAL | EPTQ_GLA_USER),
			 NESTED_REFLECTED);
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

#define LOG FX_PAGE(40)
#define AD_FLAGS (EPT_A | EPT_D)

static void start_logging(u64 index)
{
	start(PROC2_PML);
	FX12_WRITE(&f, EPT_POINTER, FX_EPT12 | EPTP_WALK_4 | EPTP_AD | MT_WB);
	FX12_WRITE(&f, PML_ADDRESS, LOG);
	FX12_WRITE(&f, PML_INDEX, index);
	map12(1, page12(1, EPT_RWX));
	map12(2, page12(2, EPT_RWX));
}

/* SDM 3C "Page-Modification Logging": 4-KiB aligned, once for each page, index downwards. */
static void modified_pages_are_logged(void **state)
{
	(void)state;
	start_logging(3);
	fx_enter(&f);
	assert_false(FX02(&f, PROC2_CONTROLS) & PROC2_PML);
	assert_int_equal(touch(PAGE_SIZE + 0x123, EPTQ_READ | FINAL), NESTED_RESUME);
	assert_int_equal(peek(LOG + 24), 0);
	assert_int_equal(touch(PAGE_SIZE + 0x123, EPTQ_WRITE | FINAL), NESTED_RESUME);
	assert_int_equal(touch(PAGE_SIZE + 0x456, EPTQ_WRITE | FINAL), NESTED_RESUME);
	assert_int_equal(peek(LOG + 24), PAGE_SIZE);
	assert_int_equal(peek(LOG + 16), 0);
	/* A walk of L2's tables counts as a write. */
	assert_int_equal(touch(2 * PAGE_SIZE + 8, EPTQ_READ | EPTQ_GLA_VALID), NESTED_RESUME);
	assert_int_equal(peek(LOG + 16), 2 * PAGE_SIZE);
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, PML_INDEX), 1);
	fx_end(&f);
}

static void without_the_control_or_flags_nothing_is_logged(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		start_logging(3);
		if (round)
			FX12_WRITE(&f, EPT_POINTER, FX_EPT12 | EPTP_WALK_4 | MT_WB);
		else
			FX12_WRITE(&f, PROC2_CONTROLS,
				   FX12_READ(&f, PROC2_CONTROLS) & ~(u64)PROC2_PML);
		fx_enter(&f);
		assert_int_equal(touch(PAGE_SIZE, EPTQ_WRITE | FINAL), NESTED_RESUME);
		assert_int_equal(peek(LOG + 24), 0);
		fx_exit_to_l1(&f);
		assert_int_equal(FX12_READ(&f, PML_INDEX), 3);
		fx_end(&f);
	}
}

/* ... "page-modification log-full event": the flag is not set, the access does not occur. */
static void a_full_log_exits_before_the_access(void **state)
{
	static const u64 access[] = { EPTQ_READ | FINAL, EPTQ_WRITE | FINAL,
				      EPTQ_READ | EPTQ_GLA_VALID };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(access); i++) {
		start_logging(0xffff);
		fx_enter(&f);
		assert_int_equal(touch(PAGE_SIZE, access[i] | EPTQ_NMI_UNBLOCKED),
				 NESTED_REFLECTED);
		assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_PML_FULL);
		assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), EPTQ_NMI_UNBLOCKED);
		assert_int_equal(FX12_READ(&f, PML_INDEX), 0xffff);
		assert_false(peek(PT + 8) & AD_FLAGS);
		assert_false(peek(FX_EPT12) & EPT_A);
		FX12_WRITE(&f, PML_INDEX, 511);
		fx_enter(&f);
		assert_int_equal(touch(PAGE_SIZE, access[i]), NESTED_RESUME);
		assert_int_equal(peek(LOG + 511 * 8),
				 access[i] == (EPTQ_READ | FINAL) ? 0 : PAGE_SIZE);
		fx_exit_to_l1(&f);
		fx_end(&f);
	}
	/* Nothing to set: no event. The lowest index is good for one entry, and 512 for none. */
	start_logging(512);
	for (u64 at = FX_EPT12; at <= PD; at += PAGE_SIZE)
		poke(at, peek(at) | EPT_A);
	poke(PT + 8, peek(PT + 8) | AD_FLAGS);
	fx_enter(&f);
	assert_int_equal(touch(PAGE_SIZE, EPTQ_WRITE | FINAL), NESTED_RESUME);
	assert_int_equal(touch(2 * PAGE_SIZE, EPTQ_WRITE | FINAL), NESTED_REFLECTED);
	FX12_WRITE(&f, PML_INDEX, 0);
	fx_enter(&f);
	assert_int_equal(touch(2 * PAGE_SIZE, EPTQ_WRITE | FINAL), NESTED_RESUME);
	assert_int_equal(peek(LOG), 2 * PAGE_SIZE);
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, PML_INDEX), 0xffff);
	fx_end(&f);
}

/* A log where L1 has no memory, or in a page that L0 watches. */
static void the_log_may_be_anywhere(void **state)
{
	static const u64 at[] = { FX_NOWHERE, BIT(38), FX_EPT12 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		start_logging(400);
		FX12_WRITE(&f, PML_ADDRESS, at[i]);
		fx_enter(&f);
		assert_int_equal(touch(PAGE_SIZE, EPTQ_WRITE | FINAL), NESTED_RESUME);
		fx_exit_to_l1(&f);
		assert_int_equal(FX12_READ(&f, PML_INDEX), 399);
		fx_end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(execute_rights_by_mode),
		cmocka_unit_test(the_control_is_part_of_the_role),
		cmocka_unit_test(modified_pages_are_logged),
		cmocka_unit_test(without_the_control_or_flags_nothing_is_logged),
		cmocka_unit_test(a_full_log_exits_before_the_access),
		cmocka_unit_test(the_log_may_be_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
