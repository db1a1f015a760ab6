/*
 * nested/enter.c, fail.c: VM entries of L1 that succeed, are refused, or fail;
 * and that it makes no difference who finds out, or whether L1 has a hardware
 * shadow VMCS. Source: SDM 3C "VM Entries".
 */
#include "engine_fixture.h"

static struct fx f;

static void set_bits(unsigned index, u64 clear, u64 set)
{
	fx_vmwrite(&f, index, (fx_vmread(&f, index) & ~clear) | set);
}

static void assert_valid(struct outcome o, u32 error)
{
	assert_int_equal(o.kind, OUT_VMFAIL_VALID);
	assert_int_equal(o.error_code, error);
	assert_int_equal(FX12_READ(&f, VM_INSTRUCTION_ERROR), error);
	assert_true(FX01(&f, GUEST_RFLAGS) & RFLAGS_ZF);
}

static void assert_failed(struct outcome o, u32 reason, u64 qualification)
{
	assert_int_equal(o.kind, OUT_ENTRY_FAIL);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), reason | EXIT_REASON_ENTRY_FAILURE);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), qualification);
	assert_int_equal(FX01(&f, GUEST_RIP), FX12_READ(&f, HOST_RIP));
}

/* nested.checks=all: nothing of a bad state reaches the processor, not even one that would enter it. */
static void all_checks_before_the_entry(void **state)
{
	(void)state;
	for (unsigned all = 0; all < 2; all++) {
		fx_start(&f, B64, all);
		f.n.check_all = all;
		fx_enter(&f);
		FX02(&f, GUEST_TR_LIMIT) = 0x1fff;	/* left in vmcs02 by the exit */
		fx_exit_to_l1(&f);
		FX12_WRITE(&f, GUEST_RFLAGS, 0);
		assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMRESUME).kind,
				 all ? OUT_ENTRY_FAIL : OUT_ENTER_L2);
		if (!all)
			assert_int_equal(fx_exit(&f, EXIT_INVALID_GUEST_STATE |
						     EXIT_REASON_ENTRY_FAILURE),
					 NESTED_REFLECTED);
		assert_int_equal(FX12_READ(&f, EXIT_REASON),
				 EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE);
		FX12_WRITE(&f, GUEST_RFLAGS, RFLAGS_FIXED);
		fx_enter(&f);
		assert_int_equal(FX02(&f, GUEST_TR_LIMIT), 0x1fff);
		fx_exit_to_l1(&f);
		fx_end(&f);
	}
}

