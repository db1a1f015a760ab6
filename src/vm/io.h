/* Ports of the machine that L0 watches on their way to the hardware. */
#pragma once

#include "vm/vm.h"

/* Sets the bits of L0's own intercepts in two zeroed bitmap pages. */
void vm_io_bitmap_init(const struct vm *vm, u8 *a, u8 *b);
