/* Address spaces of the 32-bit world: all memory at its own address, but for PROBE's page. */
#include "world.h"

#define CR4_PAGE_SIZE	BIT(4)

static u32 *probe_page(u32 value)
{
	u32 *page = page_alloc();

	page[0] = value;
	return page;
}

/* A megabyte above PROBE nothing is mapped: 0x50000000. */
#define HOLE	0x50000000ull

struct address_space flat_space(u32 value)
{
	u32 *directory = page_alloc(), *table = page_alloc();

	for (u32 i = 0; i < 1024; i++)
		directory[i] = i << 22 | 0x87;
	directory[PROBE >> 22] = (u32)(u64)table | 7;
	directory[HOLE >> 22] = 0;
	table[0] = (u32)(u64)probe_page(value) | 7;
	return (struct address_space){ (u32)(u64)directory, CR4_PAGE_SIZE };
}

struct address_space pae_space(u32 value)
{
	u64 *pointers = page_alloc(), *directory = pages_alloc(4), *table = page_alloc();

	for (u64 i = 0; i < 2048; i++)
		directory[i] = i << 21 | 0x87;
	for (u64 i = 0; i < 4; i++)
		pointers[i] = (u64)&directory[512 * i] | 1;
	directory[PROBE >> 21] = (u64)table | 7;
	directory[HOLE >> 21] = 0;
	table[0] = (u64)probe_page(value) | 7;
	return (struct address_space){ (u32)(u64)pointers, CR4_PAE };
}