/* SDM 3C "VM Entries": VMLAUNCH wants clear, VMRESUME launched. */
static void launch_states(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	assert_valid(fx_instruction(&f, EXIT_VMRESUME), VMERR_VMRESUME_NOT_LAUNCHED);
	assert_int_equal(fx_instruction(&f, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	assert_false(FX_SLOT(&f)->launched02);
	fx_exit_to_l1(&f);
	assert_true(FX_SLOT(&f)->launched && FX_SLOT(&f)->launched02);
	assert_valid(fx_instruction(&f, EXIT_VMLAUNCH), VMERR_VMLAUNCH_NOT_CLEAR);
	assert_int_equal(fx_instruction(&f, EXIT_VMRESUME).kind, OUT_ENTER_L2);
	fx_exit_to_l1(&f);
	fx_vmclear(&f, FX_VMCS(0));
	fx_vmptrld(&f, FX_VMCS(0));
	assert_false(FX_SLOT(&f)->launched || FX_SLOT(&f)->launched02);
	assert_valid(fx_instruction(&f, EXIT_VMRESUME), VMERR_VMRESUME_NOT_LAUNCHED);
	assert_int_equal(fx_instruction(&f, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* The hardware's launch state is vmcs02's own: a refusal by the hardware resets it. */
static void a_refused_entry_leaves_the_launch_state(void **state)
{
	(void)state;
	for (unsigned launched = 0; launched < 2; launched++) {
		fx_start(&f, B64, false);
		if (launched) {
			fx_enter(&f);
			fx_exit_to_l1(&f);
		}
		/* The hardware finds this one, if L0 had no reason to look; L0 the next. */
		FX12_WRITE(&f, ENTRY_INTR_INFO, INTR_VALID | INTR_TYPE_NMI | 7);
		assert_valid(fx_launch(&f), VMERR_ENTRY_CONTROLS);
		FX12_WRITE(&f, ENTRY_INTR_INFO, 0);
		FX12_WRITE(&f, CR3_TARGET_COUNT, 5);
		assert_valid(fx_launch(&f), VMERR_ENTRY_CONTROLS);
		FX12_WRITE(&f, CR3_TARGET_COUNT, 0);
		FX12_WRITE(&f, HOST_TR_SELECTOR, 0);
		assert_valid(fx_launch(&f), VMERR_ENTRY_HOST);
		FX12_WRITE(&f, HOST_TR_SELECTOR, 0x38);
		FX12_WRITE(&f, GUEST_RFLAGS, 0);
		assert_failed(fx_launch(&f), EXIT_INVALID_GUEST_STATE, 0);
		FX12_WRITE(&f, GUEST_RFLAGS, RFLAGS_FIXED);
		assert_int_equal(FX_SLOT(&f)->launched, launched);
		fx_enter(&f);
		assert_false(FX_SLOT(&f)->launched02);
		fx_exit_to_l1(&f);
		assert_true(FX_SLOT(&f)->launched && FX_SLOT(&f)->launched02);
		fx_end(&f);
	}
}

/* What is known to be good is not checked again; what changed is. */
static void rules_are_checked_when_their_fields_changed(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	assert_true(FX_SLOT(&f)->unchecked & BIT32(GROUP_CTL));
	fx_enter(&f);
	fx_exit_to_l1(&f);
	assert_false(FX_SLOT(&f)->unchecked & (BIT32(GROUP_CTL) | BIT32(GROUP_HOST)));
	FX12_WRITE(&f, GUEST_RIP, 0x1000);
	assert_false(FX_SLOT(&f)->unchecked & (BIT32(GROUP_CTL) | BIT32(GROUP_HOST)));
	FX12_WRITE(&f, HOST_RSP, 0x2000);
	assert_true(FX_SLOT(&f)->unchecked & BIT32(GROUP_HOST));
	fx_enter(&f);
	fx_exit_to_l1(&f);
	/* A failed check is made again, also when nothing changed. */
	FX12_WRITE(&f, HOST_CS_SELECTOR, 3);
	assert_valid(fx_launch(&f), VMERR_ENTRY_HOST);
	assert_valid(fx_launch(&f), VMERR_ENTRY_HOST);
	FX12_WRITE(&f, HOST_CS_SELECTOR, 8);
	/* L1 left 64-bit mode: no field changed, but a rule does not hold any more. */
	fx_enter(&f);
	fx_exit_to_l1(&f);
	FX01(&f, GUEST_EFER) = 0;
	FX01(&f, GUEST_CS_AR) = 0xc09b;
	assert_valid(fx_launch(&f), VMERR_ENTRY_HOST);
	fx_end(&f);
}

/* SDM 3C "VM-Entry Failures During or After Loading Guest State": by cause. */
static void failures_have_their_qualification(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	set_bits(VF_PIN_CONTROLS, 0, PIN_NMI | PIN_VIRTUAL_NMI);
	FX12_WRITE(&f, GUEST_CR3, BIT(45));
	assert_failed(fx_launch(&f), EXIT_INVALID_GUEST_STATE, 0);
	FX12_WRITE(&f, GUEST_CR3, 0x1000);
	FX12_WRITE(&f, ENTRY_INTR_INFO, INTR_VALID | INTR_TYPE_NMI | 2);
	FX12_WRITE(&f, GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI);
	assert_failed(fx_launch(&f), EXIT_INVALID_GUEST_STATE, 3);
	FX12_WRITE(&f, ENTRY_INTR_INFO, 0);
	FX12_WRITE(&f, GUEST_INTERRUPTIBILITY, 0);
	FX12_WRITE(&f, VMCS_LINK_POINTER, 0x123);
	assert_failed(fx_launch(&f), EXIT_INVALID_GUEST_STATE, 4);
	FX12_WRITE(&f, VMCS_LINK_POINTER, FX_VMCS(0));
	assert_failed(fx_launch(&f), EXIT_INVALID_GUEST_STATE, 4);
	FX12_WRITE(&f, VMCS_LINK_POINTER, ~0ull);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	fx_end(&f);

	fx_start(&f, B32, false);
	FX12_WRITE(&f, GUEST_PDPTE1, 0x8003);
	assert_failed(fx_launch(&f), EXIT_INVALID_GUEST_STATE, 2);
	fx_end(&f);
	fx_start(&f, B32_MEMORY, false);
	*fx_at(&f, PDPT + 16) = 3;
	assert_failed(fx_launch(&f), EXIT_INVALID_GUEST_STATE, 2);
	fx_end(&f);
}

/* Of several broken rules the hardware may report another one; L1 sees one order always. */
static void the_rules_decide_on_the_qualification(void **state)
{
	const u32 reason = EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE;

	(void)state;
	fx_start(&f, B64, false);
	FX12_WRITE(&f, GUEST_RFLAGS, 0);
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	FX02(&f, EXIT_QUALIFICATION) = 2;
	assert_int_equal(nested_l2_exit(&f.n, reason), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), 0);
	/* No rule explains it: then the hardware has the word. */
	FX12_WRITE(&f, GUEST_RFLAGS, RFLAGS_FIXED);
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	FX02(&f, EXIT_QUALIFICATION) = 2;
	assert_int_equal(nested_l2_exit(&f.n, reason), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), 2);
	/* A refusal that no rule explains is L0's fault: it is said aloud. */
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	assert_int_equal(nested_entry_refused(&f.n, VMERR_ENTRY_HOST).error_code,
			 VMERR_ENTRY_CONTROLS);
	assert_non_null(strstr(f.hw.log, "no rule of vmcs12 explains it"));
	fx_enter(&f);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static void read_all(u64 *v)
{
	for (unsigned i = 0; i < VF_COUNT; i++)
		v[i] = field_test(&f.n.exists, i) ? fx_vmread(&f, i) : 0;
}

static void assert_vmcs12(const u64 *expect, const char *when)
{
	for (unsigned i = 0; i < VF_COUNT; i++) {
		u64 now = field_test(&f.n.exists, i) ? fx_vmread(&f, i) : 0;

		if (now != expect[i])
			fail_msg("%s: %s is %#llx, not %#llx", when, nested_field_name[i],
				 (unsigned long long)now, (unsigned long long)expect[i]);
	}
}

/* A failed entry changes exit reason and qualification, and nothing else of vmcs12. */
static void a_failed_entry_changes_two_fields(void **state)
{
	static const struct { u32 index; u64 value; } msrs[] = {
		{ MSR_IA32_SYSENTER_CS, 0x77 }, { MSR_IA32_SYSENTER_ESP, 0x7000 }, { 0x12345, 0 },
	};
	u64 v[VF_COUNT];

	(void)state;
	for (unsigned shadow = 0; shadow < 2; shadow++) {
		fx_start(&f, B64, shadow);
		fx_enter(&f);
		for (unsigned i = VF_GUEST_ES_BASE; i <= VF_GUEST_IDTR_BASE; i++)
			*fx_vmcs02(&f, i) ^= 0x4000;
		FX02(&f, GUEST_SYSENTER_CS) = 0x11;
		fx_exit_to_l1(&f);
		FX12_WRITE(&f, GUEST_RFLAGS, 0);
		FX12_WRITE(&f, ENTRY_INTR_INFO, INTR_VALID | INTR_TYPE_NMI | 2);
		assert_failed(fx_launch(&f), EXIT_INVALID_GUEST_STATE, 0);
		read_all(v);
		assert_int_equal(v[VF_GUEST_SYSENTER_CS], 0x11);
		assert_int_equal(v[VF_ENTRY_INTR_INFO], INTR_VALID | INTR_TYPE_NMI | 2);
		assert_int_equal(v[VF_GUEST_RFLAGS], 0);
		FX12_WRITE(&f, GUEST_RFLAGS, RFLAGS_FIXED);
		v[VF_GUEST_RFLAGS] = RFLAGS_FIXED;

		for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
			memcpy(fx_at(&f, FX_PAGE(8) + 16 * i), &msrs[i].index, 4);
			memcpy(fx_at(&f, FX_PAGE(8) + 16 * i + 8), &msrs[i].value, 8);
		}
		v[VF_ENTRY_MSR_LOAD_ADDR] = FX_PAGE(8);
		v[VF_ENTRY_MSR_LOAD_COUNT] = 3;
		v[VF_EXIT_REASON] = EXIT_MSR_LOADING | EXIT_REASON_ENTRY_FAILURE;
		v[VF_EXIT_QUALIFICATION] = 3;
		FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, FX_PAGE(8));
		FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, 3);
		assert_failed(fx_launch(&f), EXIT_MSR_LOADING, 3);
		assert_vmcs12(v, "after MSR loading failed");
		/* Nor does vmcs02 keep what the list loaded. */
		FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, 0);
		FX12_WRITE(&f, ENTRY_INTR_INFO, 0);
		fx_enter(&f);
		assert_int_equal(FX02(&f, GUEST_SYSENTER_CS), 0x11);
		fx_exit_to_l1(&f);
		assert_int_equal(FX12_READ(&f, GUEST_SYSENTER_CS), 0x11);
		fx_end(&f);
	}
}

