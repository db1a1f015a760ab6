/*
 * The pool of table pages: a free list threaded through notes outside the
 * pages. Page numbers count from the pool's base; number 0 holds bookkeeping
 * and so can mean "none".
 */
#include "mmu/pool_note.h"

#define NOTES_PER_PAGE (PAGE_SIZE / sizeof(struct mmu_note))

static hpa_t page_at(const struct mmu_pool *pool, u32 number)
{
	return HPA(pool->base.v + number * PAGE_SIZE);
}

static struct mmu_note *note_of(const struct mmu_pool *pool, u32 number)
{
	return mmu_pool_note(pool, page_at(pool, number));
}

void mmu_pool_init(struct mmu_pool *pool, struct vm *vm, hpa_t base, u32 pages)
{
	u32 notes = (u32)((pages + NOTES_PER_PAGE - 1) / NOTES_PER_PAGE);

	pool->vm = vm;
	pool->base = base;
	pool->pages = pages;
	pool->fresh = notes;
	pool->head = 0;
	pool->available = pages - notes;
}

static bool take(struct mmu_pool *pool, u32 *number)
{
	if (pool->head) {
		*number = pool->head;
		pool->head = note_of(pool, *number)->link;
	} else if (pool->fresh < pool->pages) {
		*number = pool->fresh++;
	} else {
		return false;
	}
	pool->available--;
	*note_of(pool, *number) = (struct mmu_note){ 0 };
	__builtin_memset(op_table(pool->vm, page_at(pool, *number)), 0, PAGE_SIZE);
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

	note_of(pool, number)->link = pool->head;
	pool->head = number;
	pool->available++;
}

bool mmu_pool_chain_alloc(struct mmu_pool *pool, struct mmu_chain *chain, hpa_t *out)
{
	u32 number;

	if (!take(pool, &number))
		return false;
	note_of(pool, number)->link = chain->head;
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
	note_of(pool, chain->tail)->link = pool->head;
	pool->head = chain->head;
	pool->available += chain->count;
	*chain = (struct mmu_chain){ 0 };
}
