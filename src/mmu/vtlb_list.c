/*
 * What a flush must look at, in one list for each part of the guest's tables
 * below a table of level 3: where the guest's entries are, and what they were.
 * A flush goes along the list and need not go through the tables.
 *
 * Always: a list that counts (serial is not 0) has every present entry of every
 * table that is in it, and every table that such an entry leads to is in it (but
 * for those that are made of ept01 alone). It may have more. A table is in one
 * list at most. After vtlb_drop() and vtlb_recycle() no list counts.
 */
#include "mmu/vtlb_table.h"

#include "engine_ops.h"

#define ITEMS_OF_PAGE (PAGE_SIZE / sizeof(struct vtlb_item))
#define ITEMS ((VTLB_LIST_PAGES - 1) * ITEMS_OF_PAGE)
#define TURNS_AGE 64u		/* uses after which an unused entry rests */

static void lose(struct vtlb_list *l)
{
	l->serial = l->validated = 0;
}

static u64 *page_of(const struct vtlb *v, const struct vtlb_list *l, u64 page)
{
	u64 number = (u64)(l - v->list) * VTLB_LIST_PAGES + page;

	return op_table(v->vm, HPA(v->list_pages.v + number * PAGE_SIZE));
}

static struct vtlb_item *items_of(const struct vtlb *v, const struct vtlb_list *l, u64 page)
{
	return (struct vtlb_item *)(void *)page_of(v, l, page);
}

static struct vtlb_item *item_of(const struct vtlb *v, const struct vtlb_list *l, u32 k)
{
	return &items_of(v, l, k / ITEMS_OF_PAGE)[k % ITEMS_OF_PAGE];
}

/* Table and entry of the vtlb that an item is about: the number of the one, and of the other. */
static u32 *owner_of(const struct vtlb *v, const struct vtlb_list *l, u32 k)
{
	return (u32 *)(void *)page_of(v, l, VTLB_LIST_PAGES - 1) + k;
}

_Static_assert(ITEMS * sizeof(u32) <= PAGE_SIZE, "the owners of all items fit their page");

static void add(struct vtlb *v, struct vtlb_list *l, const struct vtlb_table *t, u32 i, u64 seen)
{
	u32 k = l->count;

	if (unlikely(k == ITEMS)) {
		lose(l);
		return;
	}
	*item_of(v, l, k) = (struct vtlb_item){ (const u64 *)t->memory + i, seen };
	*owner_of(v, l, k) = t->number * VTLB_ENTRIES + i;
	l->count++;
}

static void take_out(struct vtlb *v, struct vtlb_list *l, u32 k)
{
	u32 last = --l->count;

	*item_of(v, l, k) = *item_of(v, l, last);
	*owner_of(v, l, k) = *owner_of(v, l, last);
}

static always_inline bool is_unchanged(const struct vtlb *v, const struct vtlb_list *l)
{
	u64 other = 0;
	u32 left = l->count;

	for (u64 page = 0; left; page++) {
		const struct vtlb_item *item = items_of(v, l, page);
		const struct vtlb_item *end = item + MIN(left, ITEMS_OF_PAGE);

		left -= (u32)(end - item);
#pragma GCC unroll 4
		for (; item < end; item++)
			other |= __atomic_load_n(item->entry, __ATOMIC_RELAXED) ^ item->seen;
	}
	return !other;
}

/* Drops what was made from entries that are no longer what they were. */
static __attribute__((noinline)) void drop_changed(struct vtlb *v, struct vtlb_list *l)
{
	for (u32 k = 0; k < l->count;) {
		const struct vtlb_item *item = item_of(v, l, k);
		u64 entry = __atomic_load_n(item->entry, __ATOMIC_RELAXED);
		u32 owner = *owner_of(v, l, k), i = owner % VTLB_ENTRIES;
		struct vtlb_table *t;

		if (likely(entry == item->seen)) {
			k++;
			continue;
		}
		t = vtlb_table_of(v, owner / VTLB_ENTRIES);
		if (vtlb_seen(v, t)[i] != entry)
			vtlb_drop_entry(t, vtlb_entries(v, t), i);
		take_out(v, l, k);
	}
}

