/*
 * Far transfers of control and loads of segment registers in real mode: a load
 * gives selector and base, and keeps limit and rights. See emulate_run.h.
 * Source: SDM 2A "CALL", "INT n", "IRET", "JMP", "LDS/LES/LFS/LGS/LSS", 2B "MOV",
 * "POP", "RET".
 */
#include "vm/real/emulate_run.h"

/* What IRETD loads, but IOPL, VIF, VIP and VM; IRET the low 16 of them. */
#define IRET_FLAGS 0x00254fd5u

static enum real_end end(bool done)
{
	return done ? REAL_DONE : REAL_FAULT;
}

void real_set_segment(struct real_run *r, u32 seg, u16 selector)
{
	r->cpu.seg[seg].selector = selector;
	r->cpu.seg[seg].base = (u32)selector << 4;
}

bool real_jump(struct real_run *r, u16 cs, u32 eip)
{
	if (eip > r->cpu.seg[SEG_CS].limit)
		return real_fault(r, X86_GP);
	real_set_segment(r, SEG_CS, cs);
	r->cpu.eip = eip;
	return true;
}

static bool call(struct real_run *r, u16 cs, u32 eip)
{
	return real_push(r, r->cpu.seg[SEG_CS].selector, r->operand_size) &&
	       real_push(r, r->cpu.eip, r->operand_size) && real_jump(r, cs, eip);
}

/* m16:16 or m16:32. */
static bool load_pointer(struct real_run *r, u16 *selector, u32 *offset)
{
	struct { u32 low; u16 high; } __attribute__((packed)) pointer = { 0 };

	if (!real_load(r, &pointer, r->operand_size + sizeof(u16)))
		return false;
	*offset = r->operand_size == 2 ? (u16)pointer.low : pointer.low;
	*selector = r->operand_size == 2 ? (u16)(pointer.low >> 16) : pointer.high;
	return true;
}

enum real_end real_far_jump(struct real_run *r)
{
	return end(real_jump(r, r->selector, r->imm));
}

enum real_end real_far_call(struct real_run *r)
{
	return end(call(r, r->selector, r->imm));
}

enum real_end real_far_indirect(struct real_run *r)
{
	u32 offset;
	u16 selector;

	if (!real_is_memory(r))
		return real_undefined(r);
	if (!load_pointer(r, &selector, &offset))
		return REAL_FAULT;
	return end(r->reg == 3 ? call(r, selector, offset) : real_jump(r, selector, offset));
}

static bool far_return(struct real_run *r)
{
	u32 eip, cs;

	return real_pop(r, &eip, r->operand_size) && real_pop(r, &cs, r->operand_size) &&
	       real_jump(r, (u16)cs, eip);
}

enum real_end real_far_return(struct real_run *r)
{
	if (!far_return(r))
		return REAL_FAULT;
	real_add_to_sp(r, r->imm);	/* 0, or RETF's operand */
	return REAL_DONE;
}

enum real_end real_iret(struct real_run *r)
{
	u32 mask = r->operand_size == 2 ? (u16)IRET_FLAGS : IRET_FLAGS, eip, cs, flags;

	if (!real_pop(r, &eip, r->operand_size) || !real_pop(r, &cs, r->operand_size) ||
	    !real_pop(r, &flags, r->operand_size) || !real_jump(r, (u16)cs, eip))
		return REAL_FAULT;
	r->cpu.eflags = (r->cpu.eflags & ~mask) | (flags & mask);
	r->cpu.blocking &= ~(u32)BLOCKED_BY_NMI;
	return REAL_DONE;
}

/* INT n, INT3, INTO and INT1. */
enum real_end real_int(struct real_run *r)
{
	u32 vector = r->opcode == 0xcd ? (u8)r->imm : r->opcode == 0xcc ? X86_BP :
		     r->opcode == 0xce ? X86_OF : X86_DB;

	if (vector == X86_OF && r->opcode == 0xce && !(r->cpu.eflags & RFLAGS_OF))
		return REAL_DONE;
	r->insn->trap = false;	/* TF goes before a trap could come of it */
	return end(real_enter_vector(r, vector, r->cpu.eip));
}

static void load_sreg(struct real_run *r, u32 seg, u16 selector)
{
	real_set_segment(r, seg, selector);
	if (seg == SEG_SS)
		r->blocks = BLOCKED_BY_MOV_SS;
}

enum real_end real_mov_to_sreg(struct real_run *r)
{
	u16 selector;

	if (r->reg == SEG_CS || r->reg >= REAL_SEGMENTS)
		return real_undefined(r);
	if (!real_load_rm16(r, &selector))
		return REAL_FAULT;
	load_sreg(r, r->reg, selector);
	return REAL_DONE;
}

/* Of 32 bits only the selector is read. */
enum real_end real_pop_sreg(struct real_run *r)
{
	u32 selector;

	if (!real_pop(r, &selector, 2))
		return REAL_FAULT;
	real_add_to_sp(r, r->operand_size - 2u);
	load_sreg(r, r->opcode >> 3 & 7, (u16)selector);
	return REAL_DONE;
}

/* LES, LDS, LSS, LFS, LGS; none of them blocks events. */
enum real_end real_load_far_pointer(struct real_run *r)
{
	u32 seg = r->opcode == 0xc4 ? SEG_ES : r->opcode == 0xc5 ? SEG_DS : r->opcode & 7;
	u32 offset;
	u16 selector;

	if (!real_is_memory(r))
		return real_undefined(r);
	if (!load_pointer(r, &selector, &offset))
		return REAL_FAULT;
	real_set_gpr(r, r->reg, r->operand_size, offset);
	real_set_segment(r, seg, selector);
	return REAL_DONE;
}
