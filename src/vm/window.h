/*
 * The parts of L1's memory that L0 touched last, as pointers: what most
 * accesses of the engine hit. Where ept01 has large pages, each 2 MiB have one
 * place for them; where it has small ones, a page has one among others, which is
 * looked at after that. First member of struct vm, so that the engine's inline
 * ops need not know the rest. Emptied whenever ept01 changes.
 */
#pragma once

#include "types.h"

struct vm_window {
	u64 base, size;		/* GPA1; size 0: empty */
	u8 *ptr;
	bool writable;
};

#define VM_WINDOWS 64u		/* of large pages; as many are of small ones */
#define VM_WINDOW_SHIFT 21

struct vm_windows {
	struct vm_window large[VM_WINDOWS], small[VM_WINDOWS];
	u64 epoch;		/* grows when they are emptied */
};

static always_inline unsigned vm_window_large(gpa1_t gpa)
{
	return (unsigned)(gpa.v >> VM_WINDOW_SHIFT) % VM_WINDOWS;
}

static always_inline unsigned vm_window_small(gpa1_t gpa)
{
	return (unsigned)(gpa.v >> PAGE_SHIFT) % VM_WINDOWS;
}

/* The window that has these bytes, or NULL. */
static always_inline const struct vm_window *vm_window_with(const struct vm_windows *windows,
							    gpa1_t gpa, size_t len)
{
	const struct vm_window *w = &windows->large[vm_window_large(gpa)];
	u64 offset = gpa.v - w->base;

	if (unlikely(offset >= w->size || len > w->size - offset)) {
		w = &windows->small[vm_window_small(gpa)];
		offset = gpa.v - w->base;
		if (unlikely(offset >= w->size || len > w->size - offset))
			return NULL;
	}
	return w;
}

/* A pointer to what is at gpa, as far as its page reaches, or NULL; to be read. */
static always_inline const void *vm_window_page(const struct vm_windows *windows, gpa1_t gpa)
{
	const struct vm_window *w = vm_window_with(windows, gpa, 0);

	return likely(w) ? w->ptr + (gpa.v - w->base) : NULL;
}

/* A pointer to len bytes at gpa, or NULL if they are not in the window. */
static always_inline void *vm_window_ptr(const struct vm_windows *windows, gpa1_t gpa, size_t len,
					 bool write)
{
	const struct vm_window *w = vm_window_with(windows, gpa, len);

	if (unlikely(!w || (write && !w->writable)))
		return NULL;
	return w->ptr + (gpa.v - w->base);
}
