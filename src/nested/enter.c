/*
 * VM entry of L1: from a vmcs12 to a vmcs02 that the hardware runs.
 *
 * Rules the hardware checks on vmcs02 with the value L1 wrote are left to it, unless
 * L0's user wants the SDM's verdict where the hardware may have another (check_all);
 * when it refuses, nested_l2_exit() and nested_entry_refused() find the verdict.
 * Rules that the merge hides (controls, host state, link pointer) are checked
 * here, but only after a field they read has changed.
 * Source: SDM 3C "VM Entries".
 */
#include "nested/engine.h"

#include "engine_ops.h"
#include "nested/slots.h"

static struct outcome explained(struct nested_vcpu *n, const struct check_env *e,
				const struct check_failure *f, struct outcome o)
{
	if (n->explain)
		nested_explain_failure(n, "VM entry", e, f);
	return o;
}

/* Controls and host state: VMfailValid. */
static struct outcome check_control_and_host(struct nested_vcpu *n, struct nested_vmcs *s)
{
	struct check_failure f;
	struct check_env e;

	nested_check_env(n, s, &e);
	if (!nested_check_controls(&e, &f))
		return explained(n, &e, &f, OUTCOME_VALID(VMERR_ENTRY_CONTROLS));
	if (!nested_check_host(&e, &f))
		return explained(n, &e, &f, OUTCOME_VALID(VMERR_ENTRY_HOST));
	s->unchecked &= ~(BIT32(GROUP_CTL) | BIT32(GROUP_HOST));
	return OUTCOME_OK;
}

/* What only L0 sees of the guest state, or must know before it loads MSRs. */
static bool guest_needs_software(const struct nested_vcpu *n, const struct nested_vmcs *s)
{
	return n->check_all || !nested_link_is_known(s) || s->v[VF_ENTRY_MSR_LOAD_COUNT];
}

static struct outcome check_guest(struct nested_vcpu *n, struct nested_vmcs *s)
{
	struct check_failure f;
	struct check_env e;

	nested_sync_cold(n, s);
	nested_check_env(n, s, &e);
	if (nested_check_guest(&e, &f))
		return OUTCOME_OK;
	return explained(n, &e, &f, OUTCOME_ENTRY_FAIL(EXIT_INVALID_GUEST_STATE, f.qualification));
}

static void read_state01(struct nested_vcpu *n, struct nested_state01 *l1)
{
	l1->efer = op_hw_read(n, n->at.efer);
	l1->pat = op_hw_read(n, n->at.pat);
	l1->debugctl = op_hw_read(n, VMCS_GUEST_DEBUGCTL);
	l1->dr7 = op_hw_read(n, VMCS_GUEST_DR7);
}

static void prepare_vmcs02(struct nested_vcpu *n, struct nested_vmcs *s)
{
	op_hw_init_vmcs02(n);
	op_hw_write(n, VMCS_VMCS_LINK_POINTER, ~0ull);
	s->link02 = HPA(~0ull);
	s->ready02 = true;
	s->eptp02 = 0;
	s->root02 = HPA(0);
	s->vpid02 = 0;
}

struct outcome nested_enter(struct nested_vcpu *n)
{
	struct nested_vmcs *s = n->current;
	struct nested_state01 l1;
	struct outcome o;
	bool software, away;
	u32 failed;

	if (unlikely(s->cold_accesses | s->busy | s->wide))
		nested_shadow_adapt(n, s);
	read_state01(n, &l1);
	away = nested_shadow_take(n, s);
	/* The host-state rules depend on L1's mode, which is no field. */
	if (unlikely((l1.efer ^ s->efer_checked) & EFER_LMA))
		s->unchecked |= BIT32(GROUP_HOST);
	s->efer_checked = l1.efer;
	software = guest_needs_software(n, s);
	/* What the hardware checks before the guest state, it would find too late. */
	if (software || (s->unchecked & (BIT32(GROUP_CTL) | BIT32(GROUP_HOST)))) {
		if (away)
			op_hw_load(n, n->vmcs01);
		o = check_control_and_host(n, s);
		if (o.kind != OUT_OK)
			return o;
	}
	if (unlikely(software)) {
		o = check_guest(n, s);
		if (o.kind != OUT_OK)
			return nested_fail_entry(n, s, o.error_code, o.value);
		nested_find_link(n, s);
	}
	if (nested_link(s))
		nested_shadow_give(n, nested_link(s));
	op_hw_load(n, s->vmcs02);
	if (!s->ready02)
		prepare_vmcs02(n, s);
	nested_merge(n, s, &l1);
	n->in_l2 = true;
	failed = nested_msr_load(n, GPA1(s->v[VF_ENTRY_MSR_LOAD_ADDR]),
				 s->v[VF_ENTRY_MSR_LOAD_COUNT]);
	if (failed)
		return nested_fail_entry(n, s, EXIT_MSR_LOADING, failed);
	return OUTCOME_ENTER_L2;
}
