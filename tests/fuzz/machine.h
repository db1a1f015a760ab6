/*
 * The engine fixture (tests/host/engine_fixture.h) for fuzzers: back in its
 * start state in microseconds, with an L1 whose own paging works, intercepts
 * of L0 in L0's bitmaps, and a list of what of L1's memory the engine may write.
 */
#pragma once

#include "fuzz.h"

#include "engine_fixture.h"

#define FM_OPERAND 0x2f0000ull		/* where memory operands lie, as L1 addresses them */
#define FM_REGIONS 24u			/* VMCSs that programs use; more than there are slots */

/* The hardware has VMCS shadowing, and L1 is offered it. Without the last, L1 sees no
 * difference. */
enum fuzz_shadow { SHADOW_NONE, SHADOW_KEPT, SHADOW_OFFERED, SHADOWS };

/* In the start state of this base; the last one given for the same arguments is void. */
struct fx *fuzz_machine(enum state_base base, enum fuzz_shadow shadow);

const struct hw_region *fuzz_start_vmcs01(const struct fx *f);

/* The engine may write to [at, at + len) of L1's memory until the next fuzz_forbid(). */
void fuzz_allow(u64 at, u64 len);
void fuzz_allow_regions(const struct fx *f);	/* every active VMCS, past what is architectural */
void fuzz_forbid(void);

/* What is visible to L1 and L2, in order: two runs that shall be the same have the same. */
struct fuzz_trace {
	struct { const char *what; u64 value; } row[8192];
	unsigned rows;
};
extern struct fuzz_trace *fuzz_trace;		/* NULL: nobody wants it */
void fuzz_tell(const char *what, u64 value);
void fuzz_tell_bytes(const char *what, const void *bytes, size_t len);
void fuzz_same(const struct fuzz_trace *a, const struct fuzz_trace *b);
