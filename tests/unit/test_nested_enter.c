/*
 * nested/enter.c, fail.c: VM entries of L1 that succeed, are refused, or fail.
 * Source: SDM 3C "VM Entries".
 */
#include "engine_fixture.h"

static struct fx f;

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

/*
 * nested.checks=all: nothing of a bad state reaches the processor, not even one that would enter
 * it.
 */
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
	fx_vmwrite_bits(&f, VF_PIN_CONTROLS, 0, PIN_NMI | PIN_VIRTUAL_NMI);
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
		fx_vmread_all(&f, v);
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
		fx_vmwrite_bits(&f, VF_PIN_CONTROLS, 0, i & 1 ? PIN_NMI | PIN_VIRTUAL_NMI : 0);
		FX12_WRITE(&f, GUEST_INTERRUPTIBILITY, i & 2 ? 0 : BLOCKED_BY_NMI);
		FX12_WRITE(&f, GUEST_RFLAGS, 0);
		FX01(&f, GUEST_INTERRUPTIBILITY) = i & 2 ? BLOCKED_BY_NMI : 0;
		assert_failed(fx_launch(&f), EXIT_INVALID_GUEST_STATE, 0);
		assert_int_equal(FX01(&f, GUEST_INTERRUPTIBILITY), i & 2 ? BLOCKED_BY_NMI : 0);
		fx_end(&f);
	}
}

/* A processor that has these leaves them behind: an entry must take them back. */
static void debug_exceptions_of_newer_processors_wait(void **state)
{
	static const u64 waiting[] = { BIT(11) | BIT(12), BIT(16) | BIT(12) };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		fx_start(&f, B64, false);
		f.hw.caps.rtm = f.hw.caps.bus_lock = i & 1;
		nested_caps_init(&f.n);
		f.n.check_all = true;
		FX12_WRITE(&f, GUEST_PENDING_DEBUG, waiting[i / 2]);
		if (i & 1) {
			fx_enter(&f);
			assert_int_equal(FX02(&f, GUEST_PENDING_DEBUG), waiting[i / 2]);
			fx_exit_to_l1(&f);
		} else {
			assert_int_equal(fx_launch(&f).kind, OUT_ENTRY_FAIL);
		}
		fx_end(&f);
	}
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
		cmocka_unit_test(debug_exceptions_of_newer_processors_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
