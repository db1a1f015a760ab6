/*
 * MTRR types: precedence, fixed ranges, boundaries, and a comparison with a
 * page-by-page scan.
 */
#include "unit.h"

#include "mmu/mtrr.h"

#define MASK(size) (((1ull << 40) - (size)) | MTRR_MASK_VALID)

static struct mtrr_state basic(void)
{
	struct mtrr_state s = {
		.def_type = MTRR_DEF_ENABLE | MT_UC, .variable_count = 4, .maxphyaddr = 40,
	};

	s.variable[0].base = MT_WB;
	s.variable[0].mask = MASK(0x80000000ull);
	return s;
}

static u8 type_of(const struct mtrr_state *s, u64 at)
{
	u8 type;

	mtrr_type(s, HPA(at), 1, &type);
	return type;
}

static void off_means_uc(void **state)
{
	struct mtrr_state s = basic();
	u8 type;

	(void)state;
	s.def_type = MT_WB;
	assert_true(mtrr_type(&s, HPA(0), 1ull << 40, &type));
	assert_int_equal(type, MT_UC);
}

static void overlaps_follow_precedence(void **state)
{
	static const u8 rows[][3] = {
		{ MT_WB, MT_UC, MT_UC }, { MT_WT, MT_WB, MT_WT }, { MT_WB, MT_WT, MT_WT },
		{ MT_WB, MT_WB, MT_WB }, { MT_WC, MT_WB, MT_UC }, { MT_UC, MT_WC, MT_UC },
		{ 2, MT_WB, MT_UC }, { MT_WP, MT_WP, MT_WP },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mtrr_state s = basic();

		s.variable[0].base = rows[i][0];
		s.variable[2].base = 0x40000000 | rows[i][1];
		s.variable[2].mask = MASK(0x40000000ull);
		assert_int_equal(type_of(&s, 0x50000000), rows[i][2]);
		assert_int_equal(type_of(&s, 0x90000000), MT_UC);
	}
}

static void fixed_ranges(void **state)
{
	struct mtrr_state s = basic();
	u8 type;

	(void)state;
	s.fixed[0] = 0x0606060606060606;
	s.fixed[2] = 0x0001000000000000;	/* A0000: the seventh 16 KiB is WC */
	s.fixed[10] = 0x0500000000000000;	/* FF000 is WP */
	assert_int_equal(type_of(&s, 0xb8000), MT_WB);	/* not enabled: the variable range */
	s.def_type |= MTRR_DEF_FIXED_ENABLE;
	assert_int_equal(type_of(&s, 0x7ffff), MT_WB);
	assert_int_equal(type_of(&s, 0x80000), MT_UC);
	assert_int_equal(type_of(&s, 0xb8000), MT_WC);
	assert_int_equal(type_of(&s, 0xbc000), MT_UC);
	assert_int_equal(type_of(&s, 0xff000), MT_WP);
	assert_int_equal(type_of(&s, 0x100000), MT_WB);
	assert_true(mtrr_type(&s, HPA(0), 0x80000, &type));
	assert_false(mtrr_type(&s, HPA(0), 0x80001, &type));
	assert_true(mtrr_type(&s, HPA(0x100000), 0x7ff00000, &type));
	assert_false(mtrr_type(&s, HPA(0x100000), 0x7ff00001, &type));
	assert_int_equal(mtrr_next_boundary(&s, HPA(0x100000)), 0x80000000);
	assert_int_equal(mtrr_next_boundary(&s, HPA(0x80000000)), UINT64_MAX);
}

static struct mtrr_state random_state(struct unit_random *r)
{
	struct mtrr_state s = {
		.def_type = MTRR_DEF_ENABLE | (unit_random(r) % 8), .variable_count = 8,
		.maxphyaddr = 40,
	};
	int i;

	if (unit_random(r) % 2)
		s.def_type |= MTRR_DEF_FIXED_ENABLE;
	for (i = 0; i < MTRR_FIXED_COUNT; i++)
		s.fixed[i] = unit_random(r) & 0x0707070707070707;
	for (i = 0; i < 8; i++) {
		u64 size = 1ull << (12 + unit_random(r) % 12);

		s.variable[i].base = (unit_random(r) % 0x1000000 & PAGE_MASK) | unit_random(r) % 8;
		s.variable[i].mask = MASK(size);
		if (unit_random(r) % 2)
			s.variable[i].mask &= ~MTRR_MASK_VALID;
		if (!(unit_random(r) % 4))	/* a mask with a gap */
			s.variable[i].mask &= ~(1ull << (14 + unit_random(r) % 10));
	}
	return s;
}

static void boundaries_miss_nothing(void **state)
{
	struct unit_random r = { 5 };
	int round;

	(void)state;
	for (round = 0; round < 40; round++) {
		struct mtrr_state s = random_state(&r);
		u64 at, next = 0;
		u8 before = type_of(&s, 0);

		for (at = 0; at < 0x1000000; at += PAGE_SIZE) {
			u8 type = type_of(&s, at), uniform;

			if (at == next)
				next = mtrr_next_boundary(&s, HPA(at));
			else
				assert_int_equal(type, before);
			assert_true(next > at);
			before = type;
			assert_true(mtrr_type(&s, HPA(at), PAGE_SIZE, &uniform));
			assert_int_equal(uniform, type);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(off_means_uc),
		cmocka_unit_test(overlaps_follow_precedence),
		cmocka_unit_test(fixed_ranges),
		cmocka_unit_test(boundaries_miss_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
