/*
 * Shadow paging (mmu/vtlb.h), by hand: what a flush keeps and what it drops, flags, large pages,
 * CR0.WP, and what gives up its place. Random tables: test_mmu_vtlb_random.c.
 */
#include "vtlb_machine.h"

#define L1_PAGES 1024u		/* GPA1 from 0; some are holes, some read-only */

/* A simple guest of four levels: page 1 to 4 are its tables, gva 0 and up its pages from 100. */
static void start_simple(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	machine_init(&s->m, 1, HOME_PAGES01, HOME_PAGES02);
	ept01_map(&s->m.ept01, GPA1(0), L1_PAGES * PAGE_SIZE, HPA(GPA1_SHIFT), EPT_RWX, MT_WB);
	assert_true(vtlb_init(&s->v, &s->m.vm, &s->m.ept01,
			      HPA(HOME + HOME_PAGES01 * PAGE_SIZE), HOME_PAGES02));
	s->p = (struct mmu_paging){
		.cr0 = CR0_PE | CR0_PG | CR0_WP, .cr3 = PAGE_SIZE, .cr4 = CR4_PAE,
		.efer = EFER_LME | EFER_LMA | EFER_NXE, .maxphyaddr = 40,
	};
	for (u64 level = 4; level > 1; level--) {
		u64 entry = (6 - level) * PAGE_SIZE | PTE_P | PTE_W | PTE_U;

		op_gpa1_write(&s->m.vm, GPA1((5 - level) * PAGE_SIZE), &entry, 8);
	}
	for (u64 i = 0; i < 64; i++) {
		u64 entry = (100 + i) * PAGE_SIZE | PTE_P | PTE_W | PTE_U;

		op_gpa1_write(&s->m.vm, GPA1(4 * PAGE_SIZE + 8 * i), &entry, 8);
	}
	scene_flush(s);
}

/* What was used last stays when memory is used up. */
static void the_oldest_goes(void **state)
{
	struct scene s;
	u64 hpa;

	(void)state;
	start_simple(&s);
	assert_true(vtlb_init(&s.v, &s.m.vm, &s.m.ept01, HPA(HOME + HOME_PAGES01 * PAGE_SIZE),
			      VTLB_MIN_PAGES));
	for (u32 i = 0; i < 100; i++) {
		s.p.cr3 = (200 + i) * PAGE_SIZE;	/* nothing is there */
		scene_flush(&s);
		s.p.cr3 = PAGE_SIZE;
		scene_flush(&s);
		assert_int_equal(hw_access(&s, 0, PF_W, &hpa), i > 0);
		assert_int_equal(vtlb_access(&s, 0, PF_W), ACCESS_DONE);
		check_links(&s);
	}
	assert_int_equal(s.v.fills, 1);
	assert_true(s.v.recycled > 50);
	assert_int_equal(s.v.drops, 0);
	machine_end(&s.m);
}

static u64 pte(struct scene *s, u64 i)
{
	u64 entry;

	op_gpa1_read(&s->m.vm, GPA1(4 * PAGE_SIZE + 8 * i), &entry, 8);
	return entry;
}

static void set_pte(struct scene *s, u64 i, u64 entry)
{
	op_gpa1_write(&s->m.vm, GPA1(4 * PAGE_SIZE + 8 * i), &entry, 8);
}

static bool touch(struct scene *s, u64 gva, u32 error)
{
	struct mmu_fault fault;
	gpa1_t gpa;
	u64 hpa;

	if (hw_access(s, gva, error, &hpa))
		return true;
	return vtlb_fault(&s->v, &s->p, GVA(gva), error, &s->root, &gpa, &fault) == VTLB_FILLED &&
	       hw_access(s, gva, error, &hpa);
}

static void flags_at_the_right_time(void **state)
{
	struct scene s;

	(void)state;
	start_simple(&s);
	assert_int_equal(pte(&s, 0) & (PTE_A | PTE_D), 0);
	assert_true(touch(&s, 0, 0));
	assert_int_equal(pte(&s, 0) & (PTE_A | PTE_D), PTE_A);
	assert_true(touch(&s, 0, PF_W));
	assert_int_equal(pte(&s, 0) & (PTE_A | PTE_D), PTE_A | PTE_D);
	/* The guest takes the flags away: after a flush they come again. */
	set_pte(&s, 0, pte(&s, 0) & ~(PTE_A | PTE_D));
	scene_flush(&s);
	assert_true(touch(&s, 0, PF_W));
	assert_int_equal(pte(&s, 0) & (PTE_A | PTE_D), PTE_A | PTE_D);
	machine_end(&s.m);
}

