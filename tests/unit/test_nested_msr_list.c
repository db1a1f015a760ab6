/*
 * nested/msr_list.c: the MSR areas of entries and exits.
 * Source: SDM 3C "Loading MSRs", "Saving MSRs".
 */
#include "engine_fixture.h"

#define LOAD_AREA FX_PAGE(8)
#define STORE_AREA FX_PAGE(9)

static struct fx f;

static void put(u64 area, unsigned i, u32 index, u32 reserved, u64 value)
{
	memcpy(fx_at(&f, area + 16 * i), &index, 4);
	memcpy(fx_at(&f, area + 16 * i + 4), &reserved, 4);
	memcpy(fx_at(&f, area + 16 * i + 8), &value, 8);
}

static u64 stored(unsigned i)
{
	u64 value;

	memcpy(&value, fx_at(&f, STORE_AREA + 16 * i + 8), sizeof(value));
	return value;
}

static void start(void)
{
	fx_start(&f, B64, false);
	hw_msr_set(&f.hw, MSR_STAR, 1);
	hw_msr_set(&f.hw, MSR_LSTAR, 2);
	hw_msr_set(&f.hw, MSR_IA32_DEBUGCTL, 0x5a);
}

static void use_entry_list(u64 count)
{
	FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, LOAD_AREA);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, count);
}

static u64 msr(u32 index)
{
	u64 value = ~0ull;

	assert_true(hw_msr_read(&f.hw, index, &value));
	return value;
}

static void an_entry_loads_in_order(void **state)
{
	(void)state;
	start();
	put(LOAD_AREA, 0, MSR_STAR, 0, 0x10);
	put(LOAD_AREA, 1, MSR_LSTAR, 0, 0x20);
	put(LOAD_AREA, 2, MSR_STAR, 0, 0x30);
	use_entry_list(3);
	fx_enter(&f);
	assert_int_equal(msr(MSR_STAR), 0x30);
	assert_int_equal(msr(MSR_LSTAR), 0x20);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* MSRs that live in a VMCS are L2's, and an exit saves them. */
static void what_a_vmcs_holds_goes_there(void **state)
{
	(void)state;
	start();
	put(LOAD_AREA, 0, MSR_IA32_SYSENTER_CS, 0, 0x33);
	put(LOAD_AREA, 1, MSR_IA32_SYSENTER_ESP, 0, 0x44000);
	put(LOAD_AREA, 2, MSR_IA32_SYSENTER_EIP, 0, 0x55000);
	put(LOAD_AREA, 3, MSR_IA32_PAT, 0, 0x0606060606060606);
	put(LOAD_AREA, 4, MSR_EFER, 0, EFER_LME | EFER_SCE);
	put(LOAD_AREA, 5, MSR_IA32_DEBUGCTL, 0, 1);
	use_entry_list(6);
	fx_enter(&f);
	assert_int_equal(FX02(&f, GUEST_SYSENTER_CS), 0x33);
	assert_int_equal(FX02(&f, GUEST_SYSENTER_ESP), 0x44000);
	assert_int_equal(FX02(&f, GUEST_SYSENTER_EIP), 0x55000);
	assert_int_equal(FX02(&f, GUEST_PAT), 0x0606060606060606);
	assert_int_equal(FX02(&f, GUEST_EFER), EFER_LME | EFER_LMA | EFER_SCE);
	assert_int_equal(FX02(&f, GUEST_DEBUGCTL), 1);
	/* L0 runs with it clear. */
	/* Not written: with BTS on, the CPU would store records in L0's address space. */
	assert_int_equal(msr(MSR_IA32_DEBUGCTL), 0x5a);
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, GUEST_SYSENTER_CS), 0x33);
	fx_end(&f);
}

