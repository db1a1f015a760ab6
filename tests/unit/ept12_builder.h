/*
 * L1 for the tests of ept02: it builds EPTs in its own memory, and this file
 * tells, by a walk of its own, what they mean. GPA1 below TABLES_END is
 * memory for tables, one to one; above DATA lie pages that nobody touches.
 */
#pragma once

#include "mmu_machine.h"

#define TABLES SZ_2M
#define TABLES_END HOME
#define DATA SZ_1G
#define DATA_SIZE (6 * SZ_1G)
/* The same again, where the machine has such addresses. */
#define HIGH (1ull << 50)
/* Where the addresses tried lie: a few regions far apart; some that four levels do not reach. */
#define AREAS 5
#define AREAS_WIDE 8

static const u64 area_base[AREAS_WIDE] = {
	0, SZ_2M * 7, SZ_1G * 3, SZ_1G * 600, (1ull << 48) - SZ_2M,
	1ull << 48, 5 * (1ull << 49) + SZ_1G, (1ull << 52) - SZ_2M,
};

struct l1 {
	struct machine *m;
	u64 next_table;
	bool ad, mbec, five;
};

static inline bool l1_wide(const struct l1 *l)
{
	return l->m->set.caps_hw.maxphyaddr == 52;
}

static inline u64 l1_area(const struct l1 *l)
{
	return area_base[pick(l->m, l1_wide(l) ? AREAS_WIDE : AREAS)];
}

static inline u64 l1_read(struct l1 *l, u64 a)
{
	u64 v = 0;

	return op_gpa1_read(&l->m->vm, GPA1(a), &v, 8) ? v : ~0ull;
}

static inline void l1_write(struct l1 *l, u64 a, u64 v)
{
	assert_true(op_gpa1_write(&l->m->vm, GPA1(a), &v, 8));
}

static inline u64 l1_table(struct l1 *l)
{
	u64 t = l->next_table;

	l->next_table += PAGE_SIZE;
	assert_true(t < TABLES_END);
	memset(l->m->vm.memory.ram + t, 0, PAGE_SIZE);
	return t;
}

static inline u64 l1_rights(struct l1 *l, u64 all)
{
	static const u64 some[] = { 7, 7, 5, 3, 1, 4, 0x404 };

	if (!chance(l->m, 4))
		return all;
	return some[pick(l->m, l->mbec ? 7 : 6)] | (l->mbec && chance(l->m, 2) ? 0x400 : 0);
}

/* Something that is wrong in a present entry. */
static inline u64 l1_spoil(struct l1 *l, u64 entry, int level)
{
	switch (pick(l->m, 4)) {
	case 0:
		return (entry & ~7ull) | (chance(l->m, 2) ? 2 : 6);
	case 1:
		return entry | 1ull << (40 + pick(l->m, 12));
	case 2:
		return level == 1 || (level < 4 && (entry & 0x80)) ?
			(entry & ~0x38ull) | (2 + pick(l->m, 2)) << 3 : entry | 8;
	default:
		return level > 1 ? (entry | 0x80 | 1 << 12) & ~(level >= 4 ? 0 : 0x78ull) :
				   entry | 0x38;
	}
}

static inline u64 l1_leaf(struct l1 *l, int level)
{
	static const u64 types[] = { MT_UC, MT_WC, MT_WT, MT_WP, MT_WB };
	u64 size = 1ull << (12 + 9 * (level - 1));
	u64 data = DATA + (l1_wide(l) ? pick(l->m, 2) * HIGH : 0);
	u64 to = ALIGN_DOWN(data + pick(l->m, DATA_SIZE), size);
	u64 entry = to | types[pick(l->m, 5)] << 3 | pick(l->m, 2) << 6 | (level > 1 ? 0x80 : 0);

	entry |= l1_rights(l, l->mbec ? 0x407 : 7) | pick(l->m, 4) << 8;
	return entry | pick(l->m, 2) << 11 | pick(l->m, 1 << 5) << 52;
}

/* One entry at random for the table at this level; may make tables below it. */
static inline u64 l1_entry(struct l1 *l, int level, u64 table)
{
	u64 entry;

	if (chance(l->m, 8))
		return chance(l->m, 2) ? 0 : unit_random(&l->m->random) & ~0x407ull;
	if (level == 1 || (level == 2 && !chance(l->m, 8)) || (level == 3 && chance(l->m, 3)))
		entry = l1_leaf(l, level);
	else
		entry = table | l1_rights(l, 0x407) | pick(l->m, 2) << 8 | pick(l->m, 2) << 9;
	return chance(l->m, 40) ? l1_spoil(l, entry, level) : entry;
}

