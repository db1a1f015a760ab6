/*
 * An event is neither lost nor delivered twice, whatever exits in between. A
 * model follows the one event that is under way for each L2 (and the NMI that L0
 * keeps): injected by L1, by L0, or raised by L2 itself; interrupted by exits that
 * L0 absorbs or L1 gets; taken back by failed entries and injected anew. Only a
 * delivery that ends counts, and it must be of that event, with its error code
 * and its length.
 */
#include "engine_fixture.h"

#include "x86.h"

#define VMCSS 3
#define STEPS 15000
#define BITMAP FX_PAGE(0)
#define ABSORBED FX_PAGE(1)	/* GPA2s that ept12 maps, and that it does not */
#define REFLECTED SZ_1G

struct event { u32 info, code, length; };

enum place {
	NOWHERE,	/* nothing is */
	IN_VMCS12,	/* L1 injects it; the entry has not succeeded yet */
	IN_L2,		/* the processor delivers it at the next entry, or goes on doing so */
};

static struct fx f;
static struct flight {
	enum place place;	/* of the event that is under way */
	struct event e;
	struct event kept[4];	/* by L1, which has to inject them */
	unsigned count;
} flight[VMCSS];
static unsigned current;
static bool nmi_kept;		/* by L0 */
static unsigned made, ended, absorbed, passed, failed, taken_back, nmis_to_l1;

static struct flight *here(void)
{
	return &flight[current];
}

static bool is_nmi(struct event e)
{
	return (e.info & INTR_TYPE) == INTR_TYPE_NMI;
}

static bool is_software(struct event e)
{
	u32 type = e.info & INTR_TYPE;

	return type == INTR_TYPE_SW_INTERRUPT || type == INTR_TYPE_SW_EXCEPTION ||
	       type == INTR_TYPE_PRIV_SW_EXCEPTION;
}

/* Each of another vector, error code or length, so that two are not mistaken. */
static struct event some_event(void)
{
	static const u8 faults[] = { X86_TS, X86_NP, X86_SS, X86_GP, X86_PF };
	struct event e = { .info = INTR_VALID };

	switch (fx_below(&f, 6)) {
	case 0:
		e.info |= INTR_TYPE_EXTERNAL | (32 + (u32)fx_below(&f, 224));
		break;
	case 1:
		e.info |= INTR_TYPE_NMI | X86_NMI;
		break;
	case 2:
		e.info |= INTR_TYPE_SW_INTERRUPT | (u32)fx_below(&f, 256);
		e.length = 1 + (u32)fx_below(&f, 15);
		break;
	case 3:
		e.info |= INTR_TYPE_SW_EXCEPTION | (X86_BP + (u32)fx_below(&f, 2));
		e.length = 1 + (u32)fx_below(&f, 15);
		break;
	case 4:
		e.info |= INTR_TYPE_HW_EXCEPTION | X86_UD;
		break;
	default:
		e.info |= INTR_TYPE_HW_EXCEPTION | INTR_ERROR_CODE |
			  faults[fx_below(&f, ARRAY_SIZE(faults))];
		e.code = (u32)fx_below(&f, 0x8000);
	}
	return e;
}

/* Raised in L2, or by L0 for it. */
static void raise_in_l2(struct event e)
{
	assert_int_equal(here()->place, NOWHERE);
	made++;
	here()->place = IN_L2;
	here()->e = e;
}

static void keep_for_l1(struct event e)
{
	assert_true(here()->count < ARRAY_SIZE(here()->kept));
	here()->kept[here()->count++] = e;
}

static void assert_event(struct event e, u64 info, u64 code, u64 length)
{
	assert_int_equal(info, e.info);
	if (e.info & INTR_ERROR_CODE)
		assert_int_equal(code, e.code);
	if (is_software(e))
		assert_int_equal(length, e.length);
}

