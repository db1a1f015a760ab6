/*
 * The parts of L1's memory that L0 touched last, as pointers: what most
 * accesses of the engine hit. Each page number has its place, so that the
 * tables of a walk and what they lead to stay side by side. First member of
 * struct vm, so that the engine's inline ops need not know the rest. Emptied
 * whenever ept01 changes.
 */
#pragma once

#include "types.h"

struct vm_window {
	u64 base, size;		/* GPA1; size 0: empty */
	u8 *ptr;
	bool writable;
};

#define VM_WINDOWS 16u

struct vm_windows {
	struct vm_window at[VM_WINDOWS];
	u64 epoch;		/* grows when they are emptied */
};

static always_inline unsigned vm_window_index(gpa1_t gpa)
{
	return (unsigned)(gpa.v >> PAGE_SHIFT) % VM_WINDOWS;
}

/* A pointer to what is at gpa, as far as its page reaches, or NULL; to be read. */
static always_inline const void *vm_window_page(const struct vm_windows *windows, gpa1_t gpa)
{
	const struct vm_window *w = &windows->at[vm_window_index(gpa)];
	u64 offset = gpa.v - w->base;

	return likely(offset < w->size) ? w->ptr + offset : NULL;
}

/* A pointer to len bytes at gpa, or NULL if they are not in the window. */
static always_inline void *vm_window_ptr(const struct vm_windows *windows, gpa1_t gpa, size_t len,
					bool write)
{
	const struct vm_window *w = &windows->at[vm_window_index(gpa)];
	u64 offset = gpa.v - w->base;

	if (unlikely(offset >= w->size || len > w->size - offset || (write && !w->writable)))
		return NULL;
	return w->ptr + offset;
}
