/*
 * Between ept02.c, which decides that a translation may be mapped, and
 * ept02_fill.c, ept02_path.c and ept02_around.c, which map it. Not for others.
 */
#pragma once

#include "engine_ops.h"
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

/* Maps gpa2 with the largest page both levels allow; and on new ground what lies around it. */
void ept02_fill(const struct ept02_fill *f);
/* A table of L0's on the way to gpa2. */
struct ept02_table {
	struct mmu_note *note;
	u64 *entry;
};

/* Its twin, which tells what it was made of; every table but the root has one. */
static inline u64 *ept02_twin(const struct ept02_fill *f, const struct ept02_table *t)
{
	return op_table(f->set->vm, t->note->twin);
}

/* The table of this level, with all above it; false: no pages left. */
bool ept02_path(const struct ept02_fill *f, u32 leaf_level, struct ept02_table *out);
/*
 * Brings into the table, which has a source of this level, what L1's table maps
 * around gpa2; at level 1 all of it, whatever the table held.
 */
void ept02_around(const struct ept02_fill *f, const struct ept02_table *t, u32 level);

static inline bool ept02_sourced(const struct ept02_fill *f, u32 level)
{
	return level >= f->walk.level;
}

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
