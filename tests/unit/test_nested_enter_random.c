/*
 * nested/enter.c, fail.c, on random states: it makes no difference who finds out that an entry
 * must fail, or whether L1 has a hardware shadow VMCS.
 */
#include "engine_fixture.h"

static struct fx f;

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
			fx_vmread_all(&f, v);
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
		fx_vmread_all(&f, v);	/* an entry by way of another mode may change what is saved */
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
		cmocka_unit_test(every_entry_gets_the_verdict_of_the_rules),
		cmocka_unit_test(a_shadow_vmcs_makes_no_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
