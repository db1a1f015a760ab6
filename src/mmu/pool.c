/*
 * The pool of table pages: a free list threaded through words outside the
 * pages. Page numbers count from the pool's base; number 0 holds bookkeeping
 * and so can mean "none".
 */
#include "mmu/pool.h"
#include "engine_ops.h"

#define LINKS_PER_PAGE (PAGE_SIZE / sizeof(u64))

static hpa_t page_at(const struct mmu_pool *pool, u32 number)
{
	return HPA(pool->base.v + number * PAGE_SIZE);
}

static u64 *link_of(const struct mmu_pool *pool, u32 number)
{
	u32 page = number / (u32)LINKS_PER_PAGE;

	return &op_table(pool->vm, page_at(pool, page))[number % LINKS_PER_PAGE];
}

void mmu_pool_init(struct mmu_pool *pool, struct vm *vm, hpa_t base, u32 pages)
{
	u32 links = (u32)((pages + LINKS_PER_PAGE - 1) / LINKS_PER_PAGE);

	pool->vm = vm;
	pool->base = base;
	pool->pages = pages;
	pool->fresh = links;
	pool->head = 0;
	pool->available = pages - links;
}

static bool take(struct mmu_pool *pool, u32 *number)
{
	u64 *table;

	if (pool->head) {
		*number = pool->head;
		pool->head = (u32)*link_of(pool, *number);
	} else if (pool->fresh < pool->pages) {
		*number = pool->fresh++;
	} else {
		return false;
	}
	pool->available--;
	table = op_table(pool->vm, page_at(pool, *number));
	__builtin_memset(table, 0, PAGE_SIZE);
	return true;
}

bool mmu_pool_alloc(struct mmu_pool *pool, hpa_t *out)
{
	u32 number;

	if (!take(pool, &number))
		return false;
	*out = page_at(pool, number);
	return true;
}

void mmu_pool_free(struct mmu_pool *pool, hpa_t page)
{
	u32 number = (u32)((page.v - pool->base.v) >> PAGE_SHIFT);

	*link_of(pool, number) = pool->head;
	pool->head = number;
	pool->available++;
}

bool mmu_pool_chain_alloc(struct mmu_pool *pool, struct mmu_chain *chain, hpa_t *out)
{
	u32 number;

	if (!take(pool, &number))
		return false;
	*link_of(pool, number) = chain->head;
	chain->head = number;
	if (!chain->count++)
		chain->tail = number;
	*out = page_at(pool, number);
	return true;
}

void mmu_pool_chain_free(struct mmu_pool *pool, struct mmu_chain *chain)
{
	if (!chain->count)
		return;
	*link_of(pool, chain->tail) = pool->head;
	pool->head = chain->head;
	pool->available += chain->count;
	*chain = (struct mmu_chain){ 0 };
}
