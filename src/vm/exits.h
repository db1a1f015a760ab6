/* L0's handlers of exits, by the handler column of exits.def. */
#pragma once

#include "vm/vm.h"

/*
 * The last step before an entry; of L2, which has been entered since L1 ran, or not.
 * The result: VMRESUME, else VMLAUNCH?
 */
bool vm_prepare_entry(struct vcpu *v, bool entered);

void vm_exit_exception(struct vcpu *v);
void vm_exit_triple_fault(struct vcpu *v);
void vm_exit_init(struct vcpu *v);
void vm_exit_sipi(struct vcpu *v);
void vm_exit_task_switch(struct vcpu *v);
void vm_exit_cpuid(struct vcpu *v);
void vm_exit_undefined(struct vcpu *v);
void vm_exit_invd(struct vcpu *v);
void vm_exit_vmx(struct vcpu *v);
void vm_exit_vmx_switch(struct vcpu *v);
void vm_exit_cr_access(struct vcpu *v);
void vm_exit_mov_dr(struct vcpu *v);
void vm_exit_io(struct vcpu *v);
void vm_exit_invlpg(struct vcpu *v);
void vm_exit_msr_read(struct vcpu *v);
void vm_exit_msr_write(struct vcpu *v);
void vm_exit_monitor_trap(struct vcpu *v);
void vm_exit_nmi_window(struct vcpu *v);
void vm_exit_ept_violation(struct vcpu *v);
void vm_exit_xsetbv(struct vcpu *v);
void vm_exit_none(struct vcpu *v);
