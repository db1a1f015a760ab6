/*
 * Between the files of the entry checks: how a rule is stated and what rules
 * are made of. Not for users of the checks (check.h).
 *
 * Each function of check_*.c gets e and f and returns false at the first rule
 * that fails, with *f filled in. CHECK() states a rule of entry_checks.def.
 */
#pragma once

#include "nested/check.h"
#include "x86.h"

enum check_row_field {
#define C(id, stage, field, rule, section) CHECK_FIELD_##id = VF_##field,
#include "nested/entry_checks.def"
#undef C
};

/* Says whether the failure of rule id counts; fills *f if so. */
bool nested_check_fails(const struct check_env *e, struct check_failure *f,
			enum check_id id, unsigned field);

#define CHECK_RULE(rule, at, holds) \
	do { \
		if (unlikely(!(holds)) && nested_check_fails(e, f, rule, at)) \
			return false; \
	} while (0)
#define CHECK(id, holds) CHECK_RULE(CHECK_##id, (unsigned)CHECK_FIELD_##id, holds)
/* The same, for the field at of several that the rule covers. */
#define CHECK_AT(id, at, holds) CHECK_RULE(CHECK_##id, (at), holds)

/* The value in vmcs12. */
#define FIELD(name) (e->v[VF_##name])

bool nested_check_exec(const struct check_env *e, struct check_failure *f);
bool nested_check_apic(const struct check_env *e, struct check_failure *f);
bool nested_check_ept(const struct check_env *e, struct check_failure *f);
bool nested_check_exit_entry(const struct check_env *e, struct check_failure *f);
bool nested_check_event(const struct check_env *e, struct check_failure *f);
bool nested_check_segments(const struct check_env *e, struct check_failure *f);
bool nested_check_state(const struct check_env *e, struct check_failure *f);
bool nested_check_pdptes(const struct check_env *e, struct check_failure *f);

/* Secondary controls count as 0 unless they are activated. */
static inline u64 check_proc2(const struct check_env *e)
{
	return FIELD(PROC_CONTROLS) & PROC_SECONDARY ? FIELD(PROC2_CONTROLS) : 0;
}

static inline bool check_unrestricted(const struct check_env *e)
{
	return check_proc2(e) & PROC2_UNRESTRICTED;
}

static inline bool check_guest_64(const struct check_env *e)
{
	return FIELD(ENTRY_CONTROLS) & ENTRY_IA32E;
}

/* An event is injected, and it is of this INTR_TYPE_*. */
static inline bool check_injects(const struct check_env *e, u32 type)
{
	return (FIELD(ENTRY_INTR_INFO) & (INTR_VALID | INTR_TYPE)) == (INTR_VALID | type);
}

static inline bool check_width(const struct check_env *e, u64 address)
{
	unsigned width = e->caps->basic & BASIC_32BIT_ADDR ? 32 : e->caps->maxphyaddr;

	return !(address >> width);
}

static inline bool check_page(const struct check_env *e, u64 address)
{
	return !(address & ~PAGE_MASK) && check_width(e, address);
}

/* Linear addresses are as wide as the CPU can, whatever CR4.LA57 is now. */
static inline unsigned check_linear_width(const struct check_env *e)
{
	return e->caps->cr4_fixed1 & CR4_LA57 ? 57 : 48;
}

/* Bits 63:bit are all equal. */
static inline bool check_same_from(u64 address, unsigned bit)
{
	u64 high = address >> bit;

	return high == 0 || high == ~0ull >> bit;
}

static inline bool check_canonical(const struct check_env *e, u64 address)
{
	return check_same_from(address, check_linear_width(e) - 1);
}

static inline bool check_fixed(u64 cr, u64 fixed0, u64 fixed1)
{
	return !(~cr & fixed0) && !(cr & ~fixed1);
}

static inline bool check_allowed_1(u64 controls, struct vmx_allowed a)
{
	return !(~controls & a.must);
}

static inline bool check_allowed_0(u64 controls, struct vmx_allowed a)
{
	return !(controls & ~(u64)a.may);
}

/* Each byte is a memory type: 0, 1, 4, 5, 6 or 7 (bit 1 needs bit 2). */
static inline bool check_pat(u64 pat)
{
	u64 bit1 = pat & 0x0202020202020202ull, bit2 = pat & 0x0404040404040404ull;

	return !(pat & 0xf8f8f8f8f8f8f8f8ull) && !(bit1 << 1 & ~bit2);
}

static inline u64 check_efer_reserved(const struct check_env *e)
{
	return ~(EFER_NXE | (e->caps->long_mode ? EFER_SCE | EFER_LME | EFER_LMA : 0));
}
