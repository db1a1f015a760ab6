/*
 * MSR lists of VM entries and exits: each is carried out, or fails at the entry
 * that the SDM names. Random lists, judged by msr_list_judge.h.
 */
#include "msr_list_judge.h"

#define ROUNDS 6000
#define LIST FX_PAGE(0)
#define ENTRIES_MAX 4u

static struct fx f;
static unsigned good, failed;

static const u32 msrs[] = {
	MSR_EFER, MSR_IA32_PAT, MSR_IA32_DEBUGCTL, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP,
	MSR_IA32_SYSENTER_EIP, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_TSC_AUX,
	MSR_IA32_X2APIC_FIRST, MSR_IA32_X2APIC_ICR, 0x8ff, 0x900, MSR_IA32_SMM_MONITOR_CTL, 0x12345,
};

/* Where a VMCS holds an MSR that a list loads; 0: in the processor. */
static u32 field_of(u64 msr)
{
	switch (msr) {
	case MSR_IA32_PAT: return VMCS_GUEST_PAT;
	case MSR_IA32_DEBUGCTL: return VMCS_GUEST_DEBUGCTL;
	case MSR_IA32_SYSENTER_CS: return VMCS_GUEST_SYSENTER_CS;
	case MSR_IA32_SYSENTER_ESP: return VMCS_GUEST_SYSENTER_ESP;
	case MSR_IA32_SYSENTER_EIP: return VMCS_GUEST_SYSENTER_EIP;
	default: return 0;
	}
}

/* Mostly one that is good, or nearly so. */
static u64 some_value(u32 msr)
{
	u64 bit = fx_below(&f, 4) ? 0 : BIT(fx_below(&f, 64));

	switch (msr) {
	case MSR_EFER: return (EFER_LME | EFER_LMA | EFER_NXE) ^ bit;
	case MSR_IA32_PAT: return 0x0007040600070406 ^ bit;
	case MSR_IA32_DEBUGCTL: return bit;
	default: return 0xffff800000001234 ^ bit;
	}
}

static u64 new_list(void)
{
	u64 count = 1 + fx_below(&f, ENTRIES_MAX);

	for (u64 i = 0; i < count; i++) {
		u32 msr = msrs[fx_below(&f, 3) ? fx_below(&f, 6) : fx_below(&f, ARRAY_SIZE(msrs))];
		u64 entry[2] = { msr, some_value(msr) };

		if (!fx_below(&f, 20))
			entry[0] |= BIT(32 + fx_below(&f, 32));
		fx_l1_writes(&f, LIST + 16 * i, entry, sizeof(entry));
	}
	return count;
}

/* All of them are where they belong; of two for one MSR the later counts. */
static void expect_loaded(u64 count)
{
	for (u64 i = 0; i < count; i++) {
		u64 entry[2], later[2] = { 0 }, now;
		u64 k = i + 1;

		memcpy(entry, fx_at(&f, LIST + 16 * i), sizeof(entry));
		for (; k < count && later[0] != entry[0]; k++)
			memcpy(later, fx_at(&f, LIST + 16 * k), sizeof(later));
		if (later[0] == entry[0] || entry[0] == MSR_EFER)
			continue;
		if (field_of(entry[0]))
			now = hw_read(&f.hw, field_of(entry[0]));
		else
			assert_true(hw_msr_read(&f.hw, (u32)entry[0], &now));
		if (entry[0] == MSR_IA32_SYSENTER_CS)
			now |= entry[1] & ~0xffffffffull;	/* the field has 32 bits */
		assert_int_equal(now, entry[1]);
	}
}

static void start(void)
{
	fx_start(&f, B64, false);
	f.random.state = 5;
	for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
		if (msrs[i] != 0x12345)
			hw_msr_set(&f.hw, msrs[i], 0);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, LIST);
	FX12_WRITE(&f, EXIT_MSR_LOAD_ADDR, LIST);
}

static void count(u64 bad)
{
	good += !bad;
	failed += !!bad;
}

static void entries_load_lists(void **state)
{
	(void)state;
	good = failed = 0;
	start();
	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 entries = new_list(), bad = msr_list_bad(&f, LIST, entries, true, true);
		struct outcome o;

		count(bad);
		FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, entries);
		o = fx_launch(&f);
		if (bad) {
			assert_int_equal(o.kind, OUT_ENTRY_FAIL);
			assert_int_equal(o.error_code,
					 EXIT_MSR_LOADING | EXIT_REASON_ENTRY_FAILURE);
			assert_int_equal(o.value, bad);
			continue;
		}
		assert_int_equal(o.kind, OUT_ENTER_L2);
		expect_loaded(entries);
		FX02(&f, GUEST_EFER) |= EFER_LMA;
		fx_exit_to_l1(&f);
		fx_load_state(&f, B64);
		FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, LIST);
	}
	assert_true(good > ROUNDS / 10 && failed > ROUNDS / 10);
	fx_end(&f);
}

/* SDM 3C "VMX Aborts": a list that fails after an exit is the end of L1. */
static void exits_load_lists(void **state)
{
	(void)state;
	good = failed = 0;
	start();
	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 entries = new_list(), bad = msr_list_bad(&f, LIST, entries, true, true);

		count(bad);
		f.vm.killed = NULL;
		FX12_WRITE(&f, EXIT_MSR_LOAD_COUNT, entries);
		fx_enter(&f);
		fx_exit_to_l1(&f);
		assert_int_equal(!!f.vm.killed, !!bad);
		if (!bad)
			expect_loaded(entries);
	}
	assert_true(good > ROUNDS / 10 && failed > ROUNDS / 10);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_load_lists),
		cmocka_unit_test(exits_load_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