/* What vmcs02 injects is what is under way to L2, if anything is. */
static void expect_injection(void)
{
	u64 info = FX02(&f, ENTRY_INTR_INFO);

	if (here()->place != IN_L2)
		assert_false(info & INTR_VALID);
	else
		assert_event(here()->e, info, FX02(&f, ENTRY_ERROR_CODE),
			     FX02(&f, ENTRY_INSTR_LENGTH));
}

static bool blocks_nmis(void)
{
	return FX02(&f, GUEST_INTERRUPTIBILITY) & BLOCKED_BY_NMI;
}

/* SDM 3A "Handling Multiple NMIs"; 3C "VM-Entry Injection": blocked from the delivery on. */
static void delivery_starts(struct event e)
{
	if (is_nmi(e))
		FX02(&f, GUEST_INTERRUPTIBILITY) |= BLOCKED_BY_NMI;
}

static void delivery_ends(void)
{
	here()->place = NOWHERE;
	ended++;
}

/* SDM 3C "Information for VM Exits That Occur During Event Delivery". */
static void tell_vectoring(const struct event *e)
{
	u32 undefined = fx_below(&f, 2) ? INTR_NMI_UNBLOCKING : 0;

	FX02(&f, IDT_VECTORING_INFO) = e ? e->info | undefined : 0;
	FX02(&f, IDT_VECTORING_ERROR_CODE) = e && e->info & INTR_ERROR_CODE ? e->code :
									      fx_random(&f);
	FX02(&f, EXIT_INSTR_LENGTH) = e && is_software(*e) ? e->length : fx_below(&f, 16);
}

/* An exit of L2; during a delivery if e is one. L1 gets what was interrupted. */
static void exits(u32 reason, const struct event *e)
{
	enum nested_verdict verdict;

	tell_vectoring(e);
	verdict = fx_exit(&f, reason);
	if (verdict != NESTED_REFLECTED) {
		absorbed += !!e;
		return;
	}
	assert_false(FX12_READ(&f, ENTRY_INTR_INFO) & INTR_VALID);
	assert_int_equal(!!(FX12_READ(&f, IDT_VECTORING_INFO) & INTR_VALID), !!e);
	if (!e)
		return;
	assert_event(*e, FX12_READ(&f, IDT_VECTORING_INFO) & ~(u64)INTR_NMI_UNBLOCKING,
		     FX12_READ(&f, IDT_VECTORING_ERROR_CODE), FX12_READ(&f, EXIT_INSTR_LENGTH));
	here()->place = NOWHERE;
	keep_for_l1(*e);
	passed++;
}

static void violation(u64 gpa2, const struct event *e)
{
	FX02(&f, GUEST_PHYSICAL_ADDRESS) = gpa2;
	FX02(&f, EXIT_QUALIFICATION) = EPTQ_READ;
	exits(EXIT_EPT_VIOLATION, e);
}

/* A delivery, of what was injected or of L2's own, meets what makes it exit. */
static void exit_during_delivery(void)
{
	struct event e = here()->e;

	delivery_starts(e);
	switch (fx_below(&f, 4)) {
	case 0:
		violation(REFLECTED, &e);
		break;
	case 1:
		exits(EXIT_TASK_SWITCH, &e);
		break;
	default:
		violation(ABSORBED, &e);
	}
}

/* L0 emulates an instruction of L2 that faults; L1 does not intercept #GP, or does. */
static void fault_of_l0(void)
{
	struct event e = { INTR_VALID | INTR_TYPE_HW_EXCEPTION | INTR_ERROR_CODE | X86_GP, 0, 0 };

	f.gpr[GPR_RCX] = 0x3a;
	tell_vectoring(NULL);
	assert_int_equal(fx_exit(&f, EXIT_MSR_WRITE), NESTED_L0);
	if (nested_l2_fault(&f.n, OUTCOME_GP) == NESTED_RESUME) {
		raise_in_l2(e);
		return;
	}
	assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO), e.info);
	assert_false(FX12_READ(&f, IDT_VECTORING_INFO) & INTR_VALID);
}

