/* Events that reached L0 while it ran, and belong to L1. */
#pragma once

#include "vm/vm.h"

/* An exit is wanted after the next instruction or event, of L1 or L2. */
void vm_come_back(struct vcpu *v);

/* Before an entry; of L2, which has been entered since L1 ran, or not. */
void vm_deliver_pending(struct vcpu *v, bool entered);

