/*
 * ept01: one recursive function changes a range, splitting and replacing
 * large pages; map, unmap and attribute changes differ only in what they do
 * with one entry.
 */
#include "mmu/ept01.h"
#include "engine_ops.h"

/* What becomes of the entries of a range. */
struct change {
	u64 start;
	u64 end;
	bool map;	/* place leaves; else change present leaves only */
	u64 offset;	/* map: HPA - GPA1, modulo 2^64 */
	u64 clear;	/* bits of a leaf to clear, then to set */
	u64 set;
};

static void store(u64 *entry, u64 value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELAXED);
}

static void free_subtree(struct ept01 *e, u64 entry, u32 level)
{
	u64 *table;
	u32 i;

	if (!ept_present(entry, false) || ept_is_leaf(entry, level))
		return;
	table = op_table(e->vm, HPA(entry & EPT_ADDR));
	for (i = 0; i < EPT_ENTRIES; i++)
		free_subtree(e, table[i], level - 1);
	mmu_pool_free(e->pool, HPA(entry & EPT_ADDR));
}

/* Does a processor that cached the old leaf see less or other than the new? */
static bool takes_away(u64 old, u64 new)
{
	if (old & EPT_RWX & ~new)
		return true;
	return (old ^ new) & ~EPT_RWX;
}

static void put_leaf(struct ept01 *e, u64 *entry, u32 level, u64 value)
{
	u64 old = *entry;

	store(entry, value);
	if (!ept_present(old, false))
		return;
	if (!ept_is_leaf(old, level)) {
		e->stale = true;
		free_subtree(e, old, level);
	} else if (takes_away(old, value)) {
		e->stale = true;
	}
}

static bool put_table(struct ept01 *e, u64 *entry, u32 level)
{
	u64 old = *entry, step, child;
	hpa_t page;
	u64 *table;
	u32 i;

	if (!mmu_pool_alloc(e->pool, &page))
		return false;
	if (ept_present(old, false)) {
		table = op_table(e->vm, page);
		step = BIT(ept_shift(level - 1));
		child = level == 2 ? old & ~EPT_LARGE : old;
		for (i = 0; i < EPT_ENTRIES; i++)
			table[i] = child + i * step;
	}
	store(entry, page.v | EPT_RWX);
	return true;
}

/* Can this entry, wholly inside the range, take the change as it stands? */
static bool fits(const struct ept01 *e, const struct change *c, u64 entry, u32 level)
{
	u8 shift = ept_shift(level);

	if (!c->map)
		return !ept_present(entry, false) || ept_is_leaf(entry, level);
	if (!c->set)
		return level < 5;	/* e->low stays */
	return shift <= ept_max_shift(&e->caps) && !(c->offset & (BIT(shift) - 1));
}

static void apply(struct ept01 *e, const struct change *c, u64 *entry, u32 level, u64 gpa)
{
	u64 large = level > 1 ? EPT_LARGE : 0, new;

	if (c->map)
		new = c->set ? (gpa + c->offset) | large | c->set : 0;
	else if (ept_present(*entry, false))
		new = (*entry & ~c->clear) | c->set;
	else
		return;
	put_leaf(e, entry, level, new & EPT_RWX ? new : 0);
}

static bool change_table(struct ept01 *e, const struct change *c, u64 *table, u32 level, u64 base)
{
	u64 size = BIT(ept_shift(level));
	u64 start = MAX(c->start, base), end = MIN(c->end, base + EPT_ENTRIES * size);
	u64 gpa;

	for (gpa = ALIGN_DOWN(start, size); gpa < end; gpa += size) {
		u64 *entry = &table[ept_index(gpa, level)];
		bool whole = gpa >= c->start && gpa + size <= c->end;
		bool present = ept_present(*entry, false);

		if (whole && fits(e, c, *entry, level)) {
			apply(e, c, entry, level, gpa);
			continue;
		}
		if (!present && !(c->map && c->set))
			continue;
		if ((!present || ept_is_leaf(*entry, level)) && !put_table(e, entry, level))
			return false;
		if (!change_table(e, c, op_table(e->vm, HPA(*entry & EPT_ADDR)), level - 1, gpa))
			return false;
	}
	return true;
}

