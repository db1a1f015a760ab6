/* MSRs as L1 has them (msrs.def). */
#pragma once

#include "vm/vm.h"

/* Sets the bits of L0's own intercepts in a zeroed MSR bitmap page. */
void vm_msr_bitmap_init(const struct vm *vm, u8 *bitmap);

/* RDMSR and WRMSR of L1; false: #GP(0). Also for MSRs without an intercept. */
bool vm_rdmsr(struct vcpu *v, u32 msr, u64 *value);
bool vm_wrmsr(struct vcpu *v, u32 msr, u64 value);
