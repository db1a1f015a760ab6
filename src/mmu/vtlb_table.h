/*
 * A table of a vtlb and its role: between vtlb.c, which keeps and revalidates
 * tables, vtlb_fill.c, which fills them, vtlb_rest.c, which knows what is not in
 * use, and vtlb_list.c, which knows what a flush must look at. Not for others.
 */
#pragma once

#include "engine_ops.h"
#include "mmu/guest_rights.h"
#include "mmu/vtlb.h"

#define VTLB_ENTRIES 512u
#define VTLB_WORDS (VTLB_ENTRIES / 64)

enum vtlb_mode { VTLB_UNPAGED, VTLB_32BIT, VTLB_PAE, VTLB_LONG };

/* Bits of a role. */
#define ROLE_LEVEL 7u			/* of the hardware's table */
#define ROLE_MODE_SHIFT 3
#define ROLE_MODE (3u << ROLE_MODE_SHIFT)
#define ROLE_DIRECT BIT32(5)		/* inside one page of the guest, or without paging */
#define ROLE_QUADRANT_SHIFT 6		/* 32-bit paging: which part of the guest's table */
#define ROLE_W BIT32(8)			/* rights of the levels above */
#define ROLE_U BIT32(9)
#define ROLE_NX BIT32(10)
#define ROLE_CACHE_SHIFT 11		/* direct: the guest's PWT, PCD, PAT */
#define ROLE_PSE BIT32(14)
#define ROLE_NXE BIT32(15)
#define ROLE_SMEP BIT32(16)
#define ROLE_WP BIT32(17)
#define ROLE_ROOT BIT32(18)		/* four PDPTEs */
#define ROLE_DIRTY BIT32(19)		/* direct: the guest calls its page dirty */
#define ROLE_TSS BIT32(20)		/* root, without paging: and the TSS of L0's; and its tables */
#define ROLE_OF_MODE (ROLE_MODE | ROLE_PSE | ROLE_NXE | ROLE_SMEP | ROLE_WP)

struct vtlb_table {
	u64 source;			/* GPA1 of the guest's table; direct: of what it maps */
	u32 role;			/* 0: free */
	u16 number;
	u16 next;			/* in its bucket, or free: number plus 1 */
	u32 aged;			/* the clock's low bits, when that was done last */
	u16 words;			/* of live[] that are not 0 */
	u16 list;			/* the one that it is in, if that has this serial: */
	u64 serial;			/* 0: none */
	u64 validated;			/* clock; or its list's */
	const void *memory;		/* the guest's table, while this is op_gpa1_epoch(): */
	u64 memory_epoch;		/* 0: not known */
	u64 live[VTLB_WORDS];		/* which entries are present */
};

static inline u32 vtlb_level(const struct vtlb_table *t)
{
	return t->role & ROLE_LEVEL;
}

