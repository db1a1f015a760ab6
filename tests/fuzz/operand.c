/*
 * VMX instructions as an exit of L1 may describe them: any mode and segments of
 * L1, any instruction information, any memory. Faults of the prologue and of
 * segmentation are told by a model of the SDM's rules; what fails changes nothing.
 */
#include "program_steps.h"

#include "nested/slots.h"

struct scene {
	struct fx *f;
	struct fuzz_input *in;
	u32 reason, info;
	u64 disp;
};

static const u16 reasons[] = {
	EXIT_VMCALL, EXIT_VMCLEAR, EXIT_VMLAUNCH, EXIT_VMPTRLD, EXIT_VMPTRST, EXIT_VMREAD,
	EXIT_VMRESUME, EXIT_VMWRITE, EXIT_VMXOFF, EXIT_VMXON, EXIT_INVEPT, EXIT_INVVPID,
};

static void choose_mode(struct scene *s)
{
	struct fx *f = s->f;
	u8 how = fuzz_u8(s->in);

	if (how & 1)
		FX01(f, GUEST_CS_AR) &= ~(u64)AR_L;
	if (how & 2)
		FX01(f, GUEST_EFER) &= ~EFER_LMA;
	if (how & 4 && how & 2)
		FX01(f, GUEST_CR4) &= ~CR4_PAE;
	if (how & 8 && how & 2)
		FX01(f, GUEST_CR0) &= ~CR0_PG;
	if ((how & 0x30) == 0x30)
		FX01(f, GUEST_SS_AR) |= AR_DPL;
	if ((how & 0xc0) == 0xc0 && how & 2)
		FX01(f, GUEST_RFLAGS) |= RFLAGS_VM;
	if ((how & 0xf0) == 0x50 && how & 2)
		FX01(f, GUEST_CR0) &= ~(CR0_PE | CR0_PG);
	hw_save_lma(&f->hw, f->n.at.efer);
	how = fuzz_u8(s->in);
	if (how & 1)
		FX01(f, GUEST_CR4) |= CR4_SMAP;
	if (how & 2)
		FX01(f, GUEST_RFLAGS) |= RFLAGS_AC;
	if ((how & 0xc) == 0xc)
		FX01(f, CR4_MASK) = CR4_VMXE;
	if (how & 0x10)
		FX01(f, CR4_SHADOW) = CR4_VMXE;
	if ((how & 0x60) == 0x60)
		FX01(f, GUEST_CR4) |= CR4_LA57;
	if (!(how & 0x80))
		return;
	fuzz_allow_regions(f);
	fx_instruction(f, EXIT_VMXOFF);
	fuzz_forbid();
}

/* A segment register that a processor may hold: its type, its bounds. */
static void choose_segment(struct scene *s, unsigned seg)
{
	u16 how = (u16)fuzz_bytes(s->in, 2);
	u32 ar = (how & 15) | AR_S | AR_P | (how & 0x10 ? AR_DB : 0) |
		 (how & 0x20 ? AR_UNUSABLE : 0);

	if (!(how & 0x40))
		return;
	if (seg != SEG_CS)
		*fx_vmcs01(s->f, VF_GUEST_ES_AR + seg) =
			ar | (*fx_vmcs01(s->f, VF_GUEST_ES_AR + seg) & AR_DPL);
	*fx_vmcs01(s->f, VF_GUEST_ES_LIMIT + seg) = (u32)(how & 0x80 ? fuzz_value(s->in) : FM_OPERAND);
	*fx_vmcs01(s->f, VF_GUEST_ES_BASE + seg) = how & 0x100 ? fuzz_value(s->in) : 0;
	if (seg != SEG_FS && seg != SEG_GS)
		*fx_vmcs01(s->f, VF_GUEST_ES_BASE + seg) &= 0xffffffff;
}

static bool is_wide(struct fx *f)
{
	return (FX01(f, GUEST_EFER) & EFER_LMA) && (FX01(f, GUEST_CS_AR) & AR_L);
}

/* Instruction information as the SDM defines its bits; the undefined ones are 0. */
static void choose_operands(struct scene *s)
{
	u32 seg = fuzz_below(s->in, 6);
	u8 size = fuzz_u8(s->in) & 1;

	s->info = (u32)fuzz_bytes(s->in, 4) & 0xfffffc7b;
	s->info = (s->info & ~(7u << 15)) | seg << 15;
	s->info |= (u32)(is_wide(s->f) + size) << 7;	/* 16 or 32 bits; 32 or 64 */
	if (s->reason != EXIT_VMREAD && s->reason != EXIT_VMWRITE)
		s->info &= ~BIT32(10);
	s->disp = fuzz_flip(s->in) ? FM_OPERAND : fuzz_value(s->in);
	for (unsigned i = 0; i < 4; i++)
		s->f->gpr[fuzz_u8(s->in) & 15] = fuzz_value(s->in);
	if (fuzz_flip(s->in))
		s->f->gpr[s->info >> 28] = nested_field_encoding[fuzz_below(s->in, VF_COUNT)];
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		choose_segment(s, i);
}

