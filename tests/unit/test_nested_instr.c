/*
 * nested/instr*.c: each instruction in each mode with each fault and failure,
 * in the SDM's order; and that a failure leaves everything as it was. What lies
 * behind VMLAUNCH, INVEPT and INVVPID is replaced by recorders.
 */
#include "nested_kit.h"

#include "nested/engine.h"
#include "nested/vpid.h"

static struct {
	unsigned entries, invept_single, invept_all, invvpid;
	u64 eptp;
	u32 type;
	u16 vpid;
	u64 address;
} seen;

struct outcome nested_enter(struct nested_vcpu *n)
{
	(void)n;
	seen.entries++;
	return OUTCOME_ENTER_L2;
}

/* L2's operands are test_nested_stage2.c's affair. */
struct mmu_stage2 *nested_stage2_init(struct nested_vcpu *n, struct nested_stage2 *s)
{
	(void)n, (void)s;
	return NULL;
}

struct outcome nested_stage2_failed(struct nested_stage2 *s)
{
	(void)s;
	return OUTCOME_UD;
}

void ept02_invalidate(struct ept02_set *set, u64 eptp12)
{
	assert_non_null(set);
	seen.invept_single++;
	seen.eptp = eptp12;
}

void ept02_invalidate_all(struct ept02_set *set)
{
	assert_non_null(set);
	seen.invept_all++;
}

void nested_vpid_flush(struct nested_vcpu *n, u32 type, u16 vpid12, gva_t a)
{
	(void)n;
	seen.invvpid++;
	seen.type = type;
	seen.vpid = vpid12;
	seen.address = a.v;
}

static const struct { u32 reason; const char *name; bool memory; } all[] = {
	{ EXIT_VMCALL, "vmcall", false }, { EXIT_VMCLEAR, "vmclear", true },
	{ EXIT_VMLAUNCH, "vmlaunch", false }, { EXIT_VMPTRLD, "vmptrld", true },
	{ EXIT_VMPTRST, "vmptrst", true }, { EXIT_VMREAD, "vmread", true },
	{ EXIT_VMRESUME, "vmresume", false }, { EXIT_VMWRITE, "vmwrite", true },
	{ EXIT_VMXOFF, "vmxoff", false }, { EXIT_VMXON, "vmxon", true },
	{ EXIT_INVEPT, "invept", true }, { EXIT_INVVPID, "invvpid", true },
};

/* Operands with which everything but the tested thing is good. */
static void prepare(struct kit *k, u32 reason, u64 at)
{
	static const u64 desc[] = {
		[EXIT_INVEPT] = 0x5000 | EPTP_WALK_4 | MT_WB,
		[EXIT_INVVPID] = 7,
		[EXIT_VMXON] = KIT_VMXON,
	};
	u64 operand = reason < ARRAY_SIZE(desc) && desc[reason] ? desc[reason] : KIT_VMCS(0);

	kit_poke(k, KIT_OPERAND, operand);
	k->gpr[GPR_RDX] = reason == EXIT_VMREAD || reason == EXIT_VMWRITE ? VMCS_GUEST_RIP : 1;
	kit_set(k, VMCS_EXIT_INSTR_INFO, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX));
	kit_set(k, VMCS_EXIT_QUALIFICATION, at);
	hw_save_lma(&k->hw, k->n.at.efer);
}

static struct outcome run(struct kit *k, u32 reason, u64 at)
{
	struct outcome o;

	prepare(k, reason, at);
	o = nested_vmx_instruction(&k->n, reason);
	assert_true(nested_invariant(&k->n));
	return o;
}

/* Runs what must fail, and sees that nothing at all changed. */
static struct outcome run_for_nothing(struct kit *k, u32 reason, u64 at)
{
	static struct kit_image image;
	struct outcome o;

	prepare(k, reason, at);
	kit_image_take(k, &image);
	o = nested_vmx_instruction(&k->n, reason);
	kit_image_assert_same(k, &image);
	return o;
}

enum mode { MODE_64, MODE_32, MODE_COMPAT, MODE_REAL, MODE_V86 };

