/*
 * EPT violations and misconfigurations of L2. Those that L1's tables cause are L1's, or a #VE of
 * L2's where L1 wants that; where ept02 only lacks what both levels give, or ept01 is at fault, L2
 * goes on as if nothing had been. Source: SDM 3C "EPT Violations", "Exit Qualification for EPT
 * Violations".
 */
#include "nested/engine.h"

#include "engine_ops.h"

/*
 * The event whose delivery the exit interrupted goes on when L2 does; an NMI must
 * not be blocked by its own first delivery (SDM 3C "Resuming Guest Software after
 * Handling an Exception").
 */
static void redeliver(struct nested_vcpu *n, u64 info)
{
	u64 state;

	op_hw_write(n, VMCS_ENTRY_INTR_INFO, info & ~(u64)INTR_NMI_UNBLOCKING);
	if (info & INTR_ERROR_CODE)
		op_hw_write(n, VMCS_ENTRY_ERROR_CODE,
			    op_hw_read(n, VMCS_IDT_VECTORING_ERROR_CODE));
	op_hw_write(n, VMCS_ENTRY_INSTR_LENGTH, op_hw_read(n, VMCS_EXIT_INSTR_LENGTH));
	if ((info & INTR_TYPE) != INTR_TYPE_NMI)
		return;
	state = op_hw_read(n, VMCS_GUEST_INTERRUPTIBILITY);
	op_hw_write(n, VMCS_GUEST_INTERRUPTIBILITY, state & ~(u64)BLOCKED_BY_NMI);
}

/* An absorbed fault of IRET must not leave NMIs unblocked (SDM 3C
 * "Information About NMI Unblocking Due to IRET"). */
static void reblock_nmi(struct nested_vcpu *n)
{
	u64 state = op_hw_read(n, VMCS_GUEST_INTERRUPTIBILITY);

	op_hw_write(n, VMCS_GUEST_INTERRUPTIBILITY, state | BLOCKED_BY_NMI);
}

void nested_absorb(struct nested_vcpu *n, bool nmi_unblocked)
{
	u64 vectoring = op_hw_read(n, VMCS_IDT_VECTORING_INFO);

	if (unlikely(vectoring & INTR_VALID))
		redeliver(n, vectoring);
	else if (unlikely(nmi_unblocked))
		reblock_nmi(n);
}

/* L0 handled a fault of L2 by itself: L2 goes on as if there had been none. */
static enum nested_verdict absorb(struct nested_vcpu *n, u64 qualification)
{
	/* Filling or unprotecting may have recycled tables. */
	nested_merge_ept(n, n->current);
	nested_absorb(n, qualification & EPTQ_NMI_UNBLOCKED);
	return NESTED_RESUME;
}

/* Is the log of pages that L2 modifies on, in this slot? It follows ept12's dirty flags. */
static bool logs(const struct nested_vmcs *s)
{
	return (nested_proc2(s) & PROC2_PML) && (s->v[VF_EPT_POINTER] & EPTP_AD);
}

/* SDM 3C "Page-Modification Logging". Where L1 has no memory, the entry is lost as on a bus. */
static void log_page(struct nested_vcpu *n, struct nested_vmcs *s, gpa2_t gpa)
{
	u64 index = s->v[VF_PML_INDEX], page = gpa.v & PAGE_MASK;

	op_gpa1_write(n->vm, GPA1(s->v[VF_PML_ADDRESS] + 8 * index), &page, sizeof(page));
	nested_set_field(s, VF_PML_INDEX, (index - 1) & 0xffff);
}

/* SDM 3C "Virtualization-Exception Information": what L2 finds at the address of L1's choice. */
struct ve_area {
	u32 reason;
	u32 busy;
	u64 qualification, gla, gpa;
	u16 eptp_index;
} __attribute__((packed));

/* SDM 3C "Convertible EPT Violations", "Delivery of Virtualization Exceptions". */
static bool becomes_ve(struct nested_vcpu *n, const struct nested_vmcs *s,
		       const struct nested_exit_info *info)
{
	u32 busy;

	return (nested_proc2(s) & PROC2_EPT_VE) && !(info->vectoring_info & INTR_VALID) &&
	       (op_hw_read(n, VMCS_GUEST_CR0) & CR0_PE) &&
	       op_gpa1_read(n->vm, GPA1(s->v[VF_VE_INFO_ADDR] + offsetof(struct ve_area, busy)),
			    &busy, sizeof(busy)) && !busy;
}

