/*
 * A bounded pool of L0's table pages. It is not a general allocator: it hands
 * out single pages, never grows, and its bookkeeping (two words for each page)
 * lies in the pool's own first pages, so that the pages handed out belong to
 * their user entirely and a whole chain of them comes back in one step.
 *
 * Always: a page handed out is zeroed, and so is its note. A page given back keeps its content
 * until it is handed out again; its user must have seen to it that no
 * processor walks it any more by then (INVEPT before the next VM entry).
 */
#pragma once

#include "types.h"

struct vm;

struct mmu_pool {
	struct vm *vm;
	hpa_t base;
	u32 pages;	/* all pages, bookkeeping included */
	u32 fresh;	/* pages from this one on were never handed out */
	u32 head;	/* first page given back; 0: none */
	u32 available;
};

/* What is known of a page (pool_note.h). The link is the pool's, the rest is its user's to say. */
struct mmu_note {
	u32 link;
	u16 key, top;
	hpa_t twin;
};

/* Pages that are only given back together. Zeroed state: empty. */
struct mmu_chain {
	u32 head;
	u32 tail;
	u32 count;
};

void mmu_pool_init(struct mmu_pool *pool, struct vm *vm, hpa_t base, u32 pages);
bool mmu_pool_alloc(struct mmu_pool *pool, hpa_t *out);
void mmu_pool_free(struct mmu_pool *pool, hpa_t page);
bool mmu_pool_chain_alloc(struct mmu_pool *pool, struct mmu_chain *chain, hpa_t *out);
void mmu_pool_chain_free(struct mmu_pool *pool, struct mmu_chain *chain);

static inline u32 mmu_pool_available(const struct mmu_pool *pool)
{
	return pool->available;
}
