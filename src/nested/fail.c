/*
 * Entries that fail: found by L0, by the MSR list, or by the hardware on vmcs02.
 * L1 gets the verdict that its vmcs12 deserves, and its guest-state area, launch
 * state and event to inject are as they were.
 * Source: SDM 3C "VM-Entry Failures During or After Loading Guest State".
 */
#include "nested/engine.h"

#include "engine_ops.h"
#include "nested/slots.h"

void nested_check_env(struct nested_vcpu *n, struct nested_vmcs *s, struct check_env *e)
{
	*e = (struct check_env){
		.vm = n->vm,
		.caps = &n->caps,
		.v = s->v,
		.lma = op_hw_read(n, n->at.efer) & EFER_LMA,
		.vmptr = s->gpa.v,
		.vmxon_region = n->vmxon_region.v,
	};
}

/*
 * vmcs02 (current) was made for an entry that did not happen: the event must not
 * be injected by the next one, nor may MSRs of the list pass for vmcs12's.
 * The result: what L0 brought (nested_l2_nmi()), which L1 gets instead; or 0.
 */
static u32 undo_entry(struct nested_vcpu *n, struct nested_vmcs *s)
{
	u32 event = (u32)op_hw_read(n, VMCS_ENTRY_INTR_INFO);

	op_hw_write(n, VMCS_ENTRY_INTR_INFO, 0);
	for (unsigned w = 0; w < VF_WORDS && s->v[VF_ENTRY_MSR_LOAD_COUNT]; w++)
		s->dirty.w[w] |= nested_fields_cold.w[w] & n->exists.w[w] & ~s->stale.w[w];
	if ((s->v[VF_ENTRY_INTR_INFO] & INTR_VALID) || !(event & INTR_VALID))
		return 0;
	return event;
}

struct outcome nested_fail_entry(struct nested_vcpu *n, struct nested_vmcs *s, u32 reason, u64 qual)
{
	struct nested_exit_info info = { .reason = reason | EXIT_REASON_ENTRY_FAILURE };
	u64 efer, pat;
	u32 event = n->in_l2 ? undo_entry(n, s) : 0;

	/* Bad guest state was not loaded: L1 keeps its own MSRs. MSR loading comes after. */
	if (reason == EXIT_INVALID_GUEST_STATE)
		op_hw_load(n, n->vmcs01);
	efer = op_hw_read(n, n->at.efer);
	pat = op_hw_read(n, n->at.pat);
	if (reason != EXIT_INVALID_GUEST_STATE)
		op_hw_load(n, n->vmcs01);
	n->in_l2 = false;
	nested_set_field(s, VF_EXIT_REASON, info.reason);
	nested_set_field(s, VF_EXIT_QUALIFICATION, qual);
	nested_shadow_push(n, s);
	nested_load_host_state(n, s, &info, efer, pat);
	if (unlikely(event))
		op_hw_write(n, VMCS_ENTRY_INTR_INFO, event);
	return OUTCOME_ENTRY_FAIL(info.reason, qual);
}

/* The hardware found vmcs02's guest state bad, as it would have found vmcs12's. */
enum nested_verdict nested_entry_failed(struct nested_vcpu *n, u32 reason)
{
	struct nested_vmcs *s = n->current;
	u64 qual = op_hw_read(n, VMCS_EXIT_QUALIFICATION);
	struct check_failure f;
	struct check_env e;

	op_hw_load(n, n->vmcs01);
	nested_sync_cold(n, s);
	nested_check_env(n, s, &e);
	if ((reason & EXIT_REASON_BASIC) == EXIT_INVALID_GUEST_STATE &&
	    !nested_check_guest(&e, &f)) {
		qual = f.qualification;
		if (n->explain)
			nested_explain_failure(n, "VM entry", &e, &f);
	}
	op_hw_load(n, s->vmcs02);
	nested_fail_entry(n, s, reason & EXIT_REASON_BASIC, qual);
	return NESTED_REFLECTED;
}

struct outcome nested_entry_refused(struct nested_vcpu *n, u32 error)
{
	struct nested_vmcs *s = n->current;
	struct check_failure f;
	struct check_env e;
	u32 verdict = error == VMERR_ENTRY_HOST ? VMERR_ENTRY_CONTROLS : error;

	op_hw_load(n, n->vmcs01);
	n->in_l2 = false;
	nested_sync_cold(n, s);
	nested_check_env(n, s, &e);
	if (!nested_check_controls(&e, &f))
		verdict = VMERR_ENTRY_CONTROLS;
	else if (!nested_check_host(&e, &f))
		verdict = VMERR_ENTRY_HOST;
	else
		f.id = CHECK_COUNT;
	if (f.id == CHECK_COUNT)
		op_log(n, "vmcs02 refused with error %u: no rule of vmcs12 explains it\n", error);
	else if (n->explain)
		nested_explain_failure(n, "VM entry", &e, &f);
	s->ready02 = false;	/* rebuild it all next time */
	s->launched02 = false;
	op_hw_clear(n, s->vmcs02);
	if (n->vtlb)
		nested_vtlb_flush(n);	/* L1 goes on, and L2's root may have taken its place */
	s->dirty = n->exists;
	return OUTCOME_VALID(verdict);
}
