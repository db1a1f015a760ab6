/*
 * The roots of a set and their pages: between ept02_set.c, which keeps them,
 * and ept02.c, which fills them. Not for others.
 *
 * Each table has a note (pool.h). top: entries above this one are 0. twin: the
 * page that holds, for each leaf, the entry of L1's it was made of. key: the
 * rights that L1's tables above leave, with EPT02_SOURCED if the table mirrors
 * one of L1's; without, it is part of a larger page of L1's and has no source.
 */
#pragma once

#include "mmu/ept02.h"
#include "mmu/pool_note.h"

#define EPT02_SOURCED BIT32(15)

/* Where a region of GPA1 has its bit in ept02.mapped. */
static inline u32 ept02_region(u64 gpa1)
{
	return (u32)(gpa1 >> 21) % EPT02_REGIONS;
}

/* Leads to a table, hidden or not. Above level 1 only. */
static inline bool ept02_is_link(u64 entry)
{
	return entry && !(entry & EPT_LARGE);
}

/* Without rights nobody gets to the table, but its place is kept. */
static inline u64 ept02_hide(u64 link)
{
	return link & EPT_ADDR;
}

/*
 * A zeroed page for this root's tables, and its twin; other roots lose theirs if need be.
 * false: none are left.
 */
bool ept02_table_alloc(struct ept02_set *set, struct ept02 *root, hpa_t *out);
/* It is to have tables that are not hidden. */
static inline void ept02_enliven(struct ept02_set *set, const struct ept02 *root)
{
	set->live |= root->bit;
}

/* Empties the root; it keeps its role and EPTP. */
void ept02_drop(struct ept02_set *set, struct ept02 *root);
void ept02_touch(struct ept02_set *set, struct ept02 *root);
/* Something of the root that hardware may have cached no longer holds. */
void ept02_stamp(struct ept02_set *set, struct ept02 *root);