static void enter_mode(struct kit *k, enum mode mode)
{
	if (mode == MODE_64 || mode == MODE_COMPAT)
		kit_long_mode(k);
	else
		kit_protected_mode(k);
	if (mode == MODE_COMPAT)
		kit_set(k, VMCS_GUEST_CS_AR, 0xc09b);
	if (mode == MODE_REAL)
		kit_set(k, VMCS_GUEST_CR0, CR0_ET | CR0_NE);
	if (mode == MODE_V86)
		kit_set(k, VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_VM);
}

static void undefined_in_every_mode(void **state)
{
	static const enum mode modes[] = { MODE_COMPAT, MODE_REAL, MODE_V86 };
	struct kit k;

	(void)state;
	kit_start(&k);
	for (unsigned root = 0; root < 2; root++) {
		for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
			enter_mode(&k, modes[m]);
			for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
				for (u32 dpl = 0; dpl < 4; dpl += 3) {	/* #UD before #GP */
					kit_set(&k, VMCS_GUEST_SS_AR, 0xc093 | dpl << 5);
					assert_fault(run_for_nothing(&k, all[i].reason,
								     KIT_NOT_PRESENT), X86_UD, 0);
				}
		}
		kit_long_mode(&k);
		if (!root)
			kit_enter_root_with_vmcs(&k);
	}
	kit_end(&k);
}

static void undefined_outside_vmx_operation(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].reason != EXIT_VMXON)
			assert_fault(run_for_nothing(&k, all[i].reason, KIT_NOT_PRESENT),
				     X86_UD, 0);
	assert_fault(run_for_nothing(&k, EXIT_CPUID, 0), X86_UD, 0);
	assert_fault(run_for_nothing(&k, 0xffff, 0), X86_UD, 0);
	kit_end(&k);
}

static void privileged(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_set(&k, VMCS_GUEST_SS_AR, 0xc0f3);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), X86_GP, 0);
	kit_long_mode(&k);
	kit_enter_root(&k);
	for (u32 dpl = 1; dpl < 4; dpl++) {
		kit_set(&k, VMCS_GUEST_SS_AR, 0xc093 | dpl << 5);
		for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
			assert_fault(run_for_nothing(&k, all[i].reason, KIT_NOT_PRESENT),
				     X86_GP, 0);
	}
	kit_end(&k);
}

static void operands_fault(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), X86_PF, 0);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, 1ull << 63), X86_GP, 0);
	kit_enter_root_with_vmcs(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		u32 r = all[i].reason;
		bool writes = r == EXIT_VMREAD || r == EXIT_VMPTRST;
		struct outcome o;

		if (!all[i].memory || r == EXIT_VMXON)
			continue;
		o = run_for_nothing(&k, r, KIT_NOT_PRESENT);
		assert_fault(o, X86_PF, writes ? PF_W : 0);
		assert_int_equal(o.value, KIT_NOT_PRESENT);
		assert_fault(run_for_nothing(&k, r, 1ull << 63), X86_GP, 0);
		if (writes)
			assert_fault(run_for_nothing(&k, r, KIT_READ_ONLY), X86_PF, PF_W | PF_P);
	}
	kit_end(&k);
}

/* #GP(0) for what VMXON asks of the processor, before its operand is touched. */
static void vmxon_conditions(void **state)
{
	static const struct { u32 field; u64 value; } bad[] = {
		{ VMCS_GUEST_CR0, KIT_CR0 & ~CR0_NE }, { VMCS_GUEST_CR0, KIT_CR0 | 1ull << 32 },
		{ VMCS_GUEST_CR0, KIT_CR0 & ~CR0_PG },
		{ VMCS_GUEST_CR4, KIT_CR4 | CR4_PKS },
	};
	static const u64 feature[] = { 0, 1, 4, 2, 3 };
	struct kit k;

	(void)state;
	kit_start(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		kit_set(&k, bad[i].field, bad[i].value);
		assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), X86_GP, 0);
		kit_long_mode(&k);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(feature); i++) {
		hw_msr_set(&k.hw, MSR_IA32_FEATURE_CONTROL, feature[i]);
		assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), X86_GP, 0);
	}
	k.hw.msrs = 0;
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_OPERAND), X86_GP, 0);
	hw_msr_set(&k.hw, MSR_IA32_FEATURE_CONTROL, 5);
	kit_set(&k, VMCS_GUEST_CR4, KIT_CR4 & ~CR4_VMXE);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_OPERAND), X86_UD, 0);
	kit_long_mode(&k);
	assert_ok(run(&k, EXIT_VMXON, KIT_OPERAND));
	kit_end(&k);
}

