/* The end of the root VM: what L1 did, what L0 says, and then it happens. */
#pragma once

#include "vm/vm.h"

/* Prints the summary: exits by reason and ticks, of each level. */
void vm_power_summary(struct vcpu *v, const char *why);

/* vm->killed is set: says so, with the state of the CPU, and stops the machine. */
void vm_power_killed(struct vcpu *v) __attribute__((noreturn));
