/*
 * An instruction of L1 that fails leaves everything that L1 can see as it was: a
 * fault all of it; a VMfail all but flags and the error field; a failed entry of
 * vmcs12 all but exit reason and qualification. Random instructions in random
 * modes with random operands, between VM entries that succeed.
 */
#include "engine_fixture.h"

#include "nested/caps.h"
#include "x86.h"

#define STEPS 6000
#define REGIONS 24u
#define PD 0x3f0000ull			/* L1's page tables go on here */
#define PT 0x3f1000ull			/* of its last 2 MiB */
#define OPERANDS 0x600000ull
#define READ_ONLY 0x7fe000ull
#define NOT_PRESENT 0x7ff000ull

static struct fx f;
static unsigned faults, vmfails, entry_fails, entered;

/* What L1 could find out, wherever the engine and the hardware keep it. */
struct view {
	bool vmxon, in_l2;
	u64 vmxon_region, current;
	u64 gpa[NESTED_SLOTS];
	bool launched[NESTED_SLOTS], is_shadow[NESTED_SLOTS];
	u64 v[NESTED_SLOTS][VF_COUNT];
	u64 vmcs01[VF_COUNT];
	u64 gpr[GPR_COUNT];
	u64 writes;
};

static void look(struct view *w)
{
	memset(w, 0, sizeof(*w));
	w->vmxon = f.n.vmxon;
	w->in_l2 = f.n.in_l2;
	w->vmxon_region = f.n.vmxon_region.v;
	w->current = f.n.current ? f.n.current->gpa.v : NESTED_NO_VMPTR.v;
	for (unsigned i = 0; i < NESTED_SLOTS; i++) {
		const struct nested_vmcs *s = &f.n.slot[i];

		w->gpa[i] = s->gpa.v;
		w->launched[i] = s->launched;
		w->is_shadow[i] = s->is_shadow;
		for (unsigned k = 0; k < VF_COUNT && s->gpa.v != NESTED_NO_VMPTR.v; k++)
			w->v[i][k] = fx_seen(&f, s, k);
	}
	memcpy(w->vmcs01, hw_region_at(&f.hw, f.n.vmcs01)->v, sizeof(w->vmcs01));
	memcpy(w->gpr, f.gpr, sizeof(w->gpr));
	w->writes = f.vm.memory.writes;		/* of L1's memory */
}

static void assert_same_fields(const u64 *a, const u64 *b, u32 reason)
{
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (a[i] != b[i])
			fail_msg("instruction %u that failed: %s was %#llx, is %#llx", reason,
				 nested_field_name[i], (unsigned long long)a[i],
				 (unsigned long long)b[i]);
}

static void assert_same(const struct view *a, const struct view *b, u32 reason)
{
	assert_same_fields(a->vmcs01, b->vmcs01, reason);
	for (unsigned i = 0; i < NESTED_SLOTS; i++)
		assert_same_fields(a->v[i], b->v[i], reason);
	if (a->writes != b->writes)
		fail_msg("instruction %u that failed wrote to memory", reason);
	assert_memory_equal(a, b, sizeof(*a));
}

/* SDM 3C "Conventions": what VMfail changes. */
static void expect_vmfail(struct view *w, struct outcome o)
{
	u64 *flags = &w->vmcs01[VF_GUEST_RFLAGS];

	*flags &= ~RFLAGS_ARITH;
	*flags |= o.kind == OUT_VMFAIL_VALID ? RFLAGS_ZF : RFLAGS_CF;
	if (o.kind == OUT_VMFAIL_VALID)
		w->v[f.n.current - f.n.slot][VF_VM_INSTRUCTION_ERROR] = o.error_code;
}

/* SDM 3C "VM-Entry Failures During or After Loading Guest State"; L1's own state is loaded. */
static void expect_entry_fail(struct view *w, const struct view *now, struct outcome o)
{
	u64 *v = w->v[f.n.current - f.n.slot];

	v[VF_EXIT_REASON] = o.error_code;
	v[VF_EXIT_QUALIFICATION] = o.value;
	memcpy(w->vmcs01, now->vmcs01, sizeof(w->vmcs01));
	assert_int_equal(w->vmcs01[VF_GUEST_RIP], v[VF_HOST_RIP]);
}

static struct outcome run(u32 reason)
{
	static struct view before, after;
	struct outcome o;