/* What hardware has not used since the last time rests. */
static __attribute__((noinline)) void age(struct vtlb *v, struct vtlb_list *l)
{
	for (u32 k = 0; k < l->count;) {
		u32 owner = *owner_of(v, l, k), i = owner % VTLB_ENTRIES;
		struct vtlb_table *t = vtlb_table_of(v, owner / VTLB_ENTRIES);

		if (vtlb_stays(vtlb_entries(v, t), t, i))
			k++;
		else
			take_out(v, l, k);
	}
}

bool vtlb_list_holds(struct vtlb *v, const struct vtlb_table *top, u64 since)
{
	struct vtlb_list *l = vtlb_list_of(v, top);

	if (unlikely(!l || l->top != top->number || l->epoch != op_gpa1_epoch(v->vm)))
		return false;
	if (unlikely(++l->turns % TURNS_AGE == 0))
		age(v, l);
	if (unlikely(!is_unchanged(v, l)))
		drop_changed(v, l);
	l->validated = since;
	return true;
}

struct vtlb_list *vtlb_list_begin(struct vtlb *v, const struct vtlb_table *top)
{
	struct vtlb_list *l = vtlb_list_of(v, top);

	if (!l || l->top != top->number) {
		l = &v->list[0];
		for (u32 i = 1; i < v->lists; i++)
			if (v->list[i].validated < l->validated)
				l = &v->list[i];
	}
	*l = (struct vtlb_list){
		.top = top->number, .serial = ++v->serial, .epoch = op_gpa1_epoch(v->vm),
		.validated = v->clock,
	};
	return l;
}

bool vtlb_list_take(struct vtlb *v, struct vtlb_list *l, struct vtlb_table *t)
{
	struct vtlb_list *other = vtlb_list_of(v, t);

	if (!l->serial || other == l)
		return false;
	if (other)
		lose(other);
	t->list = (u16)(l - v->list);
	t->serial = l->serial;
	return true;
}

void vtlb_list_add(struct vtlb *v, struct vtlb_table *t, u32 i, u64 seen)
{
	struct vtlb_list *l = vtlb_list_of(v, t);

	if (!l)
		return;
	if (likely(l->epoch == op_gpa1_epoch(v->vm) && t->memory_epoch == l->epoch + 1))
		add(v, l, t, i, seen);
	else
		lose(l);
}

void vtlb_list_replace(struct vtlb *v, struct vtlb_table *t, u32 i, u64 seen)
{
	struct vtlb_list *l = vtlb_list_of(v, t);

	for (u32 k = l ? l->count : 0; k--;) {
		if (*owner_of(v, l, k) == t->number * VTLB_ENTRIES + i) {
			item_of(v, l, k)->seen = seen;
			return;
		}
	}
	vtlb_list_add(v, t, i, seen);
}

void vtlb_lists_drop(struct vtlb *v)
{
	for (u32 i = 0; i < v->lists; i++)
		lose(&v->list[i]);
}

static bool has_item(const struct vtlb *v, const struct vtlb_list *l, const struct vtlb_table *t,
		     u32 i)
{
	for (u32 k = 0; k < l->count; k++)
		if (*owner_of(v, l, k) == t->number * VTLB_ENTRIES + i &&
		    item_of(v, l, k)->seen == vtlb_seen(v, t)[i] &&
		    item_of(v, l, k)->entry == (const u64 *)t->memory + i)
			return true;
	return false;
}

bool vtlb_lists_invariant(struct vtlb *v)
{
	for (u32 n = 0; n < v->used; n++) {
		const struct vtlb_table *t = vtlb_table_of(v, n);
		const struct vtlb_list *l = t->role ? vtlb_list_of(v, t) : NULL;

		for (u32 i = 0; l && i < VTLB_ENTRIES; i++) {
			u64 entry = vtlb_entries(v, t)[i];
			const struct vtlb_table *next;

			if (!(entry & PTE_P))
				continue;
			if (!has_item(v, l, t, i))
				return false;
			if (vtlb_level(t) == 1 || (entry & PTE_PS))
				continue;
			next = vtlb_child(v, entry);
			if (!(next->role & ROLE_DIRECT) && vtlb_list_of(v, next) != l)
				return false;
		}
	}
	return true;
}
