/*
 * EPTs of L1 of five levels, case by case, on a processor whose addresses need
 * five and on one where L0 composes them into four. Source: SDM 3C "The Extended
 * Page Table Mechanism (EPT)".
 */
#include "ept12_simple.h"

#define PML5 TABLES
#define PML4 (TABLES + PAGE_SIZE)
#define PT (TABLES + 4 * PAGE_SIZE)
#define LEAF (DATA | MT_WB << 3 | 7)
#define READ (1 | FINAL)
#define WRITE (2 | FINAL)
#define FETCH (4 | FINAL)

static struct machine m;

/* PML5, PML4, PDPT, PD, PT in a row, for GPA2 0, where one page is mapped. */
static u64 begin(const struct ept_caps *caps, u64 flags)
{
	machine_init_as(&m, 3, HOME_PAGES01, 400, caps);
	l1_plain_memory(&m);
	simple_ept(&m, PML4, 0);
	set_entry(&m, PML5, PML4 | 7);
	set_entry(&m, PT, LEAF);
	return PML5 | EPTP_WALK_5 | MT_WB | flags;
}

static enum ept02_verdict try(u64 role, u64 gpa, u64 q)
{
	struct ept02_fault out;

	return fault(&m, role, gpa, q, &out);
}

static const struct ept_caps *const processors[] = { &full_caps, &wide_caps };

static u64 eptp02(u64 role)
{
	struct ept02 *root;

	return ept02_root(&m.set, role, &root);
}

static void as_many_levels_as_are_needed(void **state)
{
	struct ept_caps caps = wide_caps;
	u64 role;

	(void)state;
	role = begin(&wide_caps, EPTP_AD);
	assert_int_equal(eptp02(role) & 0xfff, 0x66);
	assert_int_equal(eptp02(role ^ EPTP_WALK_4 ^ EPTP_WALK_5) & 0xfff, 0x5e);
	machine_end(&m);
	caps.maxphyaddr = 48;
	role = begin(&caps, EPTP_AD);
	assert_int_equal(eptp02(role) & 0xfff, 0x5e);
	machine_end(&m);
	caps = wide_caps;
	caps.walk5 = false;
	role = begin(&caps, 0);
	assert_int_equal(eptp02(role) & 0xfff, 0x1e);
	machine_end(&m);
}

/* One page at the end of what four levels reach, and the next. */
static void addresses_beyond_four_levels(void **state)
{
	const u64 last = BIT(48) - PAGE_SIZE, four = PML4 | EPTP_WALK_4 | MT_WB;
	struct ept02_fault out;
	u64 role;

	(void)state;
	role = begin(&wide_caps, 0);
	for (u64 table = PML4; table <= PT; table += PAGE_SIZE)
		set_entry(&m, table + 511 * 8, table == PT ? LEAF : (table + PAGE_SIZE) | 7);
	set_entry(&m, PML5 + 8, PML4 | 7);
	set_entry(&m, PT, LEAF + PAGE_SIZE);
	assert_int_equal(try(role, last, READ), EPT02_FILLED);
	assert_int_equal(walk(&m, role, last).hpa, DATA);
	assert_int_equal(try(role, BIT(48), READ), EPT02_FILLED);
	assert_int_equal(walk(&m, role, BIT(48)).hpa, DATA + PAGE_SIZE);
	assert_int_equal(walk(&m, role, BIT(48)).shift, 12);
	/* Four levels do not reach it: no entry gives rights, or lets it be a #VE. */
	assert_int_equal(try(four, last, READ), EPT02_FILLED);
	assert_int_equal(fault(&m, four, BIT(48), 0x3f | FINAL, &out), EPT02_REFLECT_VIOLATION);
	assert_int_equal(out.qualification, 7 | FINAL);
	assert_false(out.convertible);
	assert_false(walk(&m, four, BIT(48)).present);
	/* Where there is no PML5E, that one decides. */
	assert_int_equal(fault(&m, role, BIT(49), READ, &out), EPT02_REFLECT_VIOLATION);
	assert_int_equal(out.qualification, READ);
	assert_true(out.convertible);
	set_entry(&m, PML5 + 2 * 8, BIT(63) | 0x3f0);
	assert_int_equal(fault(&m, role, BIT(49), READ, &out), EPT02_REFLECT_VIOLATION);
	assert_false(out.convertible);
	machine_end(&m);
}

