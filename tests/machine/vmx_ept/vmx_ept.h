/* A guest that reads and writes where it is told to; the parts of the test vmx_ept. */
#ifndef VMX_EPT_H
#define VMX_EPT_H

#include "vmx.h"

/* 1 GiB of guest-linear memory that is guest-physical memory of the same address */
#define WINDOW	0x140000000ull

extern u64 *page_a, *page_b, *page_c;	/* their words are 0xa000 + n, 0xb000 + n, 0xc000 + n */
extern const char guest_read[], guest_write[];

/* Runs the guest on one access and prints what came of it: " a001" or " [EPT_VIOLATION ...]". */
void show_access(struct vm *vm, const char *code, u64 address);
static inline void show_read(struct vm *vm, u64 address)
{
	show_access(vm, guest_read, address);
}
void invalidate(const u64 *root);
u64 *identity_root(void);

void test_changes(struct vm *vm);
void test_roots(struct vm *vm);
void test_accessed_dirty(struct vm *vm);
void test_guest_tables(struct vm *vm);
void test_modes(struct vm *vm);

#endif