/* A flush keeps what is still right, and only that. */
static void flushes_revalidate(void **state)
{
	struct scene s;
	u64 fills, hpa;

	(void)state;
	start_simple(&s);
	for (u64 i = 0; i < 64; i++)
		assert_true(touch(&s, i * PAGE_SIZE, PF_W));
	fills = s.v.fills;
	assert_int_equal(fills, 64);
	set_pte(&s, 7, 0);
	set_pte(&s, 8, pte(&s, 9));
	assert_true(hw_access(&s, 7 * PAGE_SIZE, 0, &hpa));	/* a TLB would still have it */
	scene_flush(&s);
	assert_false(hw_access(&s, 7 * PAGE_SIZE, 0, &hpa));
	assert_false(hw_access(&s, 8 * PAGE_SIZE, 0, &hpa));
	for (u64 i = 0; i < 64; i++)
		assert_int_equal(hw_access(&s, i * PAGE_SIZE, PF_W, &hpa), i != 7 && i != 8);
	/* Another address space and back. */
	s.p.cr3 = 20 * PAGE_SIZE;
	scene_flush(&s);
	assert_false(hw_access(&s, 0, 0, &hpa));
	s.p.cr3 = PAGE_SIZE;
	scene_flush(&s);
	assert_true(hw_access(&s, 0, PF_W, &hpa));
	assert_int_equal(s.v.fills, fills);
	machine_end(&s.m);
}

/* So long unused that hardware no longer finds it. */
static void put_to_rest(struct scene *s, u64 gva)
{
	u64 hpa;

	for (u32 i = 0; i < 300; i++) {
		assert_true(hw_access(s, 0, 0, &hpa));
		scene_flush(s);
	}
	assert_false(hw_access(s, gva, 0, &hpa));
}

/* What is not used rests, and comes back without a walk if it is still right. */
static void unused_entries_rest(void **state)
{
	struct scene s;
	u64 hpa;

	(void)state;
	start_simple(&s);
	assert_true(touch(&s, 0, 0) && touch(&s, PAGE_SIZE, 0));
	put_to_rest(&s, PAGE_SIZE);
	assert_true(touch(&s, PAGE_SIZE, 0));
	assert_int_equal(s.v.fills, 2);
	assert_int_equal(s.v.wakes, 1);
	/* It may be read and no more, and is not woken for a write. */
	put_to_rest(&s, PAGE_SIZE);
	assert_true(touch(&s, PAGE_SIZE, PF_W));
	assert_int_equal(s.v.fills, 3);
	put_to_rest(&s, PAGE_SIZE);
	set_pte(&s, 1, pte(&s, 2) | PTE_A);
	assert_true(touch(&s, PAGE_SIZE, 0) && hw_access(&s, PAGE_SIZE, 0, &hpa));
	assert_int_equal(hpa, GPA1_SHIFT + 102 * PAGE_SIZE);
	assert_int_equal(s.v.wakes, 1);
	check_links(&s);
	machine_end(&s.m);
}

static void set_entry(struct scene *s, u64 page, u64 i, u64 entry)
{
	op_gpa1_write(&s->m.vm, GPA1(page * PAGE_SIZE + 8 * i), &entry, 8);
}

/* More entries than a list holds, and then few again. */
static void long_lists(void **state)
{
	const u64 rights = PTE_P | PTE_W | PTE_U;
	struct scene s;
	u64 hpa;

	(void)state;
	start_simple(&s);
	for (u64 t = 0; t < 4; t++) {
		set_entry(&s, 3, t, (4 + t) * PAGE_SIZE | rights);
		for (u64 i = 0; i < 512; i++)
			set_entry(&s, 4 + t, i, (100 + i) * PAGE_SIZE | rights);
	}
	scene_flush(&s);
	for (u64 i = 0; i < 4 * 512; i++) {
		assert_true(touch(&s, i * PAGE_SIZE, 0));
		if (i % 300 == 0)
			check_links(&s);
	}
	set_entry(&s, 7, 500, 0);
	scene_flush(&s);
	check_links(&s);
	assert_false(hw_access(&s, (3 * 512 + 500) * PAGE_SIZE, 0, &hpa));
	assert_true(hw_access(&s, (3 * 512 + 501) * PAGE_SIZE, 0, &hpa));
	put_to_rest(&s, PAGE_SIZE);
	assert_true(touch(&s, PAGE_SIZE, 0));
	set_entry(&s, 4, 1, 0);
	scene_flush(&s);
	check_links(&s);
	assert_false(hw_access(&s, PAGE_SIZE, 0, &hpa));
	assert_true(hw_access(&s, 0, 0, &hpa));
	machine_end(&s.m);
}

