/*
 * INVEPT keeps tables: what L1 changed before it, at whatever level and however
 * often, is not used after it; what L1 did not change is not lost.
 */
#include "ept02_access.h"
#include "ept12_simple.h"

/* The entry of this level on the way to gpa, or of the last one there is. */
static u64 entry_on_the_way(struct l1 *l, u64 eptp, u64 gpa, int level)
{
	u64 table = eptp & 0xffffffffff000, at, e;
	int i;

	for (i = (int)ept_levels(eptp);; i--) {
		at = table + (gpa >> (3 + 9 * i) & 511) * 8;
		e = l1_read(l, at);
		if (i == level || !(e & 7) || (i < 4 && (e & 0x80)) ||
		    (e & 0xffffffffff000) < TABLES || (e & 0xffffffffff000) >= TABLES_END)
			return at;
		table = e & 0xffffffffff000;
	}
}

/* Any of L1's tables, at whatever level it serves now: aliases and cycles are made. */
static u64 any_table(struct l1 *l)
{
	return TABLES + pick(l->m, (l->next_table - TABLES) / PAGE_SIZE) * PAGE_SIZE;
}

static void change(struct l1 *l, u64 eptp)
{
	struct machine *m = l->m;
	struct access a = random_access(l);
	int level = 1 + (int)pick(m, ept_levels(eptp));
	u64 at = entry_on_the_way(l, eptp, a.gpa, level), e = l1_read(l, at);

	switch (pick(m, 8)) {
	case 0:
		e ^= 1ull << pick(m, 11);
		break;
	case 1:
		e = any_table(l) | 7 | pick(m, 4) << 8;
		break;
	case 2:
		e &= ~0x300ull;
		break;
	case 3:
		e = chance(m, 2) ? 0 : e & ~0x407ull;
		break;
	case 4:
		e = (e & ~0x407ull) | l1_rights(l, 0x407);
		break;
	default:
		e = l1_leaf(l, 1 + (int)pick(m, 3));
	}
	l1_write(l, at, e);
}

/* L2 goes on while L1 changes its tables, and the hardware may hold what it likes. */
static void touch(struct l1 *l, struct ept02 *root)
{
	struct access a = random_access(l);
	struct hw_walk hw = hw_walk(&l->m->vm, root->eptp, l->mbec, a.gpa);
	struct ept02_fault out;

	if (!hw.present || !permits(hw.rights, &a, l->mbec))
		ept02_fault(&l->m->set, root, GPA2(a.gpa), hw_qualification(l->m, &a, &hw), &out);
}

static void changes_at_every_level(void **state)
{
	struct machine m;
	struct ept02 *root;
	struct l1 l;
	int seed, i, k;

	(void)state;
	for (seed = 0; seed < 96; seed++) {
		u64 eptp;

		build(&m, &l, seed);
		eptp = l1_ept(&l);
		for (i = 0; i < 60; i++) {
			ept02_root(&m.set, role_of(&l, eptp), &root);
			for (k = 0; k < 12; k++) {
				if (chance(&m, 3))
					change(&l, eptp);
				if (chance(&m, 2))
					touch(&l, root);
			}
			if (chance(&m, 2))
				ept02_invalidate(&m.set, eptp);
			else
				ept02_invalidate_all(&m.set);
			for (k = 0; k < 30; k++) {
				struct access a = random_access(&l);

				one_access(&l, eptp, root, &a);
			}
		}
		machine_end(&m);
	}
}

#define PT (TABLES + 3 * PAGE_SIZE)

static void small_pages(struct machine *m, u64 *ept)
{
	machine_init(m, 3, HOME_PAGES01, 400);
	l1_plain_memory(m);
	*ept = simple_ept(m, TABLES, 0);
	for (u64 i = 0; i < 512; i++)
		set_entry(m, PT + i * 8, (DATA + i * PAGE_SIZE) | MT_WB << 3 | 7);
}