/* L2 raises an event itself, and its delivery exits. An NMI comes from outside, if it may. */
static void own_event(void)
{
	struct event e = some_event();

	if (is_nmi(e) && (blocks_nmis() || FX02(&f, PIN_CONTROLS) & PIN_NMI)) {
		exits(EXIT_CPUID, NULL);
		return;
	}
	raise_in_l2(e);
	exit_during_delivery();
}

static void exit_between_deliveries(void)
{
	switch (fx_below(&f, 6)) {
	case 0:
		violation(ABSORBED, NULL);
		break;
	case 1:
		violation(REFLECTED, NULL);
		break;
	case 2:
		fault_of_l0();
		break;
	case 3:
		own_event();
		break;
	default:
		exits(EXIT_CPUID, NULL);
	}
}

/* vm/nmi.c: L0 keeps an NMI until it can be injected or is an exit. */
static void nmi_for_l0(void)
{
	struct event e = { INTR_VALID | INTR_TYPE_NMI | X86_NMI, 0, 0 };
	bool exit = FX02(&f, PIN_CONTROLS) & PIN_NMI;

	if (!fx_below(&f, 6) && !blocks_nmis())
		nmi_kept = true;
	if (!nmi_kept || (FX02(&f, ENTRY_INTR_INFO) & INTR_VALID) || (!exit && blocks_nmis()))
		return;
	nmi_kept = false;
	if (nested_l2_nmi(&f.n, true) == NESTED_RESUME) {
		assert_false(exit);
		raise_in_l2(e);
		return;
	}
	assert_true(exit);
	assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO), e.info);
	nmis_to_l1++;
}

static void l2_turn(void)
{
	expect_injection();
	if (here()->place == IN_L2 && !fx_below(&f, 3)) {
		exit_during_delivery();
	} else {
		if (here()->place == IN_L2) {
			delivery_starts(here()->e);
			delivery_ends();
		}
		if (fx_below(&f, 2))	/* IRET */
			FX02(&f, GUEST_INTERRUPTIBILITY) &= ~(u64)BLOCKED_BY_NMI;
		exit_between_deliveries();
	}
	if (f.n.in_l2)
		nmi_for_l0();
	if (f.n.in_l2)
		fx_resume(&f);
}

/* L1 injects; an NMI again only after it has undone what its first delivery blocked. */
static void inject(void)
{
	struct event e = here()->kept[--here()->count];

	FX12_WRITE(&f, ENTRY_INTR_INFO, e.info);
	FX12_WRITE(&f, ENTRY_ERROR_CODE, e.info & INTR_ERROR_CODE ? e.code : fx_random(&f));
	FX12_WRITE(&f, ENTRY_INSTR_LENGTH, is_software(e) ? e.length : fx_below(&f, 100));
	if (is_nmi(e))
		FX12_WRITE(&f, GUEST_INTERRUPTIBILITY, 0);
	here()->e = e;
	here()->place = IN_VMCS12;
}

static void take_back(void)
{
	FX12_WRITE(&f, ENTRY_INTR_INFO, FX12_READ(&f, ENTRY_INTR_INFO) & ~(u64)INTR_VALID);
	here()->place = NOWHERE;
	keep_for_l1(here()->e);
	taken_back++;
}

static void enter(void)
{
	struct outcome o = fx_launch(&f);

	assert_int_equal(o.kind, OUT_ENTER_L2);
	if (here()->place == IN_VMCS12)
		here()->place = IN_L2;
}

