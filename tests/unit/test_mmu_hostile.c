/*
 * ept02 under an L1 that means harm, and ept02 short of memory: whatever the
 * tables say and however they change, nothing is mapped that ept01 does not
 * have, and every fault ends.
 */
#include "ept12_builder.h"

#define OFFSET (64 * SZ_1G)	/* HPA - GPA1 of L1's data, so that it can be told backwards */
#define FINAL 0x180ull

static void offset_memory(struct machine *m)
{
	u64 at;

	assert_true(ept01_map(&m->ept01, GPA1(0), TABLES_END, HPA(0), EPT_RWX, MT_WB));
	assert_true(ept01_map(&m->ept01, GPA1(DATA), DATA_SIZE, HPA(DATA + OFFSET), EPT_RWX, MT_WB));
	for (at = 0; at < 200; at++) {
		u64 page = ALIGN_DOWN(DATA + pick(m, DATA_SIZE), PAGE_SIZE);

		assert_true(ept01_protect(&m->ept01, GPA1(page), at % 2 ? EPT_R : 0));
	}
	/* The upper half of L1's tables is fixed memory to it. */
	assert_true(ept01_map(&m->ept01, GPA1(TABLES_END - SZ_2M), SZ_2M, HPA(TABLES_END - SZ_2M),
			      EPT_R, MT_WB));
}

static void check_leaf(struct machine *m, u64 leaf, u64 rights, int level)
{
	u64 hpa = leaf & 0xffffffffff000, size = 1ull << (3 + 9 * level);
	struct ept01_mapping map = ept01_lookup(&m->ept01, GPA1(hpa < DATA ? hpa : hpa - OFFSET));

	assert_true(map.present);
	assert_int_equal(map.hpa.v, hpa);
	assert_true(1ull << map.shift >= size);
	assert_false(rights & 7 & ~(u64)map.perms);
	assert_true(hpa + size <= HOME || hpa >= RAM_SIZE);
}

static void check_table(struct machine *m, u64 table, u64 rights, int level)
{
	u64 *e = op_table(&m->vm, HPA(table));
	int i;

	for (i = 0; i < 512; i++) {
		if (!(e[i] & 7))
			continue;
		assert_false(ept_misconfigured(e[i], (u32)level, &full_caps, false));
		if (level == 1 || (e[i] & 0x80))
			check_leaf(m, e[i], rights & e[i], level);
		else
			check_table(m, e[i] & 0xffffffffff000, rights & e[i], level - 1);
	}
}

static void check_set(struct machine *m)
{
	u32 i, pages = 0;

	for (i = 0; i < EPT02_ROOTS; i++) {
		if (!m->set.roots[i].role)
			continue;
		check_table(m, m->set.roots[i].eptp & EPT_ADDR, 7, 4);
		pages += m->set.roots[i].pages.count + 1;
	}
	pages += mmu_pool_available(&m->pool02);
	assert_int_equal(pages, m->pool02.pages - (m->pool02.pages + 511) / 512);
}

/* Entries that are nearly right more often than not. */
static u64 wild_entry(struct machine *m)
{
	u64 to[] = { TABLES + pick(m, 600) * PAGE_SIZE, ALIGN_DOWN(DATA + pick(m, DATA_SIZE), PAGE_SIZE),
		     HOME + pick(m, 6000) * PAGE_SIZE, DATA, unit_random(&m->random) };
	u64 e = to[pick(m, 5)];

	if (chance(m, 3))
		e = ALIGN_DOWN(e, chance(m, 2) ? SZ_2M : SZ_1G) | 0x80;
	e |= chance(m, 4) ? pick(m, 8) : 7;
	if (chance(m, 2))
		e |= MT_WB << 3;
	return e | pick(m, 4) << 8;
}

static void scribble(struct vm *vm, gpa1_t a, size_t len)
{
	struct machine *m = vm->memory.hook_data;
	size_t i;

	if (a.v >= TABLES_END)
		return;
	for (i = 0; i + 8 <= len; i += 8) {
		u64 e = wild_entry(m);

		if (!chance(m, 3))
			memcpy(vm->memory.ram + a.v + i, &e, 8);
	}
}