static hpa_t root_page(const struct ept01 *e)
{
	return HPA(e->eptp & EPT_ADDR);
}

static bool change_range(struct ept01 *e, struct change *c, gpa1_t gpa, u64 len)
{
	u64 limit = BIT(ept_five_levels(e->eptp) ? EPT_GPA_BITS_5 : EPT_GPA_BITS_4);

	if (gpa.v >= limit)
		return true;
	e->changes++;
	c->start = gpa.v;
	c->end = gpa.v + MIN(len, limit - gpa.v);
	return change_table(e, c, op_table(e->vm, root_page(e)), ept_levels(e->eptp), 0);
}

bool ept01_init(struct ept01 *e, struct vm *vm, struct mmu_pool *pool,
		const struct ept_caps *caps)
{
	hpa_t root;

	*e = (struct ept01){ .vm = vm, .pool = pool, .caps = *caps };
	if (!mmu_pool_alloc(pool, &e->low))
		return false;
	e->eptp = e->low.v | EPTP_WALK_4 | MT_WB;
	if (!ept_needs_five_levels(caps))
		return true;
	if (!mmu_pool_alloc(pool, &root))
		return false;
	op_table(vm, root)[0] = e->low.v | EPT_RWX;
	e->eptp = root.v | EPTP_WALK_5 | MT_WB;
	return true;
}

bool ept01_map(struct ept01 *e, gpa1_t gpa, u64 len, hpa_t hpa, u32 perms, u8 memtype)
{
	struct change c = { .map = true, .offset = hpa.v - gpa.v };

	if (perms)
		c.set = (perms & EPT_RWX) | (u64)memtype << EPT_MT_SHIFT;
	return change_range(e, &c, gpa, len);
}

bool ept01_unmap(struct ept01 *e, gpa1_t gpa, u64 len)
{
	return ept01_map(e, gpa, len, HPA(0), 0, MT_UC);
}

bool ept01_set_memtype(struct ept01 *e, gpa1_t gpa, u64 len, u8 memtype)
{
	struct change c = { .clear = EPT_MT, .set = (u64)memtype << EPT_MT_SHIFT };

	return change_range(e, &c, gpa, len);
}

bool ept01_protect(struct ept01 *e, gpa1_t page, u32 perms)
{
	struct change c = { .clear = EPT_RWX, .set = perms & EPT_RWX };

	return change_range(e, &c, page, PAGE_SIZE);
}

static always_inline struct ept01_mapping leaf_mapping(u64 leaf, u32 level, u64 gpa)
{
	u64 within = BIT(ept_shift(level)) - 1;

	return (struct ept01_mapping){
		.present = true,
		.shift = ept_shift(level),
		.perms = (u8)(leaf & EPT_RWX),
		.memtype = ept_memtype(leaf),
		.hpa = HPA((leaf & EPT_ADDR & ~within) | (gpa & within)),
	};
}

/* The PML4 for an address that is not in the first one; false: there is none. */
static bool high_pml4(const struct ept01 *e, u64 gpa, hpa_t *page)
{
	u64 entry;

	if (!ept_reaches(e->eptp, gpa))
		return false;
	entry = op_table(e->vm, root_page(e))[ept_index(gpa, 5)];
	*page = HPA(entry & EPT_ADDR);
	return ept_present(entry, false);
}

struct ept01_mapping ept01_lookup(const struct ept01 *e, gpa1_t gpa)
{
	hpa_t page = e->low;
	u32 level = 4;

	if (unlikely(gpa.v >> EPT_GPA_BITS_4) && !high_pml4(e, gpa.v, &page))
		return (struct ept01_mapping){ .shift = ept_shift(5) };
	/* Unrolled, the shifts are constants: this is the hottest loop of mmu/. */
#pragma GCC unroll 4
	for (; level; level--) {
		u64 entry = op_table(e->vm, page)[ept_index(gpa.v, level)];

		if (unlikely(!ept_present(entry, false)))
			break;
		if (ept_is_leaf(entry, level))
			return leaf_mapping(entry, level, gpa.v);
		page = HPA(entry & EPT_ADDR);
	}
	return (struct ept01_mapping){ .shift = ept_shift(level) };
}
