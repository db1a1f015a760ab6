/*
 * For every vmcs12: what exits from L2 is what L1 wants and what L0 wants, and
 * nothing less or more; each exit has one owner, and it is the right one.
 * Judged by processor.h, which looks at vmcs12, at L0's own wants, and at the
 * vmcs02 that the engine made.
 */
#include "processor.h"
#include "random_vmcs12.h"

#include "x86.h"

#define ROUNDS 1500
#define ACTS 16

static struct fx f;

static const u8 *page12(u64 address)
{
	return fx_at(&f, address);
}

static const u8 *page02(u64 address)
{
	if (address >= FX_SHIFT && address < FX_SHIFT + FX_L1_RAM)
		return f.vm.memory.ram + address;	/* what the hardware itself uses of L1's */
	return fx_page02(&f, address);
}

/* As if L0 alone had made a VMCS for L2. */
static const u64 *l0_alone(void)
{
	static u64 v[VF_COUNT];

	v[VF_PROC_CONTROLS] = PROC_SECONDARY | PROC_IO_BITMAPS | PROC_MSR_BITMAPS;
	v[VF_PROC2_CONTROLS] = nested_proc2(FX_SLOT(&f)) & (PROC2_SHADOW_VMCS | PROC2_VMFUNC);
	v[VF_IO_BITMAP_A] = f.n.io_bitmap01[0].v;
	v[VF_IO_BITMAP_B] = f.n.io_bitmap01[1].v;
	v[VF_MSR_BITMAP] = f.n.msr_bitmap01.v;
	v[VF_VMREAD_BITMAP] = v[VF_VMWRITE_BITMAP] = f.n.fields_bitmap.v;
	return v;
}

#define ALWAYS(name) { .kind = ACT_ALWAYS, .reason = EXIT_##name }
#define BY(where, name, bit) { .kind = ACT_##where, .reason = EXIT_##name, .control = bit }
#define LOOK(how, name) { .kind = ACT_##how, .reason = EXIT_##name }

static const struct act acts[] = {
	ALWAYS(TRIPLE_FAULT), ALWAYS(INIT), ALWAYS(TASK_SWITCH), ALWAYS(CPUID), ALWAYS(GETSEC),
	ALWAYS(INVD), ALWAYS(VMCALL), ALWAYS(VMCLEAR), ALWAYS(VMLAUNCH), ALWAYS(VMPTRLD),
	ALWAYS(VMPTRST), ALWAYS(VMRESUME), ALWAYS(VMXOFF), ALWAYS(VMXON), ALWAYS(INVEPT),
	ALWAYS(INVVPID), ALWAYS(XSETBV), ALWAYS(SIPI), ALWAYS(MACHINE_CHECK),
	BY(PIN, EXTERNAL_INTERRUPT, PIN_EXTERNAL_INTERRUPT), BY(PIN, EXCEPTION_NMI, PIN_NMI),
	BY(PIN, PREEMPTION_TIMER, PIN_PREEMPTION_TIMER),
	BY(PROC, INTERRUPT_WINDOW, PROC_INTERRUPT_WINDOW), BY(PROC, NMI_WINDOW, PROC_NMI_WINDOW),
	BY(PROC, HLT, PROC_HLT), BY(PROC, INVLPG, PROC_INVLPG), BY(PROC, MWAIT, PROC_MWAIT),
	BY(PROC, RDPMC, PROC_RDPMC), BY(PROC, RDTSC, PROC_RDTSC), BY(PROC, MONITOR, PROC_MONITOR),
	BY(PROC, PAUSE, PROC_PAUSE), BY(PROC, MOV_DR, PROC_MOV_DR),
	BY(PROC, MONITOR_TRAP, PROC_MTF),
	BY(PROC, CR_ACCESS, PROC_CR3_STORE), BY(PROC, CR_ACCESS, PROC_CR8_LOAD),
	BY(PROC, CR_ACCESS, PROC_CR8_STORE),
	BY(PROC2, GDTR_IDTR, PROC2_DESCRIPTOR_TABLE), BY(PROC2, LDTR_TR, PROC2_DESCRIPTOR_TABLE),
	BY(PROC2, WBINVD, PROC2_WBINVD), BY(PROC2, RDRAND, PROC2_RDRAND),
	BY(PROC2, RDSEED, PROC2_RDSEED), BY(PROC2, APIC_ACCESS, PROC2_APIC_ACCESS),
	BY(PROC2, APIC_WRITE, PROC2_APIC_REGISTER),
	LOOK(RDTSCP, RDTSCP), LOOK(INVPCID, INVPCID), LOOK(USER_WAIT, UMWAIT),
	LOOK(USER_WAIT, TPAUSE), LOOK(XSAVES, XSAVES), LOOK(XSAVES, XRSTORS),
	LOOK(MOV_TO_CR0, CR_ACCESS), LOOK(MOV_TO_CR4, CR_ACCESS), LOOK(CLTS, CR_ACCESS),
	LOOK(LMSW, CR_ACCESS), LOOK(MOV_TO_CR3, CR_ACCESS), LOOK(EXCEPTION, EXCEPTION_NMI),
	LOOK(IO, IO), LOOK(RDMSR, MSR_READ), LOOK(WRMSR, MSR_WRITE), LOOK(VMREAD, VMREAD),
	LOOK(VMWRITE, VMWRITE), LOOK(TPR_THRESHOLD, TPR_THRESHOLD), LOOK(EOI, EOI),
	LOOK(VMFUNC, VMFUNC),
};
#define BY_TURNS (ARRAY_SIZE(acts))

