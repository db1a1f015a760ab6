/* The state of L1's CPU after INIT, and its segments. */
#pragma once

#include "vm/vm.h"

/* Writes the state after INIT into the current VMCS (vmcs01); the CPU is active. */
void vm_init_state(struct vcpu *v);

/* An INIT waits, and L2 is to be entered, or has been; vmcs02 is current. */
void vm_init_l2(struct vcpu *v, bool entered);

/* Access rights in VMCS format. */
void vm_set_segment(enum x86_seg s, u16 selector, u64 base, u32 limit, u32 ar);