static enum nested_verdict raise_ve(struct nested_vcpu *n, struct nested_vmcs *s,
				    struct nested_exit_info *info)
{
	const struct ve_area area = {
		.reason = EXIT_EPT_VIOLATION, .busy = ~0u,
		.qualification = info->qualification, .gla = info->gla, .gpa = info->gpa,
		.eptp_index = (u16)s->v[VF_EPTP_INDEX],
	};
	u32 event = INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_VE;

	op_gpa1_write(n->vm, GPA1(s->v[VF_VE_INFO_ADDR]), &area, sizeof(area));
	if (!nested_l1_wants_exception(n, X86_VE, 0)) {
		op_hw_write(n, VMCS_ENTRY_INTR_INFO, event);
		nested_merge_ept(n, s);	/* L1 may have kept something there that L0 watches */
		return NESTED_RESUME;
	}
	info->reason = EXIT_EXCEPTION_NMI;
	info->intr_info = event;
	if (info->qualification & EPTQ_NMI_UNBLOCKED)
		info->intr_info |= INTR_NMI_UNBLOCKING;
	info->qualification = 0;
	return nested_reflect(n, info);
}

static always_inline void judge(struct nested_vcpu *n, struct nested_ept_access *a)
{
	struct nested_vmcs *s = n->current;

	a->verdict = EPT02_L0;
	a->fault.gpa1 = GPA1(a->gpa.v);
	a->fault.dirtied = false;
	if (nested_uses_ept(s))
		a->verdict = ept02_fault_logged(n->ept02s, nested_ept02(n, s), a->gpa,
						a->qualification,
						logs(s) && s->v[VF_PML_INDEX] >= PML_ENTRIES,
						&a->fault);
	if (a->fault.dirtied && logs(s))
		log_page(n, s, a->gpa);
}

void nested_ept_judge(struct nested_vcpu *n, struct nested_ept_access *a)
{
	judge(n, a);
}

static always_inline enum nested_verdict refuse(struct nested_vcpu *n,
						const struct nested_ept_access *a,
						struct nested_exit_info *info)
{
	switch (a->verdict) {
	case EPT02_LOG_FULL:
		info->reason = EXIT_PML_FULL;
		info->qualification = a->qualification & EPTQ_NMI_UNBLOCKED;
		break;
	case EPT02_REFLECT_MISCONFIG:
		info->reason = EXIT_EPT_MISCONFIG;
		info->qualification = 0;
		break;
	default:
		info->reason = EXIT_EPT_VIOLATION;
		info->qualification = a->fault.qualification;
		if (a->fault.convertible && becomes_ve(n, n->current, info))
			return raise_ve(n, n->current, info);
		n->current->awaited = GPA2(a->gpa.v & PAGE_MASK);
		n->current->prefill = !n->current->prefill_vain;
	}
	return nested_reflect(n, info);
}

enum nested_verdict nested_ept_refuse(struct nested_vcpu *n, const struct nested_ept_access *a,
				      struct nested_exit_info *info)
{
	return refuse(n, a, info);
}

enum nested_verdict nested_ept_exit(struct nested_vcpu *n, u32 reason)
{
	struct nested_exit_info info;
	struct nested_ept_access a;

	a.gpa = GPA2(op_hw_read(n, VMCS_GUEST_PHYSICAL_ADDRESS));
	a.qualification = reason == EXIT_EPT_VIOLATION ?
			  op_hw_read(n, VMCS_EXIT_QUALIFICATION) : 0;
	judge(n, &a);
	if (a.verdict == EPT02_L0 &&
	    !op_gpa1_fault(n->vm, a.fault.gpa1, a.qualification & EPTQ_WRITE))
		op_vm_kill(n, "L2 uses memory that L0 cannot map");
	if (a.verdict == EPT02_FILLED || a.verdict == EPT02_L0) {
		if ((a.gpa.v & PAGE_MASK) == n->current->awaited.v)
			n->current->prefill_vain = false;	/* it would have served */
		return absorb(n, a.qualification);
	}
	nested_read_exit_info(n, a.verdict == EPT02_LOG_FULL ? EXIT_PML_FULL : reason, &info);
	return refuse(n, &a, &info);
}
