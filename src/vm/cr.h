/* L1's control registers: what L0 keeps from it, and writes to those bits. */
#pragma once

#include "vm/vm.h"

/* Sets masks and shadows of vmcs01 for L1's CR0 and CR4 as they are now. */
void vm_cr_init(struct vcpu *v, u64 cr0, u64 cr4);

/* L1's CR0 and CR4 (without EPT: or L2's), without what else comes with a change. */
void vm_cr_set(struct vcpu *v, u64 cr0, u64 cr4);

/* What hardware has in CR0 and CR4 while L1 is in real mode, and hardware is not. */
void vm_cr_set_real(struct vcpu *v, bool vme);

/*
 * A MOV to CR0, CR3 or CR4 by L1 (or, CR0 and CR4, by an L2 that L0 does it for), with all that comes
 * with it but the end of the instruction. False: #GP, and nothing is changed.
 */
bool vm_cr0_write(struct vcpu *v, u64 cr0);
bool vm_cr3_write(struct vcpu *v, u64 cr3);
bool vm_cr4_write(struct vcpu *v, u64 cr4);

/*
 * PAE paging with these control registers and CR3 as it is reads four entries;
 * false: one of them is reserved, and none is loaded.
 */
bool vm_load_pdptes(struct vcpu *v, u64 cr0, u64 cr4);

/* L1 entered or left VMX operation: other bits are fixed now. */
void vm_vmx_operation_changed(struct vcpu *v);