/* Each bad entry, after one that is good: the qualification is its number, from 1. */
static void bad_entries_fail_the_entry(void **state)
{
	static const struct { u32 index, reserved; u64 value; } bad[] = {
		{ MSR_FS_BASE, 0, 0 },
		{ MSR_GS_BASE, 0, 0 },
		{ 0x800, 0, 0 }, { 0x830, 0, 0 }, { 0x8ff, 0, 0 },	/* x2APIC */
		{ MSR_IA32_SMM_MONITOR_CTL, 0, 0 },
		{ MSR_STAR, 1, 0 },
		{ 0x12345678, 0, 0 },				/* does not exist */
		{ MSR_IA32_PAT, 0, 2 },
		{ MSR_EFER, 0, BIT(20) | EFER_LME },
		{ MSR_EFER, 0, 0 },				/* LME with paging on */
		{ MSR_IA32_SYSENTER_ESP, 0, BIT(63) },
		{ MSR_IA32_SYSENTER_EIP, 0, BIT(47) },
	};

	(void)state;
	start();
	f.n.explain = true;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct outcome o;
		char said[64];

		put(LOAD_AREA, 0, MSR_STAR, 0, 0x10);
		put(LOAD_AREA, 1, bad[i].index, bad[i].reserved, bad[i].value);
		use_entry_list(2);
		o = fx_launch(&f);
		if (o.kind != OUT_ENTRY_FAIL)
			fail_msg("MSR %#x: outcome %d", bad[i].index, o.kind);
		assert_int_equal(FX12_READ(&f, EXIT_REASON),
				 EXIT_MSR_LOADING | EXIT_REASON_ENTRY_FAILURE);
		assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), 2);
		assert_false(FX_SLOT(&f)->launched);
		snprintf(said, sizeof(said), "L1 MSR-load list, entry 2: MSR 0x%x=0x",
			 bad[i].index);
		assert_non_null(strstr(f.hw.log, said));
		f.hw.log_len = 0;
	}
	use_entry_list(0);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* A list that runs into a hole, and one of 2^32 - 1 entries: an end, soon. */
static void hostile_lists_end(void **state)
{
	(void)state;
	start();
	for (unsigned i = 0; i < 3; i++)
		put(FX_L1_RAM - PAGE_SIZE, 253 + i, MSR_STAR, 0, i);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, FX_L1_RAM - 3 * 16);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, 4);
	assert_int_equal(fx_launch(&f).kind, OUT_ENTRY_FAIL);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), 4);
	for (unsigned i = 0; i < 0x100000 / 16; i++)
		put(0x400000, i, MSR_STAR, 0, i);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, 0x400000);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, 0xffffffff);
	f.hw.count.msr_writes = 0;
	assert_int_equal(fx_launch(&f).kind, OUT_ENTRY_FAIL);
	assert_true(f.hw.count.msr_writes <= 4096);
	fx_end(&f);
}

static void an_exit_stores_and_loads(void **state)
{
	(void)state;
	start();
	put(STORE_AREA, 0, MSR_STAR, 0, 0);
	put(STORE_AREA, 1, MSR_FS_BASE, 0, 0);
	put(STORE_AREA, 2, MSR_IA32_SYSENTER_CS, 0, 0);
	put(STORE_AREA, 3, MSR_EFER, 0, 0);
	put(LOAD_AREA, 0, MSR_STAR, 0, 0x99);
	put(LOAD_AREA, 1, MSR_IA32_SYSENTER_CS, 0, 0x88);
	FX12_WRITE(&f, EXIT_MSR_STORE_ADDR, STORE_AREA);
	FX12_WRITE(&f, EXIT_MSR_STORE_COUNT, 4);
	FX12_WRITE(&f, EXIT_MSR_LOAD_ADDR, LOAD_AREA);
	FX12_WRITE(&f, EXIT_MSR_LOAD_COUNT, 2);
	fx_enter(&f);
	hw_msr_set(&f.hw, MSR_STAR, 0x77);
	FX02(&f, GUEST_FS_BASE) = 0x66000;
	FX02(&f, GUEST_SYSENTER_CS) = 0x55;
	fx_exit_to_l1(&f);
	/* What is stored is L2's, what is loaded is L1's. */
	assert_int_equal(stored(0), 0x77);
	assert_int_equal(stored(1), 0x66000);
	assert_int_equal(stored(2), 0x55);
	assert_int_equal(stored(3), FX02(&f, GUEST_EFER));
	assert_int_equal(msr(MSR_STAR), 0x99);
	assert_int_equal(FX01(&f, GUEST_SYSENTER_CS), 0x88);
	assert_int_equal(FX12_READ(&f, GUEST_SYSENTER_CS), 0x55);
	fx_end(&f);
}

static void bad_stores_abort(void **state)
{
	static const struct { u32 index, reserved; } bad[] = {
		{ 0x802, 0 }, { MSR_IA32_SMBASE, 0 }, { 0x12345678, 0 }, { MSR_STAR, 1 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		start();
		put(STORE_AREA, 0, bad[i].index, bad[i].reserved, 0);
		FX12_WRITE(&f, EXIT_MSR_STORE_ADDR, STORE_AREA);
		FX12_WRITE(&f, EXIT_MSR_STORE_COUNT, 1);
		fx_enter(&f);
		fx_exit_to_l1(&f);
		assert_non_null(f.vm.killed);
		fx_end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_loads_in_order),
		cmocka_unit_test(what_a_vmcs_holds_goes_there),
		cmocka_unit_test(bad_entries_fail_the_entry),
		cmocka_unit_test(hostile_lists_end),
		cmocka_unit_test(an_exit_stores_and_loads),
		cmocka_unit_test(bad_stores_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
