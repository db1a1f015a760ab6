/*
 * When a fault needs a new table, or one that was hidden, what else L1's table
 * maps there is mapped with it: after L1's INVEPT one fault brings back 512
 * pages. Where an entry of L1's is as it was, so is L0's. Translations may be
 * cached before they are used (SDM 3C "Information That May Be Cached");
 * with accessed flags on, those that have theirs set.
 *
 * Neighbours mostly differ in nothing but their address, and lie in the same
 * page of ept01: what was found out about one is kept for the next.
 */
#include "mmu/ept02_fill.h"
#include "engine_ops.h"

/* How many of a table of large pages are mapped. */
#define LARGE_PAGES 16u

struct around {
	const struct ept02_fill *f;
	u32 level;
	u64 rights;	/* that L1's tables above leave */
	/* The last address that was looked up in ept01: */
	u64 gpa1;
	u64 outside;	/* address bits above its page there */
	u64 offset;	/* HPA - GPA1 */
	u64 perms;	/* widened; 0: unusable */
	/* The last entry of L1's that took some thought: */
	u64 entry;
	u64 bits;	/* its leaf, before ept01's rights; no rights: unusable */
	u64 within;	/* address bits in which entries may differ and need no more thought */
	u64 leaf;	/* for such entries: the leaf without these bits... */
	u64 keep;	/* ... and which of the entry's to add */
};

static void judge(struct around *a, u64 entry)
{
	u64 role = a->f->root->role;
	bool mode_based = ept12_mode_based(role);

	a->bits = 0;
	if (!ept_present(entry, mode_based) || !ept_is_leaf(entry, a->level) ||
	    ept_misconfigured(entry, a->level, &a->f->set->caps12, mode_based))
		return;
	if ((role & EPTP_AD) && !(entry & EPT_A))
		return;
	a->bits = ept02_leaf_bits(role, a->rights & entry, entry, a->level);
}

static void locate(struct around *a, u64 gpa1)
{
	struct ept01_mapping map = ept01_lookup(a->f->set->ept01, GPA1(gpa1));

	a->gpa1 = gpa1;
	a->outside = ~(BIT(map.shift) - 1);
	a->offset = map.hpa.v - gpa1;
	a->perms = map.present && map.shift >= ept_shift(a->level) ? ept02_widen(map.perms) : 0;
}

/* Address bits of an entry that select its page, below this bit. */
static u64 page_bits(const struct around *a, u8 top)
{
	u8 shift = ept_shift(a->level);

	return top > shift ? (BIT(top) - BIT(shift)) & EPT_ADDR : 0;
}

static void think(struct around *a, u64 entry)
{
	u64 gpa1 = entry & EPT_ADDR, any_page = page_bits(a, a->f->set->caps12.maxphyaddr), rights;

	if ((entry ^ a->entry) & ~any_page)
		judge(a, entry);
	a->entry = entry;
	a->leaf = a->keep = 0;
	a->within = any_page;
	if (!(a->bits & EPT_RIGHTS))
		return;
	if ((gpa1 ^ a->gpa1) & a->outside)
		locate(a, gpa1);
	a->within = page_bits(a, 21) & ~a->outside;
	rights = a->bits & a->perms;
	if (!rights)
		return;
	ept02_mark(a->f->root, GPA1(gpa1), a->level);
	a->keep = a->within;
	a->leaf = ((gpa1 + a->offset) & ~a->within) | (a->bits & ~EPT_RIGHTS) | rights;
}

/* The first thought is about the entry that was asked for, or the table below it. */
static void begin(struct around *a, const struct ept02_fill *f, u32 level)
{
	u64 entry = f->walk.entry[level];

	*a = (struct around){
		.f = f, .level = level, .rights = ept12_rights_above(&f->walk, level),
		.entry = entry,
	};
	judge(a, entry);
	locate(a, f->walk.gpa1.v);
	think(a, entry);
}

/* How many entries from first on are as they were; *entry is the one that is not. */
static u32 unchanged(const u64 *source, const u64 *twin, u32 first, u64 *entry)
{
	u32 i = first;

#pragma GCC unroll 4
	for (; i < EPT_ENTRIES; i++) {
		*entry = READ_ONCE(source[i]);
		if (*entry != twin[i])
			break;
	}
	return i - first;
}

/* Changed entries for which the last thought will do; at least one. */
static u32 changed(const struct around *a, const struct ept02_table *t, const u64 *source,
		   u32 first, u64 entry)
{
	u64 thought = a->entry, within = a->within, keep = a->keep;
	u64 leaf = a->leaf | (thought & keep), differs = entry ^ thought;
	u64 *twin = ept02_twin(a->f, t);
	u32 i = first;

	do {
		twin[i] = entry;
		t->entry[i] = leaf ^ (differs & keep);
		if (++i == EPT_ENTRIES)
			break;
		entry = READ_ONCE(source[i]);
		differs = entry ^ thought;
	} while (!(differs & ~within));
	return i - first;
}

static void around_small(struct around *a, const struct ept02_table *t, const u64 *source)
{
	const u64 *twin = ept02_twin(a->f, t);
	u64 entry;
	u32 i = 0;

	t->note->top = EPT_ENTRIES - 1;
	for (;;) {
		i += unchanged(source, twin, i, &entry);
		if (i == EPT_ENTRIES)
			return;
		if ((entry ^ a->entry) & ~a->within)
			think(a, entry);
		i += changed(a, t, source, i, entry);
		if (i == EPT_ENTRIES)
			return;
	}
}

/* What leads to a table is left alone; so is what was compared and found right. */
static void around_large(struct around *a, const struct ept02_table *t, const u64 *source)
{
	u32 index = ept_index(a->f->gpa2.v, a->level), first = ALIGN_DOWN(index, LARGE_PAGES);
	u64 *twin = ept02_twin(a->f, t);

	t->note->top = MAX(t->note->top, (u16)(first + LARGE_PAGES - 1));
	for (u32 i = first; i < first + LARGE_PAGES; i++) {
		u64 entry = READ_ONCE(source[i]);

		if (t->entry[i] || !entry || i == index)
			continue;
		if ((entry ^ a->entry) & ~a->within)
			think(a, entry);
		t->entry[i] = a->leaf | (entry & a->keep);
		twin[i] = entry;
	}
}

void ept02_around(const struct ept02_fill *f, const struct ept02_table *t, u32 level)
{
	struct around a;

	begin(&a, f, level);
	if (level == 1)
		around_small(&a, t, f->walk.table[level]);
	else
		around_large(&a, t, f->walk.table[level]);
}
