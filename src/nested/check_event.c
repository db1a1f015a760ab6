/*
 * Entry checks of the event that VM entry injects: what it is made of (SDM 3C
 * "VM-Entry Control Fields"). Whether the guest's state lets it in is asked in
 * check_state.c.
 */
#include "nested/check_run.h"

#define EVENT_RESERVED_BITS 0x7ffff000u
/* #DF, #TS, #NP, #SS, #GP, #PF, #AC; not #CP, see "IA32_VMX_BASIC[56]". */
#define HAS_ERROR_CODE \
	(BIT32(X86_DF) | BIT32(X86_TS) | BIT32(X86_NP) | BIT32(X86_SS) | \
	 BIT32(X86_GP) | BIT32(X86_PF) | BIT32(X86_AC))

static bool type_and_vector(const struct check_env *e, struct check_failure *f)
{
	u32 info = (u32)FIELD(ENTRY_INTR_INFO), type = info & INTR_TYPE,
	    vector = info & INTR_VECTOR;

	CHECK(EVENT_TYPE, type != 1u << 8 &&
			  (type != INTR_TYPE_OTHER || (e->caps->proc.may & PROC_MTF)));
	CHECK(EVENT_VECTOR_NMI, type != INTR_TYPE_NMI || vector == X86_NMI);
	CHECK(EVENT_VECTOR_EXCEPTION, type != INTR_TYPE_HW_EXCEPTION || vector <= 31);
	CHECK(EVENT_VECTOR_OTHER, type != INTR_TYPE_OTHER || vector == 0);
	return true;
}

static bool error_code(const struct check_env *e, struct check_failure *f)
{
	u32 info = (u32)FIELD(ENTRY_INTR_INFO), vector = info & INTR_VECTOR;
	bool exception = (info & INTR_TYPE) == INTR_TYPE_HW_EXCEPTION && vector <= 31;
	bool protected = !check_unrestricted(e) || (FIELD(GUEST_CR0) & CR0_PE);
	bool any = e->caps->basic & BASIC_ANY_ERRCODE;
	bool has = exception && protected && (HAS_ERROR_CODE >> (vector & 31) & 1);
	bool delivers = info & INTR_ERROR_CODE;

	CHECK(EVENT_ERROR_FORBIDDEN, !delivers || has || (any && exception && protected));
	CHECK(EVENT_ERROR_MISSING, delivers || !has || any);
	CHECK(EVENT_RESERVED, !(info & EVENT_RESERVED_BITS));
	CHECK(EVENT_ERROR_VALUE, !delivers || !(FIELD(ENTRY_ERROR_CODE) & 0xffff0000u));
	return true;
}

static bool length(const struct check_env *e, struct check_failure *f)
{
	u64 bytes = FIELD(ENTRY_INSTR_LENGTH);

	switch (FIELD(ENTRY_INTR_INFO) & INTR_TYPE) {
	case INTR_TYPE_SW_INTERRUPT:
	case INTR_TYPE_PRIV_SW_EXCEPTION:
	case INTR_TYPE_SW_EXCEPTION:
		CHECK(EVENT_LENGTH, bytes <= 15 && (bytes || (e->caps->misc & MISC_ZERO_LENGTH)));
	}
	return true;
}

bool nested_check_event(const struct check_env *e, struct check_failure *f)
{
	if (!(FIELD(ENTRY_INTR_INFO) & INTR_VALID))
		return true;
	return type_and_vector(e, f) && error_code(e, f) && length(e, f);
}