static void tables_that_change_under_the_walk(void **state)
{
	struct machine m;
	int seed, i;

	(void)state;
	for (seed = 0; seed < 12; seed++) {
		machine_init(&m, (uint64_t)seed, HOME_PAGES01, seed % 2 ? 40 : 400);
		offset_memory(&m);
		m.vm.memory.hook_data = &m;
		m.vm.memory.before_read = scribble;
		for (i = 0; i < 3000; i++) {
			u64 role = (TABLES + pick(&m, 8) * PAGE_SIZE) | EPTP_WALK_4 | MT_WB |
				   (pick(&m, 2) ? EPTP_AD : 0);
			u64 gpa = area_base[pick(&m, AREAS)] + pick(&m, SZ_1G);
			struct ept02_fault out;
			struct ept02 *root;
			u64 reads = m.vm.memory.reads;

			ept02_root(&m.set, role, &root);
			ept02_fault(&m.set, root, GPA2(gpa), 1ull << pick(&m, 3) | FINAL, &out);
			assert_true(m.vm.memory.reads - reads <= 8 * 4 + 2 * 8);
			if (i % 100 == 0)
				check_set(&m);
		}
		check_set(&m);
		machine_end(&m);
	}
}

static void set_entry(struct machine *m, u64 at, u64 value)
{
	assert_true(op_gpa1_write(&m->vm, GPA1(at), &value, 8));
}

static u64 entry_at(struct machine *m, u64 at)
{
	u64 v = 0;

	op_gpa1_read(&m->vm, GPA1(at), &v, 8);
	return v;
}

/* PML4, PDPT, PD, PT in a row from table on, for GPA2 0. */
static u64 simple_ept(struct machine *m, u64 table, u64 flags)
{
	u64 i;

	for (i = 0; i < 3; i++)
		set_entry(m, table + i * PAGE_SIZE, (table + (i + 1) * PAGE_SIZE) | 7);
	return table | EPTP_WALK_4 | MT_WB | flags;
}

static enum ept02_verdict fault(struct machine *m, u64 role, u64 gpa, u64 q, struct ept02_fault *out)
{
	struct ept02 *root;

	ept02_root(&m->set, role, &root);
	return ept02_fault(&m->set, root, GPA2(gpa), q, out);
}

static struct hw_walk walk(struct machine *m, u64 role, u64 gpa)
{
	struct ept02 *root;

	ept02_root(&m->set, role, &root);
	return hw_walk(&m->vm, root->eptp, false, gpa);
}

static hpa_t kept;

/* Few pages, far apart, so that the same ones are met again. */
static u64 some_page(struct machine *m)
{
	return DATA + pick(m, 4) * SZ_2M + pick(m, 4) * PAGE_SIZE;
}

/* vm/ changes ept01 while L1's tables are read, and says so as it must. */
static void take_away(struct vm *vm, gpa1_t a, size_t len)
{
	struct machine *m = vm->memory.hook_data;
	u64 page = some_page(m), region = ALIGN_DOWN(page, SZ_2M);

	(void)a;
	(void)len;
	switch (pick(m, 16)) {
	case 0:
		ept02_invalidate_all(&m->set);
		if (!kept.v)	/* a page that ept02 may not touch any more */
			assert_true(mmu_pool_alloc(&m->pool02, &kept));
		break;
	case 1 ... 3:
		assert_true(ept01_protect(&m->ept01, GPA1(page), EPT_R));
		ept02_unmap_gpa1(&m->set, GPA1(page), PAGE_SIZE);
		break;
	case 4 ... 5:
		assert_true(ept01_map(&m->ept01, GPA1(region), SZ_2M, HPA(region + OFFSET), EPT_RWX,
				      MT_WB));
		break;
	case 6:
		assert_true(ept01_map(&m->ept01, GPA1(DATA), SZ_1G, HPA(DATA + OFFSET), EPT_RWX,
				      MT_WB));
	}
}

static void check_kept(struct machine *m)
{
	int i;

	if (!kept.v)
		return;
	for (i = 0; i < 512; i++)
		assert_int_equal(op_table(&m->vm, kept)[i], 0);
	mmu_pool_free(&m->pool02, kept);
	kept = HPA(0);
}

