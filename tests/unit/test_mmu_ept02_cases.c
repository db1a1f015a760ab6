/*
 * ept02 case by case: tables in strange places, what one fault brings, roots,
 * accessed and dirty flags.
 */
#include "ept12_simple.h"

static void tables_in_strange_places(void **state)
{
	u64 leaf = DATA | MT_WB << 3 | 7, ept;
	struct ept02_fault out;
	struct machine m;

	(void)state;
	machine_init(&m, 3, HOME_PAGES01, 400);
	l1_plain_memory(&m);
	ept = simple_ept(&m, TABLES, 0);
	/* L0's home, as a table and as a page. */
	set_entry(&m, TABLES + 2 * PAGE_SIZE, HOME | 7);
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_REFLECT_MISCONFIG);
	set_entry(&m, TABLES + 2 * PAGE_SIZE, (TABLES + 3 * PAGE_SIZE) | 7);
	set_entry(&m, TABLES + 3 * PAGE_SIZE, HOME | MT_WB << 3 | 7);
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_L0);
	assert_int_equal(out.gpa1.v, HOME);
	assert_int_equal(fault(&m, ept, 0, 0, &out), EPT02_L0);
	/* An EPTP that points at nothing, or beyond everything. */
	assert_int_equal(fault(&m, HOME | 0x1e, 0, 1 | FINAL, &out), EPT02_REFLECT_MISCONFIG);
	assert_int_equal(fault(&m, 0xffffffffff01e, 0, 1 | FINAL, &out), EPT02_REFLECT_MISCONFIG);
	/* Beyond the physical width. */
	set_entry(&m, TABLES + 3 * PAGE_SIZE, leaf | 1ull << 40);
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_REFLECT_MISCONFIG);
	/* Beyond the guest-physical width. */
	assert_int_equal(fault(&m, ept, 1ull << 48, 1 | FINAL, &out), EPT02_REFLECT_VIOLATION);
	/* A table that is its own table at each level: an ordinary page at last, of type UC. */
	set_entry(&m, TABLES, TABLES | 7);
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
	assert_int_equal(walk(&m, ept, 0).hpa, TABLES);
	machine_end(&m);
}

static void one_fault_brings_a_table(void **state)
{
	u64 pt = TABLES + 3 * PAGE_SIZE, i, ept;
	struct ept02_fault out;
	struct machine m;

	(void)state;
	machine_init(&m, 3, HOME_PAGES01, 400);
	l1_plain_memory(&m);
	ept = simple_ept(&m, TABLES, 0);
	for (i = 0; i < 512; i++)
		set_entry(&m, pt + i * 8, (DATA + (511 - i) * PAGE_SIZE) | MT_WT << 3 | 7);
	set_entry(&m, pt + 9 * 8, 0);
	set_entry(&m, pt + 10 * 8, DATA | 2);
	set_entry(&m, pt + 11 * 8, DATA | MT_WB << 3 | 5);
	m.vm.memory.reads = 0;
	assert_int_equal(fault(&m, ept, 300 * PAGE_SIZE, 1 | FINAL, &out), EPT02_FILLED);
	assert_true(m.vm.memory.reads <= 4 + 2 * 8);
	for (i = 0; i < 512; i++) {
		struct hw_walk hw = walk(&m, ept, i * PAGE_SIZE);

		assert_int_equal(hw.present, i != 9 && i != 10);
		if (i > 11)
			assert_int_equal(hw.hpa, DATA + (511 - i) * PAGE_SIZE);
		if (i == 11)
			assert_int_equal(hw.rights, 5);
	}
	machine_end(&m);
}

