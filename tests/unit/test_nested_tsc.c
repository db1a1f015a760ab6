/*
 * nested/merge.c: the time-stamp counter of L2, which offsets and multipliers of two levels make.
 */
#include "engine_fixture.h"

static struct fx f;

/* SDM 3C "Timestamp-counter offset": L1's offset counts for L2, too. */
static void the_tsc_offset_is_a_sum(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	FX12_WRITE(&f, TSC_OFFSET, 1000);
	fx_enter(&f);
	assert_false(FX02(&f, PROC_CONTROLS) & PROC_TSC_OFFSET);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) | PROC_TSC_OFFSET);
	fx_enter(&f);
	assert_true(FX02(&f, PROC_CONTROLS) & PROC_TSC_OFFSET);
	assert_int_equal(FX02(&f, TSC_OFFSET), 1000);
	fx_exit_to_l1(&f);
	fx_end(&f);

	fx_start(&f, B64, false);
	f.n.tsc_offset01 = 5000;
	FX12_WRITE(&f, TSC_OFFSET, 1000);
	fx_enter(&f);
	assert_true(FX02(&f, PROC_CONTROLS) & PROC_TSC_OFFSET);
	assert_int_equal(FX02(&f, TSC_OFFSET), 5000);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) | PROC_TSC_OFFSET);
	fx_enter(&f);
	assert_int_equal(FX02(&f, TSC_OFFSET), 6000);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* What a guest reads: SDM 3C "Time-Stamp Counter Offset and Multiplier". */
static u64 tsc_of(u64 tsc, u64 controls, u64 controls2, u64 offset, u64 multiplier)
{
	if (!(controls & PROC_TSC_OFFSET))
		return tsc;
	if (controls2 & PROC2_TSC_SCALING)
		tsc = (u64)((unsigned __int128)tsc * multiplier >> 48);
	return tsc + offset;
}

/* L2 on vmcs02 reads what L2 on vmcs12 would read on L1's processor, to within rounding. */
static void L2_reads_the_tsc_that_L1_gives_it(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	for (unsigned i = 0; i < 3000; i++) {
		u64 tsc = BIT(40) + fx_random(&f) % BIT(50), l1, l2, expect;
		/* Never 0: an L1 has an offset, or has none. */
		s64 offset01 = ((s64)(fx_random(&f) % BIT(40)) >> fx_below(&f, 40)) | 1;

		f.n.tsc_offset01 = (u64)(fx_below(&f, 2) ? offset01 : -offset01);
		FX12_WRITE(&f, TSC_OFFSET, fx_random(&f));
		FX12_WRITE(&f, TSC_MULTIPLIER, 1 + fx_random(&f) % BIT(1 + fx_below(&f, 52)));
		FX12_WRITE(&f, PROC_CONTROLS,
			   (FX12_READ(&f, PROC_CONTROLS) & ~(u64)PROC_TSC_OFFSET) | PROC_SECONDARY |
				   (fx_below(&f, 4) ? PROC_TSC_OFFSET : 0));
		FX12_WRITE(&f, PROC2_CONTROLS,
			   (FX12_READ(&f, PROC2_CONTROLS) & ~(u64)PROC2_TSC_SCALING) |
				   (fx_below(&f, 4) ? PROC2_TSC_SCALING : 0));
		l1 = tsc + f.n.tsc_offset01;
		expect = tsc_of(l1, FX12_READ(&f, PROC_CONTROLS), FX12_READ(&f, PROC2_CONTROLS),
				FX12_READ(&f, TSC_OFFSET), FX12_READ(&f, TSC_MULTIPLIER));
		fx_enter(&f);
		l2 = tsc_of(tsc, FX02(&f, PROC_CONTROLS), FX02(&f, PROC2_CONTROLS),
			    FX02(&f, TSC_OFFSET), FX02(&f, TSC_MULTIPLIER));
		if (expect - l2 > 1)
			fail_msg("L2 reads %#llx, not %#llx", (unsigned long long)l2,
				 (unsigned long long)expect);
		fx_exit_to_l1(&f);
	}
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tsc_offset_is_a_sum),
		cmocka_unit_test(L2_reads_the_tsc_that_L1_gives_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
