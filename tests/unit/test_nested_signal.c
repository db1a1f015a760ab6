/*
 * nested/event.c and its neighbours: what comes from outside. NMI, INIT, MTF, SIPI, machine
 * checks, in each state that they can find L1 and L2 in.
 */
#include "engine_fixture.h"

#define NMI (INTR_VALID | INTR_TYPE_NMI | X86_NMI)

static struct fx f;

static void an_nmi_that_came_to_L0(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	assert_int_equal(nested_l2_nmi(&f.n, true), NESTED_RESUME);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), NMI);
	fx_exit_to_l1(&f);
	fx_vmwrite_bits(&f, VF_PIN_CONTROLS, 0, PIN_NMI);
	fx_enter(&f);
	assert_int_equal(nested_l2_nmi(&f.n, true), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_EXCEPTION_NMI);
	assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO), NMI);
	/* SDM 3C "Updating Non-Register State": such an exit blocks NMIs. */
	assert_int_equal(FX01(&f, GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	fx_end(&f);
}

/* L2 was launched, though the hardware never saw it. */
static void an_nmi_that_came_during_vmlaunch(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_vmwrite_bits(&f, VF_PIN_CONTROLS, 0, PIN_NMI);
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	assert_int_equal(nested_l2_nmi(&f.n, false), NESTED_REFLECTED);
	assert_int_equal(fx_instruction(&f, EXIT_VMRESUME).kind, OUT_ENTER_L2);
	fx_exit_to_l1(&f);
	/* It is not lost in an entry that fails, nor is what L1 injects L1's own. */
	FX12_WRITE(&f, GUEST_RFLAGS, 0);
	fx_vmwrite_bits(&f, VF_PIN_CONTROLS, PIN_NMI, 0);
	for (unsigned injects = 0; injects < 2; injects++) {
		if (injects)
			FX12_WRITE(&f, ENTRY_INTR_INFO, NMI);
		assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMRESUME).kind, OUT_ENTER_L2);
		if (!injects)
			assert_int_equal(nested_l2_nmi(&f.n, false), NESTED_RESUME);
		FX02(&f, EXIT_REASON) = EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE;
		assert_int_equal(nested_l2_exit(&f.n, (u32)FX02(&f, EXIT_REASON)),
				 NESTED_REFLECTED);
		assert_int_equal(FX01(&f, ENTRY_INTR_INFO), injects ? 0 : NMI);
		FX01(&f, ENTRY_INTR_INFO) = 0;
		assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	}
	fx_end(&f);
}

/* SDM 3C "Checks on Guest Non-Register State": a processor may refuse an NMI there. */
static void an_nmi_behind_sti(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	FX12_WRITE(&f, GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_IF);
	FX12_WRITE(&f, GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI);
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	assert_int_equal(nested_l2_nmi(&f.n, false), NESTED_L0);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	assert_int_equal(FX02(&f, GUEST_INTERRUPTIBILITY), BLOCKED_BY_STI);
	assert_int_equal(nested_l2_nmi(&f.n, true), NESTED_RESUME);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), NMI);
	assert_int_equal(FX02(&f, GUEST_INTERRUPTIBILITY), 0);
	fx_end(&f);
}

/* SDM 3C "VM Entries": what ends with the end of an entry is after all that makes it fail. */
static void an_nmi_after_the_entry_that_fails(void **state)
{
	const u32 failed = EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE;

	(void)state;
	fx_start(&f, B64, false);
	fx_vmwrite_bits(&f, VF_PIN_CONTROLS, 0, PIN_NMI);
	FX12_WRITE(&f, GUEST_RFLAGS, 0);
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	assert_int_equal(nested_l2_nmi(&f.n, false), NESTED_L0);
	assert_true(f.n.in_l2);
	assert_int_equal(f.hw.loaded->at.v, FX_SLOT(&f)->vmcs02.v);
	assert_false(FX_SLOT(&f)->launched);
	FX02(&f, EXIT_REASON) = failed;
	assert_int_equal(nested_l2_exit(&f.n, failed), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), failed);
	/* A state that the processor has entered is not doubted. */
	FX12_WRITE(&f, GUEST_RFLAGS, RFLAGS_FIXED);
	fx_enter(&f);
	FX02(&f, GUEST_RFLAGS) = 0;
	assert_int_equal(nested_l2_nmi(&f.n, true), NESTED_REFLECTED);
	fx_end(&f);
}

/* SDM 3C "Other Causes of VM Exits": an INIT that waited for the end of root operation. */
static void an_init_that_came_to_L0(void **state)
{
	(void)state;
	for (unsigned shadow = 0; shadow < 2; shadow++) {
		fx_start(&f, B64, shadow);
		FX12_WRITE(&f, GUEST_RIP, 0x1230);
		FX12_WRITE(&f, GUEST_ACTIVITY, ACTIVITY_HLT);
		fx_enter(&f);
		assert_int_equal(nested_l2_init(&f.n, false), NESTED_REFLECTED);
		assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_INIT);
		assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO), 0);
		assert_int_equal(FX12_READ(&f, GUEST_RIP), 0x1230);
		assert_int_equal(FX12_READ(&f, GUEST_ACTIVITY), ACTIVITY_HLT);
		assert_int_equal(FX01(&f, GUEST_RIP), FX12_READ(&f, HOST_RIP));
		/* vmcs02 was never entered, but to L1 the VMCS is launched. */
		assert_true(FX_SLOT(&f)->launched);
		assert_false(FX_SLOT(&f)->launched02);
		fx_enter(&f);
		fx_exit_to_l1(&f);
		fx_end(&f);
	}
}