static void neighbours_are_judged(void **state)
{
	u64 pd = TABLES + 2 * PAGE_SIZE, leaf = DATA | MT_WB << 3 | 0x87, ept, i;
	struct ept02_fault out;
	struct machine m;

	(void)state;
	machine_init(&m, 3, HOME_PAGES01, 400);
	l1_plain_memory(&m);
	ept = simple_ept(&m, TABLES, 0);
	for (i = 0; i < 16; i++)
		set_entry(&m, pd + i * 8, leaf + i * SZ_2M);
	set_entry(&m, pd + 3 * 8, leaf | 1 << 20);	/* reserved in a large page */
	set_entry(&m, pd + 5 * 8, leaf | 1ull << 45);	/* beyond the physical width */
	set_entry(&m, pd + 7 * 8, leaf | 1ull << 39);	/* nothing there */
	set_entry(&m, pd + 9 * 8, leaf | BIT(57));	/* ignored */
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
	for (i = 0; i < 16; i++)
		assert_int_equal(walk(&m, ept, i * SZ_2M).present, i != 3 && i != 5 && i != 7);
	machine_end(&m);
}

/* L1 makes one large page of a table and, as it may when all stays allowed, flushes nothing. */
static void a_large_page_takes_the_place_of_a_table(void **state)
{
	u64 pd = TABLES + 2 * PAGE_SIZE, ept, stamp;
	struct ept02_fault out;
	struct ept02 *root;
	struct machine m;

	(void)state;
	machine_init(&m, 3, HOME_PAGES01, 400);
	l1_plain_memory(&m);
	ept = simple_ept(&m, TABLES, 0);
	set_entry(&m, pd + PAGE_SIZE, DATA | MT_WB << 3 | 7);
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
	ept02_root(&m.set, ept, &root);
	stamp = root->stamp;
	set_entry(&m, pd, DATA | MT_WB << 3 | 0x87);
	assert_int_equal(fault(&m, ept, PAGE_SIZE, 1 | FINAL, &out), EPT02_FILLED);
	assert_int_equal(walk(&m, ept, 0).shift, 21);
	assert_true(root->stamp != stamp);
	/* And back: the large page goes, what lies elsewhere in it faults again. */
	set_entry(&m, pd, (pd + PAGE_SIZE) | 7);
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
	assert_int_equal(walk(&m, ept, 0).shift, 12);
	assert_false(walk(&m, ept, PAGE_SIZE).present);
	machine_end(&m);
}

static void least_recently_used_goes_first(void **state)
{
	u64 role = TABLES | 0x1e, i, stamps[EPT02_ROOTS + 2];
	struct ept02 *root[EPT02_ROOTS + 2], *r;
	struct machine m;

	(void)state;
	machine_init(&m, 3, HOME_PAGES01, 400);
	for (i = 0; i < EPT02_ROOTS; i++) {
		ept02_root(&m.set, role + i * PAGE_SIZE, &root[i]);
		stamps[i] = root[i]->stamp;
	}
	ept02_root(&m.set, role, &r);
	assert_ptr_equal(r, root[0]);
	assert_int_equal(r->stamp, stamps[0]);
	/* One more takes the place of the second. */
	ept02_root(&m.set, role + i * PAGE_SIZE, &root[i]);
	assert_ptr_equal(root[i], root[1]);
	assert_int_equal(root[1]->role, role + i * PAGE_SIZE);
	for (i = 0; i < EPT02_ROOTS; i++)
		assert_true(i == 1 || root[i]->role == role + i * PAGE_SIZE);
	for (i = 0; i < EPT02_ROOTS; i++)
		assert_true(root[1]->stamp != stamps[i]);
	/* The same address with another role is another root. */
	ept02_root(&m.set, role | EPTP_AD, &r);
	assert_int_equal(r->role, role | EPTP_AD);
	assert_int_equal(r->eptp & 0xfff, 0x5e);
	machine_end(&m);
}

