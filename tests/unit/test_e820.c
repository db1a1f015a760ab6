/* vm/e820.c and vm/loader_plan.c, each against a model of one byte per page. */
#include "unit.h"
#include "vm/e820.h"
#include "vm/loader_plan.h"

#define PAGES 200

static void check_form(const struct e820_map *m)
{
	for (u32 i = 0; i < m->count; i++) {
		const struct e820_entry *e = &m->entry[i];

		assert_true(e->start < e->end);
		if (i == 0)
			continue;
		assert_true(e[-1].end <= e->start);
		assert_false(e[-1].end == e->start && e[-1].type == e->type);
	}
}

static void set_matches_model(void **state)
{
	struct unit_random r = { 1 };

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct e820_map m = { .count = 0 };
		u8 model[PAGES] = { 0 };

		for (int step = 0; step < 30; step++) {
			u64 start = unit_random(&r) % PAGES;
			u64 end = start + unit_random(&r) % (PAGES - start + 1);
			u8 type = (u8)(1 + unit_random(&r) % 5);

			assert_true(e820_set(&m, start << 12, end << 12, type));
			memset(model + start, type, end - start);
			check_form(&m);
			u64 total = 0;

			for (u64 p = 0; p < PAGES; p++) {
				assert_int_equal(e820_type_at(&m, p << 12), model[p]);
				total += model[p] == 1 ? PAGE_SIZE : 0;
			}
			assert_int_equal(e820_total(&m, 1), total);
		}
	}
}

static void full_map_is_unchanged(void **state)
{
	struct e820_map m = { .count = 0 }, before;

	(void)state;
	for (u64 i = 0; i < E820_MAX; i++)
		assert_true(e820_set(&m, i * 0x2000, i * 0x2000 + 0x1000, E820_AVAILABLE));
	before = m;
	assert_false(e820_set(&m, 0x400, 0x800, E820_RESERVED));
	assert_false(e820_set(&m, 1ull << 40, (1ull << 40) + 1, E820_RESERVED));
	assert_memory_equal(&m, &before, sizeof(m));
	assert_true(e820_set(&m, 0, 1ull << 40, E820_RESERVED));
	assert_int_equal(m.count, 1);
}

static void ends(void **state)
{
	struct e820_map m = { .count = 0 };

	(void)state;
	assert_int_equal(e820_end_of_memory(&m), 0);
	e820_set(&m, 0x100000, 0x8000000, E820_AVAILABLE);
	e820_set(&m, 0x8000000, 0x8010000, E820_ACPI);
	e820_set(&m, 0xfd00000000, 0x10000000000, E820_RESERVED);
	assert_int_equal(e820_end_of_memory(&m), 0x8010000);
	assert_true(e820_all(&m, 0x100000, 0x8000000, E820_AVAILABLE));
	assert_false(e820_all(&m, 0x100000, 0x8000001, E820_AVAILABLE));
	assert_false(e820_all(&m, 0xfffff, 0x100001, E820_AVAILABLE));
	e820_set(&m, UINT64_MAX - 10, UINT64_MAX, E820_RESERVED);
	assert_int_equal(e820_type_at(&m, UINT64_MAX - 1), E820_RESERVED);
}

static bool model_free(const u8 *busy, u64 start, u64 pages)
{
	for (u64 i = 0; i < pages; i++)
		if (start + i >= PAGES || busy[start + i])
			return false;
	return true;
}

static s64 model_find(const u8 *busy, u64 pages, u64 align, u64 min, u64 max, bool high)
{
	s64 found = -1;

	for (u64 s = min; s + pages <= max; s++)
		if (s % align == 0 && model_free(busy, s, pages) && (found < 0 || high))
			found = (s64)s;
	return found;
}

static void plan_matches_model(void **state)
{
	struct unit_random r = { 2 };

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct e820_map m = { .count = 0 };
		struct loader_plan plan;
		u8 busy[PAGES];
		u64 at = 0;

		memset(busy, 1, sizeof(busy));
		for (int i = 0; i < 3; i++) {
			u64 start = unit_random(&r) % PAGES,
			    end = start + unit_random(&r) % (PAGES - start + 1);

			e820_set(&m, start << 12, end << 12, E820_AVAILABLE);
			memset(busy + start, 0, end - start);
		}
		loader_plan_init(&plan, &m);
		for (u64 i = unit_random(&r) % 8; i > 0; i--) {
			u64 start = unit_random(&r) % PAGES,
			    end = start + unit_random(&r) % MIN(PAGES - start + 1, 20ul);

			loader_plan_use(&plan, start << 12, end << 12);
			memset(busy + start, 1, end - start);
		}
		u64 pages = 1 + unit_random(&r) % 20, align = 1ull << unit_random(&r) % 4;
		u64 min = unit_random(&r) % PAGES, max = min + unit_random(&r) % (PAGES - min + 1);

		for (int high = 0; high < 2; high++) {
			s64 want = model_find(busy, pages, align, min, max, high);
			bool got = high ? loader_plan_high(&plan, pages << 12, align << 12,
							   min << 12, max << 12, &at) :
					  loader_plan_low(&plan, pages << 12, align << 12,
							  min << 12, max << 12, &at);

			assert_int_equal(got, want >= 0);
			if (got) {
				assert_int_equal(at >> 12, want);
				assert_true(loader_plan_free(&plan, at, at + (pages << 12)));
			}
		}
	}
}

static void plan_release(void **state)
{
	struct e820_map m = { .count = 0 };
	struct loader_plan p;
	u64 at;

	(void)state;
	e820_set(&m, 0, 0x10000, E820_AVAILABLE);
	loader_plan_init(&p, &m);
	loader_plan_use(&p, 0, 0x8000);
	loader_plan_use(&p, 0x8000, 0x10000);
	assert_false(loader_plan_low(&p, 1, 1, 0, 0x10000, &at));
	loader_plan_release(&p, 0, 0x8000);
	assert_true(loader_plan_low(&p, 0x8000, 1, 0, 0x10000, &at));
	for (int i = 1; i < LOADER_USED_MAX; i++)
		assert_true(loader_plan_use(&p, 0, 1));
	assert_false(loader_plan_use(&p, 0, 1));
	assert_false(loader_plan_low(&p, UINT64_MAX, 1, 0, UINT64_MAX, &at));
	assert_false(loader_plan_high(&p, UINT64_MAX, 1, 0, UINT64_MAX, &at));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_matches_model),
		cmocka_unit_test(full_map_is_unchanged),
		cmocka_unit_test(ends),
		cmocka_unit_test(plan_matches_model),
		cmocka_unit_test(plan_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
