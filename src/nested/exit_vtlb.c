/*
 * Exits of L2 that L0 asks for on a processor without EPT: page faults, and
 * accesses to control registers. Those that L1's tables for L2 cause, and those
 * that L1 asks for as well, are L1's.
 * Source: SDM 3C "Changes to Instruction Behavior in VMX Non-Root Operation".
 */
#include "nested/engine.h"

#include "engine_ops.h"

/* L2's own tables cause the fault. */
static enum nested_verdict guest_fault(struct nested_vcpu *n, const struct mmu_fault *fault)
{
	struct nested_exit_info info;
	enum nested_second second;

	nested_read_exit_info(n, EXIT_EXCEPTION_NMI, &info);
	if (nested_l1_wants_exception(n, X86_PF, fault->error_code)) {
		info.intr_error = fault->error_code;
		return nested_reflect(n, &info);
	}
	/* Delivered here, it meets the event whose delivery it interrupted. */
	second = nested_second_fault(info.vectoring_info);
	if (second == SECOND_PF)
		return nested_l2_fault(n, OUTCOME_PF(fault->error_code, info.qualification));
	op_cr2_write(n, info.qualification);
	if (second == SECOND_DF)
		return nested_l2_fault(n, OUTCOME_FAULT(X86_DF, 0));
	info = (struct nested_exit_info){ .reason = EXIT_TRIPLE_FAULT };
	return nested_reflect(n, &info);
}

enum nested_verdict nested_vtlb_exit(struct nested_vcpu *n)
{
	gva_t gva = GVA(op_hw_read(n, VMCS_EXIT_QUALIFICATION));
	u32 error = (u32)op_hw_read(n, VMCS_EXIT_INTR_ERROR_CODE);
	struct mmu_fault fault;
	struct mmu_paging p;
	hpa_t root;
	gpa1_t gpa;

	nested_vtlb_paging(n, &p);
	switch (vtlb_fault(n->vtlb, &p, gva, error, &root, &gpa, &fault)) {
	case VTLB_GUEST:
		return guest_fault(n, &fault);
	case VTLB_L0:
		op_vm_kill(n, "L2 uses memory that L0 cannot map");
		return NESTED_RESUME;
	case VTLB_FILLED:
		break;
	}
	nested_vtlb_use(n, n->current, root);
	nested_absorb(n, op_hw_read(n, VMCS_EXIT_INTR_INFO) & INTR_NMI_UNBLOCKING);
	return NESTED_RESUME;
}

/* MOV to CR0 or CR4. */
static bool wants_bits(const u64 *v, unsigned mask, unsigned shadow, u64 value)
{
	return (value ^ v[shadow]) & v[mask];
}

static bool wants_lmsw(const u64 *v, u64 source)
{
	const u64 low = CR0_MP | CR0_EM | CR0_TS;

	if ((source ^ v[VF_CR0_SHADOW]) & v[VF_CR0_MASK] & low)
		return true;
	return source & ~v[VF_CR0_SHADOW] & v[VF_CR0_MASK] & CR0_PE;
}

static bool wants_cr3(const u64 *v, u64 value)
{
	if (!(v[VF_PROC_CONTROLS] & PROC_CR3_LOAD))
		return false;
	for (u64 i = 0; i < v[VF_CR3_TARGET_COUNT]; i++)
		if (v[VF_CR3_TARGET0 + i] == value)
			return false;
	return true;
}

static bool wants_write(struct nested_vcpu *n, const u64 *v, u64 qual)
{
	u32 reg = CRQ_GPR(qual);
	u64 value = reg == GPR_RSP ? op_hw_read(n, VMCS_GUEST_RSP) : n->gpr[reg];

	if (!(op_hw_read(n, VMCS_ENTRY_CONTROLS) & ENTRY_IA32E) ||
	    !(op_hw_read(n, VMCS_GUEST_CS_AR) & AR_L))
		value = (u32)value;
	switch (CRQ_REGISTER(qual)) {
	case 0: return wants_bits(v, VF_CR0_MASK, VF_CR0_SHADOW, value);
	case 3: return wants_cr3(v, value);
	case 4: return wants_bits(v, VF_CR4_MASK, VF_CR4_SHADOW, value);
	default: return true;
	}
}

bool nested_l1_wants_cr(struct nested_vcpu *n)
{
	const u64 *v = n->current->v;
	u64 qual = op_hw_read(n, VMCS_EXIT_QUALIFICATION);

	if (!n->vtlb)
		return true;
	switch (CRQ_ACCESS(qual)) {
	case CRQ_TO_CR: return wants_write(n, v, qual);
	case CRQ_FROM_CR: return CRQ_REGISTER(qual) != 3 || (v[VF_PROC_CONTROLS] & PROC_CR3_STORE);
	case CRQ_LMSW: return wants_lmsw(v, qual >> 16);
	default: return true;
	}
}