static void accessed_and_dirty(void **state)
{
	u64 pt = TABLES + 3 * PAGE_SIZE, leaf = DATA | MT_WB << 3 | 7, ept;
	struct ept02_fault out;
	struct machine m;
	int i;

	(void)state;
	machine_init(&m, 3, HOME_PAGES01, 400);
	l1_plain_memory(&m);
	ept = simple_ept(&m, TABLES, EPTP_AD);
	for (i = 0; i < 4; i++)
		set_entry(&m, pt + (u64)i * 8, leaf + (u64)i * PAGE_SIZE);
	/* A read sets accessed everywhere, and the page stays read-only until a write. */
	assert_int_equal(fault(&m, ept, 0, 1 | FINAL, &out), EPT02_FILLED);
	assert_false(out.dirtied);
	for (i = 0; i < 4; i++)
		assert_int_equal(entry_at(&m, TABLES + (u64)i * PAGE_SIZE) & 0x300, 0x100);
	assert_int_equal(walk(&m, ept, 0).rights, 5);
	assert_false(walk(&m, ept, PAGE_SIZE).present);		/* not accessed: not there */
	assert_int_equal(entry_at(&m, pt + 8) & 0x300, 0);
	assert_int_equal(fault(&m, ept, 0, 2 | FINAL, &out), EPT02_FILLED);
	assert_true(out.dirtied);
	assert_int_equal(entry_at(&m, pt) & 0x300, 0x300);
	assert_int_equal(entry_at(&m, pt - PAGE_SIZE) & 0x300, 0x100);
	assert_int_equal(walk(&m, ept, 0).rights, 7);
	/* The guest's page walk counts as a write... */
	assert_int_equal(fault(&m, ept, PAGE_SIZE, 1 | EPTQ_GLA_VALID, &out), EPT02_FILLED);
	assert_true(out.dirtied);
	/* ... also where it may not write. A refused access sets nothing. */
	set_entry(&m, pt + 16, (leaf + 2 * PAGE_SIZE) & ~2ull);
	assert_int_equal(fault(&m, ept, 2 * PAGE_SIZE, 1 | EPTQ_GLA_VALID, &out),
			 EPT02_REFLECT_VIOLATION);
	assert_int_equal(out.qualification, 1 | 5 << 3 | EPTQ_GLA_VALID);
	assert_int_equal(entry_at(&m, pt + 16) & 0x300, 0);
	/* Without accessed and dirty flags none of this. */
	assert_int_equal(fault(&m, ept & ~EPTP_AD, 2 * PAGE_SIZE, 1 | EPTQ_GLA_VALID, &out),
			 EPT02_FILLED);
	assert_int_equal(entry_at(&m, pt + 16) & 0x300, 0);
	machine_end(&m);
}

/* The second time the leaf is touched, to set its flags, it is another one. */
static void swap_leaf(struct vm *vm, gpa1_t a, size_t len)
{
	u64 *left = vm->memory.hook_data, leaf = (DATA + PAGE_SIZE) | MT_WB << 3 | 7;

	if (a.v == TABLES + 3 * PAGE_SIZE && len == 8 && !--*left)
		memcpy(vm->memory.ram + a.v, &leaf, 8);
}

static void flags_go_to_the_entry_that_was_judged(void **state)
{
	u64 pt = TABLES + 3 * PAGE_SIZE, left = 2, ept;
	struct ept02_fault out;
	struct machine m;

	(void)state;
	machine_init(&m, 3, HOME_PAGES01, 400);
	l1_plain_memory(&m);
	ept = simple_ept(&m, TABLES, EPTP_AD);
	set_entry(&m, pt, DATA | MT_WB << 3 | 7);
	m.vm.memory.hook_data = &left;
	m.vm.memory.before_read = swap_leaf;
	assert_int_equal(fault(&m, ept, 0, 2 | FINAL, &out), EPT02_FILLED);
	assert_int_equal(walk(&m, ept, 0).hpa, DATA + PAGE_SIZE);
	assert_int_equal(entry_at(&m, pt) & 0x300, 0x300);
	machine_end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_in_strange_places),
		cmocka_unit_test(one_fault_brings_a_table),
		cmocka_unit_test(neighbours_are_judged),
		cmocka_unit_test(a_large_page_takes_the_place_of_a_table),
		cmocka_unit_test(least_recently_used_goes_first),
		cmocka_unit_test(accessed_and_dirty),
		cmocka_unit_test(flags_go_to_the_entry_that_was_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
