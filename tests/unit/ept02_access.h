/*
 * One access by L2 as hardware and L0 together handle it, judged by what L1's
 * tables mean: ept02 is the composition of L1's EPT and ept01, whatever both
 * look like, and refuses what either refuses, the way L1 must see it.
 */
#pragma once

#include "ept12_builder.h"

enum kind { DATA_ACCESS, PAGE_WALK, NO_ADDRESS };

struct access {
	u64 gpa;
	u64 bits;	/* read, write, fetch */
	bool user;	/* fetch: linear address is user-mode */
	enum kind kind;
};

/* Allowed by these rights? */
static inline bool permits(u64 rights, const struct access *a, bool mbec)
{
	u64 need = a->bits & 3;

	if (a->bits & 4)
		need |= mbec && a->user ? 0x400 : 4;
	return !(need & ~rights);
}

static inline u64 rights01(const struct ept01_mapping *map)
{
	return map->perms | (map->perms & 4 ? 0x400ull : 0);
}

static inline u64 hw_qualification(struct machine *m, const struct access *a,
				   const struct hw_walk *hw)
{
	u64 q = a->bits | (hw->present ? (hw->rights & 7) << 3 : 0);

	if (hw->present && (hw->rights & 0x400))
		q |= 1 << 6;
	if (a->kind != NO_ADDRESS)
		q |= 0x80;
	if (a->kind == DATA_ACCESS)
		q |= 0x100;
	if (a->kind == DATA_ACCESS && m->set.caps_hw.adv_exit_info)
		q |= (u64)a->user << 9 | 1 << 11;
	return q | pick(m, 2) << 12;
}

static inline struct access random_access(struct l1 *l)
{
	static const u64 kinds[] = { 1, 2, 3, 4 };
	struct machine *m = l->m;
	struct access a = { .bits = kinds[pick(m, 4)], .user = pick(m, 2) };

	a.gpa = l1_area(l);
	a.gpa += chance(m, 3) ? pick(m, SZ_1G) :
		 chance(m, 2) ? pick(m, 32 * SZ_2M) :
				pick(m, SZ_2M);
	a.gpa &= (l1_wide(l) ? 1ull << 52 : 1ull << 48) - 1;
	a.kind = a.bits == 4 ? DATA_ACCESS : (enum kind)pick(m, 3);
	if (a.kind == PAGE_WALK)
		a.bits = l->ad ? 3 : pick(m, 2) + 1;
	return a;
}

/* How often each end was seen, so that the inputs cannot go stale unnoticed. */
static unsigned seen[EPT02_L0 + 1];

static inline u64 role_of(struct l1 *l, u64 eptp)
{
	return eptp | (l->mbec ? EPT02_ROLE_MBEC : 0);
}

/* All that a mapping of ept02 must be, when ept12 has not changed since INVEPT. */
static inline void check_mapping(struct l1 *l, u64 eptp, u64 gpa, const struct hw_walk *hw)
{
	struct l1_meaning want = l1_means(l, eptp, gpa);
	struct ept01_mapping map;

	assert_int_equal(want.what, MEANS_PAGE);
	map = ept01_lookup(&l->m->ept01, GPA1(want.gpa1));
	assert_true(map.present);
	assert_int_equal(hw->hpa, map.hpa.v);
	assert_false(hw->rights & ~(want.rights & rights01(&map)));
	assert_int_equal(hw->leaf & 0x78, want.leaf & 0x78);
	assert_true(hw->shift <= map.shift && hw->shift <= 3 + 9 * want.level);
	if (!l->ad) {
		assert_int_equal(hw->rights, want.rights & rights01(&map));
	} else {
		assert_true(want.a_and);
		if (!(want.leaf & EPT_D))
			assert_false(hw->rights & EPT_W);
	}
}