/* One fault brings back all that is as it was, and what changed as it is now; no page is taken. */
static void one_fault_after_invept(void **state)
{
	struct ept02_fault out;
	struct ept02 *root;
	struct machine m;
	u64 ept, i, stamp;
	u32 left;

	(void)state;
	small_pages(&m, &ept);
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
	left = mmu_pool_available(&m.pool02);
	ept02_root(&m.set, ept, &root);
	stamp = root->stamp;
	set_entry(&m, PT + 5 * 8, 0);
	set_entry(&m, PT + 6 * 8, (DATA + SZ_2M) | MT_WB << 3 | 1);
	set_entry(&m, PT + 7 * 8, (DATA + 7 * PAGE_SIZE) | MT_UC << 3 | 7);
	ept02_invalidate(&m.set, ept);
	assert_true(root->stamp != stamp);
	for (i = 0; i < 512; i++)
		assert_false(walk(&m, ept, i * PAGE_SIZE).present);
	assert_int_equal(fault(&m, ept, 9 * PAGE_SIZE, 1 | FINAL, &out), EPT02_FILLED);
	for (i = 0; i < 512; i++) {
		struct hw_walk hw = walk(&m, ept, i * PAGE_SIZE);

		assert_int_equal(hw.present, i != 5);
		if (!hw.present)
			continue;
		assert_int_equal(hw.hpa, DATA + (i == 6 ? SZ_2M : i * PAGE_SIZE));
		assert_int_equal(hw.rights, i == 6 ? 1 : 7);
		assert_int_equal(hw.leaf & EPT_MT, i == 7 ? 0 : MT_WB << 3);
	}
	assert_int_equal(mmu_pool_available(&m.pool02), left);
	machine_end(&m);
}

/* An INVEPT of what nobody used since the last one asks for no flush. */
static void second_invept_is_nothing(void **state)
{
	struct ept02_fault out;
	struct ept02 *root, *other;
	struct machine m;
	u64 ept, stamp, stamp2;

	(void)state;
	small_pages(&m, &ept);
	ept02_root(&m.set, ept | EPTP_AD, &other);
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
	assert_int_equal(fault(&m, ept | EPTP_AD, 0, 1 | FINAL, &out), EPT02_FILLED);
	ept02_root(&m.set, ept, &root);
	stamp = root->stamp;
	stamp2 = other->stamp;
	ept02_invalidate(&m.set, ept + PAGE_SIZE);	/* another EPT of L1's */
	assert_int_equal(root->stamp, stamp);
	ept02_invalidate(&m.set, ept);			/* both roles of the address */
	assert_true(root->stamp != stamp && other->stamp != stamp2);
	stamp = root->stamp;
	ept02_invalidate(&m.set, ept);
	ept02_invalidate_all(&m.set);
	assert_int_equal(root->stamp, stamp);
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
	ept02_invalidate(&m.set, ept);
	assert_true(root->stamp != stamp);
	machine_end(&m);
}

/* Large pages come back together, however many there were. */
static void large_pages_stay(void **state)
{
	u64 pd = TABLES + 2 * PAGE_SIZE, ept, i;
	struct ept02_fault out;
	struct machine m;

	(void)state;
	machine_init(&m, 3, HOME_PAGES01, 400);
	l1_plain_memory(&m);
	ept = simple_ept(&m, TABLES, 0);
	for (i = 0; i < 512; i++)
		set_entry(&m, pd + i * 8, (DATA + (i ^ 1) * SZ_2M) | MT_WB << 3 | 0x87);
	for (i = 0; i < 512; i++)
		assert_int_equal(fault(&m, ept, i * SZ_2M, 1 | FINAL, &out), EPT02_FILLED);
	set_entry(&m, pd + 300 * 8, DATA | MT_WB << 3 | 0x81);
	ept02_invalidate(&m.set, ept);
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
	for (i = 0; i < 512; i++) {
		assert_int_equal(walk(&m, ept, i * SZ_2M).present, i != 300);
		if (i != 300)
			assert_int_equal(walk(&m, ept, i * SZ_2M).hpa, DATA + (i ^ 1) * SZ_2M);
	}
	assert_int_equal(fault(&m, ept, 300 * SZ_2M, 1 | FINAL, &out), EPT02_FILLED);
	assert_int_equal(walk(&m, ept, 300 * SZ_2M).rights, 1);
	machine_end(&m);
}

/* A right that a table above lost is lost below, though no entry there changed. */
static void rights_above_count(void **state)
{
	struct ept02_fault out;
	struct machine m;
	u64 ept, i;

	(void)state;
	small_pages(&m, &ept);
	assert_int_equal(fault(&m, ept, 0, 2 | FINAL, &out), EPT02_FILLED);
	for (i = 0; i < 3; i++) {
		u64 at = TABLES + i * PAGE_SIZE, was = entry_at(&m, at);

		set_entry(&m, at, was & ~EPT_W);
		ept02_invalidate(&m.set, ept);
		assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
		assert_int_equal(walk(&m, ept, 77 * PAGE_SIZE).rights, 5);
		set_entry(&m, at, was);
		ept02_invalidate(&m.set, ept);
		assert_int_equal(fault(&m, ept, 0, 2 | FINAL, &out), EPT02_FILLED);
		assert_int_equal(walk(&m, ept, 77 * PAGE_SIZE).rights, 7);
	}
	machine_end(&m);
}