static u32 some_msr(void)
{
	static const u32 edges[] = { 0, 0x1fff, 0x2000, 0xbfffffff, 0xc0000000, 0xc0001fff,
				     0xc0002000, ~0u };

	switch (fx_below(&f, 4)) {
	case 0: return edges[fx_below(&f, ARRAY_SIZE(edges))];
	case 1: return 0xc0000000 + (u32)fx_below(&f, 0x2000);
	default: return (u32)fx_below(&f, 0x2000);
	}
}

static u64 some_encoding(void)
{
	u64 e = nested_field_encoding[fx_below(&f, VF_COUNT)];

	switch (fx_below(&f, 4)) {
	case 0: return fx_below(&f, 0x8000);
	case 1: return e | BIT(15 + fx_below(&f, 49));
	default: return e | (VMCS_WIDTH(e) == VMCS_WIDTH_64 ? fx_below(&f, 2) : 0);
	}
}

/* What an action is about; where the choice is between two, near the border. */
static void particulars(struct act *a)
{
	const u64 *v = FX_SLOT(&f)->v;

	a->value = fx_random(&f);
	switch (a->kind) {
	case ACT_MOV_TO_CR0: a->value = v[VF_CR0_SHADOW] ^ BIT(fx_below(&f, 64)); break;
	case ACT_MOV_TO_CR4: a->value = v[VF_CR4_SHADOW] ^ BIT(fx_below(&f, 64)); break;
	case ACT_LMSW: a->value = (v[VF_CR0_SHADOW] & 15) ^ fx_below(&f, 16); break;
	case ACT_MOV_TO_CR3: a->value = v[VF_CR3_TARGET0 + fx_below(&f, 4)]; break;
	case ACT_EOI: a->value = fx_below(&f, 256); break;
	case ACT_IO:
		a->value = fx_below(&f, 4) ? fx_below(&f, 0x10000) :
					     0x7ffd + 0x8000 * fx_below(&f, 2) + fx_below(&f, 3);
		a->extra = 1u << fx_below(&f, 3);
		break;
	case ACT_RDMSR: case ACT_WRMSR: a->value = some_msr(); break;
	case ACT_VMREAD: case ACT_VMWRITE:
		a->value = some_encoding();
		if (!(v[VF_ENTRY_CONTROLS] & ENTRY_IA32E))
			a->value = (u32)a->value;
		break;
	case ACT_TPR_THRESHOLD:		/* L2 lowers its TPR, or not */
		*fx_at(&f, VAPIC_PAGE + 0x80) = (u8)fx_random(&f);
		break;
	case ACT_EXCEPTION:
		do
			a->value = fx_below(&f, 2) ? X86_PF : fx_below(&f, 32);
		while (a->value == X86_NMI);
		a->extra = a->value == X86_PF ? (u32)fx_below(&f, 8) : 0;
		break;
	case ACT_VMFUNC:
		a->value = fx_below(&f, 4) ? 0 : fx_below(&f, 70);
		a->extra = fx_below(&f, 4) ? (u32)fx_below(&f, 8) : 510 + (u32)fx_below(&f, 4);
		break;
	default:
		break;
	}
}

