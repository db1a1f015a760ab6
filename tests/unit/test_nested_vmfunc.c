/* nested/vmfunc.c: EPTP switching. */
#include "ept_features.h"

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

/* Between EPTs of four levels and of five. */
static void L2_switches_levels(void **state)
{
	const u64 five = PML5 | EPTP_WALK_5 | MT_WB;

	(void)state;
	start_functions();
	poke(LIST + 16, five);
	fx_enter(&f);
	assert_int_equal(vmfunc(0, 2), NESTED_REFLECTED);
	offer_five_levels();
	map12(3, page12(7, EPT_RWX));
	fx_enter(&f);
	assert_int_equal(vmfunc(0, 2), NESTED_DONE);
	assert_int_equal(touch(3 * PAGE_SIZE, EPTQ_READ | FINAL), NESTED_RESUME);
	assert_int_equal(fx_translate(&f, 3 * PAGE_SIZE), 7 * PAGE_SIZE + FX_SHIFT);
	assert_int_equal(vmfunc(0, 1), NESTED_DONE);
	assert_int_equal(touch(3 * PAGE_SIZE, EPTQ_READ | FINAL), NESTED_RESUME);
	assert_int_equal(fx_translate(&f, 3 * PAGE_SIZE), 3 * PAGE_SIZE + FX_SHIFT);
	assert_int_equal(vmfunc(0, 2), NESTED_DONE);
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, EPT_POINTER), five);
	fx_enter(&f);
	assert_int_equal(fx_translate(&f, 3 * PAGE_SIZE), 7 * PAGE_SIZE + FX_SHIFT);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(L2_switches_EPTPs),
		cmocka_unit_test(L2_switches_levels),
		cmocka_unit_test(what_L2_may_not_switch_to_is_L1s),
		cmocka_unit_test(the_list_is_read_once),
		cmocka_unit_test(the_monitor_trap_flag_sees_the_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
