/* Between switch.c and exits.c: real_mode.cpu and vmcs01. Not for others. */
#pragma once

#include "vm/vm.h"

/* After an exit: real_mode.cpu is L1's. */
void vm_real_load(struct vcpu *v);

/* Before an entry: hardware is to go on in this form. */
void vm_real_store(struct vcpu *v, enum real_form form);

/* real_mode.cpu is L1's, for the first time; trap: it has ended an instruction with TF set. */
void vm_real_begin(struct vcpu *v, bool trap);
