/*
 * ept02 under an L1 that means harm, and ept02 short of memory: whatever the
 * tables say and however they change, nothing is mapped that ept01 does not
 * have, and every fault ends.
 */
#include "ept12_builder.h"
#include "ept12_simple.h"

#define OFFSET (64 * SZ_1G)	/* HPA - GPA1 of L1's data, so that it can be told backwards */

static void offset_memory(struct machine *m)
{
	u64 at;

	assert_true(ept01_map(&m->ept01, GPA1(0), TABLES_END, HPA(0), EPT_RWX, MT_WB));
	assert_true(ept01_map(&m->ept01, GPA1(DATA), DATA_SIZE, HPA(DATA + OFFSET), EPT_RWX,
			      MT_WB));
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
		assert_false(ept_misconfigured(e[i], (u32)level, &m->set.caps_hw, false));
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
		check_table(m, m->set.roots[i].eptp & EPT_ADDR, 7,
			    (int)ept_levels(m->set.roots[i].eptp));
		pages += m->set.roots[i].pages.count + 1;
	}
	pages += mmu_pool_available(&m->pool02);
	assert_int_equal(pages, m->pool02.pages - (m->pool02.pages + 255) / 256);
}

/* Entries that are nearly right more often than not. */
static u64 wild_entry(struct machine *m)
{
	u64 to[] = { TABLES + pick(m, 600) * PAGE_SIZE,
		     ALIGN_DOWN(DATA + pick(m, DATA_SIZE), PAGE_SIZE),
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
		machine_init_as(&m, (uint64_t)seed, HOME_PAGES01, seed % 2 ? 40 : 400,
				seed % 3 ? &full_caps : &wide_caps);
		offset_memory(&m);
		m.vm.memory.hook_data = &m;
		m.vm.memory.before_read = scribble;
		for (i = 0; i < 3000; i++) {
			u64 role = (TABLES + pick(&m, 8) * PAGE_SIZE) | MT_WB |
				   (pick(&m, 2) ? EPTP_WALK_4 : EPTP_WALK_5) |
				   (pick(&m, 2) ? EPTP_AD : 0);
			struct l1 l = { .m = &m };
			u64 gpa = l1_area(&l) + pick(&m, SZ_1G);
			struct ept02_fault out;
			struct ept02 *root;
			u64 reads = m.vm.memory.reads;

			ept02_root(&m.set, role, &root);
			ept02_fault(&m.set, root, GPA2(gpa), 1ull << pick(&m, 3) | FINAL, &out);
			assert_true(m.vm.memory.reads - reads <= 8 * 5 + 2 * 8);
			if (i % 100 == 0)
				check_set(&m);
		}
		check_set(&m);
		machine_end(&m);
	}
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

/* Of the same tables as EPTs of five levels. */
#define PML5S (TABLES + 0x100 * PAGE_SIZE)

/* As many roots as there is no room for, each used at random. */
static void short_of_memory(void **state)
{
	static const u32 sizes[] = { EPT02_MIN_PAGES + 1, 11, 12, 60, 200 };
	struct ept02_fault out;
	struct machine m;
	size_t s;
	u64 i, k;

	(void)state;
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		machine_init_as(&m, s, HOME_PAGES01, sizes[s], &wide_caps);
		offset_memory(&m);
		for (i = 0; i < 50; i++) {
			u64 table = TABLES + i * 4 * PAGE_SIZE;

			simple_ept(&m, table, 0);
			set_entry(&m, PML5S + i * PAGE_SIZE, table | 7);
			for (k = 0; k < 512; k++) {
				set_entry(&m, table + 2 * PAGE_SIZE + k * 8,
					  (table + 3 * PAGE_SIZE) | 7);
				set_entry(&m, table + 3 * PAGE_SIZE + k * 8,
					  (TABLES + i * PAGE_SIZE) | MT_WB << 3 | 7);
			}
		}
		for (i = 0; i < 2000; i++) {
			u64 n = pick(&m, 50), gpa = pick(&m, SZ_1G);
			u64 role = pick(&m, 2) ? (TABLES + n * 4 * PAGE_SIZE) | 0x1e :
						 (PML5S + n * PAGE_SIZE) | 0x26;

			assert_int_equal(fault(&m, role, gpa, 2 | FINAL, &out), EPT02_FILLED);
			assert_int_equal(walk(&m, role, gpa).hpa,
					 TABLES + n * PAGE_SIZE + gpa % PAGE_SIZE);
			if (i % 50 == 0)
				check_set(&m);
		}
		machine_end(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_that_change_under_the_walk),
		cmocka_unit_test(memory_that_goes_away_under_the_fill),
		cmocka_unit_test(short_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
