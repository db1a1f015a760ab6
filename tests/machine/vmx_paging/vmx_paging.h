/*
 * A VM without EPT and unrestricted guest whose page tables are its own: what the files of this
 * test share. The VMM's memory is in the guest at the same addresses; from WINDOW on there are
 * sixteen pages of the guest's own, one after the other, by table[i].
 */
#pragma once

#include "vmx.h"

#define WINDOW	0x140000000ul
#define PAGES	16u

#define PTE_ALL	(PTE_P | PTE_W | PTE_U)

extern u64 *root, *directory, *table;	/* the guest's */
extern u8 *page[PAGES];			/* what table[i] maps at first */

/* Everything as at first, and the guest at rip with RSI = WINDOW + at. */
void start_guest(struct vm *vm, const void *rip, u64 at);
/* Runs to VMCALL or to an exit that ends it, and says all that happened. */
void run_guest(struct vm *vm, const char *what);
u64 *window_entry(unsigned int i);

/* The files of the test. */
void test_faults(struct vm *vm);
void test_flushes(struct vm *vm);
void test_registers(struct vm *vm);
void test_modes(struct vm *vm);
void test_delivery(struct vm *vm);
void test_own_paging(void);