/* What counts are the bits L1 sees: those that L0 masks come from the shadow. */
static void vmxon_sees_the_read_shadows(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_set(&k, VMCS_CR4_MASK, CR4_VMXE);
	kit_set(&k, VMCS_CR4_SHADOW, 0);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_OPERAND), X86_UD, 0);
	kit_set(&k, VMCS_CR4_SHADOW, CR4_VMXE);
	kit_set(&k, VMCS_CR0_MASK, CR0_NE);
	kit_set(&k, VMCS_CR0_SHADOW, 0);
	assert_fault(run_for_nothing(&k, EXIT_VMXON, KIT_OPERAND), X86_GP, 0);
	kit_set(&k, VMCS_CR0_SHADOW, CR0_NE);
	assert_ok(run(&k, EXIT_VMXON, KIT_OPERAND));
	kit_end(&k);
}

static void vmxon_regions(void **state)
{
	static const u64 bad[] = { KIT_VMXON + 8, KIT_VMXON + 0x800, 1ull << 40, ~0ull,
				   KIT_RAM /* nothing there */ };
	struct kit k;

	(void)state;
	kit_start(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_kind(kit_m64(&k, EXIT_VMXON, bad[i]), OUT_VMFAIL_INVALID);
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS) & RFLAGS_ARITH, RFLAGS_CF);
	kit_poke(&k, KIT_VMXON, NESTED_REVISION + 1);
	assert_kind(kit_m64(&k, EXIT_VMXON, KIT_VMXON), OUT_VMFAIL_INVALID);
	kit_poke(&k, KIT_VMXON, NESTED_REVISION | VMCS_SHADOW_INDICATOR);
	assert_kind(kit_m64(&k, EXIT_VMXON, KIT_VMXON), OUT_VMFAIL_INVALID);
	assert_false(k.n.vmxon);
	kit_poke(&k, KIT_VMXON, NESTED_REVISION);
	assert_ok(kit_m64(&k, EXIT_VMXON, KIT_VMXON));
	assert_true(k.n.vmxon && !k.n.current);
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS) & RFLAGS_ARITH, 0);
	kit_end(&k);
}

static void vmxon_in_root_operation(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	/* The operand is not looked at. */
	assert_kind(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), OUT_VMFAIL_INVALID);
	assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)));
	assert_vmfail(run_for_nothing(&k, EXIT_VMXON, KIT_NOT_PRESENT), VMERR_VMXON_IN_ROOT);
	kit_end(&k);
}

static const struct { u32 reason; u64 operand; u32 error; } regions[] = {
	{ EXIT_VMCLEAR, KIT_VMCS(1) + 4, VMERR_VMCLEAR_ADDRESS },
	{ EXIT_VMCLEAR, 1ull << 40, VMERR_VMCLEAR_ADDRESS },
	{ EXIT_VMCLEAR, ~0ull, VMERR_VMCLEAR_ADDRESS },
	{ EXIT_VMCLEAR, KIT_VMXON, VMERR_VMCLEAR_VMXON },
	{ EXIT_VMPTRLD, KIT_VMCS(1) + 4, VMERR_VMPTRLD_ADDRESS },
	{ EXIT_VMPTRLD, 1ull << 63, VMERR_VMPTRLD_ADDRESS },
	{ EXIT_VMPTRLD, ~0ull, VMERR_VMPTRLD_ADDRESS },
	{ EXIT_VMPTRLD, KIT_VMXON, VMERR_VMPTRLD_VMXON },
	{ EXIT_VMPTRLD, KIT_OPERAND + 0x1000, VMERR_VMPTRLD_REVISION },
	{ EXIT_VMPTRLD, KIT_RAM, VMERR_VMPTRLD_REVISION },
	{ EXIT_VMPTRLD, KIT_VMCS(2), VMERR_VMPTRLD_REVISION },	/* shadow indicator */
};

