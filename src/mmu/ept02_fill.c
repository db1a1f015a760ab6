/*
 * Mapping a page into an ept02. The way to it is ept02_path.c, what lies around
 * it ept02_around.c.
 */
#include "mmu/ept02_fill.h"
#include "engine_ops.h"

static u64 compose(const struct ept02_fill *f, u32 level)
{
	u64 bits = ept02_leaf_bits(f->root->role, f->walk.rights, f->walk.entry[f->walk.level],
				   level);
	u64 leaf = bits & (ept02_widen(f->map.perms) | ~EPT_RIGHTS);

	if (!(leaf & EPT_RIGHTS))
		return 0;
	return ALIGN_DOWN(f->map.hpa.v, BIT(ept_shift(level))) | leaf;
}

/* A leaf may take the place of a table, whose pages then wait for the root's end. */
static void put_leaf(const struct ept02_fill *f, const struct ept02_table *t, u32 level)
{
	u32 index = ept_index(f->gpa2.v, level);

	if (level > 1 && ept02_is_link(t->entry[index])) {
		f->root->lost += BIT32(9 * (level - 2));
		ept02_stamp(f->set, f->root);
	}
	t->note->top = MAX(t->note->top, (u16)index);
	t->entry[index] = compose(f, level);
	ept02_twin(f, t)[index] = f->walk.entry[f->walk.level];
}

void ept02_fill(const struct ept02_fill *f)
{
	u8 shift = MIN(ept_shift(f->walk.level),
		       MIN(f->map.shift, ept_max_shift(&f->set->caps_hw)));
	u32 leaf_level = ept_level(shift);
	struct ept02_table table;

	if (!ept02_path(f, leaf_level, &table)) {
		ept02_drop(f->set, f->root);
		if (!ept02_path(f, leaf_level, &table))
			return;
	}
	ept02_mark(f->root, f->walk.gpa1, leaf_level);
	put_leaf(f, &table, leaf_level);
}
