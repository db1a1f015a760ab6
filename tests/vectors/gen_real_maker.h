/*
 * Between gen_real.c and gen_real_insn.c: the vector in the making.
 */
#pragma once

#include "gen_real.h"
#include "gen_state.h"

#define GEN_REAL_FLAGS (RFLAGS_ARITH | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | BIT(21))	/* ID */
#define GEN_REAL_FIXED_FLAGS (RFLAGS_FIXED | RFLAGS_IOPL)
#define GEN_REAL_NO_SEG 6u		/* no prefix */

struct real_maker {
	struct gen g;
	struct real_vector *x;
	bool wide, wide_address, lock;	/* prefixes: 66, 67, F0 */
	bool stack_on_top;		/* of its segment, or about to wrap */
	bool inside;			/* no operand ends with its segment */
};

static inline u32 gen_real_below(struct real_maker *m, u32 n)
{
	return (u32)gen_below(&m->g, n);
}

static inline u32 gen_real_any(struct real_maker *m)
{
	return (u32)gen_random(&m->g);
}

static inline bool gen_real_one_in(struct real_maker *m, u32 n)
{
	return gen_one_in(&m->g, n);
}

static inline u32 gen_real_base(const struct real_maker *m, u32 seg)
{
	return (u32)m->x->seg[seg] << 4;
}

static inline unsigned gen_real_size(const struct real_maker *m)
{
	return m->wide ? 4 : 2;
}

/* gen_real.c */
void gen_real_emit(struct real_maker *m, u32 value, unsigned bytes);
void gen_real_put(struct real_maker *m, u32 at, u32 value);
u16 gen_real_selector(struct real_maker *m);
/* CS and an offset in it that leads to INT3, or too far; not if the stack may fault, too. */
u16 gen_real_target(struct real_maker *m, u32 *offset);
u16 gen_real_idt_limit(struct real_maker *m);
/* Of an operand: within its segment, at its end, or beyond. */
u32 gen_real_offset(struct real_maker *m, u32 seg);
void gen_real_prefixes(struct real_maker *m, u32 seg);
void gen_real_opcode(struct real_maker *m, u32 op);		/* 0Fxx: two bytes */
/*
 * An instruction with a ModRM byte, its operand in memory; where that is. With a first
 * part of so many bytes, the second does not begin beyond 64 KiB, where the emulator wraps.
 */
u32 gen_real_with_memory(struct real_maker *m, u32 op, u32 reg, u32 first);
void gen_real_with_register(struct real_maker *m, u32 op, u32 reg, u32 rm);

/* gen_real_insn.c: one instruction, and what it needs in memory. */
void gen_real_insn(struct real_maker *m);
