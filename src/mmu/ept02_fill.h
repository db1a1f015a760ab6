/*
 * Between ept02.c, which decides that a translation may be mapped, and
 * ept02_fill.c, which maps it. Not for others.
 */
#pragma once

#include "mmu/ept02.h"
#include "mmu/ept12.h"

struct ept02_fill {
	struct ept02_set *set;
	struct ept02 *root;
	gpa2_t gpa2;
	struct ept12_walk walk;		/* of gpa2, mapped */
	struct ept01_mapping map;	/* of walk.gpa1, present */
};

/* Maps gpa2 with the largest page both levels allow; and what lies around it, if that is new ground. */
void ept02_fill(const struct ept02_fill *f);
