/*
 * Whether L1 uses breakpoints: else nobody need ask for them where L0 accesses L1's
 * operands (nested/breakpoint.c). MOV to and from debug registers exits until L1 has
 * once enabled one. The processor carries the instruction out itself, with all its
 * faults, and L0 looks at DR7 behind it.
 */
#include "vm/breakpoints.h"

#include "vm/exits.h"
#include "vm/nmi.h"
#include "vmx/insn.h"
#include "x86.h"

void vm_watch_breakpoints(struct vcpu *v)
{
	u64 proc = vmx_read(VMCS_PROC_CONTROLS);

	if (v->nested.breakpoints || (proc & PROC_MOV_DR))
		return;
	if (vmx_read(VMCS_GUEST_DR7) & DR7_ENABLES)
		nested_use_breakpoints(&v->nested);
	else
		vmx_write(VMCS_PROC_CONTROLS, proc | PROC_MOV_DR);
}

void vm_exit_mov_dr(struct vcpu *v)
{
	vmx_write(VMCS_PROC_CONTROLS, vmx_read(VMCS_PROC_CONTROLS) & ~(u64)PROC_MOV_DR);
	if (v->vm->hw.proc.may & PROC_MTF)
		vm_come_back(v);
	else
		nested_use_breakpoints(&v->nested);
}
