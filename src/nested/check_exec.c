/*
 * Entry checks of the VM-execution controls (SDM 3C "VM-Execution Control
 * Fields") but those of the virtual APIC (check_apic.c) and of EPT and what
 * hangs on it (check_ept.c). Also the order of all checks on controls.
 */
#include "nested/check_run.h"

static bool reserved_bits(const struct check_env *e, struct check_failure *f)
{
	const struct vmx_caps *c = e->caps;

	CHECK(PIN_MUST_BE_1, check_allowed_1(FIELD(PIN_CONTROLS), c->pin));
	CHECK(PIN_MUST_BE_0, check_allowed_0(FIELD(PIN_CONTROLS), c->pin));
	CHECK(PROC_MUST_BE_1, check_allowed_1(FIELD(PROC_CONTROLS), c->proc));
	CHECK(PROC_MUST_BE_0, check_allowed_0(FIELD(PROC_CONTROLS), c->proc));
	if (FIELD(PROC_CONTROLS) & PROC_SECONDARY) {
		CHECK(PROC2_MUST_BE_1, check_allowed_1(FIELD(PROC2_CONTROLS), c->proc2));
		CHECK(PROC2_MUST_BE_0, check_allowed_0(FIELD(PROC2_CONTROLS), c->proc2));
	}
	return true;
}

static bool bitmaps(const struct check_env *e, struct check_failure *f)
{
	u64 proc = FIELD(PROC_CONTROLS);

	CHECK(CR3_TARGETS, FIELD(CR3_TARGET_COUNT) <= (e->caps->misc >> 16 & 0x1ff));
	if (proc & PROC_IO_BITMAPS) {
		CHECK(IO_BITMAP_A, check_page(e, FIELD(IO_BITMAP_A)));
		CHECK(IO_BITMAP_B, check_page(e, FIELD(IO_BITMAP_B)));
	}
	if (proc & PROC_MSR_BITMAPS)
		CHECK(MSR_BITMAP, check_page(e, FIELD(MSR_BITMAP)));
	return true;
}

static bool nmi(const struct check_env *e, struct check_failure *f)
{
	u64 pin = FIELD(PIN_CONTROLS);

	CHECK(NMI_VIRTUAL, !(pin & PIN_VIRTUAL_NMI) || (pin & PIN_NMI));
	CHECK(NMI_WINDOW, !(FIELD(PROC_CONTROLS) & PROC_NMI_WINDOW) || (pin & PIN_VIRTUAL_NMI));
	return true;
}

static bool secondary(const struct check_env *e, struct check_failure *f)
{
	u64 proc2 = check_proc2(e);

	if (proc2 & PROC2_SHADOW_VMCS) {
		CHECK(VMREAD_BITMAP, check_page(e, FIELD(VMREAD_BITMAP)));
		CHECK(VMWRITE_BITMAP, check_page(e, FIELD(VMWRITE_BITMAP)));
	}
	if (proc2 & PROC2_EPT_VE)
		CHECK(VE_INFO, check_page(e, FIELD(VE_INFO_ADDR)));
	if (proc2 & PROC2_TSC_SCALING)
		CHECK(TSC_MULTIPLIER, FIELD(TSC_MULTIPLIER) != 0);
	return true;
}

bool nested_check_exec(const struct check_env *e, struct check_failure *f)
{
	if (!reserved_bits(e, f) || !bitmaps(e, f) || !nmi(e, f) || !nested_check_apic(e, f))
		return false;
	if (check_proc2(e) & PROC2_VPID)
		CHECK(VPID_ZERO, FIELD(VPID) != 0);
	return nested_check_ept(e, f) && secondary(e, f);
}

bool nested_check_controls(const struct check_env *e, struct check_failure *f)
{
	return nested_check_exec(e, f) && nested_check_exit_entry(e, f) &&
	       nested_check_event(e, f);
}
