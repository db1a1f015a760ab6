/*
 * Instructions that fault in no form, and yet would show L1 what is not its own
 * where hardware runs one instruction of it in protected mode at CPL 3: the low
 * bits of CS and SS, and the flags TF and IF. See emulate_run.h.
 * Source: SDM 2A-2B "CLI", "MOV", "POPF", "PUSH", "PUSHF", "STI".
 */
#include "vm/real/emulate_run.h"

#define PUSHF_FLAGS 0x00fcffffu		/* all but RF and VM */
/* What POPFD loads, but IOPL; POPF the low 16 of them. */
#define POPF_FLAGS 0x00244fd5u

enum real_end real_mov_from_sreg(struct real_run *r)
{
	u16 selector;

	if (r->reg >= REAL_SEGMENTS)
		return real_undefined(r);
	selector = r->cpu.seg[r->reg].selector;
	if (real_is_memory(r))
		return real_store(r, &selector, sizeof(selector)) ? REAL_DONE : REAL_FAULT;
	real_set_gpr(r, r->rm, r->operand_size, selector);
	return REAL_DONE;
}

/* Of 32 bits only the selector is written. */
enum real_end real_push_sreg(struct real_run *r)
{
	u32 selector = r->cpu.seg[r->opcode >> 3 & 7].selector;

	real_add_to_sp(r, 2u - r->operand_size);
	return real_push(r, selector, 2) ? REAL_DONE : REAL_FAULT;
}

enum real_end real_pushf(struct real_run *r)
{
	u32 flags = (r->cpu.eflags & PUSHF_FLAGS) | (u32)RFLAGS_FIXED;

	return real_push(r, flags, r->operand_size) ? REAL_DONE : REAL_FAULT;
}

enum real_end real_popf(struct real_run *r)
{
	u32 mask = r->operand_size == 2 ? (u16)POPF_FLAGS : POPF_FLAGS, flags;

	if (!real_pop(r, &flags, r->operand_size))
		return REAL_FAULT;
	r->cpu.eflags = (r->cpu.eflags & ~mask) | (flags & mask);
	return REAL_DONE;
}

enum real_end real_cli(struct real_run *r)
{
	r->cpu.eflags &= ~(u32)RFLAGS_IF;
	return REAL_DONE;
}

enum real_end real_sti(struct real_run *r)
{
	if (!(r->cpu.eflags & RFLAGS_IF))
		r->blocks = BLOCKED_BY_STI;
	r->cpu.eflags |= (u32)RFLAGS_IF;
	return REAL_DONE;
}