	hw_save_lma(&f.hw, f.n.at.efer);	/* of the exit, which is before it fails */
	look(&before);
	o = fx_instruction(&f, reason);
	look(&after);
	switch (o.kind) {
	case OUT_FAULT:
		faults++;
		break;
	case OUT_VMFAIL_INVALID:
	case OUT_VMFAIL_VALID:
		vmfails++;
		expect_vmfail(&before, o);
		break;
	case OUT_ENTRY_FAIL:
		if (f.vm.killed)	/* a VMX abort: L1 is no more */
			return o;
		entry_fails++;
		expect_entry_fail(&before, &after, o);
		break;
	default:
		return o;
	}
	assert_same(&before, &after, reason);
	return o;
}

static void poke(u64 at, u64 value)
{
	memcpy(fx_at(&f, at), &value, sizeof(value));
}

/* One to one, with two pages that are not what they should be. Accessed flags are set: that
 * they are is no failure of what follows. */
static void page_tables(void)
{
	poke(0x3000, 0x4023);
	poke(0x4000, PD | 0x23);
	for (u64 i = 0; i < 3; i++)
		poke(PD + 8 * i, i * SZ_2M | 0xe3);
	poke(PD + 24, PT | 0x23);
	for (u64 i = 0; i < 512; i++) {
		u64 page = 3 * SZ_2M + i * PAGE_SIZE;

		poke(PT + 8 * i,
		     page == NOT_PRESENT ? 0 : page | 0x60 | (page == READ_ONLY ? 1 : 3));
	}
}

/* L1 in 64-bit mode at CPL 0, or in one of the modes in which its instructions fault. */
static void choose_mode(void)
{
	FX01(&f, GUEST_CR0) = CR0_PE | CR0_ET | CR0_NE | CR0_PG | CR0_WP;
	FX01(&f, GUEST_CR3) = 0x3000;
	FX01(&f, GUEST_CR4) = CR4_PAE | CR4_VMXE;
	FX01(&f, GUEST_EFER) = EFER_LME | EFER_LMA | EFER_SCE;
	FX01(&f, GUEST_RFLAGS) = RFLAGS_FIXED | (fx_random(&f) & RFLAGS_ARITH);
	FX01(&f, GUEST_INTERRUPTIBILITY) = fx_below(&f, 16) ? 0 : BLOCKED_BY_MOV_SS;
	for (unsigned seg = 0; seg < 6; seg++) {
		*fx_vmcs01(&f, VF_GUEST_ES_AR + seg) = seg == SEG_CS ? 0xa09b : 0xc093;
		*fx_vmcs01(&f, VF_GUEST_ES_LIMIT + seg) = 0xffffffff;
	}
	switch (fx_below(&f, 24)) {
	case 0: FX01(&f, GUEST_SS_AR) |= 3 << AR_DPL_SHIFT; break;
	case 1: FX01(&f, GUEST_CS_AR) = 0xc09b; break;
	case 2: FX01(&f, GUEST_CR4) &= ~CR4_VMXE; break;
	case 3: FX01(&f, GUEST_DS_AR) |= AR_UNUSABLE; break;
	case 4:
		FX01(&f, GUEST_EFER) = 0;
		FX01(&f, GUEST_RFLAGS) |= RFLAGS_VM;
		break;
	}
}

static u64 some_region(void)
{
	switch (fx_below(&f, 8)) {
	case 0: return FX_VMXON;
	case 1: return FX_PAGE(0);	/* no revision identifier */
	case 2: return FX_VMCS(0) + fx_below(&f, PAGE_SIZE);
	case 3: return FX_NOWHERE;
	case 4: return BIT(fx_below(&f, 64));
	default: return FX_VMCS(fx_below(&f, REGIONS));
	}
}

static u64 some_operand_address(void)
{
	switch (fx_below(&f, 8)) {
	case 0: return NOT_PRESENT + fx_below(&f, 16);
	case 1: return NOT_PRESENT - fx_below(&f, 16);
	case 2: return READ_ONLY + fx_below(&f, 16);
	case 3: return BIT(47 + fx_below(&f, 17)) - fx_below(&f, 16);
	default: return OPERANDS;
	}
}

static u64 some_encoding(void)
{
	u64 e = nested_field_encoding[fx_below(&f, VF_COUNT)];

	return fx_below(&f, 3) ? e : fx_below(&f, 2) ? e ^ BIT(fx_below(&f, 64)) : fx_random(&f);
}

