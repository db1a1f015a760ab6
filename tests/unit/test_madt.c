/* vm/madt.c: which entries change, and that damaged tables change nothing else. */
#include "acpi_tables.h"
#include "unit.h"
#include "vm/madt.h"

#define ENTRIES_MAX 256

static struct {
	struct acpi_madt madt;
	u8 entry[ENTRIES_MAX];
} __attribute__((packed)) table;

static u8 sum(void)
{
	const u8 *b = (const u8 *)&table;
	u8 s = 0;

	for (u32 i = 0; i < table.madt.header.length; i++)
		s = (u8)(s + b[i]);
	return s;
}

static void put(const u8 *entries, u32 length)
{
	memset(&table, 0, sizeof(table));
	memcpy(table.madt.header.signature, "APIC", 4);
	table.madt.header.length = (u32)sizeof(table.madt) + length;
	memcpy(table.entry, entries, length);
	table.madt.header.checksum = (u8)-sum();
}

static const u8 machine[] = {
	0, 8, 0, 0, 1, 0, 0, 0,			/* LAPIC 0 */
	0, 8, 1, 2, 1, 0, 0, 0,			/* LAPIC 2 */
	1, 12, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,	/* I/O APIC */
	0, 8, 2, 4, 2, 0, 0, 0,			/* LAPIC 4, online capable */
	9, 16, 0, 0, 0, 1, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0,	/* x2APIC 256 */
	9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,	/* x2APIC 2, again */
};

static void keeps_one(void **state)
{
	(void)state;
	put(machine, sizeof(machine));
	assert_true(madt_keep_cpus(&table, (const u32[]){ 2 }, 1));
	assert_int_equal(sum(), 0);
	assert_int_equal(table.entry[4], 0);
	assert_int_equal(table.entry[12], 1);
	assert_int_equal(table.entry[32], 0);
	assert_int_equal(table.entry[44], 0);
	assert_int_equal(table.entry[60], 1);
	assert_memory_equal(table.entry + 16, machine + 16, 12);
}

static void keeps_several(void **state)
{
	static const u32 kept[] = { 0, 256, 4 };

	(void)state;
	put(machine, sizeof(machine));
	assert_true(madt_keep_cpus(&table, kept, 2));
	assert_int_equal(sum(), 0);
	assert_int_equal(table.entry[4], 1);
	assert_int_equal(table.entry[12], 0);
	assert_int_equal(table.entry[32], 0);
	assert_int_equal(table.entry[44], 3);
	assert_int_equal(table.entry[60], 0);
	put(machine, sizeof(machine));
	assert_true(madt_keep_cpus(&table, kept, 3));
	assert_int_equal(table.entry[32], 2);
}

static void single(void **state)
{
	u8 before[sizeof(table)];

	(void)state;
	put(machine, 8);
	memcpy(before, &table, sizeof(table));
	assert_true(madt_keep_cpus(&table, (const u32[]){ 0 }, 1));
	assert_memory_equal(before, &table, sizeof(table));
}

/* Entries that reach beyond the end, are empty, or too short for their type. */
static void damaged(void **state)
{
	static const u8 cut[] = { 0, 8, 0, 1, 1, 0, 0 };
	static const u8 empty[] = { 5, 0, 0, 8, 0, 1, 1, 0, 0, 0 };
	static const u8 short_entry[] = { 0, 6, 0, 1, 1, 0, 9, 8, 0, 0, 1, 0, 0, 0 };
	u8 before[sizeof(table)];

	(void)state;
	for (u32 i = 0; i < 3; i++) {
		put(i == 0 ? cut : i == 1 ? empty : short_entry,
		    i == 0 ? sizeof(cut) : i == 1 ? sizeof(empty) : sizeof(short_entry));
		memcpy(before, &table, sizeof(table));
		assert_true(madt_keep_cpus(&table, (const u32[]){ 0 }, 1));
		assert_memory_equal(before, &table, sizeof(table));
	}
}

static void any_bytes(void **state)
{
	struct unit_random r = { 11 };

	(void)state;
	for (int i = 0; i < 20000; i++) {
		u8 bytes[64];
		u32 length = (u32)(unit_random(&r) % sizeof(bytes));

		for (u32 k = 0; k < length; k++)
			bytes[k] = (u8)(unit_random(&r) % 18);
		put(bytes, length);
		assert_true(madt_keep_cpus(&table, (const u32[]){ 1 }, 1));
		assert_int_equal(sum(), 0);
		assert_int_equal(table.entry[length], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_one),
		cmocka_unit_test(keeps_several), cmocka_unit_test(single),
		cmocka_unit_test(damaged), cmocka_unit_test(any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
