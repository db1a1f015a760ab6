/*
 * The forms in which hardware without unrestricted guest runs an L1 in real
 * mode: what of the guest-state area is not L1's own then. Values only; exits.c
 * writes them to vmcs01.
 *
 * Always: whatever real_cpu is, the image of each form can be entered (SDM 3C
 * "Checks on the Guest State Area").
 */
#pragma once

#include "vm/real/emulate.h"

enum real_form {
	/* Virtual-8086 mode: hardware runs L1's code, and what differs from real mode faults. */
	REAL_V86,
	/* Protected mode at CPL 3, without descriptors: one instruction, with TF set. */
	REAL_STEP,
	/* No code: an event is delivered, or an exit comes at once; or L1 halts, at CPL 0. */
	REAL_IDLE,
	/* L1 has set CR0.PE: protected mode, as real mode left its segment registers. */
	REAL_LEFT,
};

struct real_image {
	struct real_segment seg[REAL_SEGMENTS];
	u32 gdtr_limit, idtr_limit;
	u32 rip, rflags, blocking;
	u64 pending_debug;
};

/*
 * Can REAL_V86 run this code? Segments may be larger than its 64 KiB: then what
 * lies beyond faults, and wants REAL_STEP.
 */
bool real_fits_v86(const struct real_cpu *cpu);

/* Does it make a difference for an access in REAL_V86 that its segments end at 64 KiB? */
bool real_is_big(const struct real_cpu *cpu);

void real_image_of(const struct real_cpu *cpu, enum real_form form, struct real_image *image);

/* After an exit in this form: cpu->eflags, from what they were and what hardware has now. */
u32 real_flags_of(const struct real_cpu *cpu, enum real_form form, u32 rflags);
