/* What lies in low memory for a vector of gen_real.h; for C and assembly. */
#ifndef RUNNER_REAL_H
#define RUNNER_REAL_H

#define REAL_BLOCK 0x8000	/* as in gen_real.h */

#define CASE_GPR	0		/* 8 of 4 bytes, in the order of encoding */
#define CASE_FLAGS	32
#define CASE_TARGET	36		/* IP, CS */
#define CASE_SEG	40		/* ES CS SS DS FS GS, 2 bytes each */
#define CASE_LIMITS	52		/* selectors that give them their limits */
#define CASE_GDTR	64
#define CASE_IDTR	72
#define CASE_SAW	80		/* struct real_outcome */
#define SAW_VECTOR	(CASE_SAW + 0)
#define SAW_GPR		(CASE_SAW + 4)
#define SAW_SEG		(CASE_SAW + 36)	/* 4 bytes each */
#define SAW_FRAME	(CASE_SAW + 60)
#define SAW_TABLES	(CASE_SAW + 72)	/* limit and base, of 4 bytes each: GDTR's, IDTR's */

#ifndef __ASSEMBLER__
#include "../gen_real.h"
#include "runner.h"

struct real_case {
	u32 gpr[8], flags;
	u16 target[2], seg[6], limits[6];
	struct { u16 limit; u32 base; u16 pad; } __attribute__((packed)) gdtr, idtr;
	struct real_outcome saw;
};

_Static_assert(offsetof(struct real_case, limits) == CASE_LIMITS &&
	       offsetof(struct real_case, idtr) == CASE_IDTR &&
	       offsetof(struct real_case, saw) == CASE_SAW &&
	       CASE_SAW + offsetof(struct real_outcome, gdt_limit) == SAW_TABLES, "the offsets above");

extern const u8 real_block[], real_block_end[], real_enter[];
extern struct real_case real_case;	/* in real_block */
#endif
#endif
