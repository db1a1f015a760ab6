/*
 * The part of L1's memory that L0 touched last, as a pointer: what most
 * accesses of the engine hit. First member of struct vm, so that the engine's
 * inline ops need not know the rest. Emptied whenever ept01 changes.
 */
#pragma once

#include "types.h"

struct vm_window {
	u64 base, size;		/* GPA1; size 0: empty */
	u8 *ptr;
	bool writable;
};

/* A pointer to len bytes at gpa, or NULL if they are not in the window. */
static always_inline void *vm_window_ptr(const struct vm_window *w, gpa1_t gpa, size_t len, bool write)
{
	u64 offset = gpa.v - w->base;

	if (unlikely(offset >= w->size || len > w->size - offset || (write && !w->writable)))
		return NULL;
	return w->ptr + offset;
}
