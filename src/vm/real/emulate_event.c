/*
 * Delivery of events in real mode: through the interrupt vector table, without
 * error codes, on the stack that is there. See emulate.h.
 * Source: SDM 2A "INT n/INTO/INT3/INT1", 3A "Interrupt 8-Double Fault
 * Exception", 3B "Interrupt and Exception Handling" of "8086 Emulation".
 */
#include "vm/real/emulate_run.h"

#define VECTOR_SIZE 4u

bool real_enter_vector(struct real_run *r, u32 vector, u32 eip)
{
	u32 flags = r->cpu.eflags, at = VECTOR_SIZE * vector;
	u16 target[2];		/* IP, CS */

	if (at + VECTOR_SIZE - 1 > r->cpu.idtr.limit)
		return real_fault(r, X86_GP);
	if (!real_push(r, flags, 2) || !real_push(r, r->cpu.seg[SEG_CS].selector, 2) ||
	    !real_push(r, eip, 2))
		return false;
	real_read(r->vm, r->cpu.idtr.base + at, target, sizeof(target));
	r->cpu.eflags = flags & ~(u32)(RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
	r->cpu.blocking &= ~(u32)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
	return real_jump(r, target[1], target[0]);
}

static bool is_contributory(u32 vector)
{
	return vector == X86_DE || (vector >= X86_TS && vector <= X86_GP);
}

static bool is_software(u32 type)
{
	return type == INTR_TYPE_SW_INTERRUPT || type == INTR_TYPE_SW_EXCEPTION ||
	       type == INTR_TYPE_PRIV_SW_EXCEPTION;
}

enum real_end real_deliver(struct vm *vm, struct real_cpu *cpu, u32 info, u32 length)
{
	u32 type = info & INTR_TYPE, vector = info & INTR_VECTOR;
	u32 eip = cpu->eip + (is_software(type) ? length : 0);
	bool exception = type == INTR_TYPE_HW_EXCEPTION;
	struct real_insn insn = { 0 };

	for (;;) {
		struct real_run r = { .vm = vm, .cpu = *cpu, .insn = &insn };

		if (real_enter_vector(&r, vector, eip)) {
			real_commit(&r);
			*cpu = r.cpu;
			break;
		}
		if (exception && vector == X86_DF)
			return REAL_SHUTDOWN;
		/* Faults of delivery are contributory: each turn comes closer to the end. */
		vector = exception && is_contributory(vector) ? X86_DF : insn.vector;
		exception = true;
		eip = cpu->eip;
	}
	if (type == INTR_TYPE_NMI)
		cpu->blocking |= BLOCKED_BY_NMI;
	return REAL_DONE;
}
