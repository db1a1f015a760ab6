/*
 * Entry checks of the host-state area (SDM 3C "Checks on VMX Controls and
 * Host-State Area"): what a VM exit will load into L1. Among them, those
 * related to address-space size, which concern controls too: on CPUs they fail
 * as host state (VM-instruction error 8).
 */
#include "nested/check_run.h"

static bool host_64(const struct check_env *e)
{
	return FIELD(EXIT_CONTROLS) & EXIT_HOST_64;
}

static bool mode_at_entry(const struct check_env *e, struct check_failure *f)
{
	CHECK(SIZE_GUEST_NEEDS_LMA, e->lma || !check_guest_64(e));
	CHECK(SIZE_HOST_NEEDS_LMA, e->lma || !host_64(e));
	CHECK(SIZE_LMA_NEEDS_HOST, !e->lma || host_64(e));
	return true;
}

static bool control_registers(const struct check_env *e, struct check_failure *f)
{
	const struct vmx_caps *c = e->caps;

	CHECK(HOST_CR0_FIXED, check_fixed(FIELD(HOST_CR0), c->cr0_fixed0, c->cr0_fixed1));
	CHECK(HOST_CR4_FIXED, check_fixed(FIELD(HOST_CR4), c->cr4_fixed0, c->cr4_fixed1));
	CHECK(HOST_CET_NEEDS_WP, !(FIELD(HOST_CR4) & CR4_CET) || (FIELD(HOST_CR0) & CR0_WP));
	CHECK(HOST_CR3_WIDTH, !(FIELD(HOST_CR3) >> c->maxphyaddr));
	return true;
}

static bool msrs(const struct check_env *e, struct check_failure *f)
{
	u64 controls = FIELD(EXIT_CONTROLS), efer = FIELD(HOST_EFER);
	u64 long_mode = host_64(e) ? EFER_LMA | EFER_LME : 0;

	CHECK(HOST_SYSENTER_ESP, check_canonical(e, FIELD(HOST_SYSENTER_ESP)));
	CHECK(HOST_SYSENTER_EIP, check_canonical(e, FIELD(HOST_SYSENTER_EIP)));
	if (controls & EXIT_LOAD_PERF)
		CHECK(HOST_PERF_GLOBAL, !(FIELD(HOST_PERF_GLOBAL_CTRL) & ~e->perf_global));
	if (controls & EXIT_LOAD_PAT)
		CHECK(HOST_PAT, check_pat(FIELD(HOST_PAT)));
	if (controls & EXIT_LOAD_EFER) {
		CHECK(HOST_EFER_RESERVED, !(efer & check_efer_reserved(e)));
		CHECK(HOST_EFER_SIZE, (efer & (EFER_LMA | EFER_LME)) == long_mode);
	}
	return true;
}

static bool segments(const struct check_env *e, struct check_failure *f)
{
	unsigned i;

	for (i = VF_HOST_ES_SELECTOR; i <= VF_HOST_TR_SELECTOR; i++)
		CHECK_AT(HOST_SELECTOR, i, !(e->v[i] & 7));
	CHECK(HOST_CS_NULL, FIELD(HOST_CS_SELECTOR) != 0);
	CHECK(HOST_TR_NULL, FIELD(HOST_TR_SELECTOR) != 0);
	CHECK(HOST_SS_NULL, FIELD(HOST_SS_SELECTOR) != 0 || host_64(e));
	for (i = VF_HOST_FS_BASE; i <= VF_HOST_IDTR_BASE; i++)
		CHECK_AT(HOST_BASE, i, check_canonical(e, e->v[i]));
	return true;
}

/* That IA-32e mode guest needs host address-space size follows from mode_at_entry(). */
static bool address_space_size(const struct check_env *e, struct check_failure *f)
{
	if (host_64(e)) {
		CHECK(SIZE_64_PAE, FIELD(HOST_CR4) & CR4_PAE);
		CHECK(SIZE_64_RIP, check_canonical(e, FIELD(HOST_RIP)));
	} else {
		CHECK(SIZE_32_PCIDE, !(FIELD(HOST_CR4) & CR4_PCIDE));
		CHECK(SIZE_32_RIP, !(FIELD(HOST_RIP) >> 32));
	}
	return true;
}

bool nested_check_host(const struct check_env *e, struct check_failure *f)
{
	return mode_at_entry(e, f) && control_registers(e, f) && msrs(e, f) &&
	       segments(e, f) && address_space_size(e, f);
}
