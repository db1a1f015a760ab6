/*
 * Entry checks of the guest's segment registers, LDTR, TR, GDTR and IDTR
 * (SDM 3C "Checks on Guest Segment Registers", "Checks on Guest
 * Descriptor-Table Registers"). The fields of one kind stand in the order of
 * enum x86_seg, in vmcs_fields.def as in the architecture.
 */
#include "nested/check_run.h"

#define SELECTOR(seg) (e->v[VF_GUEST_ES_SELECTOR + (seg)])
#define BASE(seg) (e->v[VF_GUEST_ES_BASE + (seg)])
#define LIMIT(seg) (e->v[VF_GUEST_ES_LIMIT + (seg)])
#define AR(seg) (e->v[VF_GUEST_ES_AR + (seg)])

#define SELECTOR_RPL 3ull
#define SELECTOR_TI 4ull

enum {	/* types of descriptors */
	TYPE_ACCESSED = 1, TYPE_READABLE = 2, TYPE_CONFORMING = 4, TYPE_CODE = 8,
	TYPE_DATA_RW = 3, TYPE_DATA_RW_DOWN = 7, TYPE_CODE_LAST_NONCONFORMING = 11,
	TYPE_LDT = 2, TYPE_TSS16_BUSY = 3, TYPE_TSS_BUSY = 11,
};

static u64 type(const struct check_env *e, unsigned seg)
{
	return AR(seg) & AR_TYPE;
}

static u64 dpl(const struct check_env *e, unsigned seg)
{
	return (AR(seg) & AR_DPL) >> AR_DPL_SHIFT;
}

static bool usable(const struct check_env *e, unsigned seg)
{
	return !(AR(seg) & AR_UNUSABLE);
}

static bool g_may_be_1(const struct check_env *e, unsigned seg)
{
	return (LIMIT(seg) & 0xfff) == 0xfff;
}

static bool g_may_be_0(const struct check_env *e, unsigned seg)
{
	return !(LIMIT(seg) & 0xfff00000);
}

static bool virtual_8086(const struct check_env *e, struct check_failure *f)
{
	unsigned s;

	for (s = SEG_ES; s <= SEG_GS; s++) {
		CHECK_AT(V86_BASE, VF_GUEST_ES_BASE + s, BASE(s) == SELECTOR(s) << 4);
		CHECK_AT(V86_LIMIT, VF_GUEST_ES_LIMIT + s, LIMIT(s) == 0xffff);
		CHECK_AT(V86_AR, VF_GUEST_ES_AR + s, AR(s) == 0xf3);
	}
	return true;
}

static bool bases(const struct check_env *e, struct check_failure *f)
{
	unsigned s;

	CHECK_AT(FS_GS_BASE, VF_GUEST_FS_BASE, check_canonical(e, BASE(SEG_FS)));
	CHECK_AT(FS_GS_BASE, VF_GUEST_GS_BASE, check_canonical(e, BASE(SEG_GS)));
	CHECK(CS_BASE, !(BASE(SEG_CS) >> 32));
	for (s = SEG_ES; s <= SEG_DS; s++)
		if (s != SEG_CS && usable(e, s))
			CHECK_AT(DATA_BASE, VF_GUEST_ES_BASE + s, !(BASE(s) >> 32));
	return true;
}

/* What CS and every usable segment register share. */
static bool common(const struct check_env *e, struct check_failure *f, unsigned s)
{
	unsigned at = VF_GUEST_ES_AR + s;
	u64 ar = AR(s);

	CHECK_AT(SEG_S, at, ar & AR_S);
	CHECK_AT(SEG_PRESENT, at, ar & AR_P);
	CHECK_AT(SEG_RESERVED, at, !(ar & AR_RESERVED));
	CHECK_AT(SEG_G_0, at, !(ar & AR_G) || g_may_be_1(e, s));
	CHECK_AT(SEG_G_1, at, (ar & AR_G) || g_may_be_0(e, s));
	return true;
}

static bool code(const struct check_env *e, struct check_failure *f)
{
	u64 t = type(e, SEG_CS), cs_dpl = dpl(e, SEG_CS), ss_dpl = dpl(e, SEG_SS);
	bool is_code = (t & TYPE_CODE) && (t & TYPE_ACCESSED);
	bool conforming = t & TYPE_CONFORMING;

	CHECK(CS_TYPE, is_code || (t == TYPE_DATA_RW && check_unrestricted(e)));
	if (t == TYPE_DATA_RW)
		CHECK(CS_DPL_DATA, cs_dpl == 0);
	if (is_code && !conforming)
		CHECK(CS_DPL_NONCONFORMING, cs_dpl == ss_dpl);
	if (is_code && conforming)
		CHECK(CS_DPL_CONFORMING, cs_dpl <= ss_dpl);
	if (check_guest_64(e) && (AR(SEG_CS) & AR_L))
		CHECK(CS_DB, !(AR(SEG_CS) & AR_DB));
	return common(e, f, SEG_CS);
}