/* SDM 3C "EPT Misconfigurations", "Format of an EPT PML5 Entry". */
static void wrong_pml5_entries(void **state)
{
	static const u64 wrong[] = {
		PML4 | 2, PML4 | 6, PML4 | 4,		/* not executable without being readable */
		PML4 | 7 | BIT(3), PML4 | 7 | BIT(4), PML4 | 7 | BIT(5), PML4 | 7 | BIT(6),
		PML4 | 7 | BIT(7), PML4 | 7 | BIT(40), PML4 | 7 | BIT(51),
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		u64 role = begin(&full_caps, 0);

		m.set.caps12.exec_only = false;
		set_entry(&m, PML5, wrong[i]);
		assert_int_equal(try(role, 0, READ), EPT02_REFLECT_MISCONFIG);
		/* Ignored: 9, 10, 11 and 62:52; and the accessed flag, when it is off. */
		set_entry(&m, PML5, PML4 | 7 | 0xf00 | 0x7ffull << 52);
		assert_int_equal(try(role, 0, READ), EPT02_FILLED);
		machine_end(&m);
	}
}

/* A right that the PML5E does not give is not there, whether L0 has a PML5E or not. */
static void rights_of_the_pml5_entry(void **state)
{
	struct ept02_fault out;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(processors); i++) {
		u64 role = begin(processors[i], 0), mbec = role | EPT02_ROLE_MBEC;

		set_entry(&m, PT + 8, LEAF + PAGE_SIZE);
		set_entry(&m, PML5, PML4 | 1);
		assert_int_equal(try(role, 0, READ), EPT02_FILLED);
		assert_int_equal(walk(&m, role, 0).rights, 1);
		assert_int_equal(fault(&m, role, 0, WRITE, &out), EPT02_REFLECT_VIOLATION);
		assert_int_equal(out.qualification, WRITE | 1 << 3);
		/* More rights need no INVEPT: the fault finds them. */
		set_entry(&m, PML5, PML4 | 7);
		assert_int_equal(try(role, 0, WRITE), EPT02_FILLED);
		assert_int_equal(walk(&m, role, 0).rights, 7);
		assert_int_equal(walk(&m, role, PAGE_SIZE).rights, 7);
		/* Fewer do. */
		set_entry(&m, PML5, PML4 | 5);
		ept02_invalidate(&m.set, role);
		assert_false(walk(&m, role, 0).present);
		assert_int_equal(try(role, 0, READ), EPT02_FILLED);
		assert_int_equal(walk(&m, role, 0).rights, 5);
		assert_int_equal(walk(&m, role, PAGE_SIZE).rights, 5);
		/* Bit 10 of it counts like that of others. */
		for (u64 table = PML4; table <= PT; table += PAGE_SIZE)
			set_entry(&m, table, entry_at(&m, table) | EPT_XU);
		assert_int_equal(fault(&m, mbec, 0, FETCH | EPTQ_GLA_USER, &out),
				 EPT02_REFLECT_VIOLATION);
		assert_int_equal(out.qualification, FETCH | EPTQ_GLA_USER | 5 << 3);
		set_entry(&m, PML5, PML4 | 1 | EPT_XU);
		ept02_invalidate(&m.set, role);
		assert_int_equal(try(mbec, 0, FETCH | EPTQ_GLA_USER), EPT02_FILLED);
		assert_int_equal(try(mbec, 0, FETCH), EPT02_REFLECT_VIOLATION);
		machine_end(&m);
	}
}

