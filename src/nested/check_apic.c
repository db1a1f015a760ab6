/*
 * Entry checks of the controls that virtualize the local APIC, up to posted
 * interrupts (SDM 3C "VM-Execution Control Fields"). The one place where a
 * check of controls reads guest memory: VTPR.
 */
#include "engine_ops.h"
#include "nested/check_run.h"

#define VTPR 0x80u

/* Where no memory answers, reads give ones. */
static u8 read_vtpr(const struct check_env *e)
{
	u8 vtpr;

	return op_gpa1_read(e->vm, GPA1(FIELD(VIRTUAL_APIC_ADDR) + VTPR), &vtpr, 1) ? vtpr : 0xff;
}

static bool tpr_shadow(const struct check_env *e, struct check_failure *f)
{
	u64 proc2 = check_proc2(e), threshold = FIELD(TPR_THRESHOLD);

	CHECK(VIRTUAL_APIC, check_page(e, FIELD(VIRTUAL_APIC_ADDR)));
	if (proc2 & PROC2_VIRTUAL_INTR)
		return true;
	CHECK(TPR_THRESHOLD_BITS, !(threshold & ~0xfull));
	if (!(proc2 & PROC2_APIC_ACCESS))
		CHECK(TPR_THRESHOLD_VTPR, (threshold & 0xf) <= read_vtpr(e) >> 4);
	return true;
}

static bool no_tpr_shadow(const struct check_env *e, struct check_failure *f)
{
	u64 proc2 = check_proc2(e);

	CHECK(X2APIC_NEEDS_SHADOW, !(proc2 & PROC2_X2APIC_MODE));
	CHECK(APIC_REGISTER_NEEDS_SHADOW, !(proc2 & PROC2_APIC_REGISTER));
	CHECK(VIRTUAL_INTR_NEEDS_SHADOW, !(proc2 & PROC2_VIRTUAL_INTR));
	return true;
}

static bool posted_interrupts(const struct check_env *e, struct check_failure *f)
{
	CHECK(POSTED_NEEDS_VIRTUAL_INTR, check_proc2(e) & PROC2_VIRTUAL_INTR);
	CHECK(POSTED_NEEDS_ACK, FIELD(EXIT_CONTROLS) & EXIT_ACK_INTERRUPT);
	CHECK(POSTED_VECTOR, FIELD(POSTED_INTR_VECTOR) <= 255);
	CHECK(POSTED_DESCRIPTOR, !(FIELD(POSTED_INTR_DESC) & 63) &&
				 check_width(e, FIELD(POSTED_INTR_DESC)));
	return true;
}

bool nested_check_apic(const struct check_env *e, struct check_failure *f)
{
	u64 pin = FIELD(PIN_CONTROLS), proc2 = check_proc2(e);
	bool shadow = FIELD(PROC_CONTROLS) & PROC_TPR_SHADOW;

	if (!(shadow ? tpr_shadow(e, f) : no_tpr_shadow(e, f)))
		return false;
	if (proc2 & PROC2_APIC_ACCESS) {
		CHECK(APIC_ACCESS, check_page(e, FIELD(APIC_ACCESS_ADDR)));
		CHECK(X2APIC_OR_ACCESS, !(proc2 & PROC2_X2APIC_MODE));
	}
	if (proc2 & PROC2_VIRTUAL_INTR)
		CHECK(VIRTUAL_INTR_NEEDS_EXITING, pin & PIN_EXTERNAL_INTERRUPT);
	return !(pin & PIN_POSTED_INTERRUPTS) || posted_interrupts(e, f);
}
