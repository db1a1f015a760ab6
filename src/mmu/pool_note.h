/* The notes on a pool's pages. Apart from pool.h, since they are found through an op. */
#pragma once

#include "engine_ops.h"
#include "mmu/pool.h"

static inline struct mmu_note *mmu_pool_note(const struct mmu_pool *pool, hpa_t page)
{
	struct mmu_note *notes = (struct mmu_note *)(void *)op_table(pool->vm, pool->base);

	return notes + (page.v - pool->base.v) / PAGE_SIZE;
}