/* L1 gives a right above, as it may without INVEPT, L2 uses it, L1 takes it back. */
static void rights_above_between_two_invepts(void **state)
{
	struct ept02_fault out;
	struct machine m;
	u64 ept, i;

	(void)state;
	small_pages(&m, &ept);
	set_entry(&m, PT + 5 * 8, 0);
	for (i = 0; i < 3; i++) {
		u64 at = TABLES + i * PAGE_SIZE, was = entry_at(&m, at);

		set_entry(&m, at, was & ~EPT_W);
		ept02_invalidate(&m.set, ept);
		assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
		set_entry(&m, at, was);
		set_entry(&m, PT + 5 * 8, DATA | MT_WB << 3 | 7);
		assert_int_equal(fault(&m, ept, 5 * PAGE_SIZE, 2 | FINAL, &out), EPT02_FILLED);
		assert_int_equal(walk(&m, ept, 5 * PAGE_SIZE).rights, 7);
		set_entry(&m, at, was & ~EPT_W);
		ept02_invalidate(&m.set, ept);
		assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
		assert_int_equal(walk(&m, ept, 5 * PAGE_SIZE).rights, 5);
		set_entry(&m, at, was);
		set_entry(&m, PT + 5 * 8, 0);
	}
	machine_end(&m);
}

/* A fault elsewhere closes the table of the fault before: the next one there opens it again. */
static void the_last_table_was_hidden(void **state)
{
	u64 pml4 = TABLES, pd = TABLES + 2 * PAGE_SIZE, ept, was;
	struct ept02_fault out;
	struct machine m;

	(void)state;
	small_pages(&m, &ept);
	set_entry(&m, pd + 8, (DATA + SZ_2M) | MT_WB << 3 | 0x87);
	set_entry(&m, PT + 5 * 8, 0);
	was = entry_at(&m, pml4);
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
	set_entry(&m, pml4, was & ~EPT_W);
	assert_int_equal(fault(&m, ept, SZ_2M, 1 | FINAL, &out), EPT02_FILLED);
	set_entry(&m, pml4, was);
	set_entry(&m, PT + 5 * 8, DATA | MT_WB << 3 | 7);
	assert_int_equal(fault(&m, ept, 5 * PAGE_SIZE, 1 | FINAL, &out), EPT02_FILLED);
	assert_int_equal(walk(&m, ept, 5 * PAGE_SIZE).hpa, DATA);
	machine_end(&m);
}

/* What L0 takes away is gone for good, hidden or not. */
static void memory_taken_from_hidden_tables(void **state)
{
	struct ept02_fault out;
	struct machine m;
	u64 ept;

	(void)state;
	small_pages(&m, &ept);
	assert_int_equal(fault(&m, ept, 0, 2 | FINAL, &out), EPT02_FILLED);
	ept02_invalidate(&m.set, ept);
	assert_true(ept01_protect(&m.ept01, GPA1(DATA + 9 * PAGE_SIZE), EPT_R));
	ept02_unmap_gpa1(&m.set, GPA1(DATA + 9 * PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(fault(&m, ept, 0, 2 | FINAL, &out), EPT02_FILLED);
	assert_int_equal(walk(&m, ept, 9 * PAGE_SIZE).rights, 1);
	assert_int_equal(walk(&m, ept, 10 * PAGE_SIZE).rights, 7);
	machine_end(&m);
}

/* Tables and large pages in turns: each time a page loses its place; memory stays bounded. */
static void places_lost(void **state)
{
	u64 pd = TABLES + 2 * PAGE_SIZE, ept;
	struct ept02_fault out;
	struct machine m;
	u32 least = 400;

	(void)state;
	small_pages(&m, &ept);
	for (int i = 0; i < 1000; i++) {
		set_entry(&m, pd, i % 2 ? DATA | MT_WB << 3 | 0x87 : PT | 7);
		ept02_invalidate(&m.set, ept);
		assert_int_equal(fault(&m, ept, PAGE_SIZE, 1 | FINAL, &out), EPT02_FILLED);
		assert_int_equal(walk(&m, ept, PAGE_SIZE).shift, i % 2 ? 21 : 12);
		assert_int_equal(walk(&m, ept, PAGE_SIZE).hpa, DATA + PAGE_SIZE);
		least = MIN(least, mmu_pool_available(&m.pool02));
	}
	assert_true(least > 300);
	machine_end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_at_every_level),
		cmocka_unit_test(one_fault_after_invept),
		cmocka_unit_test(second_invept_is_nothing),
		cmocka_unit_test(large_pages_stay),
		cmocka_unit_test(rights_above_count),
		cmocka_unit_test(rights_above_between_two_invepts),
		cmocka_unit_test(the_last_table_was_hidden),
		cmocka_unit_test(memory_taken_from_hidden_tables),
		cmocka_unit_test(places_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
