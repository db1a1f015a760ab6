/*
 * System instructions in real mode: descriptor-table registers, which L0 keeps
 * for L1, and those that are decoded here and executed by the caller. See
 * emulate_run.h.
 * Source: SDM 2A-2D, the instructions' own pages.
 */
#include "vm/real/emulate_run.h"

struct table_operand {
	u16 limit;
	u32 base;
} __attribute__((packed));

enum real_end real_undefined(struct real_run *r)
{
	real_fault(r, X86_UD);
	return REAL_FAULT;
}

static enum real_end store_table(struct real_run *r, const struct real_table *t)
{
	struct table_operand m = { t->limit, t->base };

	return real_store(r, &m, sizeof(m)) ? REAL_DONE : REAL_FAULT;
}

static enum real_end load_table(struct real_run *r, struct real_table *t)
{
	struct table_operand m;

	if (!real_load(r, &m, sizeof(m)))
		return REAL_FAULT;
	t->limit = m.limit;
	t->base = r->operand_size == 2 ? m.base & 0xffffff : m.base;
	return REAL_DONE;
}

static enum real_end machine(struct real_run *r, enum real_op op)
{
	r->insn->op = op;
	return REAL_MACHINE;
}

static enum real_end lmsw(struct real_run *r)
{
	u16 value;

	if (!real_load_rm16(r, &value))
		return REAL_FAULT;
	r->insn->value = value;
	return machine(r, REAL_LMSW);
}

static enum real_end store_msw(struct real_run *r)
{
	u16 msw = (u16)r->cpu.cr0;

	if (!real_is_memory(r))
		return REAL_NATIVE;
	return real_store(r, &msw, sizeof(msw)) ? REAL_DONE : REAL_FAULT;
}

/* No segment limit is asked. */
static enum real_end invlpg(struct real_run *r)
{
	r->insn->value = r->cpu.seg[r->seg].base + real_offset(r);
	return machine(r, REAL_INVLPG);
}

/* Group 7 with a register for operand: instructions of their own. */
static enum real_end group7_register(struct real_run *r)
{
	switch (r->reg << 3 | r->rm) {
	case 010:
		return machine(r, REAL_MONITOR);
	case 011:
		return machine(r, REAL_MWAIT);
	case 021:
		return machine(r, REAL_XSETBV);
	default:
		return r->reg == 6 ? lmsw(r) : REAL_NATIVE;
	}
}

enum real_end real_group7(struct real_run *r)
{
	if (!real_is_memory(r))
		return group7_register(r);
	switch (r->reg) {
	case 0:
		return store_table(r, &r->cpu.gdtr);
	case 1:
		return store_table(r, &r->cpu.idtr);
	case 2:
		return load_table(r, &r->cpu.gdtr);
	case 3:
		return load_table(r, &r->cpu.idtr);
	case 4:
		return store_msw(r);
	case 6:
		return lmsw(r);
	case 7:
		return invlpg(r);
	default:
		return REAL_NATIVE;
	}
}

/* MOV to and from control and debug registers. */
enum real_end real_mov_control(struct real_run *r)
{
	static const enum real_op op[] = {
		REAL_MOV_FROM_CR, REAL_MOV_FROM_DR, REAL_MOV_TO_CR, REAL_MOV_TO_DR,
	};
	bool debug = r->opcode & 1;

	if (!debug && (r->reg == 1 || r->reg > 4))
		return real_undefined(r);
	r->insn->reg = r->reg;
	r->insn->gpr = r->rm;
	return machine(r, op[r->opcode & 3]);
}

/* Those that are known by their opcode. */
enum real_end real_machine(struct real_run *r)
{
	switch (r->opcode) {
	case 0x06:
		return machine(r, REAL_CLTS);
	case 0x08:
		return machine(r, REAL_INVD);
	case 0x09:
		return machine(r, REAL_WBINVD);
	case 0x30:
		return machine(r, REAL_WRMSR);
	case 0x32:
		return machine(r, REAL_RDMSR);
	default:
		return machine(r, REAL_HLT);
	}
}
