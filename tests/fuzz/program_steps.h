/*
 * A program of L1 and L2, made of an input: VMX instructions, writes to memory,
 * exits of L2, each followed by the checks of check.h.
 */
#pragma once

#include "check.h"

struct program {
	struct fx *f;
	struct fuzz_input *in;
	bool still;		/* L1's memory changes by its own writes only */
	bool over;		/* the VM was given up */
};

/* The current VMCS gets an address in L1's memory for each control that wants one. */
void program_good_addresses(struct fx *f);

/* One step, by whoever runs now. */
void program_step(struct program *p);
/* One of L2, which runs. */
void program_l2_step(struct program *p);
/* VMLAUNCH, or VMRESUME if launched or if wrong. */
void program_enter(struct program *p, bool wrong);
/* An instruction with a memory operand of 16 bytes at FM_OPERAND, and reg2. */
struct outcome program_instruction(struct program *p, u32 reason, u64 low, u64 high, u64 reg2);
/* Everything that L1 can read of its current VMCS. */
void program_read_all(struct program *p);
