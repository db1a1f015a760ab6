/* Events that reached L0 while it ran, and belong to L1. */
#pragma once

#include "vm/vm.h"

/* Before an entry with pcpu->nmi_pending or mc_pending set. */
void vm_deliver_pending(struct vcpu *v);

