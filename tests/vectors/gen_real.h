/*
 * The generator of instructions in real mode: those that L0 executes of an L1 there
 * where the processor has no unrestricted guest (src/vm/real/emulate.h). Like gen.h,
 * for both sides.
 *
 * Always: a vector ends in a handler of the vector table, for whatever it jumps to
 * is INT3; its operands, stack and code keep out of each other's way; and all that
 * it writes is within the two windows.
 */
#pragma once

#include "gen.h"

#define REAL_IVT 0xa000u	/* vector n: CS 0, IP REAL_BLOCK + 16 * n */
#define REAL_BLOCK 0x8000
#define REAL_FILL 0xccu		/* INT3 */
#define REAL_CODE_MAX 32u
#define REAL_PUTS 8u
#define REAL_GDT_LIMIT 0x1234u
#define REAL_GDT_BASE 0x56789abcu

struct real_window {
	uint32_t start, end;
};
#define REAL_WINDOWS 2
extern const struct real_window real_windows[REAL_WINDOWS];

struct real_vector {
	uint32_t gpr[8], eflags;
	uint16_t seg[6], ip, idt_limit;
	_Bool big[6];			/* the segment's limit is 4 GiB */
	uint8_t code[REAL_CODE_MAX], length;
	struct { uint32_t at, value; } put[REAL_PUTS];
	unsigned puts;
	_Bool v86_differs;		/* virtual-8086 mode is known to do otherwise */
};

/* What a handler found; frame: IP, CS, FLAGS. */
struct real_outcome {
	uint32_t vector, gpr[8], seg[6], frame[3], gdt_limit, gdt_base, idt_limit, idt_base, memory;
};
#define REAL_OUTCOME_WORDS (sizeof(struct real_outcome) / sizeof(uint32_t))

void gen_real_vector(uint64_t seed, uint64_t number, struct real_vector *x);
uint32_t gen_real_sum(uint32_t sum, const struct real_vector *x);
/* Memory as it is before, from address 0 on; and a sum of what is in the windows. */
void gen_real_place(const struct real_vector *x, uint8_t *memory);
uint32_t gen_real_memory(const uint8_t *memory);