static void an_init_waits(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_inject(&f, NMI, 0, 0);
	fx_enter(&f);
	assert_int_equal(nested_l2_init(&f.n, false), NESTED_RESUME);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), NMI);
	/* The event has been delivered, and L0 asked to be told. */
	FX02(&f, GUEST_RIP) = 0x5550;
	assert_int_equal(fx_exit(&f, EXIT_MONITOR_TRAP), NESTED_L0);
	assert_int_equal(nested_l2_init(&f.n, true), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_INIT);
	assert_int_equal(FX12_READ(&f, GUEST_RIP), 0x5550);
	assert_int_equal(FX12_READ(&f, ENTRY_INTR_INFO), NMI & ~INTR_VALID);
	FX12_WRITE(&f, GUEST_ACTIVITY, ACTIVITY_WAIT_SIPI);
	fx_enter(&f);
	assert_int_equal(nested_l2_init(&f.n, false), NESTED_RESUME);
	fx_exit_to_l1(&f);
	/* An entry that is going to fail does so first. */
	FX12_WRITE(&f, GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	FX12_WRITE(&f, GUEST_RFLAGS, 0);
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMRESUME).kind, OUT_ENTER_L2);
	assert_int_equal(nested_l2_init(&f.n, false), NESTED_RESUME);
	assert_true(f.n.in_l2);
	assert_int_equal(f.hw.loaded->at.v, FX_SLOT(&f)->vmcs02.v);
	assert_int_equal(fx_exit(&f, EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE),
			 NESTED_REFLECTED);
	fx_end(&f);
}

/* SDM 3C "Injection of Pending MTF VM Exits": once, and without the control. */
static void an_injected_monitor_trap(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_inject(&f, INTR_VALID | INTR_TYPE_OTHER, 0, 0);
	fx_enter(&f);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), INTR_VALID | INTR_TYPE_OTHER);
	FX02(&f, IDT_VECTORING_INFO) = 0;
	assert_int_equal(fx_exit(&f, EXIT_MONITOR_TRAP), NESTED_REFLECTED);
	fx_enter(&f);
	assert_int_equal(fx_exit(&f, EXIT_MONITOR_TRAP), NESTED_L0);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* Signals of L2 are L1's in each activity state, and what L2 did is not lost. */
static void signals_are_L1s(void **state)
{
	static const struct { u32 reason; u64 activity, qualification; } rows[] = {
		{ EXIT_INIT, ACTIVITY_ACTIVE, 0 }, { EXIT_INIT, ACTIVITY_HLT, 0 },
		{ EXIT_INIT, ACTIVITY_SHUTDOWN, 0 }, { EXIT_SIPI, ACTIVITY_WAIT_SIPI, 0x9a },
		{ EXIT_TRIPLE_FAULT, ACTIVITY_ACTIVE, 0 }, { EXIT_OTHER_SMI, ACTIVITY_ACTIVE, 0 },
	};

	(void)state;
	fx_start(&f, B64, false);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		fx_enter(&f);
		FX02(&f, GUEST_ACTIVITY) = rows[i].activity;
		FX02(&f, GUEST_RSP) = 0x7000 + i;
		FX02(&f, EXIT_QUALIFICATION) = rows[i].qualification;
		FX02(&f, IDT_VECTORING_INFO) = 0;
		assert_int_equal(fx_exit(&f, rows[i].reason), NESTED_REFLECTED);
		assert_int_equal(FX12_READ(&f, EXIT_REASON), rows[i].reason);
		assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), rows[i].qualification);
		assert_int_equal(FX12_READ(&f, GUEST_ACTIVITY), rows[i].activity);
		assert_int_equal(FX12_READ(&f, GUEST_RSP), 0x7000 + i);
		assert_int_equal(FX01(&f, GUEST_ACTIVITY), ACTIVITY_ACTIVE);
		FX12_WRITE(&f, GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	}
	fx_end(&f);
}

/* SDM 3C "Machine-Check Events During VM Entry"; and one that L0 took while L2 was to run. */
static void machine_checks(void **state)
{
	const struct outcome mc = { .kind = OUT_FAULT, .vector = X86_MC };
	const u32 info = INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_MC;

	(void)state;
	fx_start(&f, B64, false);
	f.n.explain = true;
	FX12_WRITE(&f, GUEST_RFLAGS, 0);	/* would explain a failure of another kind */
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	assert_int_equal(fx_exit(&f, EXIT_MACHINE_CHECK | EXIT_REASON_ENTRY_FAILURE),
			 NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON),
			 EXIT_MACHINE_CHECK | EXIT_REASON_ENTRY_FAILURE);
	assert_null(strstr(f.hw.log, "VM entry"));
	FX12_WRITE(&f, GUEST_RFLAGS, RFLAGS_FIXED);
	fx_enter(&f);
	assert_int_equal(nested_l2_fault(&f.n, mc), NESTED_RESUME);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), info);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, EXCEPTION_BITMAP, BIT32(X86_MC));
	fx_enter(&f);
	assert_int_equal(nested_l2_fault(&f.n, mc), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO), info);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_nmi_that_came_to_L0),
		cmocka_unit_test(an_nmi_that_came_during_vmlaunch),
		cmocka_unit_test(an_nmi_behind_sti),
		cmocka_unit_test(an_nmi_after_the_entry_that_fails),
		cmocka_unit_test(an_init_that_came_to_L0),
		cmocka_unit_test(an_init_waits),
		cmocka_unit_test(an_injected_monitor_trap),
		cmocka_unit_test(signals_are_L1s),
		cmocka_unit_test(machine_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
