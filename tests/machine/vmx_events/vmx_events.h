/* A guest with its own IDT and stack in a window that EPT can take away; parts of vmx_events. */
#ifndef VMX_EVENTS_H
#define VMX_EVENTS_H

#include "vmx.h"

#define WINDOW		0x140000000ull
#define GUEST_IDT	WINDOW			/* one page each, guest-linear and guest-physical */
#define GUEST_STACK_PAGE	(WINDOW + PAGE_SIZE)
#define GUEST_RSP_START		(WINDOW + 2 * PAGE_SIZE - 64)

extern u64 *ept_root, *window_idt, *window_stack;
extern u64 *window_directory;	/* the guest's table that maps them */

void window_make(void);
/*
 * The state of vm_reset() with this IDT, stack and EPT; IDT vectors lead to a VMCALL that tells
 * them.
 */
void event_reset(struct vm *vm, const void *code);
void window_right(u64 page, u32 rights);	/* of GUEST_IDT or GUEST_STACK_PAGE */
/* Prints the exit; for the VMCALL of the guest's IDT: vector, frame, what is left in the VMCS. */
void print_event_exit(struct vm *vm, u32 reason, const void *code);

void test_injection(struct vm *vm);
void test_state(struct vm *vm);
void test_msrs(struct vm *vm);
void test_stepping(struct vm *vm);
void test_strings(struct vm *vm);
void test_breakpoints(struct vm *vm);

#endif
