/*
 * L1's own EPT: reading it as hardware would. A walk has no side effects;
 * accessed and dirty flags are set afterwards, once the access is known to be
 * allowed. Physical addresses where nothing is read as ones, which is
 * misconfigured at every level.
 *
 * Always: each entry is read once for each walk and judged by the value read.
 */
#pragma once

#include "mmu/ept_format.h"

struct vm;

enum ept12_result { EPT12_MAPPED, EPT12_NOT_PRESENT, EPT12_MISCONFIGURED };

struct ept12_walk {
	u64 role;		/* as in ept02.h */
	gpa2_t gpa2;
	gpa1_t gpa1;
	u64 rights;		/* of all levels together; 0 when not present */
	u32 level;		/* of the leaf */
	u64 entry[EPT_LEVELS + 1];	/* by level; over four, a PML5E that allows all */
	const u64 *table[EPT_LEVELS + 1];	/* good while ept01 stays; NULL: no memory */
};

enum ept12_result ept12_walk(struct vm *vm, u64 role, const struct ept_caps *caps, gpa2_t gpa2,
			     struct ept12_walk *w);
/* After EPT12_MAPPED: would ept12_set_flags() have anything to do? */
bool ept12_lacks_flags(const struct ept12_walk *w, bool write);
/* After EPT12_MAPPED. false: an entry changed since; *dirtied: the dirty flag was set just now. */
bool ept12_set_flags(struct vm *vm, struct ept12_walk *w, bool write, bool *dirtied);

static inline bool ept12_mode_based(u64 role)
{
	return role >> 62 & 1;
}

static inline u64 ept12_rights_mask(u64 role)
{
	return ept12_mode_based(role) ? EPT_RIGHTS : EPT_RWX;
}

/* The rights that the tables of a finished walk leave to entries of this level. */
static inline u64 ept12_rights_above(const struct ept12_walk *w, u32 level)
{
	u64 rights = ept12_rights_mask(w->role);

	while (++level <= EPT_LEVELS)
		rights &= w->entry[level];
	return rights;
}
