/*
 * A guest whose IDT, GDT, TSS, stacks and handlers have a page each, in a window at 5 GiB of
 * guest-linear and guest-physical memory: each can be taken away by EPT or by the guest's tables.
 */
#ifndef VMX_DELIVERY_WORLD_H
#define VMX_DELIVERY_WORLD_H

#include "vmx.h"

#define WINDOW	0x140000000ull

enum page { IDT_PAGE, GDT_PAGE, TSS_PAGE, STACK_PAGE, IST_PAGE, RING0_PAGE, HANDLER_PAGE, PAGES };

#define PAGE_AT(page)	(WINDOW + (page) * PAGE_SIZE)
#define STACK_START(page)	(PAGE_AT(page) + PAGE_SIZE - 64)

void world_make(void);
/* vm_reset(), in the window; every page there, every gate good. */
void world_reset(struct vm *vm, const void *code);
void world_mend(void);		/* pages, gates, limits, intercepts */
void *world_page(enum page page);
void world_ept(enum page page, u64 clear, u64 set);	/* bits of its EPT entry */
void world_unmap(enum page page);	/* in the guest's table */
void world_user(void);		/* the guest is at CPL 3 */
struct idt_gate *world_gate(unsigned int vector);
void test_iret(struct vm *vm);

#endif
