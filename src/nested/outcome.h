/*
 * What an emulated VMX instruction, VM entry or exit comes to: a value, never
 * control flow. The caller commits it to L1's registers.
 */
#pragma once

#include "vmx.h"

enum outcome_kind {
	OUT_OK,			/* VMsucceed: flags cleared, RIP advanced */
	OUT_DONE,		/* RIP advanced, flags untouched (VMFUNC-like) */
	OUT_FAULT,		/* vector (error_code, cr2): RIP stays */
	OUT_VMFAIL_INVALID,	/* CF=1, RIP advanced */
	OUT_VMFAIL_VALID,	/* ZF=1, VM-instruction error in vmcs12, RIP advanced */
	OUT_ENTRY_FAIL,		/* L1 sees an exit with reason and qualification */
	OUT_INTERRUPTED,	/* L1 has an exit of L2 instead, or L2 an exception: all is done */
	OUT_ENTER_L2,		/* vmcs02 is ready and current: run it */
	OUT_KILL,		/* the VM cannot go on */
} __attribute__((packed));

/* Two registers of the caller's. */
struct outcome {
	enum outcome_kind kind;
	u8 vector;
	bool has_error_code;
	u32 error_code;		/* of a fault, or the VM-instruction error, or the exit reason */
	u64 value;		/* CR2 of a #PF, or the exit qualification */
};
_Static_assert(sizeof(struct outcome) == 16, "an outcome travels in registers");

#define OUTCOME_OK ((struct outcome){ .kind = OUT_OK })
#define OUTCOME_INVALID ((struct outcome){ .kind = OUT_VMFAIL_INVALID })
#define OUTCOME_ENTER_L2 ((struct outcome){ .kind = OUT_ENTER_L2 })
#define OUTCOME_UD ((struct outcome){ .kind = OUT_FAULT, .vector = 6 })
#define OUTCOME_FAULT(v, code) \
	((struct outcome){ .kind = OUT_FAULT, .vector = (v), .has_error_code = true, \
			   .error_code = (code) })
#define OUTCOME_GP OUTCOME_FAULT(13, 0)
#define OUTCOME_PF(code, cr2) \
	((struct outcome){ .kind = OUT_FAULT, .vector = 14, .has_error_code = true, \
			   .error_code = (code), .value = (cr2) })
#define OUTCOME_VALID(n) ((struct outcome){ .kind = OUT_VMFAIL_VALID, .error_code = (n) })
#define OUTCOME_ENTRY_FAIL(reason, qual) \
	((struct outcome){ .kind = OUT_ENTRY_FAIL, .error_code = (reason), .value = (qual) })
