/*
 * Mapping a page into an ept02. What lies around it is ept02_around.c.
 */
#include "mmu/ept02_fill.h"
#include "engine_ops.h"

struct path {
	u64 *table[EPT_LEVELS + 1];	/* by level */
	bool fresh[EPT_LEVELS + 1];
};

static u64 compose(const struct ept02_fill *f, u32 level)
{
	u64 bits = ept02_leaf_bits(f->root->role, f->walk.rights, f->walk.entry[f->walk.level], level);
	u64 leaf = bits & (ept02_widen(f->map.perms) | ~EPT_RIGHTS);

	if (!(leaf & EPT_RIGHTS))
		return 0;
	return ALIGN_DOWN(f->map.hpa.v, BIT(ept_shift(level))) | leaf;
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

/* A leaf may take the place of a table, whose pages then wait for the root's end. */
static void put_leaf(const struct ept02_fill *f, u64 *entry, u32 level, u64 leaf)
{
	if (ept_present(*entry, true) && !ept_is_leaf(*entry, level))
		ept02_stamp(f->set, f->root);
	*entry = leaf;
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
	ept02_mark(f->root, f->walk.gpa1, leaf_level);
	put_leaf(f, &path.table[leaf_level][ept_index(f->gpa2.v, leaf_level)], leaf_level,
		 compose(f, leaf_level));
	for (level = MAX(leaf_level, f->walk.level); level <= EPT02_AROUND_LEVELS; level++) {
		if (path.fresh[level] && !ept02_fill_around(f, path.table[level], level))
			return;
	}
}
