/* nested/exit_ept.c: EPT violations that become #VE. */
#include "ept_features.h"

#define AREA FX_PAGE(42)

static void start_exceptions(u64 entry)
{
	start(PROC2_EPT_VE);
	FX12_WRITE(&f, VE_INFO_ADDR, AREA);
	FX12_WRITE(&f, EPTP_INDEX, 0x1234);
	FX12_WRITE(&f, EXCEPTION_BITMAP, 0);
	map12(1, entry);
}

static void assert_area(u64 qualification)
{
	assert_int_equal(peek(AREA), 0xffffffff00000000ull | EXIT_EPT_VIOLATION);
	assert_int_equal(peek(AREA + 8), qualification);
	assert_int_equal(peek(AREA + 16), 2 * PAGE_SIZE + 8);
	assert_int_equal(peek(AREA + 24), PAGE_SIZE + 8);
	assert_int_equal(peek(AREA + 32) & 0xffff, 0x1234);
}

/* SDM 3C "Virtualization Exceptions": delivered without an error code. */
static void violations_become_exceptions(void **state)
{
	(void)state;
	start_exceptions(0);
	fx_enter(&f);
	assert_false(FX02(&f, PROC2_CONTROLS) & PROC2_EPT_VE);
	assert_int_equal(touch(PAGE_SIZE + 8, EPTQ_READ | FINAL), NESTED_RESUME);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_VE);
	assert_area(EPTQ_READ | FINAL);
	FX02(&f, ENTRY_INTR_INFO) = 0;
	/* The area is in use: an exit. */
	assert_int_equal(touch(PAGE_SIZE + 8, EPTQ_WRITE | FINAL), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_EPT_VIOLATION);
	assert_area(EPTQ_READ | FINAL);
	fx_end(&f);
}

/* ... or L1 intercepts it, which hides nothing of what the area tells. */
static void L1_may_intercept_the_exception(void **state)
{
	(void)state;
	start_exceptions(page12(1, EPT_R));
	FX12_WRITE(&f, EXCEPTION_BITMAP, BIT32(X86_VE));
	fx_enter(&f);
	assert_int_equal(touch(PAGE_SIZE + 8, EPTQ_WRITE | FINAL | EPTQ_NMI_UNBLOCKED),
			 NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_EXCEPTION_NMI);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), 0);
	assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO),
			 INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_VE | INTR_NMI_UNBLOCKING);
	assert_area(EPTQ_WRITE | FINAL | EPTQ_NMI_UNBLOCKED | 1 << EPTQ_RIGHTS_SHIFT);
	fx_end(&f);
}

static void expect_exit(enum nested_verdict verdict, u32 reason)
{
	assert_int_equal(verdict, NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), reason);
	assert_int_equal(peek(AREA), 0);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
}

/* SDM 3C "Convertible EPT Violations". */
static void what_is_not_convertible_is_an_exit(void **state)
{
	static const u64 entry[] = { EPT_SUPPRESS_VE, EPT_R | EPT_SUPPRESS_VE };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(entry); i++) {
		start_exceptions(page12(1, entry[i]));
		fx_enter(&f);
		expect_exit(touch(PAGE_SIZE + 8, EPTQ_WRITE | FINAL), EXIT_EPT_VIOLATION);
		fx_end(&f);
	}
	start_exceptions(page12(1, EPT_W));
	fx_enter(&f);
	expect_exit(touch(PAGE_SIZE + 8, EPTQ_READ | FINAL), EXIT_EPT_MISCONFIG);
	/* During the delivery of an event. */
	poke(PT + 8, 0);
	fx_enter(&f);
	FX02(&f, GUEST_PHYSICAL_ADDRESS) = PAGE_SIZE + 8;
	FX02(&f, EXIT_QUALIFICATION) = EPTQ_READ | FINAL;
	FX02(&f, IDT_VECTORING_INFO) = INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_UD;
	expect_exit(fx_exit(&f, EXIT_EPT_VIOLATION), EXIT_EPT_VIOLATION);
	/* Beyond what EPT translates, there is no entry to ask. */
	fx_enter(&f);
	expect_exit(touch(BIT(48), EPTQ_READ | FINAL), EXIT_EPT_VIOLATION);
	/* Where the area has no memory, it reads as in use. */
	FX12_WRITE(&f, VE_INFO_ADDR, FX_NOWHERE);
	fx_enter(&f);
	expect_exit(touch(PAGE_SIZE + 8, EPTQ_READ | FINAL), EXIT_EPT_VIOLATION);
	FX12_WRITE(&f, VE_INFO_ADDR, AREA);
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) & ~(u64)PROC2_EPT_VE);
	fx_enter(&f);
	expect_exit(touch(PAGE_SIZE + 8, EPTQ_READ | FINAL), EXIT_EPT_VIOLATION);
	fx_end(&f);
}

static void real_mode_has_no_such_exception(void **state)
{
	(void)state;
	fx_start(&f, REAL, false);
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) | PROC2_EPT_VE);
	FX12_WRITE(&f, VE_INFO_ADDR, AREA);
	map12(1, 0);
	fx_enter(&f);
	expect_exit(touch(PAGE_SIZE + 8, EPTQ_READ | FINAL), EXIT_EPT_VIOLATION);
	fx_end(&f);
}

/* Violations that L1's tables do not cause never reach L2. */
static void violations_of_L0_are_no_exceptions(void **state)
{
	(void)state;
	start_exceptions(page12(1, EPT_RWX));
	poke(PT + 16, FX_NOWHERE | EPT_RWX | MT_WB << EPT_MT_SHIFT);
	fx_enter(&f);
	assert_int_equal(touch(PAGE_SIZE, EPTQ_WRITE | FINAL), NESTED_RESUME);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	assert_int_equal(touch(2 * PAGE_SIZE, EPTQ_WRITE | FINAL), NESTED_RESUME);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	assert_int_equal(peek(AREA), 0);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(violations_become_exceptions),
		cmocka_unit_test(L1_may_intercept_the_exception),
		cmocka_unit_test(what_is_not_convertible_is_an_exit),
		cmocka_unit_test(real_mode_has_no_such_exception),
		cmocka_unit_test(violations_of_L0_are_no_exceptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