/* A list that goes with bad controls is not loaded: VMfail comes before (SDM 3C "VM Entries"). */
static void no_msr_is_loaded_before_the_controls_are_good(void **state)
{
	const u32 index = MSR_STAR;
	const u64 value = 0x1234;

	(void)state;
	fx_start(&f, B64, false);
	hw_msr_set(&f.hw, MSR_STAR, 0);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	memcpy(fx_at(&f, FX_PAGE(8)), &index, sizeof(index));
	memcpy(fx_at(&f, FX_PAGE(8) + 8), &value, sizeof(value));
	FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, FX_PAGE(8));
	FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, 1);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	assert_int_equal(f.hw.count.msr_writes, 1);
	FX12_WRITE(&f, ENTRY_INTR_INFO, INTR_VALID | INTR_TYPE_NMI | 7);
	assert_valid(fx_launch(&f), VMERR_ENTRY_CONTROLS);
	assert_int_equal(f.hw.count.msr_writes, 1);
	fx_end(&f);
}

/* SDM 3C: "the state of blocking by NMI is what it was before VM entry". */
static void a_failed_entry_leaves_blocking_by_NMI(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		fx_start(&f, B64, false);
		set_bits(VF_PIN_CONTROLS, 0, i & 1 ? PIN_NMI | PIN_VIRTUAL_NMI : 0);
		FX12_WRITE(&f, GUEST_INTERRUPTIBILITY, i & 2 ? 0 : BLOCKED_BY_NMI);
		FX12_WRITE(&f, GUEST_RFLAGS, 0);
		FX01(&f, GUEST_INTERRUPTIBILITY) = i & 2 ? BLOCKED_BY_NMI : 0;
		assert_failed(fx_launch(&f), EXIT_INVALID_GUEST_STATE, 0);
		assert_int_equal(FX01(&f, GUEST_INTERRUPTIBILITY), i & 2 ? BLOCKED_BY_NMI : 0);
		fx_end(&f);
	}
}

