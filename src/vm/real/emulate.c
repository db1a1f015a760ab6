/* One instruction of real mode, from its bytes to its end. See emulate.h. */
#include "vm/real/emulate_run.h"

#define BLOCKED_FOR_ONE (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)

/* What hardware would execute if it did not write through CS. */
static enum real_end leave(const struct real_run *r, const struct real_row *row)
{
	bool through_cs = (row->form & REAL_STORES) && r->from_cs && real_is_memory(r);

	return through_cs ? REAL_UNSUPPORTED : REAL_NATIVE;
}

static enum real_end execute(struct real_run *r)
{
	const struct real_row *row;

	if (!real_decode(r, &row))
		return REAL_FAULT;
	if (!row->run)
		return leave(r, row);
	if (r->lock && (!(row->form & REAL_LOCKS) || !real_is_memory(r)))
		return real_undefined(r);
	r->insn->length = r->insn->count;
	r->cpu.eip += r->insn->count;
	return row->run(r);
}

/* Of two loads of SS in a row, only the first blocks; it keeps the trap back, too. */
static void block(struct real_run *r, u32 before)
{
	if (r->blocks == BLOCKED_BY_MOV_SS && (before & BLOCKED_BY_MOV_SS))
		r->blocks = 0;
	if (r->blocks == BLOCKED_BY_MOV_SS)
		r->insn->trap = false;
	r->cpu.blocking = (r->cpu.blocking & ~BLOCKED_FOR_ONE) | r->blocks;
}

enum real_end real_emulate(struct vm *vm, struct real_cpu *cpu, struct real_insn *insn)
{
	struct real_run r = { .vm = vm, .cpu = *cpu, .insn = insn };
	enum real_end end;

	*insn = (struct real_insn){ .trap = cpu->eflags & RFLAGS_TF };
	r.cpu.eflags &= ~(u32)RFLAGS_RF;
	end = execute(&r);
	if (end != REAL_DONE)
		return end;
	if (!real_commit(&r)) {
		insn->trap = false;
		return end;
	}
	block(&r, cpu->blocking);
	*cpu = r.cpu;
	return end;
}
