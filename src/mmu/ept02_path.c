/*
 * The way from an ept02's root to a table. A table that is not there is made;
 * one that INVEPT hid is opened again, once each entry was compared with L1's
 * that it was made of. Tables have their place in the root, and nothing else
 * about them is believed: what does not fit L1's table as it is now goes.
 */
#include "mmu/ept02_fill.h"
#include "engine_ops.h"

static struct ept02_table table_at(const struct ept02_fill *f, hpa_t page)
{
	struct mmu_note *note = mmu_pool_note(f->set->pool, page);

	return (struct ept02_table){
		.note = note,
		.entry = op_table(f->set->vm, page),
		.twin = note->twin.v ? op_table(f->set->vm, note->twin) : NULL,
	};
}

/* What a table at this level would be made of now. */
static u16 key_of(const struct ept02_fill *f, u32 level, u64 rights_above)
{
	return ept02_sourced(f, level) ? (u16)(rights_above | EPT02_SOURCED) : 0;
}

/* No leaf stays. Links are hidden: what they lead to was not compared yet. */
static void empty(const struct ept02_table *t, u32 level)
{
	u32 top = t->note->top;

	for (u32 i = 0; i <= top; i++) {
		t->entry[i] = level > 1 && ept02_is_link(t->entry[i]) ? ept02_hide(t->entry[i]) : 0;
		t->twin[i] = 0;
	}
}

/* Leaves stay that were made of what L1's table holds now. */
static void compare(const struct ept02_table *t, const u64 *source)
{
	u32 top = t->note->top;

	for (u32 i = 0; i <= top; i++) {
		if (ept02_is_link(t->entry[i]))
			t->entry[i] = ept02_hide(t->entry[i]);
		else if (READ_ONCE(source[i]) != t->twin[i])
			t->entry[i] = 0;
	}
}

/* Before it is linked. Where L1's table is one of small pages, ept02_around() compares. */
static void prepare(const struct ept02_fill *f, const struct ept02_table *t, u32 level, u16 key)
{
	if (t->note->key != key || !key)
		empty(t, level);
	else if (level > 1)
		compare(t, f->walk.table[level]);
	t->note->key = key;
	if (key && level <= EPT02_AROUND_LEVELS)
		ept02_around(f, t, level);
}

/* The table of this level below an entry, right for what L1's tables are; false: no pages left. */
static bool descend(const struct ept02_fill *f, u64 *entry, u32 level, u16 key,
		    struct ept02_table *out)
{
	hpa_t page = HPA(*entry & EPT_ADDR);

	if (ept02_is_link(*entry)) {
		*out = table_at(f, page);
		/* Without INVEPT L1 may have made another table of it, and told nobody. */
		if (likely((*entry & EPT_RIGHTS) && out->note->key == key))
			return true;
	} else {
		if (!ept02_table_alloc(f->set, f->root, &page))
			return false;
		*out = table_at(f, page);
		out->note->key = key;
	}
	prepare(f, out, level, key);
	*entry = page.v | ept12_rights_mask(f->root->role);
	return true;
}

bool ept02_path(const struct ept02_fill *f, u32 leaf_level, struct ept02_table *path)
{
	u64 rights = ept12_rights_mask(f->root->role);
	u32 level = EPT_LEVELS;

	ept02_enliven(f->set, f->root);
	path[level] = table_at(f, HPA(f->root->eptp & EPT_ADDR));
	for (; level > leaf_level; level--) {
		u32 index = ept_index(f->gpa2.v, level);

		path[level].note->top = MAX(path[level].note->top, (u16)index);
		if (level >= f->walk.level)
			rights &= f->walk.entry[level];
		if (!descend(f, &path[level].entry[index], level - 1, key_of(f, level - 1, rights),
			     &path[level - 1]))
			return false;
	}
	return true;
}
