/*
 * Every VM exit comes here. L1's own exits go to the handler of exits.def; L2's
 * go to the engine, and to the same handlers when L0 owns them. It ends by
 * entering again, always: with L1, or with L2.
 */
#include "vm/exits.h"

#include "cpu/cpu.h"
#include "debug/console.h"
#include "vm/cr.h"
#include "vm/init.h"
#include "vm/memory.h"
#include "vm/msr.h"
#include "vm/nmi.h"
#include "vm/power.h"
#include "vm/regs.h"
#include "vm/vtlb.h"

typedef void (*exit_fn)(struct vcpu *v);
static const exit_fn handlers[EXIT_REASON_COUNT] = {
#define X(reason, name, owner, handler, info) [reason] = vm_exit_##handler,
#include "exits.def"
#undef X
};

void vm_exit_undefined(struct vcpu *v)
{
	vcpu_fault(v, OUTCOME_UD);
}

void vm_exit_none(struct vcpu *v)
{
	vm_kill(v->vm, "an exit that L0 does not ask for");
}

void vm_exit_invd(struct vcpu *v)
{
	(void)v;
	cpu_wbinvd();	/* INVD itself could lose writes of L0 */
	vcpu_advance();
}

/* The vtlb compares all its tables with L1's or L2's: which page it is does not matter. */
void vm_exit_invlpg(struct vcpu *v)
{
	nested_vtlb_flush(&v->nested);
	vcpu_done(v);
}

void vm_exit_msr_read(struct vcpu *v)
{
	u64 *gpr = v->frame.gpr;
	u64 value;

	if (!vm_rdmsr(v, (u32)gpr[GPR_RCX], &value)) {
		vcpu_fault(v, OUTCOME_GP);
		return;
	}
	gpr[GPR_RAX] = (u32)value;
	gpr[GPR_RDX] = value >> 32;
	vcpu_done(v);
}

void vm_exit_msr_write(struct vcpu *v)
{
	u64 *gpr = v->frame.gpr;

	if (vm_wrmsr(v, (u32)gpr[GPR_RCX], (u32)gpr[GPR_RAX] | gpr[GPR_RDX] << 32))
		vcpu_done(v);
	else
		vcpu_fault(v, OUTCOME_GP);
}

void vm_exit_xsetbv(struct vcpu *v)
{
	u64 *gpr = v->frame.gpr;

	if (cpu_xsetbv_safe((u32)gpr[GPR_RCX], (u32)gpr[GPR_RAX] | gpr[GPR_RDX] << 32))
		vcpu_advance();
	else
		vcpu_fault(v, OUTCOME_GP);
}

void vm_exit_exception(struct vcpu *v)
{
	u64 info = vmx_read(VMCS_EXIT_INTR_INFO);

	/* L0 asks for page faults, and for NMIs where L1 has several CPUs. */
	if ((info & INTR_TYPE) == INTR_TYPE_NMI)
		v->pcpu->nmi_pending++;
	else if (v->vm->no_ept && (info & INTR_VECTOR) == X86_PF)
		vm_vtlb_fault(v);
	else if (v->real.on)
		vm_real_exception(v);
	else
		vm_exit_none(v);
}

void vm_exit_ept_violation(struct vcpu *v)
{
	u64 gpa = vmx_read(VMCS_GUEST_PHYSICAL_ADDRESS);
	u64 qual = vmx_read(VMCS_EXIT_QUALIFICATION);

	if (!vm_memory_fault(v->vm, GPA1(gpa), qual & EPTQ_WRITE)) {
		con_printf("L1 touched %#llx, where nothing can be mapped\n",
			   (unsigned long long)gpa);
		vm_kill(v->vm, "an address that L0 cannot map");
		return;
	}
	nested_absorb(&v->nested, qual & EPTQ_NMI_UNBLOCKED);
}

static __attribute__((noinline)) void commit(struct vcpu *v, struct outcome o)
{
	switch (o.kind) {
	case OUT_OK:
	case OUT_VMFAIL_INVALID:
	case OUT_VMFAIL_VALID:
		nested_commit_flags(&v->nested, o);
		vcpu_done(v);
		break;
	case OUT_DONE:
		vcpu_done(v);
		break;
	case OUT_FAULT:
		vcpu_fault(v, o);
		break;
	case OUT_KILL:
		vm_kill(v->vm, "the engine gave up");
		break;
	case OUT_ENTER_L2:
		vm_init_l2(v, false);	/* else nothing is left to do */
		break;
	case OUT_ENTRY_FAIL:
	case OUT_INTERRUPTED:
		break;
	}
}

