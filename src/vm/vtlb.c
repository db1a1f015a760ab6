/*
 * L1 on a processor without EPT: it runs on shadow tables (mmu/vtlb.h) of its
 * own, with paging always on and page faults, CR3, EFER and INVLPG intercepted.
 * What it sees of CR0, CR3, CR4 and EFER is its own. Its real mode is real/'s.
 */
#include "vm/vtlb.h"

#include "cpu/cpu.h"
#include "debug/console.h"
#include "vm/exits.h"
#include "vm/regs.h"

/* L1's own tables cause the fault; it meets the event whose delivery it interrupted. */
static void deliver(struct vcpu *v, const struct mmu_fault *fault)
{
	switch (nested_second_fault(vmx_read(VMCS_IDT_VECTORING_INFO))) {
	case SECOND_PF:
		vcpu_fault(v, OUTCOME_PF(fault->error_code, vmx_read(VMCS_EXIT_QUALIFICATION)));
		break;
	case SECOND_DF:
		cpu_write_cr2(vmx_read(VMCS_EXIT_QUALIFICATION));
		vcpu_fault(v, OUTCOME_FAULT(X86_DF, 0));
		break;
	case SECOND_TRIPLE:
		vm_exit_triple_fault(v);
	}
}

void vm_vtlb_fault(struct vcpu *v)
{
	gva_t gva = GVA(vmx_read(VMCS_EXIT_QUALIFICATION));
	u32 error = (u32)vmx_read(VMCS_EXIT_INTR_ERROR_CODE);
	struct mmu_fault fault;
	struct mmu_paging p;
	hpa_t root;
	gpa1_t gpa;

	vcpu_paging(v, &p);
	switch (vtlb_fault(&v->vm->vtlb, &p, gva, error, &root, &gpa, &fault)) {
	case VTLB_GUEST:
		deliver(v, &fault);
		return;
	case VTLB_L0:
		con_printf("L1 touched %#lx, where nothing can be mapped\n", gpa.v);
		vm_kill(v->vm, "an address that L0 cannot map");
		return;
	case VTLB_FILLED:
		break;
	}
	vmx_write(VMCS_GUEST_CR3, root.v);
	/* In real mode only INT n uses memory before L0 knows of it, and is executed again. */
	if (!(v->real.on && (vmx_read(VMCS_IDT_VECTORING_INFO) & INTR_VALID)))
		nested_absorb(&v->nested, vmx_read(VMCS_EXIT_INTR_INFO) & INTR_NMI_UNBLOCKING);
}
