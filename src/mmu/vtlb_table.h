/*
 * A table of a vtlb and its role: between vtlb.c, which keeps and revalidates
 * tables, and vtlb_fill.c, which fills them. Not for others.
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
#define ROLE_OF_MODE (ROLE_MODE | ROLE_PSE | ROLE_NXE | ROLE_SMEP | ROLE_WP)

/*
 * Always: a table was revalidated no earlier than any that leads to it, so that
 * all that have not been for some time can go together and leave no link.
 */
struct vtlb_table {
	u64 source;			/* GPA1 of the guest's table; direct: of what it maps */
	u32 role;			/* 0: free */
	u16 number;
	u16 next;			/* in its bucket, or free: number plus 1 */
	u32 turns;			/* revalidations */
	u32 words;			/* of live[] that are not 0 */
	u64 validated;			/* clock */
	const void *memory;		/* the guest's table, while this is op_gpa1_epoch(): */
	u64 memory_epoch;		/* 0: not known */
	u64 live[VTLB_WORDS];		/* which entries are present */
};

static inline u32 vtlb_level(const struct vtlb_table *t)
{
	return t->role & ROLE_LEVEL;
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

static inline void vtlb_put(const struct vtlb *v, struct vtlb_table *t, u32 i, u64 entry, u64 seen)
{
	vtlb_seen(v, t)[i] = seen;
	t->live[i / 64] |= BIT(i % 64);
	t->words |= BIT32(i / 64);
	__atomic_store_n(&vtlb_entries(v, t)[i], entry, __ATOMIC_RELAXED);
}

/* The table with this key, made if need be; NULL: there is no memory left. */
struct vtlb_table *vtlb_table_get(struct vtlb *v, u64 source, u32 role);
/* There was no memory left: takes it from the tables used least recently. */
void vtlb_recycle(struct vtlb *v);
/* The root's key for a guest. */
struct vtlb_table *vtlb_root_get(struct vtlb *v, const struct mmu_paging *p);
/*
 * Drops from a table, and from what it leads to, whatever the guest has changed;
 * but not from tables that this happened to at that time or since.
 */
void vtlb_validate(struct vtlb *v, struct vtlb_table *t, const struct mmu_paging *p, u64 since);
