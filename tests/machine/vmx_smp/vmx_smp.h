/*
 * Between the files of this test: the other CPU does jobs for the first one, which alone prints.
 */
#ifndef VMX_SMP_H
#define VMX_SMP_H

#include "vmx.h"

extern u32 self, other;			/* APIC IDs */
extern struct vm vm_here, vm_there;	/* one for each CPU */

/* The other CPU runs it; the result of wait_done(): it has ended. */
void begin(void (*job)(void));
bool wait_done(void);
void ask(void (*job)(void));		/* both, and ends the test if it does not end */
/* Restarts the other CPU, which is then in VMX operation, with vm_there current. */
void restart_other(void);

bool wait_for(volatile const u64 *what, u64 value);
bool wait_beyond(volatile const u64 *what, u64 value);
void expect(const char *text, bool holds);

void test_ept(void);			/* ept.c */
void test_bitmaps(void);		/* shared.c */
void test_mtrrs(void);
void test_signals(void);		/* signals.c */

#endif