static inline void l1_fill(struct l1 *l, u64 table, int level, u64 gpa, int count)
{
	int i, shift = 12 + 9 * (level - 1);

	for (i = 0; i < count; i++) {
		u64 far = level == 2 ? 40 : 512;	/* large pages lie together */
		u64 index = ((gpa >> shift) + (i ? pick(l->m, far) : 0)) & 511;
		u64 at = table + index * 8, old = l1_read(l, at), entry, below;

		if (old)
			continue;
		below = level > 1 && l->next_table + 4 * PAGE_SIZE < TABLES_END ? l1_table(l) : 0;
		entry = l1_entry(l, level, below);
		if (!below && level > 1 && !(entry & 0x80))
			entry = 0;
		l1_write(l, at, entry);
		if (below && (entry & 0xffffffffff000) == below && !(level < 4 && (entry & 0x80)))
			l1_fill(l, below, level - 1, gpa,
				level == 2 ? 300 : level == 3 ? 40 : i ? 2 : 4);
	}
}

/* A whole EPT; returns its EPTP. */
static inline u64 l1_ept(struct l1 *l)
{
	int a, levels = l->five ? 5 : 4, areas = l->five && l1_wide(l) ? AREAS_WIDE : AREAS;
	u64 root = l1_table(l);

	for (a = 0; a < areas; a++)
		l1_fill(l, root, levels, area_base[a], 1);
	return root | (u64)(levels - 1) << 3 | MT_WB | (l->ad ? EPTP_AD : 0);
}

static inline void l1_data(struct l1 *l, u64 data, u64 size)
{
	struct ept01 *e = &l->m->ept01;
	u64 at, len;

	for (at = data; at < data + size; at += len) {
		static const u64 sizes[] = { PAGE_SIZE, SZ_2M, SZ_1G };
		static const u32 rights[] = { 7, 7, 7, 5, 1, 3, 4 };
		u64 page = sizes[pick(l->m, 3)];
		u64 to = ALIGN_DOWN(SZ_1G + pick(l->m, 1ull << 38), page);

		len = page * (1 + pick(l->m, page == PAGE_SIZE ? 700 : 40));
		if (chance(l->m, 6))
			continue;
		if (page == SZ_1G)
			len = SZ_1G;
		assert_true(ept01_map(e, GPA1(at), len, HPA(to), rights[pick(l->m, 7)],
				      (u8)MT_WB));
	}
}

/* ept01: L1's tables one to one, its data in all sizes, with holes and restricted rights. */
static inline void l1_memory(struct l1 *l)
{
	assert_true(ept01_map(&l->m->ept01, GPA1(0), TABLES_END, HPA(0), EPT_RWX, MT_WB));
	l1_data(l, DATA, l1_wide(l) ? DATA_SIZE / 2 : DATA_SIZE);
	if (l1_wide(l))
		l1_data(l, HIGH + DATA, DATA_SIZE / 2);
}

enum meaning { MEANS_HOLE, MEANS_NONSENSE, MEANS_PAGE };

/* What L1's tables mean by the SDM, told the slow way. */
struct l1_meaning {
	enum meaning what;
	u64 gpa1, rights, leaf, a_and, leaf_at;
	int level;
};

static inline bool l1_nonsense(struct l1 *l, u64 e, int level)
{
	bool leaf = level == 1 || ((level == 2 || level == 3) && (e >> 7 & 1));
	u64 type = e >> 3 & 7;

	if ((e & 3) == 2)
		return true;
	if (e >> l->m->set.caps12.maxphyaddr & ((1ull << (52 - l->m->set.caps12.maxphyaddr)) - 1))
		return true;
	if (!l->m->set.caps12.exec_only && !(e & 1) && ((e & 4) || (l->mbec && (e & 0x400))))
		return true;
	if (leaf && (type == 2 || type == 3 || type == 7))
		return true;
	if (!leaf && (e & 0xf8))
		return true;
	if (level == 3 && leaf && (!l->m->set.caps12.pg_1g || (e & 0x3ffff000)))
		return true;
	return level == 2 && leaf && (!l->m->set.caps12.pg_2m || (e & 0x1ff000));
}

static inline struct l1_meaning l1_means(struct l1 *l, u64 eptp, u64 gpa)
{
	struct l1_meaning r = { .rights = l->mbec ? 0x407 : 7, .a_and = 0x100 };
	u64 table = eptp & 0xffffffffff000, e;

	r.level = (int)(eptp >> 3 & 7) + 1;
	if (gpa >> (12 + 9 * r.level))
		return (struct l1_meaning){ .what = MEANS_HOLE };
	for (;; r.level--) {
		r.leaf_at = table + (gpa >> (3 + 9 * r.level) & 511) * 8;
		e = l1_read(l, r.leaf_at);
		if (!(e & (l->mbec ? 0x407 : 7)))
			return (struct l1_meaning){ .what = MEANS_HOLE };
		if (l1_nonsense(l, e, r.level))
			return (struct l1_meaning){ .what = MEANS_NONSENSE };
		r.rights &= e;
		r.a_and &= e;
		table = e & 0xffffffffff000;
		if (r.level == 1 || (r.level < 4 && (e & 0x80)))
			break;
	}
	r.what = MEANS_PAGE;
	r.leaf = e;
	r.gpa1 = table + (gpa & ((1ull << (3 + 9 * r.level)) - 1));
	return r;
}
