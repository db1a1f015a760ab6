/* L1 on a processor without EPT. */
#pragma once

#include "vm/vm.h"

/* A page fault while L1 runs. */
void vm_vtlb_fault(struct vcpu *v);

/* Whoever runs flushed its TLB, or its paging is another: vmcs01 or vmcs02 is current. */
void vm_vtlb_flush(struct vcpu *v);