/* A table that two others lead to is looked at for both. */
static void shared_tables(void **state)
{
	const u64 rights = PTE_P | PTE_W | PTE_U;
	struct scene s;
	u64 hpa;

	(void)state;
	start_simple(&s);
	set_entry(&s, 1, 1, 9 * PAGE_SIZE | rights);	/* another table of level 3 */
	set_entry(&s, 9, 0, 3 * PAGE_SIZE | rights);	/* leads to the same below */
	scene_flush(&s);
	for (u32 i = 0; i < 40; i++) {
		assert_true(touch(&s, 0, 0) && touch(&s, BIT(39), 0));
		assert_true(touch(&s, BIT(39) + PAGE_SIZE, 0) && touch(&s, PAGE_SIZE, 0));
		check_links(&s);
		set_pte(&s, 1, 0);
		scene_flush(&s);
		check_links(&s);
		assert_false(hw_access(&s, PAGE_SIZE, 0, &hpa));
		assert_false(hw_access(&s, BIT(39) + PAGE_SIZE, 0, &hpa));
		set_pte(&s, 1, pte(&s, 2));
	}
	machine_end(&s.m);
}

/* CR0.WP off: the supervisor writes to a read-only user page, and the user still cannot. */
static void write_protection_off(void **state)
{
	struct scene s;
	u64 hpa;

	(void)state;
	start_simple(&s);
	set_pte(&s, 3, pte(&s, 3) & ~PTE_W);
	s.p.cr0 &= ~CR0_WP;
	scene_flush(&s);
	assert_true(touch(&s, 3 * PAGE_SIZE, PF_U));
	assert_false(touch(&s, 3 * PAGE_SIZE, PF_U | PF_W));
	assert_true(touch(&s, 3 * PAGE_SIZE, PF_W));
	assert_false(hw_access(&s, 3 * PAGE_SIZE, PF_U, &hpa));
	assert_true(touch(&s, 3 * PAGE_SIZE, PF_U));
	assert_false(touch(&s, 3 * PAGE_SIZE, PF_U | PF_W));
	assert_true(pte(&s, 3) & PTE_D);
	assert_true(touch(&s, 3 * PAGE_SIZE, PF_W));
	s.p.cr0 |= CR0_WP;
	scene_flush(&s);
	assert_false(touch(&s, 3 * PAGE_SIZE, PF_W));
	/* With SMEP the supervisor must not execute there, user page or not in the shadow. */
	s.p.cr0 &= ~CR0_WP;
	s.p.cr4 |= CR4_SMEP;
	scene_flush(&s);
	assert_true(touch(&s, 3 * PAGE_SIZE, PF_W));
	assert_false(touch(&s, 3 * PAGE_SIZE, PF_I));
	machine_end(&s.m);
}

/* The same tables mean something else in another mode. */
static void modes_are_apart(void **state)
{
	struct scene s;
	u64 hpa;

	(void)state;
	start_simple(&s);
	set_pte(&s, 0, pte(&s, 0) | PTE_NX);
	assert_true(touch(&s, 0, 0));
	assert_false(touch(&s, 0, PF_I));
	s.p.efer &= ~EFER_NXE;		/* the bit is reserved now */
	scene_flush(&s);
	assert_false(touch(&s, 0, 0));
	s.p.efer |= EFER_NXE;
	scene_flush(&s);
	assert_true(hw_access(&s, 0, 0, &hpa));
	machine_end(&s.m);
}

static u64 shadow_leaf(struct scene *s, u64 gva, u32 *level)
{
	u64 table = s->root.v;

	for (*level = 4;; (*level)--) {
		u64 entry = op_table(&s->m.vm, HPA(table))[gva >> (12 + 9 * (*level - 1)) & 511];

		assert_true(entry & PTE_P);
		table = entry & EPT_ADDR;
		if (*level == 1 || (entry & PTE_PS))
			return entry;
	}
}

/* Large pages stay large, PWT, PCD and PAT go where their level has them. */
static void sizes_and_cache_bits(void **state)
{
	u64 large = PTE_P | PTE_W | PTE_PS | BIT(4) | BIT(12);
	struct scene s;
	u32 level;

	(void)state;
	start_simple(&s);
	set_pte(&s, 0, pte(&s, 0) | BIT(3) | PTE_PS);
	assert_true(touch(&s, 0, 0));
	assert_int_equal(shadow_leaf(&s, 0, &level) & (BIT(3) | BIT(4) | BIT(7)), BIT(3) | BIT(7));
	assert_int_equal(level, 1);
	op_gpa1_write(&s.m.vm, GPA1(3 * PAGE_SIZE + 8), &large, 8);
	assert_true(touch(&s, SZ_2M, PF_W));
	assert_int_equal(shadow_leaf(&s, SZ_2M, &level), large | PTE_A | PTE_D | GPA1_SHIFT);
	assert_int_equal(level, 2);
	/* ept01 has small pages there: so has the shadow, with the guest's bits in each. */
	ept01_map(&s.m.ept01, GPA1(9 * PAGE_SIZE), PAGE_SIZE, HPA(0), EPT_RWX, MT_WB);
	vtlb_drop(&s.v);
	scene_flush(&s);
	assert_true(touch(&s, SZ_2M + 9 * PAGE_SIZE, 0));
	assert_int_equal(shadow_leaf(&s, SZ_2M + 9 * PAGE_SIZE, &level),
			 PTE_P | PTE_W | PTE_A | PTE_D | BIT(4) | BIT(7));
	assert_int_equal(level, 1);
	/* A page of other cache bits over the same memory has tables of its own. */
	large = (large & ~BIT(4)) | PTE_D;
	op_gpa1_write(&s.m.vm, GPA1(3 * PAGE_SIZE + 16), &large, 8);
	assert_true(touch(&s, 2 * SZ_2M + 9 * PAGE_SIZE, 0));
	assert_int_equal(shadow_leaf(&s, SZ_2M + 9 * PAGE_SIZE, &level) & BIT(4), BIT(4));
	assert_int_equal(shadow_leaf(&s, 2 * SZ_2M + 9 * PAGE_SIZE, &level) & BIT(4), 0);
	machine_end(&s.m);
}

