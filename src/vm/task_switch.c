/*
 * Task switches of L1, which always exit: what the processor would have done,
 * in its order. Up to task_commit() a fault leaves L1 in the old task, at the
 * instruction or event that switches; after it, a fault is the new task's.
 * Not for L2: its task switches are L1's.
 * Source: SDM 3A "Task Switching", 3C "Treatment of Task Switches".
 */
#include "vm/task_switch.h"

#include "cpu/cpu.h"
#include "vm/cr.h"
#include "vm/exits.h"
#include "vm/init.h"

#define EFLAGS_DEFINED 0x003f7fd5u
#define DR6_BT BIT(15)
#define DR7_LOCAL 0x155ull	/* L0-L3 and LE */
#define DR7_GD BIT(13)

static void begin_event(struct task_switch *ts)
{
	u32 info = (u32)vmx_read(VMCS_IDT_VECTORING_INFO);

	if (ts->source != TASK_GATE || !(info & INTR_VALID))
		return;
	ts->event = info;
	ts->ext = !task_event_is(ts, INTR_TYPE_SW_INTERRUPT) &&
		  !task_event_is(ts, INTR_TYPE_SW_EXCEPTION);
}

static void begin(struct task_switch *ts, struct vcpu *v)
{
	u32 qual = (u32)vmx_read(VMCS_EXIT_QUALIFICATION);
	u64 blocking = vmx_read(VMCS_GUEST_INTERRUPTIBILITY);

	*ts = (struct task_switch){
		.v = v,
		.source = qual >> 30,
		.selector = (u16)qual,
		.old_selector = (u16)vmx_read(VMCS_GUEST_TR_SELECTOR),
	};
	begin_event(ts);
	vcpu_paging(v, &ts->paging);
	/* Whatever comes of it: an NMI has been delivered, an IRET executed. */
	if (task_event_is(ts, INTR_TYPE_NMI))
		blocking |= BLOCKED_BY_NMI;
	if (ts->source == TASK_IRET)
		blocking &= ~(u64)BLOCKED_BY_NMI;
	vmx_write(VMCS_GUEST_INTERRUPTIBILITY, blocking);
	vmx_write(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
}

static bool clears_old_busy(const struct task_switch *ts)
{
	return ts->source == TASK_JMP || ts->source == TASK_IRET;
}

/* Nothing that task_commit() writes may fault then. */
static bool check(struct task_switch *ts)
{
	u32 old = task_gdt_entry(ts->old_selector);

	return task_check_new_tss(ts) && task_check_old_tss(ts) &&
	       (!clears_old_busy(ts) || task_can_write(ts, old, sizeof(u64))) &&
	       (ts->source == TASK_IRET || task_can_write(ts, ts->tss.at, sizeof(u64)));
}

/* Memory: the old task's state, the link, the busy bits; and the new TSS is read. */
static bool commit_memory(struct task_switch *ts)
{
	u32 old = task_gdt_entry(ts->old_selector);

	if (clears_old_busy(ts) && !task_change_descriptor(ts, old, SYS_TYPE_TSS_BUSY, 0))
		return false;
	if (!task_save(ts))
		return false;
	if (task_nests(ts) && !task_write(ts, ts->tss.base, &ts->old_selector, 2))
		return false;
	if (!task_read_new(ts))
		return false;
	return ts->source == TASK_IRET ||
	       task_change_descriptor(ts, ts->tss.at, 0, SYS_TYPE_TSS_BUSY);
}

static void commit_registers(struct task_switch *ts)
{
	struct task_state *s = &ts->state;
	u64 blocking = vmx_read(VMCS_GUEST_INTERRUPTIBILITY);

	if (task_nests(ts))
		s->eflags |= RFLAGS_NT;
	s->eflags = (s->eflags & EFLAGS_DEFINED) | RFLAGS_FIXED;
	vmx_write(VMCS_GUEST_RIP, s->eip);
	vmx_write(VMCS_GUEST_RFLAGS, s->eflags);
	for (u32 i = 0; i < TSS_SAVED_GPRS; i++)
		vcpu_set_gpr(ts->v, i, s->gpr[i]);
	vm_set_segment(SEG_TR, ts->selector, ts->tss.base, ts->tss.limit,
		       ts->tss.ar | SYS_TYPE_TSS_BUSY);
	task_set_selectors(ts);
	vmx_write(VMCS_GUEST_CR0, vmx_read(VMCS_GUEST_CR0) | CR0_TS);
	vmx_write(VMCS_GUEST_DR7, vmx_read(VMCS_GUEST_DR7) & ~DR7_LOCAL);
	/* Traps and blocking were the old task's. */
	vmx_write(VMCS_GUEST_PENDING_DEBUG,
		  vmx_read(VMCS_GUEST_PENDING_DEBUG) & ~PENDING_DEBUG_BS);
	vmx_write(VMCS_GUEST_INTERRUPTIBILITY,
		  blocking & ~(u64)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
}

static bool task_commit(struct task_switch *ts)
{
	if (!commit_memory(ts))
		return false;
	commit_registers(ts);
	return true;
}

static bool load_cr3(struct task_switch *ts)
{
	struct vcpu *v = ts->v;
	bool good;

	if (!task_is_wide(ts) || !(ts->paging.cr0 & CR0_PG) || ts->state.cr3 == ts->paging.cr3)
		return true;
	vmx_write(v->nested.at.cr3, ts->state.cr3);
	good = vm_load_pdptes(v, ts->paging.cr0, ts->paging.cr4);
	for (u32 i = 0; i < 4 && !good; i++)
		vmx_write(v->nested.at.pdpte + 2 * i, 0);
	vcpu_flush(v);
	vcpu_paging(v, &ts->paging);
	return good || task_fault(ts, X86_TS, 0);
}

/* In the new task. */
static bool finish(struct task_switch *ts)
{
	if (!load_cr3(ts) || !task_load_segments(ts))
		return false;
	if ((ts->event & INTR_ERROR_CODE) &&
	    !task_push_error_code(ts, (u32)vmx_read(VMCS_IDT_VECTORING_ERROR_CODE)))
		return false;
	return ts->state.eip <= vmx_read(VMCS_GUEST_CS_LIMIT) || task_fault(ts, X86_GP, 0);
}

static bool contributory(u32 vector)
{
	return vector == X86_DE || (vector >= X86_TS && vector <= X86_GP);
}

/* SDM 3A "Interrupt 8-Double Fault Exception": the event's delivery faulted. */
static void raise(struct task_switch *ts)
{
	bool exception = task_event_is(ts, INTR_TYPE_HW_EXCEPTION);
	u32 first = ts->event & INTR_VECTOR, second = ts->fault.vector;
	u64 cr2 = ts->fault.value;

	if (exception && first == X86_DF) {
		vm_exit_triple_fault(ts->v);
		return;
	}
	if (exception && ((contributory(first) && contributory(second)) ||
			  (first == X86_PF && (contributory(second) || second == X86_PF))))
		ts->fault = OUTCOME_FAULT(X86_DF, 0);
	if (second == X86_PF)
		cpu_write_cr2(cr2);
	vcpu_fault(ts->v, ts->fault);
}

/* Injection changes no debug register: the processor would, delivering its own #DB. */
static void debug_trap(struct task_switch *ts)
{
	cpu_write_dr6(cpu_read_dr6() | DR6_BT);
	vmx_write(VMCS_GUEST_DR7, vmx_read(VMCS_GUEST_DR7) & ~DR7_GD);
	vmx_write(VMCS_GUEST_DEBUGCTL, vmx_read(VMCS_GUEST_DEBUGCTL) & ~DEBUGCTL_LBR);
	vcpu_fault(ts->v, (struct outcome){ .kind = OUT_FAULT, .vector = X86_DB });
}

void vm_exit_task_switch(struct vcpu *v)
{
	struct task_switch ts;

	begin(&ts, v);
	if (!check(&ts) || !task_commit(&ts) || !finish(&ts))
		raise(&ts);
	else if (ts.state.trap)
		debug_trap(&ts);
}
