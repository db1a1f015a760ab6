/*
 * Instructions of real mode that write their memory operand, which may be in
 * CS: moves and simple arithmetic. With a register for operand hardware has no
 * reason to leave them to L0. See emulate_run.h.
 * Source: SDM 2A-2C, the instructions' own pages.
 */
#include "vm/real/emulate_run.h"

enum alu { ADD, OR, ADC, SBB, AND, SUB, XOR, CMP };

/* Of the operand: bit 0 of the opcode tells bytes from words. */
static u32 width(const struct real_run *r)
{
	return r->opcode & 1 ? r->operand_size : 1;
}

static enum real_end store(struct real_run *r, u32 value, u32 size)
{
	if (!real_is_memory(r))
		return REAL_NATIVE;
	return real_store(r, &value, size) ? REAL_DONE : REAL_FAULT;
}

enum real_end real_mov_reg(struct real_run *r)
{
	return store(r, real_gpr(r, r->reg, width(r)), width(r));
}

enum real_end real_mov_imm(struct real_run *r)
{
	if (real_is_memory(r) && r->reg)
		return real_undefined(r);
	return store(r, r->imm, width(r));
}

/* There is no ModRM byte: what follows the opcode is the offset. */
enum real_end real_mov_offset(struct real_run *r)
{
	return store(r, real_gpr(r, GPR_RAX, width(r)), width(r));
}

/* An address with ESP in it is that after the pop. */
enum real_end real_pop_rm(struct real_run *r)
{
	u32 value;

	if (r->reg)
		return real_undefined(r);
	if (!real_is_memory(r))
		return REAL_NATIVE;
	return real_pop(r, &value, r->operand_size) ? store(r, value, r->operand_size) : REAL_FAULT;
}

static u32 sign_bit(u32 size)
{
	return BIT32(8 * size - 1);
}

/* Flags of a result; CF, OF and AF are the operation's. */
static void set_flags(struct real_run *r, u32 result, u32 size, u32 carries, bool overflow)
{
	u32 low = (result ^ result >> 4) & 15;
	u32 flags = carries | (overflow ? RFLAGS_OF : 0);

	flags |= 0x9669u >> low & 1 ? RFLAGS_PF : 0;
	flags |= result & sign_bit(size) ? RFLAGS_SF : 0;
	flags |= result ? 0 : RFLAGS_ZF;
	r->cpu.eflags = (r->cpu.eflags & ~(u32)RFLAGS_ARITH) | flags;
}

static u32 add(struct real_run *r, u32 a, u32 b, u32 carry, u32 size)
{
	u64 sum = (u64)a + b + carry;
	u32 result = (u32)(sum & (2ull * sign_bit(size) - 1));
	u32 carries = (sum >> 8 * size ? RFLAGS_CF : 0) | ((a ^ b ^ result) & RFLAGS_AF);

	set_flags(r, result, size, carries, (a ^ result) & (b ^ result) & sign_bit(size));
	return result;
}

static u32 subtract(struct real_run *r, u32 a, u32 b, u32 borrow, u32 size)
{
	u32 result = (u32)((a - b - borrow) & (2ull * sign_bit(size) - 1));
	u32 carries = ((u64)b + borrow > a ? RFLAGS_CF : 0) | ((a ^ b ^ result) & RFLAGS_AF);

	set_flags(r, result, size, carries, (a ^ b) & (a ^ result) & sign_bit(size));
	return result;
}

static u32 logic(struct real_run *r, u32 result, u32 size)
{
	set_flags(r, result, size, 0, false);
	return result;
}

static u32 calculate(struct real_run *r, enum alu op, u32 a, u32 b, u32 size)
{
	u32 carry = r->cpu.eflags & RFLAGS_CF;

	switch (op) {
	case ADD:
		return add(r, a, b, 0, size);
	case ADC:
		return add(r, a, b, carry, size);
	case SUB:
		return subtract(r, a, b, 0, size);
	case SBB:
		return subtract(r, a, b, carry, size);
	case AND:
		return logic(r, a & b, size);
	case OR:
		return logic(r, a | b, size);
	default:
		return logic(r, a ^ b, size);
	}
}

/* The memory operand, which is to be changed. */
static bool load_to_change(struct real_run *r, u32 *value)
{
	*value = 0;
	if (!real_load(r, value, width(r)))
		return false;
	r->exchange = true;
	r->expected = *value;
	return true;
}

static enum real_end change(struct real_run *r, enum alu op, u32 operand)
{
	u32 value, size = width(r), mask = (u32)(2ull * sign_bit(size) - 1);

	if (!real_is_memory(r) || op == CMP)
		return REAL_NATIVE;
	if (!load_to_change(r, &value))
		return REAL_FAULT;
	return store(r, calculate(r, op, value, operand & mask, size), size);
}

enum real_end real_alu_reg(struct real_run *r)
{
	return change(r, r->opcode >> 3 & 7, real_gpr(r, r->reg, width(r)));
}

enum real_end real_alu_imm(struct real_run *r)
{
	return change(r, r->reg, r->imm);
}

enum real_end real_xchg(struct real_run *r)
{
	u32 value, own = real_gpr(r, r->reg, width(r));
	enum real_end end;

	if (!real_is_memory(r))
		return REAL_NATIVE;
	if (!load_to_change(r, &value))
		return REAL_FAULT;
	end = store(r, own, width(r));
	real_set_gpr(r, r->reg, width(r), value);
	return end;
}

/* NOT and NEG; the others only read memory. */
enum real_end real_group3(struct real_run *r)
{
	u32 value, size = width(r);

	if (!real_is_memory(r) || (r->reg != 2 && r->reg != 3))
		return REAL_NATIVE;
	if (!load_to_change(r, &value))
		return REAL_FAULT;
	return store(r, r->reg == 2 ? ~value : subtract(r, 0, value, 0, size), size);
}

/* INC and DEC, which leave CF alone; far CALL and JMP. */
enum real_end real_group45(struct real_run *r)
{
	u32 carry = r->cpu.eflags & RFLAGS_CF;
	enum real_end end;

	if (r->opcode == 0xff && (r->reg == 3 || r->reg == 5))
		return r->lock ? real_undefined(r) : real_far_indirect(r);
	if (r->reg > 1)
		return REAL_NATIVE;
	end = change(r, r->reg ? SUB : ADD, 1);
	r->cpu.eflags = (r->cpu.eflags & ~(u32)RFLAGS_CF) | carry;
	return end;
}