/* Each way to fail, and back; L1's event is where it was. */
static void enter_and_fail(void)
{
	static const struct { u8 field; u64 bad; } ways[] = {
		{ VF_GUEST_RFLAGS, 0 }, { VF_ENTRY_MSR_LOAD_COUNT, 1 }, { VF_CR3_TARGET_COUNT, 5 },
		{ VF_HOST_CR0, 0 }, { VF_GUEST_ACTIVITY, 7 }, { VF_GUEST_CS_AR, 0 },
	};
	unsigned w = (unsigned)fx_below(&f, ARRAY_SIZE(ways));
	u64 good = fx_vmread(&f, ways[w].field), info = FX12_READ(&f, ENTRY_INTR_INFO);

	fx_vmwrite(&f, ways[w].field, ways[w].bad);
	assert_int_not_equal(fx_launch(&f).kind, OUT_ENTER_L2);
	assert_int_equal(FX12_READ(&f, ENTRY_INTR_INFO), info);
	fx_vmwrite(&f, ways[w].field, good);
	failed++;
}

static void load(unsigned i)
{
	current = i;
	fx_vmptrld(&f, FX_VMCS(i));
}

static void l1_turn(void)
{
	switch (fx_below(&f, 12)) {
	case 0: case 1:
		enter_and_fail();
		break;
	case 2:
		if (here()->place == IN_VMCS12)
			take_back();
		break;
	case 3:
		load((unsigned)fx_below(&f, VMCSS));
		break;
	case 4:
		fx_vmclear(&f, FX_VMCS(current));
		load(current);
		break;
	case 5: case 6: case 7: case 8:
		if (!here()->count && fx_below(&f, 2)) {
			made++;
			keep_for_l1(some_event());
		}
		if (here()->count && here()->place == NOWHERE)
			inject();
		break;
	default:
		if (here()->count < 3)
			enter();
	}
}

/* VMCS(0): L1 wants NMIs and has virtual ones. VMCS(1): it wants none. VMCS(2): and no #GP. */
static void start(bool shadow)
{
	static const u32 pin[VMCSS] = { PIN_NMI | PIN_VIRTUAL_NMI, 0, PIN_NMI };

	fx_start(&f, B64, shadow);
	f.random.state = 70 + shadow;
	fx_page02(&f, f.n.msr_bitmap01.v)[0x800 + 0x3a / 8] = 1 << 0x3a % 8;
	for (unsigned i = 0; i < VMCSS; i++) {
		load(i);
		fx_load_state(&f, B64);
		FX12_WRITE(&f, PIN_CONTROLS, FX12_READ(&f, PIN_CONTROLS) | pin[i]);
		FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) | PROC_MSR_BITMAPS);
		FX12_WRITE(&f, MSR_BITMAP, BITMAP);
		FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, FX_NOWHERE);
		FX12_WRITE(&f, EXCEPTION_BITMAP, i == 2 ? BIT32(X86_GP) : 0);
	}
	memset(flight, 0, sizeof(flight));
	nmi_kept = false;
}

/* Whatever is still under way arrives, if nothing interrupts it any more. */
static void drain(void)
{
	if (f.n.in_l2)
		exits(EXIT_CPUID, here()->place == IN_L2 ? &here()->e : NULL);
	for (unsigned i = 0; i < VMCSS; i++) {
		load(i);
		while (here()->count || here()->place != NOWHERE) {
			if (here()->place == NOWHERE)
				inject();
			enter();
			expect_injection();
			delivery_ends();
			exits(EXIT_CPUID, NULL);
		}
	}
}

static void sequence(bool shadow)
{
	start(shadow);
	for (unsigned i = 0; i < STEPS; i++) {
		if (f.n.in_l2)
			l2_turn();
		else
			l1_turn();
	}
	drain();
	assert_int_equal(ended, made);
	fx_end(&f);
}

static void events_are_delivered_once(void **state)
{
	(void)state;
	sequence(false);
	sequence(true);
	assert_true(made > 2000 && absorbed > 500 && passed > 500 && failed > 500);
	assert_true(taken_back > 100 && nmis_to_l1 > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(events_are_delivered_once) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