static struct outcome random_instruction(void)
{
	static const u16 reasons[] = {
		EXIT_VMCALL, EXIT_VMCLEAR, EXIT_VMLAUNCH, EXIT_VMPTRLD, EXIT_VMPTRST, EXIT_VMREAD,
		EXIT_VMRESUME, EXIT_VMWRITE, EXIT_VMXON, EXIT_INVEPT, EXIT_INVVPID,
	};
	u32 reason = fx_below(&f, 60) ? reasons[fx_below(&f, ARRAY_SIZE(reasons))] : EXIT_VMXOFF;
	bool registers = (reason == EXIT_VMREAD || reason == EXIT_VMWRITE) && fx_below(&f, 2);
	u64 operand[2] = { some_region(), fx_random(&f) };

	choose_mode();
	if (reason == EXIT_VMXON && fx_below(&f, 2))
		operand[0] = FX_VMXON + (fx_below(&f, 4) ? 0 : 8);
	else if (reason == EXIT_VMXON)
		operand[0] = FX_PAGE(0);
	if (reason == EXIT_INVVPID)
		operand[0] = fx_below(&f, 3) ? fx_below(&f, 4) : fx_random(&f);
	memcpy(fx_at(&f, OPERANDS), operand, sizeof(operand));
	memcpy(fx_at(&f, READ_ONLY), operand, sizeof(operand));
	for (unsigned g = 0; g < GPR_COUNT; g++)
		f.gpr[g] = fx_random(&f);
	f.gpr[GPR_RDX] = reason == EXIT_INVEPT || reason == EXIT_INVVPID ? fx_below(&f, 6) :
									   some_encoding();
	FX01(&f, EXIT_INSTR_INFO) = (u32)GPR_RDX << 28 | (u32)GPR_RAX << 3 |
		(registers ? BIT32(10) : 2u << 7 | (u32)SEG_DS << 15 | BIT32(22) | BIT32(27));
	FX01(&f, EXIT_QUALIFICATION) = some_operand_address();
	return run(reason);
}

/* A value near the one that is there; VMfail or a failed entry often follow. */
static void disturb(void)
{
	unsigned i = (unsigned)fx_below(&f, VF_COUNT);

	if (!f.n.current || !field_test(&f.n.exists, i) || i == VF_VMCS_LINK_POINTER ||
	    i == VF_EXIT_MSR_LOAD_COUNT || i == VF_EXIT_MSR_STORE_COUNT)
		return;
	if (i == VF_ENTRY_MSR_LOAD_COUNT)
		fx_vmwrite(&f, i, fx_below(&f, 2));
	else
		fx_vmwrite(&f, i, fx_vmread(&f, i) ^ BIT(fx_below(&f, 64)));
}

/* L2 runs for a while, and its exit leaves much of what it did in vmcs02. */
static void l2_runs(void)
{
	entered++;
	for (unsigned k = 0; k < 4; k++) {
		unsigned i = (unsigned)fx_below(&f, VF_COUNT);

		if (field_test(&f.n.exists, i) && nested_field_merge[i] == MERGE_COPY &&
		    field_test(&nested_fields_cold, i))
			*fx_vmcs02(&f, i) ^= fx_random(&f) & nested_field_bits[i];
	}
	fx_exit_to_l1(&f);
}

static void recover(void)
{
	if (!f.n.vmxon) {
		f.n.vmxon = true;
		f.n.vmxon_region = GPA1(FX_VMXON);
	}
	if (!f.n.current || fx_below(&f, 4)) {
		fx_vmptrld(&f, FX_VMCS(fx_below(&f, REGIONS)));
		fx_load_state(&f, B64);
		FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, FX_PAGE(1));	/* a list of zeros: MSR 0 */
	}
}

static void step(void)
{
	struct outcome o;

	switch (fx_below(&f, 10)) {
	case 0:
		recover();
		break;
	case 1: case 2:
		disturb();
		break;
	case 3: case 4:
		choose_mode();
		if (!f.n.current)
			break;
		o = run(f.n.current->launched ? EXIT_VMRESUME : EXIT_VMLAUNCH);
		if (o.kind == OUT_ENTER_L2)
			l2_runs();
		break;
	default:
		if (random_instruction().kind == OUT_ENTER_L2)
			l2_runs();
	}
}

static void sequence(bool shadow)
{
	fx_start(&f, B64, shadow);
	f.random.state = 3 + shadow;
	page_tables();
	hw_msr_set(&f.hw, MSR_IA32_FEATURE_CONTROL, 5);
	for (unsigned i = 0; i < STEPS; i++) {
		f.vm.killed = NULL;
		step();
	}
	fx_end(&f);
}

static void a_failed_instruction_changes_nothing(void **state)
{
	(void)state;
	sequence(false);
	sequence(true);
	assert_true(faults > 1000 && vmfails > 1000 && entry_fails > 50 && entered > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_instruction_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
