/*
 * The way from an ept02's root to a table. A table that is not there is made;
 * one that INVEPT hid is opened again, once each entry was compared with L1's
 * that it was made of. Tables have their place in the root, and nothing else
 * about them is believed: what does not fit L1's table as it is now goes.
 */
#include "mmu/ept02_fill.h"
#include "engine_ops.h"

static always_inline struct ept02_table table_at(const struct ept02_fill *f, hpa_t page)
{
	return (struct ept02_table){
		mmu_pool_note(f->set->pool, page), op_table(f->set->vm, page),
	};
}

/* What a table at this level would be made of now. */
static u16 key_of(const struct ept02_fill *f, u32 level, u64 rights_above)
{
	return ept02_sourced(f, level) ? (u16)(rights_above | EPT02_SOURCED) : 0;
}

/* No leaf stays. Links are hidden: what they lead to was not compared yet. */
static void empty(const struct ept02_fill *f, const struct ept02_table *t, u32 level)
{
	u64 *twin = ept02_twin(f, t);
	u32 top = t->note->top;

	for (u32 i = 0; i <= top; i++) {
		t->entry[i] = level > 1 && ept02_is_link(t->entry[i]) ? ept02_hide(t->entry[i]) : 0;
		twin[i] = 0;
	}
}

/* Leaves stay that were made of what L1's table holds now. */
static void compare(const struct ept02_fill *f, const struct ept02_table *t, const u64 *source)
{
	const u64 *twin = ept02_twin(f, t);
	u32 top = t->note->top;

	for (u32 i = 0; i <= top; i++) {
		if (ept02_is_link(t->entry[i]))
			t->entry[i] = ept02_hide(t->entry[i]);
		else if (READ_ONCE(source[i]) != twin[i])
			t->entry[i] = 0;
	}
}

/* Before it is linked. Where L1's table is one of small pages, ept02_around() compares. */
static void prepare(const struct ept02_fill *f, const struct ept02_table *t, u32 level, u16 key)
{
	if (t->note->key != key || !key)
		empty(f, t, level);
	else if (level > 1)
		compare(f, t, f->walk.table[level]);
	t->note->key = key;
	if (key && level <= EPT02_AROUND_LEVELS)
		ept02_around(f, t, level);
}

/* What was not there, was hidden, or is not right any more; false: no pages left. */
static __attribute__((noinline)) bool make(const struct ept02_fill *f, struct ept02_table *above,
					   u32 level, u16 key, struct ept02_table *out)
{
	u32 index = ept_index(f->gpa2.v, level + 1);
	u64 *entry = &above->entry[index];
	hpa_t page = HPA(*entry & EPT_ADDR);

	f->root->near = NULL;		/* what lies below may be hidden now */
	if (!ept02_is_link(*entry)) {
		if (!ept02_table_alloc(f->set, f->root, &page))
			return false;
		mmu_pool_note(f->set->pool, page)->key = key;
		above->note->top = MAX(above->note->top, (u16)index);
	}
	*out = table_at(f, page);
	prepare(f, out, level, key);
	/* Other processors may run on this root. */
	__atomic_store_n(entry, page.v | ept12_rights_mask(f->root->role), __ATOMIC_RELEASE);
	return true;
}

/* Most faults come where the last one was. */
static bool is_near(const struct ept02_fill *f, struct ept02_table *out)
{
	const struct ept02 *root = f->root;

	if (f->walk.level > 1 || !root->near || (root->near_gpa2.v ^ f->gpa2.v) >> ept_shift(2))
		return false;
	*out = (struct ept02_table){ root->near_note, root->near };
	return out->note->key == key_of(f, 1, ept12_rights_above(&f->walk, 1));
}

/* From *t, of this level, to the table below it. *rights: of L1's entries so far. */
static always_inline bool descend(const struct ept02_fill *f, u32 level, u64 *rights,
				  struct ept02_table *t)
{
	u64 entry = t->entry[ept_index(f->gpa2.v, level)];
	struct ept02_table above = *t;
	u16 key;

	if (level >= f->walk.level)
		*rights &= f->walk.entry[level];
	key = key_of(f, level - 1, *rights);
	if (likely((entry & (EPT_LARGE | EPT_R)) == EPT_R)) {
		*t = table_at(f, HPA(entry & EPT_ADDR));
		/* Without INVEPT L1 may have made another table of it, and told nobody. */
		if (likely(t->note->key == key))
			return true;
	}
	return make(f, &above, level - 1, key, t);
}

bool ept02_path(const struct ept02_fill *f, u32 leaf_level, struct ept02_table *out)
{
	/* L1's PML5E counts, whether L0 has one or not. */
	u64 rights = ept12_rights_mask(f->root->role) & f->walk.entry[EPT_LEVELS];
	struct ept02_table t;
	u32 level = 4;

	if (leaf_level == 1 && likely(is_near(f, out)))
		return true;
	t = table_at(f, HPA(f->root->eptp & EPT_ADDR));
	ept02_enliven(f->set, f->root);
	if (unlikely(ept_five_levels(f->root->eptp)) && !descend(f, 5, &rights, &t))
		return false;
#pragma GCC unroll 3
	for (; level > leaf_level && level > 1; level--) {
		if (!descend(f, level, &rights, &t))
			return false;
	}
	if (level == 1) {
		f->root->near = t.entry;
		f->root->near_note = t.note;
		f->root->near_gpa2 = f->gpa2;
	}
	*out = t;
	return true;
}