static void region_failures(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	kit_poke(&k, KIT_VMCS(2), NESTED_REVISION | VMCS_SHADOW_INDICATOR);
	for (unsigned current = 0; current < 2; current++) {
		for (unsigned i = 0; i < ARRAY_SIZE(regions); i++) {
			struct nested_vmcs *was = k.n.current;
			struct outcome o = kit_m64(&k, regions[i].reason, regions[i].operand);
			u64 flags = kit_get(&k, VMCS_GUEST_RFLAGS) & RFLAGS_ARITH;

			assert_ptr_equal(k.n.current, was);
			if (!current) {
				assert_kind(o, OUT_VMFAIL_INVALID);
				assert_int_equal(flags, RFLAGS_CF);
				continue;
			}
			assert_vmfail(o, regions[i].error);
			assert_int_equal(flags, RFLAGS_ZF);
			assert_int_equal(was->v[VF_VM_INSTRUCTION_ERROR], regions[i].error);
		}
		assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)));
	}
	kit_end(&k);
}

static void vmclear_and_vmptrst(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	assert_ok(run(&k, EXIT_VMPTRST, KIT_OPERAND + 8));
	assert_int_equal(kit_peek(&k, KIT_OPERAND + 8), ~0ull);
	assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(3)));
	assert_ok(run(&k, EXIT_VMPTRST, KIT_OPERAND + 8));
	assert_int_equal(kit_peek(&k, KIT_OPERAND + 8), KIT_VMCS(3));
	assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(4)));
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(3)));	/* not the current one */
	assert_int_equal(k.n.current->gpa.v, KIT_VMCS(4));
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(4)));
	assert_null(k.n.current);
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_RAM));		/* as a bus: nobody minds */
	kit_end(&k);
}

static void entries(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	seen.entries = 0;
	assert_kind(run_for_nothing(&k, EXIT_VMLAUNCH, 0), OUT_VMFAIL_INVALID);
	assert_kind(run_for_nothing(&k, EXIT_VMRESUME, 0), OUT_VMFAIL_INVALID);
	assert_kind(run_for_nothing(&k, EXIT_VMCALL, 0), OUT_VMFAIL_INVALID);
	assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)));
	assert_vmfail(run_for_nothing(&k, EXIT_VMCALL, 0), VMERR_VMCALL_IN_ROOT);
	assert_vmfail(run_for_nothing(&k, EXIT_VMRESUME, 0), VMERR_VMRESUME_NOT_LAUNCHED);
	kit_set(&k, VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS);
	assert_vmfail(run_for_nothing(&k, EXIT_VMLAUNCH, 0), VMERR_ENTRY_MOV_SS);
	assert_vmfail(run_for_nothing(&k, EXIT_VMRESUME, 0), VMERR_ENTRY_MOV_SS);
	kit_set(&k, VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI);
	assert_int_equal(seen.entries, 0);
	assert_kind(run(&k, EXIT_VMLAUNCH, 0), OUT_ENTER_L2);
	k.n.current->launched = true;
	assert_vmfail(run_for_nothing(&k, EXIT_VMLAUNCH, 0), VMERR_VMLAUNCH_NOT_CLEAR);
	assert_kind(run(&k, EXIT_VMRESUME, 0), OUT_ENTER_L2);
	assert_int_equal(seen.entries, 2);
	kit_end(&k);
}

static void vmxoff(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	assert_ok(kit_vmwrite(&k, VMCS_HOST_RIP, 0x77));
	assert_ok(kit_plain(&k, EXIT_VMXOFF));
	assert_false(k.n.vmxon || k.n.current);
	for (unsigned i = 0; i < NESTED_SLOTS; i++)
		assert_int_equal(k.n.slot[i].gpa.v, NESTED_NO_VMPTR.v);
	assert_fault(run_for_nothing(&k, EXIT_VMXOFF, 0), X86_UD, 0);
	kit_end(&k);
}