/* Of the addresses that one entry of a table of the hardware's is for. */
static inline u32 vtlb_shift(u32 level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

static inline enum vtlb_mode vtlb_mode(u32 role)
{
	return (enum vtlb_mode)((role & ROLE_MODE) >> ROLE_MODE_SHIFT);
}

#define VTLB_TABLE_PAGES 2u
#define VTLB_DESCRIPTOR_SIZE 128u
#define VTLB_DESCRIPTORS (PAGE_SIZE / VTLB_DESCRIPTOR_SIZE)
_Static_assert(sizeof(struct vtlb_table) <= VTLB_DESCRIPTOR_SIZE, "a descriptor fits its place");

static inline struct vtlb_table *vtlb_table_of(const struct vtlb *v, u32 number)
{
	u64 *page = op_table(v->vm, HPA(v->descriptors.v + number / VTLB_DESCRIPTORS * PAGE_SIZE));

	return (struct vtlb_table *)(void *)
	       (page + number % VTLB_DESCRIPTORS * (VTLB_DESCRIPTOR_SIZE / sizeof(u64)));
}

/* The table's page for the hardware, and the guest's entries that it was made from. */
static inline hpa_t vtlb_page(const struct vtlb *v, const struct vtlb_table *t)
{
	return HPA(v->pages.v + t->number * VTLB_TABLE_PAGES * PAGE_SIZE);
}

static inline u64 *vtlb_entries(const struct vtlb *v, const struct vtlb_table *t)
{
	return op_table(v->vm, vtlb_page(v, t));
}

static inline u64 *vtlb_seen(const struct vtlb *v, const struct vtlb_table *t)
{
	return op_table(v->vm, HPA(vtlb_page(v, t).v + PAGE_SIZE));
}

/* The table that a present entry leads to. */
static inline struct vtlb_table *vtlb_child(const struct vtlb *v, u64 entry)
{
	u64 offset = (entry & EPT_ADDR) - v->pages.v;

	return vtlb_table_of(v, (u32)(offset / (VTLB_TABLE_PAGES * PAGE_SIZE)));
}

/* The list that a table is in, or NULL. */
static inline struct vtlb_list *vtlb_list_of(struct vtlb *v, const struct vtlb_table *t)
{
	struct vtlb_list *l = &v->list[t->list];

	return t->serial && l->serial == t->serial ? l : NULL;
}

/* The clock when a table was revalidated last. */
static inline u64 vtlb_validated(struct vtlb *v, const struct vtlb_table *t)
{
	const struct vtlb_list *l = vtlb_list_of(v, t);

	return l ? MAX(t->validated, l->validated) : t->validated;
}

/* The guest's table in memory; NULL: there is no memory. */
static always_inline const void *vtlb_memory(struct vtlb *v, struct vtlb_table *t)
{
	u64 epoch = op_gpa1_epoch(v->vm) + 1;

	if (unlikely(t->memory_epoch != epoch)) {
		t->memory = op_gpa1_ptr(v->vm, GPA1(t->source), PAGE_SIZE);
		t->memory_epoch = t->memory ? op_gpa1_epoch(v->vm) + 1 : 0;
	}
	return t->memory;
}

/* 32-bit paging: the part of the guest's table that a table here is made of. */
static inline const u32 *vtlb_narrow_part(const struct vtlb_table *t, const void *memory)
{
	u32 quadrant = t->role >> ROLE_QUADRANT_SHIFT & 3;

	return (const u32 *)memory + quadrant * (vtlb_level(t) == 2 ? 256 : 512);
}

/* The guest's entry for entry i, as memory has it now; 32-bit paging: one directory entry for two. */
static inline u64 vtlb_guest_entry(const struct vtlb_table *t, const void *memory, u32 i)
{
	if (vtlb_mode(t->role) != VTLB_32BIT)
		return __atomic_load_n((const u64 *)memory + i, __ATOMIC_RELAXED);
	return __atomic_load_n(vtlb_narrow_part(t, memory) + (vtlb_level(t) > 1 ? i >> 1 : i),
			       __ATOMIC_RELAXED);
}

/* The table with this key, made if need be; NULL: there is no memory left. */
struct vtlb_table *vtlb_table_get(struct vtlb *v, u64 source, u32 role);
/* There was no memory left: takes it from the tables used least recently. */
void vtlb_recycle(struct vtlb *v);
/* The root's key for a guest. */
struct vtlb_table *vtlb_root_get(struct vtlb *v, const struct mmu_paging *p);
/*
 * Drops from a table, and from what it leads to, whatever the guest has changed;
 * but not from tables that this happened to at that time or since. All of them
 * are in the list then, which may be NULL.
 */
void vtlb_validate(struct vtlb *v, struct vtlb_table *t, const struct mmu_paging *p, u64 since,
		   struct vtlb_list *l);
/* Nothing is present there from now on, or at rest. */
static inline void vtlb_drop_entry(struct vtlb_table *t, u64 *entries, u32 i)
{
	entries[i] = 0;
	t->live[i / 64] &= ~BIT(i % 64);
	if (!t->live[i / 64])
		t->words &= (u16)~BIT32(i / 64);
}

/* An entry, made from this one of the guest's. */
void vtlb_put(struct vtlb *v, struct vtlb_table *t, u32 i, u64 entry, u64 seen);

/* vtlb_rest.c: what hardware has not used since the last time rests from now on. */
void vtlb_age(struct vtlb *v, struct vtlb_table *t);
/* The same for one entry of a table; false: it is not present. */
bool vtlb_stays(u64 *entries, struct vtlb_table *t, u32 i);
/* What leads to gva was only at rest, and now no longer is: the access can be made again. */
bool vtlb_wake(struct vtlb *v, struct vtlb_table *root, const struct mmu_paging *p, u64 gva,
	       u32 error_code);

/* vtlb_list.c */
#define VTLB_LIST_PAGES 5u		/* items, and in the last one whose they are */
struct vtlb_item {
	const u64 *entry;		/* in the guest's table */
	u64 seen;
};

/* A table that has a list of its own, for itself and what it leads to. */
static inline bool vtlb_is_top(const struct vtlb_table *t)
{
	return (t->role & (ROLE_LEVEL | ROLE_MODE | ROLE_DIRECT)) ==
	       (3 | (u32)VTLB_LONG << ROLE_MODE_SHIFT);
}

/* The list of a top has all it must have, and what has changed is gone. */
bool vtlb_list_holds(struct vtlb *v, const struct vtlb_table *top, u64 since);
/* An empty one for a top. */
struct vtlb_list *vtlb_list_begin(struct vtlb *v, const struct vtlb_table *top);
/* True: a table is new in a list that counts, and its present entries must follow. */
bool vtlb_list_take(struct vtlb *v, struct vtlb_list *l, struct vtlb_table *t);
/* An entry goes into the list of its table, if there is one; or another seen value of it. */
void vtlb_list_add(struct vtlb *v, struct vtlb_table *t, u32 i, u64 seen);
void vtlb_list_replace(struct vtlb *v, struct vtlb_table *t, u32 i, u64 seen);
void vtlb_lists_drop(struct vtlb *v);
/* For tests: what vtlb_list.c says that always holds. */
bool vtlb_lists_invariant(struct vtlb *v);
