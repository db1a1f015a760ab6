/*
 * Between ept02.c, which decides that a translation may be mapped, and
 * ept02_fill.c and ept02_around.c, which map it. Not for others.
 */
#pragma once

#include "mmu/ept02_set.h"
#include "mmu/ept12.h"

/* In tables above this level nobody looks around: their leaves are huge and few. */
#define EPT02_AROUND_LEVELS 2u

struct ept02_fill {
	struct ept02_set *set;
	struct ept02 *root;
	gpa2_t gpa2;
	struct ept12_walk walk;		/* of gpa2, mapped */
	struct ept01_mapping map;	/* of walk.gpa1, present */
};

/* Maps gpa2 with the largest page both levels allow; and what lies around it, if that is new ground. */
void ept02_fill(const struct ept02_fill *f);
/*
 * Maps what else L1's table around gpa2 maps into the new table of this level.
 * false: ept01 or the root changed meanwhile, and with it what f and the
 * caller know of them.
 */
bool ept02_fill_around(const struct ept02_fill *f, u64 *table, u32 level);

/* ept01's rights in an ept02's terms: what may be executed may be by everybody. */
static inline u64 ept02_widen(u64 perms)
{
	return perms & EPT_X ? perms | EPT_XU : perms;
}

/* A leaf less its address, and before ept01's rights. */
static inline u64 ept02_leaf_bits(u64 role, u64 rights12, u64 leaf12, u32 level)
{
	/* Read-only until the first write, so that it is seen and the dirty flag set. */
	if ((role & EPTP_AD) && !(leaf12 & EPT_D))
		rights12 &= ~EPT_W;
	return rights12 | (leaf12 & (EPT_MT | EPT_IPAT)) | (level > 1 ? EPT_LARGE : 0);
}

static inline void ept02_mark(struct ept02 *root, gpa1_t gpa1, u32 level)
{
	if (level > 2)
		__builtin_memset(root->mapped, 0xff, sizeof(root->mapped));
	else
		root->mapped[ept02_region(gpa1.v) / 64] |= BIT(ept02_region(gpa1.v) % 64);
}