/* What the processor tells of the exit. */
static void tell(const struct act *a)
{
	u32 info = INTR_VALID | INTR_TYPE_HW_EXCEPTION | (u32)a->value;

	FX02(&f, IDT_VECTORING_INFO) = 0;
	FX02(&f, EXIT_QUALIFICATION) = a->kind == ACT_IO ? a->value << 16 | (a->extra - 1) :
							   a->value;
	if (a->kind == ACT_EXCEPTION)
		FX02(&f, EXIT_INTR_INFO) = a->value == X86_PF ? info | INTR_ERROR_CODE : info;
	else
		FX02(&f, EXIT_INTR_INFO) = INTR_VALID | INTR_TYPE_NMI | X86_NMI;
	FX02(&f, EXIT_INTR_ERROR_CODE) = a->extra;
	FX02(&f, EXIT_INSTR_INFO) = (u32)GPR_RDX << 28 | BIT32(10);
	f.gpr[GPR_RDX] = a->value;
	f.gpr[GPR_RCX] = a->kind == ACT_VMFUNC ? a->extra | fx_random(&f) << 32 :
						 (u32)a->value | fx_random(&f) << 32;
	f.gpr[GPR_RAX] = a->value;
}

/* SDM 3C "EPTP Switching": would a VM entry have accepted the EPTP? */
static bool eptp_is_good(u64 eptp)
{
	u64 type = eptp & 7, reserved = 0xf80 | ~(BIT(PHYS_WIDTH) - 1);

	return (type == MT_WB || type == MT_UC) && (eptp >> 3 & 7) == 3 && !(eptp & reserved);
}

static enum nested_verdict owner_of_vmfunc(const struct act *a)
{
	u64 eptp;

	memcpy(&eptp, fx_at(&f, RANDOM_EPTP_LIST + 8 * a->extra), sizeof(eptp));
	return eptp_is_good(eptp) ? NESTED_DONE : NESTED_REFLECTED;
}

static void fill_eptp_list(void)
{
	for (unsigned i = 0; i < 8; i++) {
		u64 eptp = FX_EPT12 | EPTP_WALK_4 | MT_WB;

		if (fx_below(&f, 2))
			eptp ^= BIT(fx_below(&f, 2) ? fx_below(&f, 64) : fx_below(&f, 12));
		fx_l1_writes(&f, RANDOM_EPTP_LIST + (i < 7 ? i : 511) * 8, &eptp, sizeof(eptp));
	}
}

struct seen { unsigned none, l0, l1, done; };
static struct seen seen[BY_TURNS];

static void judge(unsigned which)
{
	const struct processor mine = { l0_alone(), page02 };
	const struct processor cpu12 = { FX_SLOT(&f)->v, page12 };
	const struct processor cpu02 = { fx_vmcs02(&f, 0), page02 };
	struct act a = acts[which];
	bool l1_wants, l0_wants, exits;
	enum nested_verdict want, got;

	particulars(&a);
	l1_wants = processor_exits(&cpu12, &a);
	l0_wants = processor_exits(&mine, &a);
	exits = processor_exits(&cpu02, &a);
	if (exits != (l1_wants || l0_wants))
		fail_msg("reason %u, %#llx: L1 %d, L0 %d, but vmcs02 %d", a.reason,
			 (unsigned long long)a.value, l1_wants, l0_wants, exits);
	*fx_at(&f, VAPIC_PAGE + 0x80) = 0x50;
	seen[which].none += !exits;
	if (!exits)
		return;
	want = l1_wants ? NESTED_REFLECTED : a.kind == ACT_VMFUNC ? owner_of_vmfunc(&a) : NESTED_L0;
	tell(&a);
	got = fx_exit(&f, a.reason);
	if (got != want)
		fail_msg("reason %u, %#llx: verdict %d, not %d", a.reason,
			 (unsigned long long)a.value, got, want);
	seen[which].l0 += got == NESTED_L0;
	seen[which].l1 += got == NESTED_REFLECTED;
	seen[which].done += got == NESTED_DONE;
	if (got == NESTED_REFLECTED)
		assert_int_equal(FX12_READ(&f, EXIT_REASON), a.reason);
	if (got == NESTED_DONE)
		assert_memory_equal(&FX_SLOT(&f)->v[VF_EPT_POINTER],
				    fx_at(&f, RANDOM_EPTP_LIST + 8 * a.extra), 8);
}