static inline void check_reflected(struct l1 *l, const struct access *a,
				   const struct l1_meaning *means, u64 hwq, u64 q)
{
	u64 rights = means->what == MEANS_PAGE ? means->rights : 0;

	assert_true(means->what == MEANS_HOLE || !permits(rights, a, l->mbec));
	assert_int_equal(q & 7, a->bits);
	assert_int_equal(q >> 3 & 7, rights & 7);
	assert_int_equal(q >> 6 & 1, l->mbec && (rights & 0x400));
	assert_int_equal(q & 0x1180, hwq & 0x1180);
	assert_int_equal(q & 0xe00, l->m->set.caps12.adv_exit_info ? hwq & 0xe00 : 0);
	assert_false(q & ~0x1fffull);
}

/* One access by L2, as hardware and L0 together handle it. */
static inline void one_access(struct l1 *l, u64 eptp, struct ept02 *root,
			      const struct access *a)
{
	struct machine *m = l->m;
	struct hw_walk hw = hw_walk(&m->vm, root->eptp, l->mbec, a->gpa);
	struct l1_meaning means = l1_means(l, eptp, a->gpa);
	struct ept02_fault out;
	struct ept01_mapping map = { 0 };
	u64 q = hw_qualification(m, a, &hw);
	enum ept02_verdict verdict;
	/* Else only a second fault of a fetch can tell whose right was missing. */
	bool decided = !l->mbec || m->set.caps_hw.adv_exit_info || !(a->bits & 4);

	if (hw.present)
		check_mapping(l, eptp, a->gpa, &hw);
	if (hw.present && permits(hw.rights, a, l->mbec))
		return;
	if (means.what == MEANS_PAGE)
		map = ept01_lookup(&m->ept01, GPA1(means.gpa1));
	verdict = ept02_fault(&m->set, root, GPA2(a->gpa), q, &out);
	seen[verdict]++;
	switch (verdict) {
	case EPT02_REFLECT_MISCONFIG:
		assert_int_equal(means.what, MEANS_NONSENSE);
		break;
	case EPT02_REFLECT_VIOLATION:
		check_reflected(l, a, &means, q, out.qualification);
		break;
	case EPT02_L0:
		assert_int_equal(means.what, MEANS_PAGE);
		assert_int_equal(out.gpa1.v, means.gpa1);
		assert_true(permits(means.rights, a, l->mbec) || !decided);
		assert_false(map.present && permits(rights01(&map), a, l->mbec));
		break;
	case EPT02_LOG_FULL:
		fail_msg("nothing is logged");
		break;
	case EPT02_FILLED:
		assert_int_equal(means.what, MEANS_PAGE);
		hw = hw_walk(&m->vm, root->eptp, l->mbec, a->gpa);
		assert_true(hw.present);
		if (!permits(hw.rights, a, l->mbec)) {
			assert_false(decided);
			q = hw_qualification(m, a, &hw);
			verdict = ept02_fault(&m->set, root, GPA2(a->gpa), q, &out);
			assert_int_equal(verdict, EPT02_REFLECT_VIOLATION);
			check_reflected(l, a, &means, q, out.qualification);
		}
		check_mapping(l, eptp, a->gpa, &hw);
		assert_int_equal(hw.shift, MIN(map.shift, 3 + 9 * means.level));
		if (l->ad && (a->bits & 2))
			assert_true(l1_read(l, means.leaf_at) & EPT_D);
		assert_int_equal(out.dirtied, l->ad && (a->bits & 2) && !(means.leaf & EPT_D));
		break;
	}
}

static inline void build(struct machine *m, struct l1 *l, int seed)
{
	machine_init_as(m, (uint64_t)seed, HOME_PAGES01, seed % 4 ? HOME_PAGES02 : 16,
			seed / 3 & 1 ? &wide_caps : &full_caps);
	*l = (struct l1){
		.m = m, .next_table = TABLES, .ad = seed & 1, .mbec = seed & 2,
		.five = seed / 5 & 1,
	};
	m->set.caps12.exec_only = !(seed & 4);
	m->set.caps12.pg_1g = !(seed & 8);
	m->set.caps12.adv_exit_info = seed & 16;
	m->set.caps_hw.adv_exit_info = seed & 48;
	l1_memory(l);
}
