/* What the world switch saves: general registers by enum x86_gpr. */
#pragma once

#define VMX_FRAME_AGAIN 128	/* behind 16 registers */

#ifndef __ASSEMBLER__
#include "types.h"
#include "x86.h"

/* An exit pushes the registers below `again`. */
struct vmx_frame {
	u64 gpr[GPR_COUNT];	/* [GPR_RSP] is unused */
	u32 again;		/* not 0, by whatever CPU: vm_again() before the next entry */
} __attribute__((aligned(16)));
_Static_assert(offsetof(struct vmx_frame, again) == VMX_FRAME_AGAIN, "as entry.S has it");

/* Enters with VMLAUNCH on the current VMCS, which has the host state for this frame. */
void vmx_first_entry(struct vmx_frame *frame) __attribute__((noreturn));
/* The same for one of several vcpus, by way of vm_again(). */
void vmx_first_entry_shared(struct vmx_frame *frame) __attribute__((noreturn));
void vmx_exit_entry(void);
void vmx_exit_entry_shared(void);

/* Implemented by vm/: the result says VMRESUME (true) or VMLAUNCH. */
bool vm_exit(struct vmx_frame *frame);
bool vm_entry_refused(struct vmx_frame *frame);
/* For a vcpu that has others beside it (vm/shared.h). */
bool vm_exit_shared(struct vmx_frame *frame);
bool vm_entry_refused_shared(struct vmx_frame *frame);
/* What had to be done once more before an entry, for `again` or an NMI. */
bool vm_again(struct vmx_frame *frame);
#endif