/* All ports and MSRs of one vmcs02: too many to carry each exit out. */
static void judge_all_bitmaps(void)
{
	const struct processor mine = { l0_alone(), page02 };
	const struct processor cpu12 = { FX_SLOT(&f)->v, page12 };
	const struct processor cpu02 = { fx_vmcs02(&f, 0), page02 };

	for (u32 port = 0; port < 0x10000; port++)
		for (u32 size = 1; size <= 4; size *= 2)
			if (processor_io(&cpu02, port, size) !=
			    (processor_io(&cpu12, port, size) || processor_io(&mine, port, size)))
				fail_msg("port %#x, %u byte(s)", port, size);
	for (u32 i = 0; i < 0x4000; i++) {
		u32 msr = i < 0x2000 ? i : 0xc0000000 + i - 0x2000;

		for (unsigned write = 0; write < 2; write++)
			if (processor_msr(&cpu02, msr, write) !=
			    (processor_msr(&cpu12, msr, write) || processor_msr(&mine, msr, write)))
				fail_msg("MSR %#x, write %u", msr, write);
	}
}

static bool enter(void)
{
	return f.n.in_l2 || fx_launch(&f).kind == OUT_ENTER_L2;
}

static void start(enum state_base base)
{
	fx_start(&f, base, true);
	f.random.state = base;
	random_bitmap(&f, fx_page02(&f, f.n.io_bitmap01[0].v));
	random_bitmap(&f, fx_page02(&f, f.n.io_bitmap01[1].v));
	random_bitmap(&f, fx_page02(&f, f.n.msr_bitmap01.v));
	/* L0 wants the first and the last of each kind. */
	for (unsigned i = 0; i < PAGE_SIZE; i += PAGE_SIZE / 4) {
		fx_page02(&f, f.n.msr_bitmap01.v)[i] |= 1;
		fx_page02(&f, f.n.msr_bitmap01.v)[i + PAGE_SIZE / 4 - 1] |= 0x80;
	}
}

static void what_exits_and_whose_it_is(void **state)
{
	static const enum state_base bases[] = { B64, B32, REAL };
	unsigned entered = 0;

	(void)state;
	for (unsigned b = 0; b < ARRAY_SIZE(bases); b++) {
		start(bases[b]);
		for (unsigned round = 0; round < ROUNDS; round++) {
			random_vmcs12(&f, bases[b]);
			random_bitmaps(&f);
			fill_eptp_list();
			if (!enter())
				continue;
			entered++;
			if (!(round % 100))
				judge_all_bitmaps();
			for (unsigned i = 0; i < ACTS && enter(); i++)
				judge((unsigned)fx_below(&f, BY_TURNS));
			if (f.n.in_l2)
				fx_exit_to_l1(&f);
		}
		assert_null(f.vm.killed);
		fx_end(&f);
	}
	assert_true(entered > 3 * ROUNDS / 2);
}

/* The property said something of each: every action was L1's, and where it may be, none at all. */
static void every_case_occurred(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BY_TURNS; i++) {
		const struct act *a = &acts[i];
		bool l0s = a->kind == ACT_IO || a->kind == ACT_RDMSR || a->kind == ACT_WRMSR ||
			   a->kind == ACT_VMREAD || a->kind == ACT_VMWRITE;
		const struct seen *s = &seen[i];

		if (a->kind == ACT_USER_WAIT)
			continue;	/* the model's processor has none */
		if (!s->l1 || (!s->none && a->kind != ACT_ALWAYS) || (!s->l0 && l0s) ||
		    (!s->done && a->kind == ACT_VMFUNC))
			fail_msg("reason %u, kind %d: none %u, L1 %u, L0 %u, done %u", a->reason,
				 a->kind, s->none, s->l1, s->l0, s->done);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_exits_and_whose_it_is),
		cmocka_unit_test(every_case_occurred),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
