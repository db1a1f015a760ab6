/*
 * Pages from a pool in the image's own .bss, so that a test needs no idea of the machine's memory
 * map; never freed. And the four functions that a compiler calls by itself.
 */
#include "kit.h"

#define POOL_PAGES	4096

static u8 pool[POOL_PAGES * PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned int used;

void *pages_alloc(unsigned int count)
{
	void *page = &pool[used * PAGE_SIZE];

	if (count > POOL_PAGES - used)
		die("the kit's pool of %u pages is used up: raise POOL_PAGES", POOL_PAGES);
	used += count;
	return page;
}

void *page_alloc(void)
{
	return pages_alloc(1);
}

void *memset(void *to, int byte, size_t n)
{
	void *start = to;

	asm volatile("rep stosb" : "+D" (to), "+c" (n) : "a" (byte) : "memory");
	return start;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *start = to;

	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (n) : : "memory");
	return start;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}
