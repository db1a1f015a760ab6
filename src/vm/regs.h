/*
 * The registers of whoever exited, in the current VMCS (vmcs01 for L1, vmcs02
 * for L2), and what happens after an instruction was emulated.
 */
#pragma once

#include "mmu/guest_walk.h"
#include "vm/vm.h"
#include "vmx/insn.h"

static inline u64 vcpu_gpr(struct vcpu *v, u32 i)
{
	return i == GPR_RSP ? vmx_read(VMCS_GUEST_RSP) : v->frame.gpr[i];
}

static inline void vcpu_set_gpr(struct vcpu *v, u32 i, u64 value)
{
	if (i == GPR_RSP)
		vmx_write(VMCS_GUEST_RSP, value);
	else
		v->frame.gpr[i] = value;
}

static inline bool vcpu_long_mode(void)
{
	return vmx_read(VMCS_ENTRY_CONTROLS) & ENTRY_IA32E;
}

static inline bool vcpu_code64(void)
{
	return vcpu_long_mode() && (vmx_read(VMCS_GUEST_CS_AR) & AR_L);
}

static inline u32 vcpu_cpl(void)
{
	return (u32)(vmx_read(VMCS_GUEST_SS_AR) & AR_DPL) >> AR_DPL_SHIFT;
}

/* As L1 or L2 reads them: guest/host mask and read shadow applied. */
static inline u64 vcpu_cr0(void)
{
	u64 mask = vmx_read(VMCS_CR0_MASK);

	return (vmx_read(VMCS_GUEST_CR0) & ~mask) | (vmx_read(VMCS_CR0_SHADOW) & mask);
}

static inline u64 vcpu_cr4(void)
{
	u64 mask = vmx_read(VMCS_CR4_MASK);

	return (vmx_read(VMCS_GUEST_CR4) & ~mask) | (vmx_read(VMCS_CR4_SHADOW) & mask);
}

/* The paging of whoever runs in the current VMCS; for L2 only where L1 uses no EPT. */
void vcpu_paging(struct vcpu *v, struct mmu_paging *p);

/* The TLB of L1, or of an L2 that L1 runs without VPID where there is none. */
void vcpu_flush(struct vcpu *v);

/* The instruction of L1 is done: next RIP, no STI or MOV SS blocking, single-step trap. */
void vcpu_advance(void);

/* The same for L1 or L2, whose L1 may want an exit after each instruction. */
static inline void vcpu_done(struct vcpu *v)
{
	vcpu_advance();
	if (unlikely(v->nested.in_l2))
		nested_l2_stepped(&v->nested);
}

/* VMsucceed (SDM 3C "Conventions"), and the same. */
void vcpu_succeed(struct vcpu *v);

/* One iteration is done of an instruction that L1 or L2 repeats, and more are to come. */
void vcpu_iterated(struct vcpu *v);

/* The instruction faults with this; L2's faults go to L1 when it wants them. */
void vcpu_fault(struct vcpu *v, struct outcome fault);
