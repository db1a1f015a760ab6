/*
 * Entry checks of the EPT pointer and of the controls that need EPT (SDM 3C
 * "VM-Execution Control Fields"). The tables themselves are not looked at.
 */
#include "mmu/ept_format.h"
#include "nested/check_run.h"

/* Controls that come with Intel PT; L1 has none of them. */
#define EXIT_CLEAR_RTIT BIT32(25)
#define ENTRY_LOAD_RTIT BIT32(18)

#define EPTP_WALK(eptp) ((eptp) >> 3 & 7)
#define EPTP_RESERVED_LOW 0xf00ull
#define EPTP_SHADOW_STACK BIT(7)	/* comes with CET; L1 has none */
#define EPTCAP_SHADOW_STACK BIT(23)

static bool ept_pointer(const struct check_env *e, struct check_failure *f, u64 eptp)
{
	u64 cap = e->caps->ept_vpid, type = eptp & EPTP_MT;

	CHECK(EPTP_MEMORY_TYPE, (type == MT_UC && (cap & EPTCAP_UC)) ||
				(type == MT_WB && (cap & EPTCAP_WB)));
	CHECK(EPTP_WALK_LENGTH, (EPTP_WALK(eptp) == 3 && (cap & EPTCAP_WALK4)) ||
				(EPTP_WALK(eptp) == 4 && (cap & EPTCAP_WALK5)));
	CHECK(EPTP_ACCESSED_DIRTY, !(eptp & EPTP_AD) || (cap & EPTCAP_AD));
	CHECK(EPTP_SHADOW_STACK, !(eptp & EPTP_SHADOW_STACK) || (cap & EPTCAP_SHADOW_STACK));
	CHECK(EPTP_RESERVED, !(eptp & EPTP_RESERVED_LOW) && check_width(e, eptp));
	return true;
}

bool nested_check_eptp(const struct vmx_caps *caps, u64 eptp)
{
	const struct check_env e = { .caps = caps };
	struct check_failure f;

	return ept_pointer(&e, &f, eptp);
}

static bool pml_and_spp(const struct check_env *e, struct check_failure *f)
{
	u64 proc2 = check_proc2(e);

	if (proc2 & PROC2_PML) {
		CHECK(PML_NEEDS_EPT, proc2 & PROC2_EPT);
		CHECK(PML_ADDRESS, check_page(e, FIELD(PML_ADDRESS)));
	}
	if (proc2 & PROC2_SPP) {
		CHECK(SPP_NEEDS_EPT, proc2 & PROC2_EPT);
		CHECK(SPP_TABLE, check_page(e, FIELD(SPP_TABLE)));
	}
	return true;
}

static bool processor_trace(const struct check_env *e, struct check_failure *f)
{
	CHECK(PT_NEEDS_EPT, check_proc2(e) & PROC2_EPT);
	CHECK(PT_NEEDS_LOAD, FIELD(ENTRY_CONTROLS) & ENTRY_LOAD_RTIT);
	CHECK(PT_NEEDS_CLEAR, FIELD(EXIT_CONTROLS) & EXIT_CLEAR_RTIT);
	return true;
}

static bool vm_functions(const struct check_env *e, struct check_failure *f)
{
	u64 functions = FIELD(VMFUNC_CONTROLS);

	CHECK(VMFUNC_RESERVED, !(functions & ~e->caps->vmfunc));
	if (functions & BIT(VMFUNC_EPTP_SWITCHING)) {
		CHECK(EPTP_SWITCHING_NEEDS_EPT, check_proc2(e) & PROC2_EPT);
		CHECK(EPTP_LIST, check_page(e, FIELD(EPTP_LIST)));
	}
	return true;
}

bool nested_check_ept(const struct check_env *e, struct check_failure *f)
{
	u64 proc2 = check_proc2(e);
	bool ept = proc2 & PROC2_EPT;

	if (ept && !ept_pointer(e, f, FIELD(EPT_POINTER)))
		return false;
	CHECK(UNRESTRICTED_NEEDS_EPT, ept || !(proc2 & PROC2_UNRESTRICTED));
	CHECK(MODE_EXEC_NEEDS_EPT, ept || !(proc2 & PROC2_MODE_BASED_EXEC));
	if (!pml_and_spp(e, f))
		return false;
	if ((proc2 & PROC2_PT_GPA) && !processor_trace(e, f))
		return false;
	return !(proc2 & PROC2_VMFUNC) || vm_functions(e, f);
}
