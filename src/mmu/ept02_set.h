/*
 * The roots of a set and their pages: between ept02_set.c, which keeps them,
 * and ept02.c, which fills them. Not for others.
 */
#pragma once

#include "mmu/ept02.h"

/* Where a region of GPA1 has its bit in ept02.mapped. */
static inline u32 ept02_region(u64 gpa1)
{
	return (u32)(gpa1 >> 21) % EPT02_REGIONS;
}

/* A zeroed page for this root's tables; other roots lose theirs if need be. false: none are left. */
bool ept02_page_alloc(struct ept02_set *set, struct ept02 *root, hpa_t *out);
/* Empties the root; it keeps its role and EPTP. */
void ept02_drop(struct ept02_set *set, struct ept02 *root);
void ept02_touch(struct ept02_set *set, struct ept02 *root);
/* Something of the root that hardware may have cached no longer holds. */
void ept02_stamp(struct ept02_set *set, struct ept02 *root);
