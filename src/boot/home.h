/*
 * L0's home: the one piece of memory Plastron keeps. Allocation is one way
 * and ends when the rest goes to the page-table pool.
 */
#pragma once

#include "types.h"

struct boot_home {
	hpa_t base;
	u64 size;
};

const struct boot_home *boot_home(void);

/* n zeroed pages; never NULL (running out stops L0 with a message). */
void *boot_alloc_pages(size_t n);

/* What nobody took: *base and the result, in pages. boot_alloc_pages() ends here. */
size_t boot_free_pages(hpa_t *base);
