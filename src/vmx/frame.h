/* What the world switch saves: general registers by enum x86_gpr. */
#pragma once

#ifndef __ASSEMBLER__
#include "types.h"
#include "x86.h"

struct vmx_frame {
	u64 gpr[GPR_COUNT];	/* [GPR_RSP] is unused */
} __attribute__((aligned(16)));

/* Enters with VMLAUNCH on the current VMCS; HOST_RSP must be frame + 1. */
void vmx_first_entry(struct vmx_frame *frame) __attribute__((noreturn));
void vmx_exit_entry(void);

/* Implemented by vm/: the result says VMRESUME (true) or VMLAUNCH. */
bool vm_exit(struct vmx_frame *frame);
bool vm_entry_refused(struct vmx_frame *frame);
#endif
