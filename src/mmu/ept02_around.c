/*
 * When a fault needs a new table, what else L1's table maps there is mapped
 * with it: after L1's INVEPT one fault brings back 512 pages. Translations may
 * be cached before they are used (SDM 3C "Information That May Be Cached");
 * with accessed flags on, those that have theirs set.
 *
 * Neighbours mostly differ in nothing but their address, and lie in the same
 * page of ept01: what was found out about one is kept for the next.
 */
#include "mmu/ept02_fill.h"
#include "engine_ops.h"

/* Entries read at a time, and how many of a table of large pages are mapped. */
#define CHUNK 64u
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

/* The leaf for one of L1's entries that nobody asked for; 0: none. */
static u64 neighbour(struct around *a, u64 entry)
{
	if ((entry ^ a->entry) & ~a->within)
		think(a, entry);
	return a->leaf | (entry & a->keep);
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

bool ept02_fill_around(const struct ept02_fill *f, u64 *table, u32 level)
{
	u64 stamp = f->root->stamp, changes = f->set->ept01->changes;
	u64 table12 = f->walk.at[level].v & PAGE_MASK, chunk[CHUNK];
	u32 count = level > 1 ? LARGE_PAGES : EPT_ENTRIES, part = MIN(count, CHUNK);
	u32 index = ept_index(f->gpa2.v, level), first = ALIGN_DOWN(index, count), end = first + count;
	struct around a;
	u32 i;

	begin(&a, f, level);
	for (; first < end; first += part) {
		gpa1_t at = GPA1(table12 + first * sizeof(u64));

		/* Reading L1's memory may make vm/ change ept01 and drop this very root. */
		if (!op_gpa1_read(f->set->vm, at, chunk, part * sizeof(u64)) ||
		    stamp != f->root->stamp || changes != f->set->ept01->changes)
			return false;
		for (i = 0; i < part; i++) {
			if (chunk[i] && first + i != index)
				table[first + i] = neighbour(&a, chunk[i]);
		}
	}
	return true;
}
