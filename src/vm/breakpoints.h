/* Whether L1 uses breakpoints. */
#pragma once

#include "vm/vm.h"

/* From now on L0 learns when L1 enables a breakpoint. vmcs01 is current. */
void vm_watch_breakpoints(struct vcpu *v);