static void fields_that_do_not_exist(void **state)
{
	static const u64 bad[] = {
		0x6026, 0x0001, 0x4001, 0x6801, 0x0030, 0x1000, 0x8000, 0x10000, 1ull << 32,
		(1ull << 63) | VMCS_GUEST_RIP, ~0ull, VMCS_SPP_TABLE, VMCS_ENCLS_EXIT_BITMAP,
		VMCS_GUEST_PERF_GLOBAL_CTRL,
	};
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	assert_kind(kit_vmread(&k, VMCS_GUEST_RIP, &v), OUT_VMFAIL_INVALID);
	assert_kind(kit_vmwrite(&k, ~0ull, 1), OUT_VMFAIL_INVALID);
	/* VMfailInvalid comes before the operand, the operand of VMWRITE before the field. */
	assert_kind(run_for_nothing(&k, EXIT_VMWRITE, KIT_NOT_PRESENT), OUT_VMFAIL_INVALID);
	assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		k.gpr[GPR_RAX] = 0x1111;
		assert_vmfail(kit_vmread(&k, bad[i], &v), VMERR_UNSUPPORTED_FIELD);
		assert_int_equal(v, 0x1111);
		assert_vmfail(kit_vmwrite(&k, bad[i], 1), VMERR_UNSUPPORTED_FIELD);
		k.gpr[GPR_RDX] = bad[i];
		assert_vmfail(kit_exit(&k, EXIT_VMREAD, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX),
				       KIT_NOT_PRESENT), VMERR_UNSUPPORTED_FIELD);
		assert_fault(kit_exit(&k, EXIT_VMWRITE, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX),
				      KIT_NOT_PRESENT), X86_PF, 0);
	}
	/* Exit information may be written, since IA32_VMX_MISC says so. */
	assert_ok(kit_vmwrite(&k, VMCS_EXIT_REASON, 5));
	k.n.caps.misc &= ~MISC_VMWRITE_ANY;
	assert_vmfail(kit_vmwrite(&k, VMCS_EXIT_REASON, 6), VMERR_READ_ONLY_FIELD);
	kit_end(&k);
}

static void widths_of_fields(void **state)
{
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	for (unsigned f = 0; f < VF_COUNT; f++) {
		u32 e = nested_field_encoding[f];
		u64 mask = nested_field_bits[f];

		if (!field_test(&k.n.exists, f))
			continue;
		assert_ok(kit_vmwrite(&k, e, 0xfedcba9876543210));
		assert_ok(kit_vmread(&k, e, &v));
		assert_int_equal(v, 0xfedcba9876543210 & mask);
		if (VMCS_WIDTH(e) != VMCS_WIDTH_64)
			continue;
		assert_ok(kit_vmread(&k, e | VMCS_HIGH_ACCESS, &v));
		assert_int_equal(v, 0xfedcba98);
		assert_ok(kit_vmwrite(&k, e | VMCS_HIGH_ACCESS, 0x5555555511223344));
		assert_ok(kit_vmread(&k, e, &v));
		assert_int_equal(v, 0x1122334476543210);
	}
	kit_end(&k);
}

/* Operands of 32 bits: long fields are read in part and written with zeros above. */
static void fields_in_protected_mode(void **state)
{
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	assert_ok(kit_vmwrite(&k, VMCS_TSC_OFFSET, 0xfedcba9876543210));
	assert_ok(kit_vmwrite(&k, VMCS_HOST_RIP, 0xfedcba9876543210));
	kit_protected_mode(&k);
	k.gpr[GPR_RAX] = ~0ull;
	assert_ok(kit_vmread(&k, 0xabcdef0000000000 | VMCS_TSC_OFFSET, &v));
	assert_int_equal(v, 0x76543210);
	assert_ok(kit_vmread(&k, VMCS_TSC_OFFSET | VMCS_HIGH_ACCESS, &v));
	assert_int_equal(v, 0xfedcba98);
	assert_ok(kit_vmwrite(&k, VMCS_HOST_RIP, 0xaaaaaaaa11111111));
	kit_poke(&k, KIT_OPERAND, ~0ull);
	k.gpr[GPR_RDX] = VMCS_HOST_RIP;
	assert_ok(kit_exit(&k, EXIT_VMREAD, KIT_INFO_MEM32 | KIT_REG2(GPR_RDX), KIT_OPERAND));
	assert_int_equal(kit_peek(&k, KIT_OPERAND), 0xffffffff11111111);
	kit_poke(&k, KIT_OPERAND, 0x9999999922222222);
	assert_ok(kit_exit(&k, EXIT_VMWRITE, KIT_INFO_MEM32 | KIT_REG2(GPR_RDX), KIT_OPERAND));
	kit_long_mode(&k);
	assert_ok(kit_vmread(&k, VMCS_HOST_RIP, &v));
	assert_int_equal(v, 0x22222222);
	/* In 64-bit mode memory operands have 64 bits. */
	k.gpr[GPR_RDX] = VMCS_HOST_RIP;
	assert_ok(kit_exit(&k, EXIT_VMWRITE, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX), KIT_OPERAND));
	assert_ok(kit_vmread(&k, VMCS_HOST_RIP, &v));
	assert_int_equal(v, 0x9999999922222222);
	kit_end(&k);
}

