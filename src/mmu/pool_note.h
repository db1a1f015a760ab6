/* The notes on a pool's pages. Apart from pool.h, since they are found through an op. */
#pragma once

#include "engine_ops.h"
#include "mmu/pool.h"

static inline struct mmu_note *mmu_pool_note(const struct mmu_pool *pool, hpa_t page)
{
	u64 at = (page.v - pool->base.v) / PAGE_SIZE * sizeof(struct mmu_note);
	hpa_t notes = HPA(pool->base.v + (at & PAGE_MASK));

	return (struct mmu_note *)(void *)op_table(pool->vm, notes) +
	       (at & ~PAGE_MASK) / sizeof(struct mmu_note);
}
