/*
 * L0's home: the one piece of memory Plastron keeps. Allocation is one way
 * and ends when the rest goes to the page-table pool.
 */
#pragma once

#include "types.h"

struct cpu_home {
	hpa_t base;
	u64 size;
};

extern struct cpu_home cpu_home;

/* Where it is; by boot/, before anything is allocated. */
void cpu_home_init(hpa_t base, u64 size);

/* n zeroed pages; never NULL (running out stops L0 with a message). */
void *cpu_alloc_pages(size_t n);

/* What nobody took: *base and the result, in pages. cpu_alloc_pages() ends here. */
size_t cpu_free_pages(hpa_t *base);
