/*
 * Mapping into an ept02. When a fault needs a new table page, L1's table that
 * it mirrors is read through once and what it maps is mapped with it: after
 * L1's INVEPT one fault brings back a whole table. Translations may be cached
 * before they are used (SDM 3C "Information That May Be Cached"), with
 * accessed flags on only those that have theirs set.
 */
#include "mmu/ept02_fill.h"
#include "mmu/ept02_set.h"
#include "engine_ops.h"

#define CHUNK 64u

/* Levels above this one are not read through: their leaves are huge and few. */
#define AROUND_LEVELS 2u

struct path {
	u64 *table[EPT_LEVELS + 1];	/* by level */
	bool fresh[EPT_LEVELS + 1];
};

/* The composed leaf; 0: nothing of it may be used. */
static u64 compose(const struct ept02_fill *f, u64 rights12, u64 leaf12,
		   const struct ept01_mapping *map, u32 level)
{
	u64 rights = map->perms;

	if (rights & EPT_X)
		rights |= EPT_XU;
	rights &= rights12;
	/* Until the first write, so that it is seen and the dirty flag set. */
	if ((f->root->role & EPTP_AD) && !(leaf12 & EPT_D))
		rights &= ~EPT_W;
	if (!rights)
		return 0;
	return ALIGN_DOWN(map->hpa.v, BIT(ept_shift(level))) | rights |
	       (leaf12 & (EPT_MT | EPT_IPAT)) | (level > 1 ? EPT_LARGE : 0);
}

/* The table that this entry leads to, made if there is none; NULL: no pages left. */
static u64 *descend(const struct ept02_fill *f, u64 *entry, u32 level, bool *fresh)
{
	hpa_t page;

	if (ept_present(*entry, true) && !ept_is_leaf(*entry, level))
		return op_table(f->set->vm, HPA(*entry & EPT_ADDR));
	if (!ept02_page_alloc(f->set, f->root, &page))
		return NULL;
	*fresh = true;
	*entry = page.v | ept12_rights_mask(f->root->role);
	return op_table(f->set->vm, page);
}

/* The tables from the root to this level; false: no pages left. */
static bool make_path(const struct ept02_fill *f, u32 leaf_level, struct path *path)
{
	struct ept02 *root = f->root;
	u32 level;

	*path = (struct path){ 0 };
	path->table[EPT_LEVELS] = op_table(f->set->vm, HPA(root->eptp & EPT_ADDR));
	root->top = MAX(root->top, ept_index(f->gpa2.v, EPT_LEVELS));
	for (level = EPT_LEVELS; level > leaf_level; level--) {
		u64 *entry = &path->table[level][ept_index(f->gpa2.v, level)];

		path->table[level - 1] = descend(f, entry, level, &path->fresh[level - 1]);
		if (!path->table[level - 1])
			return false;
	}
	return true;
}

static void mark(struct ept02 *root, gpa1_t gpa1, u32 level)
{
	if (level > 2)
		__builtin_memset(root->mapped, 0xff, sizeof(root->mapped));
	else
		root->mapped[ept02_region(gpa1.v) / 64] |= BIT(ept02_region(gpa1.v) % 64);
}

/* A leaf may take the place of a table, whose pages then wait for the root's end. */
static void put_leaf(const struct ept02_fill *f, u64 *entry, u32 level, u64 leaf)
{
	if (ept_present(*entry, true) && !ept_is_leaf(*entry, level))
		ept02_stamp(f->set, f->root);
	*entry = leaf;
}

/* ept01_lookup() that knows its last answer. */
static struct ept01_mapping lookup_near(const struct ept02_fill *f, struct ept01_mapping *last,
					u64 *last_gpa1, gpa1_t gpa1)
{
	u64 within = BIT(last->shift) - 1;

	if ((*last_gpa1 ^ gpa1.v) & ~within)
		*last = ept01_lookup(f->set->ept01, gpa1);
	else
		last->hpa = HPA((last->hpa.v & ~within) | (gpa1.v & within));
	*last_gpa1 = gpa1.v;
	return *last;
}

/* What may be mapped for one of L1's entries that nobody asked for; 0: nothing. */
static u64 neighbour(const struct ept02_fill *f, u64 entry12, u64 rights, u32 level,
		     struct ept01_mapping *last, u64 *last_gpa1)
{
	const struct ept_caps *caps = &f->set->caps12;
	bool mode_based = ept12_mode_based(f->root->role);
	struct ept01_mapping map;

	if (!ept_present(entry12, mode_based) || !ept_is_leaf(entry12, level) ||
	    ept_misconfigured(entry12, level, caps, mode_based))
		return 0;
	if ((f->root->role & EPTP_AD) && !(entry12 & EPT_A))
		return 0;
	map = lookup_near(f, last, last_gpa1, GPA1(entry12 & EPT_ADDR));
	if (!map.present || map.shift < ept_shift(level))
		return 0;
	mark(f->root, GPA1(entry12 & EPT_ADDR), level);
	return compose(f, rights & entry12, entry12, &map, level);
}

/*
 * Reading L1's memory may make vm/ change ept01 and drop this very root. Then
 * neither what was looked up nor the path may be used any more: false.
 */
static bool fill_around(const struct ept02_fill *f, u64 *table, u32 level)
{
	gpa1_t table12 = GPA1(f->walk.at[level].v & PAGE_MASK);
	u32 index = ept_index(f->gpa2.v, level), first, i;
	struct ept01_mapping last = f->map;
	u64 last_gpa1 = f->walk.gpa1.v, rights = ept12_rights_above(&f->walk, level);
	u64 stamp = f->root->stamp, changes = f->set->ept01->changes;
	u64 chunk[CHUNK];

	for (first = 0; first < EPT_ENTRIES; first += CHUNK) {
		gpa1_t at = GPA1(table12.v + first * sizeof(u64));

		if (!op_gpa1_read(f->set->vm, at, chunk, sizeof(chunk)) ||
		    stamp != f->root->stamp || changes != f->set->ept01->changes)
			return false;
		for (i = 0; i < CHUNK; i++) {
			if (chunk[i] && first + i != index)
				table[first + i] = neighbour(f, chunk[i], rights, level,
							     &last, &last_gpa1);
		}
	}
	return true;
}

void ept02_fill(const struct ept02_fill *f)
{
	u8 shift = MIN(ept_shift(f->walk.level), MIN(f->map.shift, ept_max_shift(&f->set->caps_hw)));
	u32 leaf_level = ept_level(shift), level;
	struct path path;

	if (!make_path(f, leaf_level, &path)) {
		ept02_drop(f->set, f->root);
		if (!make_path(f, leaf_level, &path))
			return;
	}
	mark(f->root, f->walk.gpa1, leaf_level);
	put_leaf(f, &path.table[leaf_level][ept_index(f->gpa2.v, leaf_level)], leaf_level,
		 compose(f, f->walk.rights, f->walk.entry[f->walk.level], &f->map, leaf_level));
	for (level = MAX(leaf_level, f->walk.level); level <= AROUND_LEVELS; level++) {
		if (path.fresh[level] && !fill_around(f, path.table[level], level))
			return;
	}
}
