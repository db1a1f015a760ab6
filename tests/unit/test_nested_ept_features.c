/*
 * What L1's EPT has beyond mapping, in nested/: mode-based execute control,
 * the log of pages that L2 modifies, EPTP switching,
 * #VE.
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

static u64 peek(u64 at)
{
	u64 value;

	memcpy(&value, fx_at(&f, at), sizeof(value));
	return value;
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
			FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) & ~(u64)PROC2_PML);
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
	static const u64 access[] = { EPTQ_READ | FINAL, EPTQ_WRITE | FINAL, EPTQ_READ | EPTQ_GLA_VALID };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(access); i++) {
		start_logging(0xffff);
		fx_enter(&f);
		assert_int_equal(touch(PAGE_SIZE, access[i] | EPTQ_NMI_UNBLOCKED), NESTED_REFLECTED);
		assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_PML_FULL);
		assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), EPTQ_NMI_UNBLOCKED);
		assert_int_equal(FX12_READ(&f, PML_INDEX), 0xffff);
		assert_false(peek(PT + 8) & AD_FLAGS);
		assert_false(peek(FX_EPT12) & EPT_A);
		FX12_WRITE(&f, PML_INDEX, 511);
		fx_enter(&f);
		assert_int_equal(touch(PAGE_SIZE, access[i]), NESTED_RESUME);
		assert_int_equal(peek(LOG + 511 * 8), access[i] == (EPTQ_READ | FINAL) ? 0 : PAGE_SIZE);
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

#define LIST FX_PAGE(41)
#define EPT12_OTHER 0x240000ull

static u64 eptp_of(u64 root)
{
	return root | EPTP_WALK_4 | MT_WB;
}

static void start_functions(void)
{
	start(PROC2_VMFUNC);
	FX12_WRITE(&f, VMFUNC_CONTROLS, BIT(VMFUNC_EPTP_SWITCHING));
	FX12_WRITE(&f, EPTP_LIST, LIST);
	poke(EPT12_OTHER, (EPT12_OTHER + PAGE_SIZE) | EPT_RWX);
	poke(EPT12_OTHER + PAGE_SIZE, EPT_RWX | EPT_LARGE | MT_WB << EPT_MT_SHIFT);
	poke(LIST, eptp_of(FX_EPT12));
	poke(LIST + 8, eptp_of(EPT12_OTHER));
}

static enum nested_verdict vmfunc(u64 rax, u64 rcx)
{
	f.gpr[GPR_RAX] = rax;
	f.gpr[GPR_RCX] = rcx;
	FX02(&f, IDT_VECTORING_INFO) = 0;
	FX02(&f, EXIT_INSTR_LENGTH) = 3;
	return fx_exit(&f, EXIT_VMFUNC);
}

/* SDM 3C "EPTP Switching". The processor itself switches nothing. */
static void L2_switches_EPTPs(void **state)
{
	u64 first, second;

	(void)state;
	start_functions();
	fx_enter(&f);
	assert_true(FX02(&f, PROC2_CONTROLS) & PROC2_VMFUNC);
	assert_int_equal(FX02(&f, VMFUNC_CONTROLS), 0);
	first = FX02(&f, EPT_POINTER);
	assert_int_equal(vmfunc(BIT(32), BIT(32) | 1), NESTED_DONE);
	second = FX02(&f, EPT_POINTER);
	assert_int_not_equal(first, second);
	assert_int_equal(touch(PAGE_SIZE, EPTQ_READ | FINAL), NESTED_RESUME);
	assert_int_equal(vmfunc(0, 0), NESTED_DONE);
	assert_int_equal(FX02(&f, EPT_POINTER), first);
	assert_int_equal(vmfunc(0, 1), NESTED_DONE);
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, EPT_POINTER), eptp_of(EPT12_OTHER));
	fx_enter(&f);
	assert_int_equal(FX02(&f, EPT_POINTER), second);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static void what_L2_may_not_switch_to_is_L1s(void **state)
{
	static const struct { u64 rax, rcx, eptp; } bad[] = {
		{ 1, 1, 0 }, { 63, 1, 0 }, { 0, 512, 0 }, { 0, ~0u, 0 }, { 0, 2, 0 },
		{ 0, 2, EPT12_OTHER | EPTP_WALK_4 | 1 }, { 0, 2, EPT12_OTHER | 4 << 3 | MT_WB },
		{ 0, 2, EPT12_OTHER | EPTP_WALK_4 | MT_WB | BIT(8) },
		{ 0, 2, EPT12_OTHER | EPTP_WALK_4 | MT_WB | BIT(40) },
	};

	(void)state;
	start_functions();
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		poke(LIST + 16, bad[i].eptp);
		fx_enter(&f);
		assert_int_equal(vmfunc(bad[i].rax, bad[i].rcx), NESTED_REFLECTED);
		assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_VMFUNC);
		assert_int_equal(FX12_READ(&f, EXIT_INSTR_LENGTH), 3);
		assert_int_equal(FX12_READ(&f, EPT_POINTER), eptp_of(FX_EPT12));
	}
	FX12_WRITE(&f, EPTP_LIST, FX_NOWHERE);
	fx_enter(&f);
	assert_int_equal(vmfunc(0, 1), NESTED_REFLECTED);
	FX12_WRITE(&f, EPTP_LIST, LIST);
	FX12_WRITE(&f, VMFUNC_CONTROLS, 0);
	fx_enter(&f);
	assert_int_equal(vmfunc(0, 1), NESTED_REFLECTED);
	fx_end(&f);
}