static void memory_that_goes_away_under_the_fill(void **state)
{
	struct ept02_fault out;
	struct machine m;
	int seed, i;

	(void)state;
	for (seed = 0; seed < 20; seed++) {
		u64 ept, k;

		machine_init(&m, (uint64_t)seed, HOME_PAGES01, 100);
		assert_true(ept01_map(&m.ept01, GPA1(0), TABLES_END, HPA(0), EPT_RWX, MT_WB));
		assert_true(ept01_map(&m.ept01, GPA1(DATA), DATA_SIZE, HPA(DATA + OFFSET), EPT_RWX,
				      MT_WB));
		ept = simple_ept(&m, TABLES, seed & 1 ? EPTP_AD : 0);
		for (k = 0; k < 512; k++)
			set_entry(&m, TABLES + 3 * PAGE_SIZE + k * 8,
				  some_page(&m) | 0x37 | pick(&m, 4) << 8);
		m.vm.memory.hook_data = &m;
		m.vm.memory.before_read = take_away;
		for (i = 0; i < 3000; i++) {
			u64 gpa = pick(&m, SZ_2M);
			struct ept02 *root;

			ept02_root(&m.set, ept, &root);
			ept02_fault(&m.set, root, GPA2(gpa), 1ull << pick(&m, 3) | FINAL, &out);
			check_kept(&m);
			check_set(&m);
		}
		machine_end(&m);
	}
}

static void tables_in_strange_places(void **state)
{
	u64 leaf = DATA | MT_WB << 3 | 7, ept;
	struct ept02_fault out;
	struct machine m;

	(void)state;
	machine_init(&m, 3, HOME_PAGES01, 400);
	offset_memory(&m);
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
	check_set(&m);
	machine_end(&m);
}

static void one_fault_brings_a_table(void **state)
{
	u64 pt = TABLES + 3 * PAGE_SIZE, i, ept;
	struct ept02_fault out;
	struct machine m;

	(void)state;
	machine_init(&m, 3, HOME_PAGES01, 400);
	assert_true(ept01_map(&m.ept01, GPA1(0), 8 * SZ_1G, HPA(0), EPT_RWX, MT_WB));
	assert_true(ept01_unmap(&m.ept01, GPA1(HOME), 64 * SZ_2M));
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

/* As many roots as there is no room for, each used at random. */
static void short_of_memory(void **state)
{
	static const u32 sizes[] = { EPT02_MIN_PAGES + 1, 6, 12, 60, 200 };
	struct ept02_fault out;
	struct machine m;
	size_t s;
	u64 i, k;

	(void)state;
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		machine_init(&m, s, HOME_PAGES01, sizes[s]);
		offset_memory(&m);
		for (i = 0; i < 50; i++) {
			u64 table = TABLES + i * 4 * PAGE_SIZE;

			simple_ept(&m, table, 0);
			for (k = 0; k < 512; k++) {
				set_entry(&m, table + 2 * PAGE_SIZE + k * 8,
					  (table + 3 * PAGE_SIZE) | 7);
				set_entry(&m, table + 3 * PAGE_SIZE + k * 8,
					  (TABLES + i * PAGE_SIZE) | MT_WB << 3 | 7);
			}
		}
		for (i = 0; i < 2000; i++) {
			u64 n = pick(&m, 50), gpa = pick(&m, SZ_1G);
			u64 role = (TABLES + n * 4 * PAGE_SIZE) | 0x1e;

			assert_int_equal(fault(&m, role, gpa, 2 | FINAL, &out), EPT02_FILLED);
			assert_int_equal(walk(&m, role, gpa).hpa,
					 TABLES + n * PAGE_SIZE + gpa % PAGE_SIZE);
			if (i % 50 == 0)
				check_set(&m);
		}
		machine_end(&m);
	}
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
	assert_true(ept01_map(&m.ept01, GPA1(0), HOME, HPA(0), EPT_RWX, MT_WB));
	assert_true(ept01_map(&m.ept01, GPA1(DATA), SZ_1G, HPA(DATA), EPT_RWX, MT_WB));
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
	assert_true(ept01_map(&m.ept01, GPA1(0), HOME, HPA(0), EPT_RWX, MT_WB));
	assert_true(ept01_map(&m.ept01, GPA1(DATA), SZ_1G, HPA(DATA), EPT_RWX, MT_WB));
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
		cmocka_unit_test(tables_that_change_under_the_walk),
		cmocka_unit_test(memory_that_goes_away_under_the_fill),
		cmocka_unit_test(tables_in_strange_places),
		cmocka_unit_test(one_fault_brings_a_table),
		cmocka_unit_test(short_of_memory),
		cmocka_unit_test(least_recently_used_goes_first),
		cmocka_unit_test(accessed_and_dirty),
		cmocka_unit_test(flags_go_to_the_entry_that_was_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
