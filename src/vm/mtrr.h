/* The processor's MTRRs, read for mmu/mtrr.h to judge. */
#pragma once

#include "mmu/mtrr.h"

/* Copies the MTRRs of this processor. */
void mtrr_read(struct mtrr_state *s);

/* The type at start, and in *len how far it reaches (whole pages, at most max). */
u8 mtrr_run(const struct mtrr_state *s, hpa_t start, u64 max, u64 *len);