/* SDM 3C "Accessed and Dirty Flags for EPT". */
static void accessed_flag_of_the_pml5_entry(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(processors); i++) {
		u64 role = begin(processors[i], EPTP_AD);
		struct ept02_fault out;
		struct ept02 *root;

		ept02_root(&m.set, role, &root);
		assert_false(ept02_prefill(&m.set, root, GPA2(0)));
		assert_int_equal(entry_at(&m, PML5), PML4 | 7);
		assert_int_equal(fault(&m, role, 0, WRITE, &out), EPT02_FILLED);
		assert_true(out.dirtied);
		assert_int_equal(entry_at(&m, PML5), PML4 | 7 | EPT_A);
		assert_int_equal(entry_at(&m, PT), LEAF | EPT_A | EPT_D);
		/* It alone is missing. */
		set_entry(&m, PML5, PML4 | 7);
		ept02_invalidate(&m.set, role);
		assert_false(ept02_prefill(&m.set, root, GPA2(0)));
		assert_int_equal(ept02_fault_logged(&m.set, root, GPA2(0), READ, true, &out),
				 EPT02_LOG_FULL);
		assert_int_equal(entry_at(&m, PML5), PML4 | 7);
		assert_int_equal(try(role, 0, READ), EPT02_FILLED);
		assert_int_equal(entry_at(&m, PML5), PML4 | 7 | EPT_A);
		assert_true(ept02_prefill(&m.set, root, GPA2(0)));
		machine_end(&m);
	}
}

/* Another PML4 behind the PML5E: what was made of the old one goes at INVEPT. */
static void another_pml4(void **state)
{
	const u64 other = TABLES + 8 * PAGE_SIZE;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(processors); i++) {
		u64 role = begin(processors[i], 0), four = PML5 | EPTP_WALK_4 | MT_WB;

		simple_ept(&m, other, 0);
		set_entry(&m, other + 3 * PAGE_SIZE, LEAF + SZ_2M);
		assert_int_equal(try(role, 0, READ), EPT02_FILLED);
		set_entry(&m, PML5, other | 7);
		/* INVEPT goes by the table's address, not by the levels. */
		ept02_invalidate(&m.set, four);
		assert_int_equal(try(role, 0, READ), EPT02_FILLED);
		assert_int_equal(walk(&m, role, 0).hpa, DATA + SZ_2M);
		set_entry(&m, PML5, 0);
		ept02_invalidate_all(&m.set);
		assert_int_equal(try(role, 0, READ), EPT02_REFLECT_VIOLATION);
		/* Back again: little is left to make. */
		set_entry(&m, PML5, other | 7);
		ept02_invalidate(&m.set, role);
		assert_int_equal(try(role, 0, READ), EPT02_FILLED);
		assert_int_equal(walk(&m, role, 0).hpa, DATA + SZ_2M);
		machine_end(&m);
	}
}

/* The same tables read from four levels and from five are two EPTs. */
static void four_and_five_levels_side_by_side(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(processors); i++) {
		u64 role = begin(processors[i], 0), four = PML5 | EPTP_WALK_4 | MT_WB;

		/* With four levels the PD is a table of pages. */
		assert_int_equal(try(role, 0, READ), EPT02_FILLED);
		assert_int_equal(try(four, 0, READ), EPT02_FILLED);
		assert_int_equal(walk(&m, four, 0).hpa, PT);
		assert_int_equal(walk(&m, role, 0).hpa, DATA);
		set_entry(&m, PT - PAGE_SIZE, PT | MT_WB << 3 | 7);
		ept02_invalidate(&m.set, role);
		assert_false(walk(&m, four, 0).present || walk(&m, role, 0).present);
		assert_int_equal(try(role, 0, READ), EPT02_REFLECT_MISCONFIG);
		assert_int_equal(try(four, 0, READ), EPT02_FILLED);
		assert_int_equal(walk(&m, four, 0).leaf >> 3 & 7, MT_WB);
		machine_end(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_levels_as_are_needed),
		cmocka_unit_test(addresses_beyond_four_levels),
		cmocka_unit_test(wrong_pml5_entries),
		cmocka_unit_test(rights_of_the_pml5_entry),
		cmocka_unit_test(accessed_flag_of_the_pml5_entry),
		cmocka_unit_test(another_pml4),
		cmocka_unit_test(four_and_five_levels_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
