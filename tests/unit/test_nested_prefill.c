/*
 * What L1 maps after an EPT violation is mapped for L2 before it faults again;
 * where L1 maps nothing, nobody looks for long.
 */
#include "ept_features.h"

/* L2 touches page n, L1 gets the violation, does this to its entry, and enters again. */
static void violation(unsigned n, u64 entry)
{
	assert_int_equal(touch(n * PAGE_SIZE + 0x123, EPTQ_READ | FINAL), NESTED_REFLECTED);
	poke(PT + 8 * n, entry);
	fx_enter(&f);
}

static void begin(u64 ad)
{
	start(0);
	FX12_WRITE(&f, EPT_POINTER, FX12_READ(&f, EPT_POINTER) | ad);
	for (unsigned i = 0; i < 512; i++)
		map12(i, 0);
	fx_enter(&f);
}

static void what_L1_maps_is_mapped(void **state)
{
	(void)state;
	begin(0);
	violation(5, page12(7, EPT_RWX));
	assert_int_equal(fx_translate(&f, 5 * PAGE_SIZE), 7 * PAGE_SIZE + FX_SHIFT);
	violation(6, page12(8, EPT_R));
	assert_int_equal(fx_translate(&f, 6 * PAGE_SIZE), 8 * PAGE_SIZE + FX_SHIFT);
	/* For one entry only: what L1 does later is found at a fault. */
	assert_int_equal(touch(9 * PAGE_SIZE, EPTQ_READ | FINAL), NESTED_REFLECTED);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	map12(9, page12(9, EPT_RWX));
	fx_enter(&f);
	assert_int_equal(fx_translate(&f, 9 * PAGE_SIZE), 0);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static u64 walks(unsigned n, u64 entry)
{
	u64 reads;

	assert_int_equal(touch(n * PAGE_SIZE, EPTQ_READ | FINAL), NESTED_REFLECTED);
	map12(n, entry);
	reads = f.vm.memory.reads;
	fx_enter(&f);
	return f.vm.memory.reads - reads;
}

static void an_L1_that_emulates_pays_once(void **state)
{
	u64 first, second;

	(void)state;
	begin(0);
	first = walks(5, 0);
	second = walks(5, 0);
	assert_int_equal(first - second, 4);	/* levels */
	/* Not looked for any more... */
	assert_int_equal(walks(5, page12(5, EPT_RWX)), second);
	assert_int_equal(fx_translate(&f, 5 * PAGE_SIZE), 0);
	/* ... until L2 faults where that would have served. */
	assert_int_equal(touch(5 * PAGE_SIZE, EPTQ_READ | FINAL), NESTED_RESUME);
	violation(6, page12(8, EPT_RWX));
	assert_int_equal(fx_translate(&f, 6 * PAGE_SIZE), 8 * PAGE_SIZE + FX_SHIFT);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* L2 has not accessed it yet: no flag of L1's may be set, and so nothing mapped. */
static void flags_are_not_set_ahead(void **state)
{
	(void)state;
	begin(EPTP_AD);
	violation(5, page12(7, EPT_RWX));
	assert_int_equal(fx_translate(&f, 5 * PAGE_SIZE), 0);
	assert_int_equal(peek(PT + 5 * 8), page12(7, EPT_RWX));
	assert_int_equal(touch(5 * PAGE_SIZE, EPTQ_READ | FINAL), NESTED_RESUME);
	assert_int_equal(peek(PT + 5 * 8), page12(7, EPT_RWX | EPT_A));
	violation(6, page12(8, EPT_RWX | EPT_A));
	assert_int_equal(fx_translate(&f, 6 * PAGE_SIZE), 8 * PAGE_SIZE + FX_SHIFT);
	assert_int_equal(peek(PT + 6 * 8), page12(8, EPT_RWX | EPT_A));
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* What ept12 allows is no more with this than without. */
static void nonsense_is_not_mapped(void **state)
{
	static const u64 entries[] = { EPT_W, EPT_R | 7ull << EPT_MT_SHIFT, EPT_R | BIT(51),
				       BIT(12) };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
		begin(0);
		violation(5, entries[i]);
		assert_int_equal(fx_translate(&f, 5 * PAGE_SIZE), 0);
		fx_exit_to_l1(&f);
		fx_end(&f);
	}
	begin(0);
	assert_int_equal(touch(FX_NOWHERE + SZ_1G, EPTQ_READ), NESTED_REFLECTED);
	fx_enter(&f);
	violation(5, FX_NOWHERE | MT_WB << EPT_MT_SHIFT | EPT_RWX);
	assert_int_equal(fx_translate(&f, 5 * PAGE_SIZE), 0);
	assert_int_equal(touch(1ull << 48, EPTQ_READ), NESTED_REFLECTED);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_L1_maps_is_mapped),
		cmocka_unit_test(an_L1_that_emulates_pays_once),
		cmocka_unit_test(flags_are_not_set_ahead),
		cmocka_unit_test(nonsense_is_not_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