/* SS.DPL is the guest's CPL, whether SS is usable or not. */
static bool stack(const struct check_env *e, struct check_failure *f)
{
	u64 t = type(e, SEG_SS), rpl = SELECTOR(SEG_SS) & SELECTOR_RPL;
	bool unrestricted = check_unrestricted(e);

	CHECK(SS_RPL, unrestricted || rpl == (SELECTOR(SEG_CS) & SELECTOR_RPL));
	CHECK(SS_DPL_RPL, unrestricted || rpl == dpl(e, SEG_SS));
	if (type(e, SEG_CS) == TYPE_DATA_RW || !(FIELD(GUEST_CR0) & CR0_PE))
		CHECK(SS_DPL_REAL, dpl(e, SEG_SS) == 0);
	if (!usable(e, SEG_SS))
		return true;
	CHECK(SS_TYPE, t == TYPE_DATA_RW || t == TYPE_DATA_RW_DOWN);
	return common(e, f, SEG_SS);
}

static bool data(const struct check_env *e, struct check_failure *f, unsigned s)
{
	unsigned at = VF_GUEST_ES_AR + s;
	u64 t = type(e, s);

	if (!usable(e, s))
		return true;
	CHECK_AT(DATA_ACCESSED, at, t & TYPE_ACCESSED);
	CHECK_AT(DATA_READABLE, at, !(t & TYPE_CODE) || (t & TYPE_READABLE));
	if (t <= TYPE_CODE_LAST_NONCONFORMING && !check_unrestricted(e))
		CHECK_AT(DATA_DPL, at, dpl(e, s) >= (SELECTOR(s) & SELECTOR_RPL));
	return common(e, f, s);
}

static bool task(const struct check_env *e, struct check_failure *f)
{
	u64 ar = AR(SEG_TR), t = type(e, SEG_TR);

	CHECK(TR_TI, !(SELECTOR(SEG_TR) & SELECTOR_TI));
	CHECK(TR_BASE, check_canonical(e, BASE(SEG_TR)));
	CHECK(TR_TYPE, t == TYPE_TSS_BUSY || (t == TYPE_TSS16_BUSY && !check_guest_64(e)));
	CHECK(TR_S, !(ar & AR_S));
	CHECK(TR_PRESENT, ar & AR_P);
	CHECK(TR_RESERVED, !(ar & AR_RESERVED));
	CHECK(TR_G_0, !(ar & AR_G) || g_may_be_1(e, SEG_TR));
	CHECK(TR_G_1, (ar & AR_G) || g_may_be_0(e, SEG_TR));
	CHECK(TR_USABLE, usable(e, SEG_TR));
	return true;
}

static bool local(const struct check_env *e, struct check_failure *f)
{
	u64 ar = AR(SEG_LDTR);

	if (!usable(e, SEG_LDTR))
		return true;
	CHECK(LDTR_TI, !(SELECTOR(SEG_LDTR) & SELECTOR_TI));
	CHECK(LDTR_BASE, check_canonical(e, BASE(SEG_LDTR)));
	CHECK(LDTR_TYPE, type(e, SEG_LDTR) == TYPE_LDT);
	CHECK(LDTR_S, !(ar & AR_S));
	CHECK(LDTR_PRESENT, ar & AR_P);
	CHECK(LDTR_RESERVED, !(ar & AR_RESERVED));
	CHECK(LDTR_G_0, !(ar & AR_G) || g_may_be_1(e, SEG_LDTR));
	CHECK(LDTR_G_1, (ar & AR_G) || g_may_be_0(e, SEG_LDTR));
	return true;
}

static bool tables(const struct check_env *e, struct check_failure *f)
{
	CHECK_AT(TABLE_BASE, VF_GUEST_GDTR_BASE, check_canonical(e, FIELD(GUEST_GDTR_BASE)));
	CHECK_AT(TABLE_BASE, VF_GUEST_IDTR_BASE, check_canonical(e, FIELD(GUEST_IDTR_BASE)));
	CHECK_AT(TABLE_LIMIT, VF_GUEST_GDTR_LIMIT, !(FIELD(GUEST_GDTR_LIMIT) >> 16));
	CHECK_AT(TABLE_LIMIT, VF_GUEST_IDTR_LIMIT, !(FIELD(GUEST_IDTR_LIMIT) >> 16));
	return true;
}

bool nested_check_segments(const struct check_env *e, struct check_failure *f)
{
	if (FIELD(GUEST_RFLAGS) & RFLAGS_VM) {
		if (!virtual_8086(e, f))
			return false;
	} else if (!bases(e, f) || !stack(e, f) || !code(e, f) || !data(e, f, SEG_ES) ||
		   !data(e, f, SEG_DS) || !data(e, f, SEG_FS) || !data(e, f, SEG_GS)) {
		return false;
	}
	return task(e, f) && local(e, f) && tables(e, f);
}