/*
 * One table at two places. What the guest changes in it needs no flush where the table was not
 * before, whatever a TLB may have of the other place.
 */
static void a_new_place_is_looked_at_anew(void **state)
{
	struct scene s;
	u64 entry;

	(void)state;
	start_simple(&s);
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(vtlb_access(&s, i * PAGE_SIZE, PF_W), ACCESS_DONE);
	set_pte(&s, 2, (pte(&s, 2) & 0xfff) | 120 * PAGE_SIZE);
	set_pte(&s, 3, (pte(&s, 3) & 0xfff) | 121 * PAGE_SIZE);
	op_gpa1_read(&s.m.vm, GPA1(3 * PAGE_SIZE), &entry, 8);
	op_gpa1_write(&s.m.vm, GPA1(3 * PAGE_SIZE + 8), &entry, 8);
	assert_int_equal(vtlb_access(&s, SZ_2M + 2 * PAGE_SIZE, 0), ACCESS_DONE);
	assert_int_equal(vtlb_access(&s, SZ_2M + 3 * PAGE_SIZE, 0), ACCESS_DONE);
	machine_end(&s.m);
}

/* A large page in small ones here: a write that CR0.WP let pass allows none when D is off again. */
static void dirty_once_is_not_for_ever(void **state)
{
	u64 large = PTE_P | PTE_PS;
	struct scene s;

	(void)state;
	start_simple(&s);
	ept01_map(&s.m.ept01, GPA1(9 * PAGE_SIZE), PAGE_SIZE, HPA(0), EPT_RWX, MT_WB);
	s.p.cr0 &= ~CR0_WP;
	scene_flush(&s);
	for (u32 i = 0; i < 2; i++) {
		op_gpa1_write(&s.m.vm, GPA1(3 * PAGE_SIZE + 8), &large, 8);
		scene_flush(&s);
		assert_int_equal(vtlb_access(&s, SZ_2M, 0), ACCESS_DONE);
		assert_int_equal(vtlb_access(&s, SZ_2M, PF_W), ACCESS_DONE);
	}
	machine_end(&s.m);
}

/* L0's home is in no ept01, so no guest's table reaches it. What ept01 loses, the shadow loses. */
static void ept01_is_the_limit(void **state)
{
	struct scene s;
	u64 hpa;

	(void)state;
	start_simple(&s);
	set_pte(&s, 0, (HOME - GPA1_SHIFT) | PTE_P | PTE_W | PTE_U);
	scene_flush(&s);
	assert_false(touch(&s, 0, PF_W));
	assert_int_equal(s.m.vm.faulted.v, HOME - GPA1_SHIFT);
	assert_true(touch(&s, PAGE_SIZE, PF_W));
	ept01_protect(&s.m.ept01, GPA1(101 * PAGE_SIZE), EPT_R | EPT_X);
	vtlb_drop(&s.v);
	scene_flush(&s);
	assert_true(touch(&s, PAGE_SIZE, 0));
	assert_false(hw_access(&s, PAGE_SIZE, PF_W, &hpa));
	machine_end(&s.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_goes),
		cmocka_unit_test(flags_at_the_right_time),
		cmocka_unit_test(flushes_revalidate),
		cmocka_unit_test(unused_entries_rest),
		cmocka_unit_test(long_lists),
		cmocka_unit_test(shared_tables),
		cmocka_unit_test(write_protection_off),
		cmocka_unit_test(modes_are_apart),
		cmocka_unit_test(sizes_and_cache_bits),
		cmocka_unit_test(a_new_place_is_looked_at_anew),
		cmocka_unit_test(dirty_once_is_not_for_ever),
		cmocka_unit_test(ept01_is_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