static void rsp_is_an_operand_like_others(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	kit_set(&k, VMCS_GUEST_RSP, 0x1234);
	k.gpr[GPR_RDX] = VMCS_HOST_RSP;
	assert_ok(kit_exit(&k, EXIT_VMWRITE,
			   KIT_INFO_REG | KIT_REG1(GPR_RSP) | KIT_REG2(GPR_RDX), 0));
	kit_set(&k, VMCS_GUEST_RSP, 0);
	assert_ok(kit_exit(&k, EXIT_VMREAD,
			   KIT_INFO_REG | KIT_REG1(GPR_RSP) | KIT_REG2(GPR_RDX), 0));
	assert_int_equal(kit_get(&k, VMCS_GUEST_RSP), 0x1234);
	kit_end(&k);
}

#define GOOD_EPTP (0x5000 | EPTP_WALK_4 | MT_WB)

static const struct { u64 type, eptp, reserved; u32 error; } invepts[] = {
	{ 1, 0, 0, 28 },	/* before any that is right */
	{ 1, GOOD_EPTP, 0, 0 }, { 1, GOOD_EPTP | EPTP_AD, 0, 0 },
	{ 1, 0x5000 | EPTP_WALK_4 | MT_UC, 0, 0 }, { 1, GOOD_EPTP, 1, 0 },
	{ 2, 0, ~0ull, 0 }, { 2, ~0ull, 0, 0 },
	{ 0, GOOD_EPTP, 0, 28 }, { 3, GOOD_EPTP, 0, 28 }, { 1ull << 32 | 1, GOOD_EPTP, 0, 28 },
	{ 1, GOOD_EPTP | 1, 0, 28 }, { 1, 0x5000 | 4ull << 3 | MT_WB, 0, 28 },
	{ 1, GOOD_EPTP | 0x80, 0, 28 }, { 1, GOOD_EPTP | 0x800, 0, 28 },
	{ 1, GOOD_EPTP | 1ull << 40, 0, 28 },
};

static void invept(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	memset(&seen, 0, sizeof(seen));
	for (unsigned i = 0; i < ARRAY_SIZE(invepts); i++) {
		struct outcome o;

		kit_poke(&k, KIT_OPERAND, invepts[i].eptp);
		kit_poke(&k, KIT_OPERAND + 8, invepts[i].reserved);
		k.gpr[GPR_RDX] = invepts[i].type;
		o = kit_exit(&k, EXIT_INVEPT, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX), KIT_OPERAND);
		if (invepts[i].error)
			assert_vmfail(o, invepts[i].error);
		else
			assert_ok(o);
	}
	assert_int_equal(seen.invept_single, 4);
	assert_int_equal(seen.invept_all, 2);
	/* A type that does not exist fails before the descriptor can fault. */
	k.gpr[GPR_RDX] = 3;
	assert_vmfail(kit_exit(&k, EXIT_INVEPT, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX),
			       KIT_NOT_PRESENT), 28);
	k.n.caps.ept_vpid &= ~EPTCAP_INVEPT;
	assert_fault(run_for_nothing(&k, EXIT_INVEPT, KIT_OPERAND), X86_UD, 0);
	kit_end(&k);
}

static const struct { u64 type, low, address; u32 error; } invvpids[] = {
	{ 0, 7, 0x1000, 0 }, { 1, 7, 1ull << 63, 0 }, { 2, 0, 0, 0 }, { 2, 7, 1ull << 63, 0 },
	{ 3, 0xffff, 0, 0 },
	{ 4, 7, 0, 28 }, { 1ull << 32, 7, 0, 28 }, { 0, 0, 0, 28 }, { 1, 0, 0, 28 },
	{ 3, 0, 0, 28 }, { 0, 7, 1ull << 47, 28 }, { 0, 0x10007, 0, 28 }, { 2, 0x10000, 0, 28 },
	{ 1, 1ull << 63 | 7, 0, 28 },
};