/*
 * The property behind leaving checks to the hardware: whoever evaluates a rule, L1
 * gets the verdict that all rules, evaluated on its vmcs12, come to.
 */
static const u16 worth_mutating[] = {
	VF_PIN_CONTROLS, VF_PROC_CONTROLS, VF_PROC2_CONTROLS, VF_EXIT_CONTROLS, VF_ENTRY_CONTROLS,
	VF_ENTRY_INTR_INFO, VF_ENTRY_ERROR_CODE, VF_ENTRY_INSTR_LENGTH, VF_CR3_TARGET_COUNT,
	VF_GUEST_INTERRUPTIBILITY, VF_GUEST_ACTIVITY, VF_GUEST_CR0, VF_GUEST_CR4, VF_GUEST_RFLAGS,
	VF_VMCS_LINK_POINTER, VF_GUEST_EFER, VF_GUEST_PAT, VF_HOST_PAT, VF_HOST_EFER, VF_GUEST_DR7,
	VF_EPT_POINTER, VF_VIRTUAL_APIC_ADDR, VF_TPR_THRESHOLD, VF_MSR_BITMAP, VF_VPID,
	VF_GUEST_PENDING_DEBUG, VF_TSC_MULTIPLIER,
};

static void mutate(u64 *v)
{
	unsigned i = fx_below(&f, 3) ? worth_mutating[fx_below(&f, ARRAY_SIZE(worth_mutating))] :
				       (unsigned)fx_below(&f, VF_COUNT);
	u64 value = v[i];

	/* Lists are read by L0 and tried elsewhere. */
	if (!field_test(&f.n.exists, i) || nested_field_merge[i] == MERGE_INFO ||
	    i == VF_ENTRY_MSR_LOAD_COUNT || i == VF_EXIT_MSR_LOAD_COUNT ||
	    i == VF_EXIT_MSR_STORE_COUNT)
		return;
	switch (fx_below(&f, 4)) {
	case 0: value = fx_random(&f); break;
	case 1: value ^= BIT(fx_below(&f, 64)); break;
	case 2: value ^= BIT(fx_below(&f, 32)) | BIT(fx_below(&f, 12)); break;
	default: value = fx_random(&f) & 0xff; break;
	}
	if (i == VF_ENTRY_INTR_INFO && fx_below(&f, 2))
		value = INTR_VALID | (fx_below(&f, 8) << 8) | fx_below(&f, 32) |
			(fx_below(&f, 2) ? INTR_ERROR_CODE : 0);
	v[i] = value & nested_field_bits[i];
	fx_vmwrite(&f, i, v[i]);
}

