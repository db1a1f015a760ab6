/* L1 on a processor without EPT. */
#pragma once

#include "vm/vm.h"

/* A page fault while L1 runs. */
void vm_vtlb_fault(struct vcpu *v);