static void invvpid(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(invvpids); i++) {
		struct outcome o;

		memset(&seen, 0, sizeof(seen));
		kit_poke(&k, KIT_OPERAND, invvpids[i].low);
		kit_poke(&k, KIT_OPERAND + 8, invvpids[i].address);
		k.gpr[GPR_RDX] = invvpids[i].type;
		o = kit_exit(&k, EXIT_INVVPID, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX), KIT_OPERAND);
		assert_int_equal(seen.invvpid, !invvpids[i].error);
		if (invvpids[i].error) {
			assert_vmfail(o, invvpids[i].error);
			continue;
		}
		assert_ok(o);
		assert_int_equal(seen.type, invvpids[i].type);
		assert_int_equal(seen.vpid, invvpids[i].low);
		assert_int_equal(seen.address, invvpids[i].address);
	}
	k.gpr[GPR_RDX] = 9;
	assert_vmfail(kit_exit(&k, EXIT_INVVPID, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX),
			       KIT_NOT_PRESENT), 28);
	k.n.caps.ept_vpid &= ~EPTCAP_INVVPID;
	assert_fault(run_for_nothing(&k, EXIT_INVVPID, KIT_OPERAND), X86_UD, 0);
	kit_end(&k);
}

static void flags_and_the_error_field(void **state)
{
	static const u64 other = RFLAGS_FIXED | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_AC;
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	kit_set(&k, VMCS_GUEST_RFLAGS, other | RFLAGS_ARITH);
	nested_commit_flags(&k.n, OUTCOME_UD);
	nested_commit_flags(&k.n, OUTCOME_ENTER_L2);
	nested_commit_flags(&k.n, OUTCOME_ENTRY_FAIL(33, 0));
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS), other | RFLAGS_ARITH);
	nested_commit_flags(&k.n, OUTCOME_OK);
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS), other);
	nested_commit_flags(&k.n, OUTCOME_VALID(12));
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS), other | RFLAGS_ZF);
	assert_int_equal(k.n.current->v[VF_VM_INSTRUCTION_ERROR], 12);
	nested_commit_flags(&k.n, OUTCOME_INVALID);
	assert_int_equal(kit_get(&k, VMCS_GUEST_RFLAGS), other | RFLAGS_CF);
	assert_int_equal(k.n.current->v[VF_VM_INSTRUCTION_ERROR], 12);
	kit_end(&k);
}

static void explanations(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	kit_poke(&k, KIT_VMCS(1), 0x1234);
	kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(1));
	assert_string_equal(k.hw.log, "");
	k.n.explain = true;
	kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(1));
	assert_string_equal(k.hw.log, "L1 vmptrld: VMfail 11 (VMPTRLD with incorrect VMCS revision "
			    "identifier): revision 0x1234 at 0x101000 is not 0x504c5301\n");
	k.hw.log_len = 0;
	kit_plain(&k, EXIT_VMXOFF);
	kit_plain(&k, EXIT_VMXOFF);
	assert_string_equal(k.hw.log, "L1 vmxoff: #UD: not in VMX operation\n");
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(undefined_in_every_mode),
		cmocka_unit_test(undefined_outside_vmx_operation),
		cmocka_unit_test(privileged),
		cmocka_unit_test(operands_fault),
		cmocka_unit_test(vmxon_conditions),
		cmocka_unit_test(vmxon_sees_the_read_shadows),
		cmocka_unit_test(vmxon_regions),
		cmocka_unit_test(vmxon_in_root_operation),
		cmocka_unit_test(region_failures),
		cmocka_unit_test(vmclear_and_vmptrst),
		cmocka_unit_test(entries),
		cmocka_unit_test(vmxoff),
		cmocka_unit_test(fields_that_do_not_exist),
		cmocka_unit_test(widths_of_fields),
		cmocka_unit_test(fields_in_protected_mode),
		cmocka_unit_test(rsp_is_an_operand_like_others),
		cmocka_unit_test(invept),
		cmocka_unit_test(invvpid),
		cmocka_unit_test(flags_and_the_error_field),
		cmocka_unit_test(explanations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