static void assert_verdict(struct outcome got, struct outcome want, unsigned round)
{
	if (got.kind != want.kind ||
	    (want.kind != OUT_ENTER_L2 && got.error_code != want.error_code) ||
	    (want.kind == OUT_ENTRY_FAIL && got.value != want.value))
		fail_msg("round %u: kind %d, %#x, %llu; not kind %d, %#x, %llu; %s", round,
			 got.kind, got.error_code, (unsigned long long)got.value, want.kind,
			 want.error_code, (unsigned long long)want.value, f.hw.log);
}

enum processor { PLAIN, VMCS_SHADOWING, WITHOUT_EPT };

static void verdicts(enum state_base base, enum processor processor, unsigned rounds)
{
	unsigned entered = 0, refused = 0, failed = 0;
	u64 v[VF_COUNT];

	if (processor == WITHOUT_EPT)
		fx_start_without_ept(&f, base);
	else
		fx_start(&f, base, processor == VMCS_SHADOWING);
	f.random.state = base;
	for (unsigned round = 0; round < rounds; round++) {
		struct outcome want, got;

		if (!(round % 4)) {
			fx_load_state(&f, base);
			read_all(v);
		}
		for (u64 k = fx_below(&f, 3); k; k--)
			mutate(v);
		want = fx_verdict(&f, v);
		got = fx_launch(&f);
		assert_verdict(got, want, round);
		entered += got.kind == OUT_ENTER_L2;
		refused += got.kind == OUT_VMFAIL_VALID;
		failed += got.kind == OUT_ENTRY_FAIL;
		if (f.n.in_l2)
			fx_exit_to_l1(&f);
		read_all(v);	/* an entry by way of another mode may change what is saved */
		f.hw.log_len = 0;
		*fx_place01(&f, f.n.at.efer) = base == HOST32 ? 0 : EFER_LME | EFER_LMA | EFER_SCE;
		*fx_place01(&f, f.n.at.pat) = 0x0007040600070406;
		FX01(&f, GUEST_CS_AR) = base == HOST32 ? 0xc09b : 0xa09b;
	}
	assert_true(entered > rounds / 20 && refused > rounds / 50 && failed > rounds / 50);
	fx_end(&f);
}

static void every_entry_gets_the_verdict_of_the_rules(void **state)
{
	static const enum state_base bases[] = { B64, B32, B32_MEMORY, REAL, V86, HOST32 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
		verdicts(bases[i], PLAIN, 1200);
		verdicts(bases[i], VMCS_SHADOWING, 1200);
		if (bases[i] != REAL)	/* there is no unrestricted guest */
			verdicts(bases[i], WITHOUT_EPT, 1200);
	}
}

/* The same instructions with and without a hardware shadow VMCS. */
static struct fx other;

static void both_write(unsigned i, u64 value)
{
	fx_vmwrite(&f, i, value);
	fx_vmwrite(&other, i, value);
}

