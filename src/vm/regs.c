/*
 * See regs.h. Source: SDM 3C "VM Exits", 3A "Masking Exceptions and Interrupts",
 * 3B "Debug Exceptions".
 */
#include "vm/regs.h"

#include "cpu/cpu.h"

void vcpu_paging(struct vcpu *v, struct mmu_paging *p)
{
	if (v->vm->no_ept) {
		nested_vtlb_paging(&v->nested, p);
		return;
	}
	*p = (struct mmu_paging){
		.cr0 = vmx_read(VMCS_GUEST_CR0),
		.cr3 = vmx_read(VMCS_GUEST_CR3),
		.cr4 = vmx_read(VMCS_GUEST_CR4),
		.efer = vmx_read(VMCS_GUEST_EFER),
		.rflags = vmx_read(VMCS_GUEST_RFLAGS),
		.maxphyaddr = v->vm->hw.maxphyaddr,
		.cpl = (u8)vcpu_cpl(),
		.pg_1g = v->vm->hw.pg_1g,
	};
	for (u32 i = 0; i < 4; i++)
		p->pdpte[i] = vmx_read(VMCS_GUEST_PDPTE0 + 2 * i);
}

void vcpu_flush(struct vcpu *v)
{
	if (v->vm->no_ept)
		nested_vtlb_flush(&v->nested);
	else
		vmx_invvpid(INVVPID_SINGLE, v->vpid, GVA(0));
}

/*
 * What ends with each instruction, and with each iteration of a repeated one. These flags
 * become 0, and RF what it says.
 */
static always_inline void end_step(u64 zero, u64 rf)
{
	u64 state = vmx_read(VMCS_GUEST_INTERRUPTIBILITY), flags = vmx_read(VMCS_GUEST_RFLAGS);
	u64 after = (flags & ~(zero | RFLAGS_RF)) | rf;

	if (unlikely(state & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)))
		vmx_write(VMCS_GUEST_INTERRUPTIBILITY,
			  state & ~(u64)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
	if (unlikely(after != flags))
		vmx_write(VMCS_GUEST_RFLAGS, after);
	if (unlikely(flags & RFLAGS_TF) && !(vmx_read(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF))
		vmx_write(VMCS_GUEST_PENDING_DEBUG,
			  vmx_read(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

static always_inline void advance(u64 zero)
{
	u64 rip = vmx_read(VMCS_GUEST_RIP) + vmx_read(VMCS_EXIT_INSTR_LENGTH);

	if (unlikely(rip >> 32) && !vcpu_code64())
		rip = (u32)rip;
	vmx_write(VMCS_GUEST_RIP, rip);
	end_step(zero, 0);
}

void vcpu_advance(void)
{
	advance(0);
}

void vcpu_succeed(struct vcpu *v)
{
	advance(RFLAGS_ARITH);
	if (unlikely(v->nested.in_l2))
		nested_l2_stepped(&v->nested);
}

void vcpu_iterated(struct vcpu *v)
{
	end_step(0, RFLAGS_RF);
	if (v->nested.in_l2)
		nested_l2_stepped(&v->nested);
}

void vcpu_fault(struct vcpu *v, struct outcome fault)
{
	u32 info = INTR_VALID | INTR_TYPE_HW_EXCEPTION | fault.vector;

	/* Injection saves RFLAGS as they are; a fault would save RF set, a trap not. */
	if (fault.vector != X86_DB)
		vmx_write(VMCS_GUEST_RFLAGS, vmx_read(VMCS_GUEST_RFLAGS) | RFLAGS_RF);
	if (v->nested.in_l2) {
		if (nested_l2_fault(&v->nested, fault) == NESTED_RESUME && fault.vector == X86_PF)
			cpu_write_cr2(fault.value);
		return;
	}
	/* Real mode delivers no error codes. */
	if (fault.has_error_code && (vmx_read(VMCS_GUEST_CR0) & CR0_PE)) {
		info |= INTR_ERROR_CODE;
		vmx_write(VMCS_ENTRY_ERROR_CODE, fault.error_code);
	}
	if (fault.vector == X86_PF)
		cpu_write_cr2(fault.value);
	vmx_write(VMCS_ENTRY_INTR_INFO, info);
}
