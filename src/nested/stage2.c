/*
 * L2's memory as L0 must access it in L2's place, for the operands of what L0
 * carries out: through L2's paging (mmu/guest_walk.h) and ept12, with the flags,
 * the log and the violations that the processor's own access would have had.
 * vmcs02 is current.
 */
#include "nested/engine.h"

#include "engine_ops.h"

/* ept12 allows it and ept01 does not: what L0 protects is freed, as at an exit. */
static void open_ept01(struct nested_vcpu *n, struct nested_ept_access *a)
{
	if (op_gpa1_fault(n->vm, a->fault.gpa1, a->qualification & EPTQ_WRITE))
		nested_ept_judge(n, a);
}

static bool locate(struct mmu_stage2 *stage2, gva_t gva, gpa2_t gpa, u64 access, gpa1_t *at)
{
	struct nested_stage2 *s = (struct nested_stage2 *)stage2;
	struct nested_ept_access *a = &s->access;
	struct nested_vcpu *n = s->n;

	/* SDM 3C "Accessed and Dirty Flags for EPT": page walks count as writes. */
	if (!(access & EPTQ_GLA_FINAL) && (n->current->v[VF_EPT_POINTER] & EPTP_AD))
		access |= EPTQ_READ | EPTQ_WRITE;
	s->gva = gva;
	*a = (struct nested_ept_access){ .gpa = gpa, .qualification = access };
	nested_ept_judge(n, a);
	if (unlikely(a->verdict == EPT02_L0))
		open_ept01(n, a);
	if (a->verdict != EPT02_FILLED && a->verdict != EPT02_L0)
		return false;
	nested_merge_ept(n, n->current);	/* it may have recycled tables */
	*at = a->fault.gpa1;
	return true;
}

struct mmu_stage2 *nested_stage2_init(struct nested_vcpu *n, struct nested_stage2 *s)
{
	if (!nested_uses_ept(n->current))
		return NULL;
	s->stage2.locate = locate;
	s->n = n;
	return &s->stage2;
}

struct outcome nested_stage2_failed(struct nested_stage2 *s)
{
	struct nested_exit_info info;

	/* The addresses are not those that the processor told of its own exit. */
	nested_read_exit_info(s->n, EXIT_PML_FULL, &info);
	if (s->access.verdict != EPT02_LOG_FULL)
		info.gpa = s->access.gpa.v;
	if (s->access.verdict == EPT02_REFLECT_VIOLATION)
		info.gla = s->gva.v;
	nested_ept_refuse(s->n, &s->access, &info);
	return (struct outcome){ .kind = OUT_INTERRUPTED };
}