/* It has one reading, so what is checked is what is used. */
static void the_list_is_read_once(void **state)
{
	(void)state;
	start_functions();
	fx_enter(&f);
	f.vm.memory.reads = 0;
	assert_int_equal(vmfunc(0, 1), NESTED_DONE);
	assert_int_equal(f.vm.memory.reads, 1);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 3C "Monitor Trap Flag": L1 steps over the instruction that L0 carried out. */
static void the_monitor_trap_flag_sees_the_step(void **state)
{
	(void)state;
	start_functions();
	fx_enter(&f);
	assert_int_equal(vmfunc(0, 1), NESTED_DONE);
	assert_int_equal(nested_l2_stepped(&f.n), NESTED_RESUME);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) | PROC_MTF);
	fx_enter(&f);
	assert_int_equal(vmfunc(0, 0), NESTED_DONE);
	assert_int_equal(nested_l2_stepped(&f.n), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_MONITOR_TRAP);
	assert_int_equal(FX12_READ(&f, EPT_POINTER), eptp_of(FX_EPT12));
	fx_end(&f);
}

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
	assert_int_equal(touch(PAGE_SIZE + 8, EPTQ_WRITE | FINAL | EPTQ_NMI_UNBLOCKED), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_EXCEPTION_NMI);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), 0);
	assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO), INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_VE |
							INTR_NMI_UNBLOCKING);
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
		cmocka_unit_test(execute_rights_by_mode),
		cmocka_unit_test(the_control_is_part_of_the_role),
		cmocka_unit_test(modified_pages_are_logged),
		cmocka_unit_test(without_the_control_or_flags_nothing_is_logged),
		cmocka_unit_test(a_full_log_exits_before_the_access),
		cmocka_unit_test(the_log_may_be_anywhere),
		cmocka_unit_test(L2_switches_EPTPs),
		cmocka_unit_test(what_L2_may_not_switch_to_is_L1s),
		cmocka_unit_test(the_list_is_read_once),
		cmocka_unit_test(the_monitor_trap_flag_sees_the_step),
		cmocka_unit_test(violations_become_exceptions),
		cmocka_unit_test(L1_may_intercept_the_exception),
		cmocka_unit_test(what_is_not_convertible_is_an_exit),
		cmocka_unit_test(real_mode_has_no_such_exception),
		cmocka_unit_test(violations_of_L0_are_no_exceptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