static void both_run(void)
{
	struct outcome a = fx_launch(&f), b = fx_launch(&other);
	unsigned i;

	assert_verdict(a, b, 0);
	if (a.kind != OUT_ENTER_L2)
		return;
	for (unsigned k = 0; k < 5; k++) {
		u64 value = fx_random(&f);

		i = (unsigned)fx_below(&f, VF_COUNT);
		if (!field_test(&nested_fields_hot, i) && !field_test(&nested_fields_cold, i) &&
		    nested_field_merge[i] != MERGE_INFO)
			continue;
		if (i == VF_GUEST_EFER || i == VF_GUEST_CR0 || !field_test(&f.n.exists, i))
			continue;
		*fx_vmcs02(&f, i) = *fx_vmcs02(&other, i) = value & nested_field_bits[i];
	}
	FX02(&f, IDT_VECTORING_INFO) &= ~(u64)INTR_VALID;
	FX02(&other, IDT_VECTORING_INFO) &= ~(u64)INTR_VALID;
	i = fx_below(&f, 2) ? EXIT_CPUID : EXIT_EPT_VIOLATION;
	if (i == EXIT_EPT_VIOLATION)
		FX02(&f, GUEST_PHYSICAL_ADDRESS) = FX02(&other, GUEST_PHYSICAL_ADDRESS) = BIT(40);
	assert_int_equal(fx_exit(&f, i), fx_exit(&other, i));
}

static void a_shadow_vmcs_makes_no_difference(void **state)
{
	(void)state;
	fx_start(&f, B64, true);
	fx_start(&other, B64, false);
	for (unsigned step = 0; step < 30000; step++) {
		unsigned i = (unsigned)fx_below(&f, VF_COUNT);
		u64 vmcs = FX_VMCS(fx_below(&f, 3));

		switch (fx_below(&f, 16)) {
		case 0:
			fx_vmptrld(&f, vmcs);
			fx_vmptrld(&other, vmcs);
			break;
		case 1:
			fx_vmclear(&f, vmcs);
			fx_vmclear(&other, vmcs);
			if (!f.n.current) {
				fx_vmptrld(&f, vmcs);
				fx_vmptrld(&other, vmcs);
			}
			break;
		case 2: case 3: case 4: case 5:
			both_run();
			break;
		case 6:
			fx_load_state(&f, B64);
			fx_load_state(&other, B64);
			break;
		case 7: case 8: case 9: {
			static const u16 harmless[] = {
				VF_GUEST_RIP, VF_GUEST_RSP, VF_GUEST_GDTR_BASE, VF_CR0_SHADOW,
				VF_EXCEPTION_BITMAP, VF_TSC_OFFSET, VF_EXIT_REASON, VF_GUEST_PAT,
				VF_GUEST_DR7, VF_EXIT_INSTR_LENGTH,
			};

			i = harmless[fx_below(&f, ARRAY_SIZE(harmless))];
			both_write(i, fx_below(&f, 2) ? 0 : fx_random(&f) & 0x07);
			break;
		}
		default:
			if (field_test(&f.n.exists, i) && fx_vmread(&f, i) != fx_vmread(&other, i))
				fail_msg("step %u: %s is %#llx with a shadow, %#llx without", step,
					 nested_field_name[i], (unsigned long long)fx_vmread(&f, i),
					 (unsigned long long)fx_vmread(&other, i));
		}
	}
	fx_end(&f);
	fx_end(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_checks_before_the_entry),
		cmocka_unit_test(launch_states),
		cmocka_unit_test(a_refused_entry_leaves_the_launch_state),
		cmocka_unit_test(rules_are_checked_when_their_fields_changed),
		cmocka_unit_test(failures_have_their_qualification),
		cmocka_unit_test(the_rules_decide_on_the_qualification),
		cmocka_unit_test(a_failed_entry_changes_two_fields),
		cmocka_unit_test(no_msr_is_loaded_before_the_controls_are_good),
		cmocka_unit_test(a_failed_entry_leaves_blocking_by_NMI),
		cmocka_unit_test(every_entry_gets_the_verdict_of_the_rules),
		cmocka_unit_test(a_shadow_vmcs_makes_no_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
