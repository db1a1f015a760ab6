/* A vcpu of L1: its memory, and vmcs01. */
#pragma once

#include "vm/vm.h"

/* Makes a vcpu for the CPU that calls, with vmcs01 current and the state after INIT. */
struct vcpu *vcpu_create(struct vm *vm, const struct boot_options *options);

/* ept01 is there: vmcs01 (current) uses it, and the time of this vcpu begins. */
void vcpu_use_memory(struct vcpu *v);
