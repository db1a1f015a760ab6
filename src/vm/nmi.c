/*
 * NMIs and machine checks that arrived while L0 ran. Where L1 has one CPU, vmcs01 does
 * not intercept NMIs: L1 takes its own natively, and while it handles one the CPU keeps
 * further ones pending, also across exits. So an NMI that L0 sees can go to L1 at once,
 * unless an event is being injected or MOV SS blocks it: then L0 asks for an exit
 * after the next instruction.
 *
 * Where L1 has several, NMIs always exit, of L1 and L2, because L0 stops CPUs by them
 * (shared.h); those of L1's go on as virtual NMIs, with an NMI window where they must wait.
 */
#include "vm/nmi.h"

#include "vm/breakpoints.h"
#include "vm/exits.h"
#include "vm/init.h"
#include "vm/regs.h"

void vm_come_back(struct vcpu *v)
{
	if (v->vm->hw.proc.may & PROC_MTF)	/* else the next exit will do */
		vmx_write(VMCS_PROC_CONTROLS, vmx_read(VMCS_PROC_CONTROLS) | PROC_MTF);
}

static bool injecting(void)
{
	return vmx_read(VMCS_ENTRY_INTR_INFO) & INTR_VALID;
}

/* An exit is wanted as soon as an NMI can be delivered. */
static void await_window(void)
{
	vmx_write(VMCS_PROC_CONTROLS, vmx_read(VMCS_PROC_CONTROLS) | PROC_NMI_WINDOW);
}

static bool blocked(void)
{
	return vmx_read(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI);
}

/* Processors may refuse an NMI behind STI, which blocks none: it ends with the handler's start. */
static void inject(u32 info)
{
	u64 state = vmx_read(VMCS_GUEST_INTERRUPTIBILITY);

	if ((info & INTR_TYPE) == INTR_TYPE_NMI && (state & BLOCKED_BY_STI))
		vmx_write(VMCS_GUEST_INTERRUPTIBILITY, state & ~(u64)BLOCKED_BY_STI);
	if (vmx_read(VMCS_GUEST_ACTIVITY) == ACTIVITY_HLT)
		vmx_write(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vmx_write(VMCS_ENTRY_INTR_INFO, INTR_VALID | info);
}

/* SDM 3C "Guest Non-Register State": a CPU that waits for a SIPI takes neither. */
static void deliver_to_l2(struct vcpu *v, bool entered)
{
	struct pcpu *p = v->pcpu;

	if (vmx_read(VMCS_GUEST_ACTIVITY) == ACTIVITY_WAIT_SIPI)
		return;
	if (injecting()) {
		vm_come_back(v);
	} else if (p->mc_pending) {
		p->mc_pending = 0;
		vcpu_fault(v, (struct outcome){ .kind = OUT_FAULT, .vector = X86_MC });
	} else if (nested_l2_nmi_blocked(&v->nested)) {
		if (v->vm->shared && blocked())
			await_window();
	} else if (p->nmi_pending) {
		if (nested_l2_nmi(&v->nested, entered) == NESTED_L0)
			vm_come_back(v);	/* unless the processor enters it after all */
		else
			p->nmi_pending = 0;
	}
}

void vm_deliver_pending(struct vcpu *v, bool entered)
{
	struct pcpu *p = v->pcpu;

	if (!(p->nmi_pending | p->mc_pending))
		return;
	if (v->nested.in_l2) {
		deliver_to_l2(v, entered);
		return;
	}
	if (v->waits_init || vmx_read(VMCS_GUEST_ACTIVITY) == ACTIVITY_WAIT_SIPI)
		return;
	if (v->vm->shared && !p->mc_pending && (injecting() || blocked())) {
		await_window();
	} else if (injecting() || blocked()) {
		vm_come_back(v);
	} else if (p->mc_pending) {
		p->mc_pending = 0;
		inject(INTR_TYPE_HW_EXCEPTION | X86_MC);
	} else if (p->nmi_pending) {
		p->nmi_pending = 0;	/* the CPU collapses them, too */
		inject(INTR_TYPE_NMI | X86_NMI);
	}
}

void vm_exit_nmi_window(struct vcpu *v)
{
	(void)v;
	vmx_write(VMCS_PROC_CONTROLS, vmx_read(VMCS_PROC_CONTROLS) & ~(u64)PROC_NMI_WINDOW);
}

void vm_exit_monitor_trap(struct vcpu *v)
{
	vmx_write(VMCS_PROC_CONTROLS, vmx_read(VMCS_PROC_CONTROLS) & ~(u64)PROC_MTF);
	if (!v->nested.in_l2)
		vm_watch_breakpoints(v);
	if (v->nested.in_l2 && v->init_pending)
		vm_init_l2(v, true);
}