static u64 reg(const struct scene *s, unsigned i, bool wide)
{
	u64 v = i == GPR_RSP ? FX01(s->f, GUEST_RSP) : s->f->gpr[i];

	return wide ? v : (u32)v;
}

static bool is_canonical(const struct scene *s, u64 a)
{
	u64 high = a >> (FX01(s->f, GUEST_CR4) & CR4_LA57 ? 56 : 47);

	return !high || high == (FX01(s->f, GUEST_CR4) & CR4_LA57 ? 0xff : 0x1ffff);
}

/* SDM 2 "VMX Instructions": what raises #UD and #GP before any operand; 0: nothing. */
static u8 prologue(const struct scene *s, bool *wide)
{
	struct fx *f = s->f;
	bool lma = FX01(f, GUEST_EFER) & EFER_LMA;
	u64 mask = FX01(f, CR4_MASK);
	u64 cr4 = (FX01(f, GUEST_CR4) & ~mask) | (FX01(f, CR4_SHADOW) & mask);

	*wide = is_wide(f);
	if (!(FX01(f, GUEST_CR0) & CR0_PE) || (FX01(f, GUEST_RFLAGS) & RFLAGS_VM) ||
	    (lma && !*wide))
		return X86_UD;
	if (!f->n.vmxon && (s->reason != EXIT_VMXON || !(cr4 & CR4_VMXE)))
		return X86_UD;
	return FX01(f, GUEST_SS_AR) >> 5 & 3 ? X86_GP : 0;
}

/* Does the instruction write its memory operand, and how long is that? */
static size_t operand_of(const struct scene *s, bool wide, bool *write)
{
	*write = s->reason == EXIT_VMPTRST || s->reason == EXIT_VMREAD;
	switch (s->reason) {
	case EXIT_VMREAD: case EXIT_VMWRITE:
		return s->info & BIT32(10) ? 0 : wide ? 8 : 4;
	case EXIT_INVEPT: case EXIT_INVVPID:
		return 16;
	case EXIT_VMCLEAR: case EXIT_VMPTRLD: case EXIT_VMPTRST: case EXIT_VMXON:
		return 8;
	default:
		return 0;
	}
}

/* SDM 3A "Limit Checking", "Type Checking", in a table's words: may these bytes be used? */
static bool segment_holds(u32 ar, u64 limit, u64 first, size_t len, bool write)
{
	static const char kind[16][3] = {	/* readable, writable, expands up */
		"r+", "r+", "w+", "w+", "r-", "r-", "w-", "w-",
		"x+", "x+", "r+", "r+", "x+", "x+", "r+", "r+",
	};
	const char *k = kind[ar & 15];

	if (ar & AR_UNUSABLE || k[0] == 'x' || (write && k[0] != 'w'))
		return false;
	for (u64 a = first; a < first + len; a++) {
		if (k[1] == '+' && a > limit)
			return false;
		if (k[1] == '-' && (a <= limit || a > (ar & AR_DB ? 0xffffffff : 0xffff)))
			return false;
	}
	return true;
}

/* The vector of segmentation for the operand, 0: none; *linear: where the operand is. */
static u8 segmentation(const struct scene *s, bool wide, size_t len, bool write, u64 *linear)
{
	static const u64 size[] = { 0xffff, 0xffffffff, ~0ull };
	unsigned seg = s->info >> 15 & 7;
	u64 ea = s->disp, base = *fx_vmcs01(s->f, VF_GUEST_ES_BASE + seg);
	u8 vector = seg == SEG_SS ? X86_SS : X86_GP;

	if (!(s->info & BIT32(22)))
		ea += reg(s, s->info >> 18 & 15, wide) << (s->info & 3);
	if (!(s->info & BIT32(27)))
		ea += reg(s, s->info >> 23 & 15, wide);
	ea &= size[s->info >> 7 & 7];
	if (wide) {
		*linear = ea + (seg == SEG_FS || seg == SEG_GS ? base : 0);
		return is_canonical(s, *linear) && is_canonical(s, *linear + len - 1) ? 0 : vector;
	}
	*linear = (u32)(ea + base);
	return segment_holds((u32)*fx_vmcs01(s->f, VF_GUEST_ES_AR + seg),
			     *fx_vmcs01(s->f, VF_GUEST_ES_LIMIT + seg), ea, len, write) ? 0 : vector;
}

