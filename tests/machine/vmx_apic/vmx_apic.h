/* What the parts of the test vmx_apic share. */
#ifndef VMX_APIC_H
#define VMX_APIC_H

#include "vmx.h"

#define WINDOW		0x140000000ull	/* the APIC-access page, guest-linear and guest-physical */

extern u8 *virtual_apic;

/* The state of vm_reset(), with EPT and a virtual-APIC page of zeros. */
void apic_reset(struct vm *vm, const char *guest);
/* The features, each with what it needs. */
void tpr_shadow(void);
void apic_access(void);
void registers(void);
void delivery(u8 vector);
void x2apic(u32 more);
void test_sweep(struct vm *vm);

#endif
