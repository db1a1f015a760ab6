/* What the parts of the test vmx_shadow share. */
#ifndef VMX_SHADOW_H
#define VMX_SHADOW_H

#include "vmx.h"

#define ABSENT		0x3ffeul	/* no CPU has this field */

extern u64 *shadow;
/* vm_reset(), with this shadow VMCS and nothing allowed. */
void shadow_reset(struct vm *vm);
void shadow_allow(u64 field);		/* the guest may read and write it */
u64 shadow_read(struct vm *vm, u64 *region, u64 field);
void shadow_write(struct vm *vm, u64 *region, u64 field, u64 value);
void test_modes(struct vm *vm);

#endif