static struct { struct nested_vcpu n; struct hw_region vmcs01; u64 gpr[GPR_COUNT]; } before;

static void assert_nothing_changed(const struct scene *s)
{
	struct fx *f = s->f;

	/* Where an operand was found may be remembered. */
	memcpy(before.n.memo, f->n.memo, sizeof(f->n.memo));
	/* Where a field is kept a VMREAD may change; not what it holds. */
	if (s->reason != EXIT_VMREAD)
		assert_memory_equal(&before.n, &f->n, sizeof(f->n));
	assert_memory_equal(before.vmcs01.v, fx_vmcs01(f, 0), sizeof(before.vmcs01.v));
	assert_memory_equal(before.gpr, f->gpr, sizeof(before.gpr));
	assert_int_equal(f->vm.memory.writes, 0);
}

/* Does the instruction look at its operand before anything else that may fail? */
static bool operand_comes_first(const struct scene *s)
{
	switch (s->reason) {
	case EXIT_VMCLEAR: case EXIT_VMPTRLD: case EXIT_VMPTRST:
		return true;
	case EXIT_VMWRITE:
		return s->f->n.current;
	default:
		return false;
	}
}

static void check(struct scene *s)
{
	bool wide, write, sure = operand_comes_first(s);
	u8 early = prologue(s, &wide), vector = 0;
	size_t len = operand_of(s, wide, &write);
	u64 linear = 0;
	struct outcome o;

	if (!early && len)
		vector = segmentation(s, wide, len, write, &linear);
	fuzz_allow(0, ~0ull);	/* wherever L1 points */
	o = nested_vmx_instruction(&s->f->n, s->reason);
	fuzz_forbid();
	if (early) {
		assert_int_equal(o.kind, OUT_FAULT);
		assert_int_equal(o.vector, early);
	} else if (vector && sure) {
		assert_int_equal(o.kind, OUT_FAULT);
		assert_int_equal(o.vector, vector);
		assert_int_equal(o.error_code, 0);
	} else if (sure) {
		assert_true(o.kind != OUT_FAULT || o.vector == X86_PF);
	}
	if (o.kind == OUT_FAULT && o.vector == X86_PF) {
		assert_int_equal(vector, 0);
		assert_true(o.value - linear < len || (!wide && (u32)(o.value - linear) < len));
		assert_int_equal(!!(o.error_code & PF_W), write);
	}
	if (o.kind == OUT_FAULT)
		assert_nothing_changed(s);
	if (o.kind == OUT_VMFAIL_INVALID || o.kind == OUT_VMFAIL_VALID)
		if (s->reason != EXIT_VMLAUNCH && s->reason != EXIT_VMRESUME)
			assert_nothing_changed(s);
	assert_true(nested_invariant(&s->f->n));
}

static void choose_memory(struct scene *s)
{
	for (unsigned i = 0; i < 4 && s->in->left; i++) {
		u64 at = fuzz_flip(s->in) ? FM_OPERAND : fuzz_value(s->in) % (FX_L1_RAM - 8);
		u64 value = fuzz_flip(s->in) ? FX_VMCS(fuzz_u8(s->in) % 32) : fuzz_value(s->in);

		memcpy(fx_at(s->f, at), &value, sizeof(value));
	}
}

static void remember(struct fx *f)
{
	before.n = f->n;
	before.vmcs01 = *hw_region_at(&f->hw, f->n.vmcs01);
	memcpy(before.gpr, f->gpr, sizeof(before.gpr));
	f->vm.memory.writes = 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct scene s = { .in = &in };
	u8 how = fuzz_u8(&in);

	s.f = fuzz_machine(how & 1 ? HOST32 : B64, (enum fuzz_shadow)((how >> 4) % SHADOWS));
	s.f->n.explain = how >> 1 & 1;
	s.reason = reasons[fuzz_below(&in, ARRAY_SIZE(reasons))];
	fuzz_allow_regions(s.f);
	if (how & 4)
		fx_vmclear(s.f, FX_VMCS(0));
	else
		nested_shadow_pull(&s.f->n, s.f->n.current);	/* when it happens is no change */
	fuzz_forbid();
	choose_mode(&s);
	choose_operands(&s);
	choose_memory(&s);
	FX01(s.f, EXIT_INSTR_INFO) = s.info;
	FX01(s.f, EXIT_QUALIFICATION) = s.disp;
	remember(s.f);
	check(&s);
	return 0;
}
