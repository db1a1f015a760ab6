/* nested/fields.c: look-up by encoding, and the sets, against the table itself. */
#include "nested_kit.h"

static const struct row { const char *name; u32 enc; int sync, shadow; } rows[] = {
#define F(name, enc, exists, merge, sync, shadow, group) \
	{ #name, enc, SYNC_##sync, SHADOW_##shadow },
#include "vmcs_fields.def"
#undef F
};

static int slow_index(u32 encoding)
{
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (rows[i].enc == encoding)
			return (int)i;
	return -1;
}

static void every_16_bit_encoding(void **state)
{
	(void)state;
	for (u32 e = 0; e < 0x10000; e++)
		assert_int_equal(nested_field_index(e), slow_index(e));
}

static void wide_encodings_do_not_exist(void **state)
{
	struct unit_random r = { 1 };

	(void)state;
	for (unsigned i = 0; i < VF_COUNT; i++)
		for (unsigned bit = 15; bit < 32; bit++)
			assert_int_equal(nested_field_index(rows[i].enc | BIT32(bit)), -1);
	for (unsigned i = 0; i < 100000; i++) {
		u32 e = (u32)unit_random(&r);

		assert_int_equal(nested_field_index(e), slow_index(e));
	}
}

static void tables_are_in_order(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VF_COUNT; i++) {
		assert_int_equal(nested_field_encoding[i], rows[i].enc);
		assert_string_equal(nested_field_name[i], rows[i].name);
	}
}

static void sets_are_the_columns(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VF_COUNT; i++) {
		assert_true(field_test(&nested_fields_all, i));
		assert_int_equal(field_test(&nested_fields_hot, i), rows[i].sync == SYNC_HOT);
		assert_int_equal(field_test(&nested_fields_cold, i), rows[i].sync == SYNC_COLD);
		assert_int_equal(field_test(&nested_fields_shadow_ro, i),
				 rows[i].shadow == SHADOW_RO);
		assert_int_equal(field_test(&nested_fields_shadow_rw, i),
				 rows[i].shadow == SHADOW_RW);
	}
	for (unsigned i = VF_COUNT; i < VF_WORDS * 64; i++)
		assert_false(field_test(&nested_fields_all, i));
}

static void sets_meet_and_pop(void **state)
{
	struct field_set a = { { 0, 5, 0 } }, b = { { ~0ull, 4, ~0ull } }, none = { { 0 } };
	u64 left = a.w[1];

	(void)state;
	assert_true(field_set_meet(&a, &b));
	b.w[1] = 2;
	assert_false(field_set_meet(&a, &b));
	assert_true(field_set_empty(&none) && !field_set_empty(&a));
	assert_int_equal(field_pop(&left, 1), 64);
	assert_int_equal(field_pop(&left, 1), 66);
	assert_int_equal(left, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_16_bit_encoding),
		cmocka_unit_test(wide_encodings_do_not_exist),
		cmocka_unit_test(tables_are_in_order),
		cmocka_unit_test(sets_are_the_columns),
		cmocka_unit_test(sets_meet_and_pop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
