/* L1's physical memory: what ept01 maps, and L0's access to it. */
#pragma once

#include "vm/vm.h"

/* Builds ept01 of the root VM; false: the pool is too small. */
bool vm_memory_init(struct vm *vm, const struct boot_info *bi);

/* The MTRRs changed: memory types of ept01 follow. */
void vm_memory_types_changed(struct vm *vm);

/*
 * L1 (or L2, through ept12) used a page that ept01 does not map, or wrote to
 * one it protects. Makes it accessible; false: there is no way.
 */
bool vm_memory_fault(struct vm *vm, gpa1_t gpa, bool write);

/* Write-protects a page until its first write, which is reported to
 * nested_page_written(). False: it cannot be watched now. */
bool vm_memory_watch(struct vm *vm, gpa1_t page);

bool vm_memory_read(struct vm *vm, gpa1_t gpa, void *dst, size_t len);
bool vm_memory_write(struct vm *vm, gpa1_t gpa, const void *src, size_t len);

/* The page of the machine behind a page of L1, for the hardware's own use. */
hpa_t vm_memory_page(struct vm *vm, gpa1_t page);

/* Pointer to guest memory that lies in one page, or NULL. */
void *vm_memory_ptr(struct vm *vm, gpa1_t gpa, bool write);