/* A VMX instruction: the engine says what it comes to, here it happens. */
void vm_exit_vmx(struct vcpu *v)
{
	struct nested_vcpu *n = &v->nested;
	struct outcome o = nested_vmx_instruction(n, (u32)vmx_read(VMCS_EXIT_REASON));

	if (likely(o.kind == OUT_OK)) {
		vcpu_succeed(v);
	} else if (o.kind != OUT_ENTER_L2 || unlikely(v->init_pending)) {
		commit(v, o);
	}
}

/* VMXON and VMXOFF. */
void vm_exit_vmx_switch(struct vcpu *v)
{
	bool vmxon = v->nested.vmxon;

	vm_exit_vmx(v);
	if (vmxon != v->nested.vmxon)
		vm_vmx_operation_changed(v);
}

static void l1_exit_unknown(struct vcpu *v, u32 reason)
{
	/* The entry failed, and nothing of L1 is lost: it gets the exception. */
	if (reason == (EXIT_MACHINE_CHECK | EXIT_REASON_ENTRY_FAILURE)) {
		v->pcpu->mc_pending++;
		return;
	}
	con_printf("L1 exited for reason %#x\n", reason);
	vm_kill(v->vm, reason & EXIT_REASON_ENTRY_FAILURE ?
		"L1 is in a state that this processor's VMX cannot run" :
		"an exit reason that L0 does not know");
}

static void l1_exit(struct vcpu *v, u32 reason)
{
	if (unlikely(reason >= EXIT_REASON_COUNT || !handlers[reason])) {
		l1_exit_unknown(v, reason);
		return;
	}
	v->stats.l1.exits[reason]++;
	handlers[reason](v);
}

static void l2_exit(struct vcpu *v, u32 reason)
{
	enum nested_verdict verdict;

	v->stats.l2.exits[MIN(reason & EXIT_REASON_BASIC, EXIT_REASON_COUNT - 1u)]++;
	verdict = nested_l2_exit(&v->nested, reason);
	if (unlikely(verdict == NESTED_DONE))
		vcpu_done(v);
	else if (verdict == NESTED_L0)
		handlers[reason & EXIT_REASON_BASIC](v);
	if (!v->nested.in_l2)
		v->stats.reflected++;
}

/* Rarely anything, but it must be before the entry. */
static void before_entry(struct vcpu *v, bool entered)
{
	vm_deliver_pending(v, entered);	/* may be an exit of L2, with all that can come of it */
	if (v->vm->ept02_dropped && v->nested.in_l2)
		nested_l2_memory_changed(&v->nested);
	if (v->vm->killed)
		vm_power_killed(v);
	if (v->vm->vtlb_dropped)
		nested_vtlb_flush(&v->nested);
	v->vm->attention = v->vm->vtlb_dropped = v->vm->ept02_dropped = false;
}

/*
 * The result: VMRESUME? vmcs01 was launched long before its first exit. entered: whose
 * exit it was, if L2 goes on.
 */
static always_inline bool prepare_entry(struct vcpu *v, bool entered)
{
	const struct pcpu *p = v->pcpu;

	if (unlikely(p->nmi_pending | p->mc_pending) || unlikely(v->vm->attention))
		before_entry(v, entered);
	v->stats.entered = cpu_rdtsc();
	return likely(!v->nested.in_l2) || v->nested.current->launched02;
}

bool vm_prepare_entry(struct vcpu *v, bool entered)
{
	return prepare_entry(v, entered);
}

bool vm_exit(struct vmx_frame *frame)
{
	struct vcpu *v = vcpu_of_frame(frame);
	u64 ran = cpu_rdtsc() - v->stats.entered;
	u32 reason = (u32)vmx_read(VMCS_EXIT_REASON);

	if (v->nested.in_l2) {
		v->stats.l2.ticks += ran;
		l2_exit(v, reason);
		return prepare_entry(v, true);
	}
	v->stats.l1.ticks += ran;
	l1_exit(v, reason);
	return prepare_entry(v, false);
}

/* VMLAUNCH or VMRESUME failed: for vmcs02 L1's fault, for vmcs01 L0's. */
bool vm_entry_refused(struct vmx_frame *frame)
{
	struct vcpu *v = vcpu_of_frame(frame);
	u32 error = (u32)vmx_read(VMCS_VM_INSTRUCTION_ERROR);

	if (v->nested.in_l2) {
		nested_commit_flags(&v->nested, nested_entry_refused(&v->nested, error));
		vcpu_advance();
	} else {
		con_printf("the processor refuses vmcs01: VM-instruction error %u\n", error);
		vm_kill(v->vm, "L1's state cannot be entered");
	}
	return prepare_entry(v, false);
}
