/*
 * Entry checks of the guest's control registers, debug registers and MSRs
 * (SDM 3C "Checks on Guest Control Registers, Debug Registers, and MSRs").
 * Also the order of all checks on the guest-state area. A CPU may take any
 * order there; only the qualification tells: registers first, then the link
 * pointer, the rest of the non-register state, and PDPTEs last.
 */
#include "nested/check_run.h"

static bool cr0_and_cr4(const struct check_env *e, struct check_failure *f)
{
	const struct vmx_caps *c = e->caps;
	u64 cr0 = FIELD(GUEST_CR0), cr4 = FIELD(GUEST_CR4);
	u64 optional = check_unrestricted(e) ? CR0_PE | CR0_PG : 0;

	CHECK(GUEST_CR0_FIXED, check_fixed(cr0, c->cr0_fixed0 & ~optional, c->cr0_fixed1));
	CHECK(GUEST_PG_NEEDS_PE, !(cr0 & CR0_PG) || (cr0 & CR0_PE));
	CHECK(GUEST_CR4_FIXED, check_fixed(cr4, c->cr4_fixed0, c->cr4_fixed1));
	CHECK(GUEST_CET_NEEDS_WP, !(cr4 & CR4_CET) || (cr0 & CR0_WP));
	return true;
}

static bool mode(const struct check_env *e, struct check_failure *f)
{
	u64 cr4 = FIELD(GUEST_CR4);

	if (check_guest_64(e)) {
		CHECK(GUEST_64_PG, FIELD(GUEST_CR0) & CR0_PG);
		CHECK(GUEST_64_PAE, cr4 & CR4_PAE);
	} else {
		CHECK(GUEST_PCIDE_NEEDS_64, !(cr4 & CR4_PCIDE));
	}
	CHECK(GUEST_CR3_WIDTH, !(FIELD(GUEST_CR3) >> e->caps->maxphyaddr));
	return true;
}

static bool efer(const struct check_env *e, struct check_failure *f)
{
	u64 value = FIELD(GUEST_EFER);
	bool lma = value & EFER_LMA, lme = value & EFER_LME;

	CHECK(GUEST_EFER_RESERVED, !(value & check_efer_reserved(e)));
	CHECK(GUEST_EFER_LMA, lma == check_guest_64(e));
	CHECK(GUEST_EFER_LME, lma == lme || !(FIELD(GUEST_CR0) & CR0_PG));
	return true;
}

static bool debug_and_msrs(const struct check_env *e, struct check_failure *f)
{
	u64 controls = FIELD(ENTRY_CONTROLS);

	if (controls & ENTRY_LOAD_DEBUG) {
		CHECK(GUEST_DEBUGCTL_RESERVED, !(FIELD(GUEST_DEBUGCTL) & DEBUGCTL_RESERVED));
		CHECK(GUEST_DR7_HIGH, !(FIELD(GUEST_DR7) >> 32));
	}
	CHECK(GUEST_SYSENTER_ESP, check_canonical(e, FIELD(GUEST_SYSENTER_ESP)));
	CHECK(GUEST_SYSENTER_EIP, check_canonical(e, FIELD(GUEST_SYSENTER_EIP)));
	if (controls & ENTRY_LOAD_PERF)
		CHECK(GUEST_PERF_GLOBAL, !(FIELD(GUEST_PERF_GLOBAL_CTRL) & ~e->perf_global));
	if (controls & ENTRY_LOAD_PAT)
		CHECK(GUEST_PAT, check_pat(FIELD(GUEST_PAT)));
	return !(controls & ENTRY_LOAD_EFER) || efer(e, f);
}

bool nested_check_guest(const struct check_env *e, struct check_failure *f)
{
	return cr0_and_cr4(e, f) && mode(e, f) && debug_and_msrs(e, f) &&
	       nested_check_segments(e, f) && nested_check_state(e, f) &&
	       nested_check_pdptes(e, f);
}

bool nested_check_guest_paging(const struct check_env *e, struct check_failure *f)
{
	return cr0_and_cr4(e, f) && mode(e, f) && nested_check_pdptes(e, f);
}
