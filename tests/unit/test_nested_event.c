/*
 * Events: what L1 injects, what an exit interrupted, what L0 brings to L2 itself.
 * nested/event.c and its neighbours.
 */
#include "engine_fixture.h"

static struct fx f;

static void set_bits(unsigned index, u64 clear, u64 set)
{
	fx_vmwrite(&f, index, (fx_vmread(&f, index) & ~clear) | set);
}

static void inject(u32 info, u32 code, u32 length)
{
	FX12_WRITE(&f, ENTRY_INTR_INFO, info);
	FX12_WRITE(&f, ENTRY_ERROR_CODE, code);
	FX12_WRITE(&f, ENTRY_INSTR_LENGTH, length);
}

/* An EPT violation that L0 absorbs. */
static void absorbed_exit(u32 vectoring, u32 code, u32 length, u64 qualification)
{
	FX02(&f, IDT_VECTORING_INFO) = vectoring;
	FX02(&f, IDT_VECTORING_ERROR_CODE) = code;
	FX02(&f, EXIT_INSTR_LENGTH) = length;
	FX02(&f, EXIT_QUALIFICATION) = qualification;
	FX02(&f, GUEST_PHYSICAL_ADDRESS) = FX_PAGE(1);
	assert_int_equal(fx_exit(&f, EXIT_EPT_VIOLATION), NESTED_RESUME);
}

#define GP (INTR_VALID | INTR_TYPE_HW_EXCEPTION | INTR_ERROR_CODE | X86_GP)
#define INT80 (INTR_VALID | INTR_TYPE_SW_INTERRUPT | 0x80)
#define NMI (INTR_VALID | INTR_TYPE_NMI | X86_NMI)
#define IRQ (INTR_VALID | INTR_TYPE_EXTERNAL | 0x31)

/* SDM 3C "VM-Entry Controls for Event Injection": the exit clears the valid bit. */
static void an_injected_event_is_injected_once(void **state)
{
	static const struct { u32 info, code, length; } events[] = {
		{ GP, 0x18, 0 }, { INT80, 0, 2 }, { NMI, 0, 0 }, { IRQ, 0, 0 },
		{ INTR_VALID | INTR_TYPE_SW_EXCEPTION | X86_BP, 0, 1 },
	};

	(void)state;
	for (unsigned shadow = 0; shadow < 2; shadow++) {
		fx_start(&f, B64, shadow);
		for (unsigned i = 0; i < ARRAY_SIZE(events); i++) {
			inject(events[i].info, events[i].code, events[i].length);
			fx_enter(&f);
			assert_int_equal(FX02(&f, ENTRY_INTR_INFO), events[i].info);
			assert_int_equal(FX02(&f, ENTRY_ERROR_CODE), events[i].code);
			assert_int_equal(FX02(&f, ENTRY_INSTR_LENGTH), events[i].length);
			fx_exit_to_l1(&f);
			assert_int_equal(FX12_READ(&f, ENTRY_INTR_INFO),
					 events[i].info & ~INTR_VALID);
			fx_enter(&f);
			assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
			fx_exit_to_l1(&f);
		}
		fx_end(&f);
	}
}

/* The delivery that a reflected exit interrupted is L1's to repeat. */
static void a_reflected_exit_passes_vectoring_on(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	FX02(&f, IDT_VECTORING_INFO) = GP;
	FX02(&f, IDT_VECTORING_ERROR_CODE) = 0x2a;
	FX02(&f, EXIT_INSTR_LENGTH) = 3;
	assert_int_equal(fx_exit(&f, EXIT_TASK_SWITCH), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, IDT_VECTORING_INFO), GP);
	assert_int_equal(FX12_READ(&f, IDT_VECTORING_ERROR_CODE), 0x2a);
	assert_int_equal(FX12_READ(&f, EXIT_INSTR_LENGTH), 3);
	fx_enter(&f);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, IDT_VECTORING_INFO) & INTR_VALID, 0);
	fx_end(&f);
}

/* The delivery that an absorbed exit interrupted is repeated with all it had. */
static void an_absorbed_exit_delivers_again(void **state)
{
	static const struct { u32 info, code, length; } events[] = {
		{ GP, 0x2a, 0 }, { INT80, 0, 2 }, { NMI, 0, 0 }, { IRQ, 0, 0 },
		{ INTR_VALID | INTR_TYPE_PRIV_SW_EXCEPTION | X86_DB, 0, 1 },
		{ INTR_VALID | INTR_TYPE_SW_EXCEPTION | X86_BP, 0, 5 },
	};

	(void)state;
	fx_start(&f, B64, false);
	for (unsigned i = 0; i < ARRAY_SIZE(events); i++) {
		/* Bit 12 is undefined in the vectoring information and reserved in the other. */
		u32 garbage = i & 1 ? INTR_NMI_UNBLOCKING : 0;

		fx_enter(&f);
		absorbed_exit(events[i].info | garbage, events[i].code, events[i].length,
			      EPTQ_READ);
		assert_int_equal(FX02(&f, ENTRY_INTR_INFO), events[i].info);
		if (events[i].info & INTR_ERROR_CODE)
			assert_int_equal(FX02(&f, ENTRY_ERROR_CODE), events[i].code);
		assert_int_equal(FX02(&f, ENTRY_INSTR_LENGTH), events[i].length);
		/* L1 never learns of it. */
		fx_exit_to_l1(&f);
		assert_false(FX12_READ(&f, ENTRY_INTR_INFO) & INTR_VALID);
		assert_false(FX12_READ(&f, IDT_VECTORING_INFO) & INTR_VALID);
	}
	fx_enter(&f);
	absorbed_exit(0, 0, 0, EPTQ_READ);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 3C "Checks on Guest Non-Register State" would refuse the NMI that is delivered
 * again: its first delivery blocked NMIs, which "Resuming Guest Software after Handling
 * an Exception" says to undo. */
static void an_nmi_delivered_again_is_not_blocked_by_itself(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	set_bits(VF_PIN_CONTROLS, 0, PIN_NMI | PIN_VIRTUAL_NMI);
	inject(NMI, 0, 0);
	fx_enter(&f);
	FX02(&f, GUEST_INTERRUPTIBILITY) = BLOCKED_BY_NMI;
	absorbed_exit(NMI, 0, 0, EPTQ_READ);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), NMI);
	assert_int_equal(FX02(&f, GUEST_INTERRUPTIBILITY), 0);
	/* Any other event leaves the blocking alone. */
	FX02(&f, GUEST_INTERRUPTIBILITY) = BLOCKED_BY_NMI;
	absorbed_exit(GP, 0, 0, EPTQ_READ);
	assert_int_equal(FX02(&f, GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 3C "Information About NMI Unblocking Due to IRET". */
static void an_absorbed_fault_of_iret_blocks_nmis_again(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	absorbed_exit(0, 0, 0, EPTQ_READ | EPTQ_NMI_UNBLOCKED);
	assert_int_equal(FX02(&f, GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	/* During event delivery the bit is undefined. */
	FX02(&f, GUEST_INTERRUPTIBILITY) = 0;
	absorbed_exit(GP, 0, 0, EPTQ_READ | EPTQ_NMI_UNBLOCKED);
	assert_int_equal(FX02(&f, GUEST_INTERRUPTIBILITY), 0);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* L0 emulates something for L2 that faults. */
static void a_fault_of_L2_is_injected_or_reflected(void **state)
{
	static const struct outcome faults[] = {
		{ .kind = OUT_FAULT, .vector = X86_UD },
		{ .kind = OUT_FAULT, .vector = X86_GP, .has_error_code = true },
		{ .kind = OUT_FAULT, .vector = X86_NP, .has_error_code = true, .error_code = 0x38 },
	};

	(void)state;
	fx_start(&f, B64, false);
	for (unsigned i = 0; i < ARRAY_SIZE(faults) * 2; i++) {
		const struct outcome *o = &faults[i / 2];
		u32 info = INTR_VALID | INTR_TYPE_HW_EXCEPTION | o->vector |
			   (o->has_error_code ? INTR_ERROR_CODE : 0);

		FX12_WRITE(&f, EXCEPTION_BITMAP, i & 1 ? BIT32(o->vector) : ~BIT32(o->vector));
		fx_enter(&f);
		FX02(&f, GUEST_RIP) = 0x1234;
		if (!(i & 1)) {
			assert_int_equal(nested_l2_fault(&f.n, *o), NESTED_RESUME);
			assert_int_equal(FX02(&f, ENTRY_INTR_INFO), info);
			if (o->has_error_code)
				assert_int_equal(FX02(&f, ENTRY_ERROR_CODE), o->error_code);
			fx_exit_to_l1(&f);
			continue;
		}
		assert_int_equal(nested_l2_fault(&f.n, *o), NESTED_REFLECTED);
		assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_EXCEPTION_NMI);
		assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO), info);
		assert_int_equal(FX12_READ(&f, EXIT_INTR_ERROR_CODE), o->error_code);
		assert_int_equal(FX12_READ(&f, GUEST_RIP), 0x1234);
		assert_int_equal(FX12_READ(&f, IDT_VECTORING_INFO), 0);
		assert_int_equal(FX01(&f, GUEST_RIP), FX12_READ(&f, HOST_RIP));
	}
	fx_end(&f);
}

/* SDM 3C "Information for VM Exits Due to Vectored Events": no error codes in real mode. */
static void a_fault_of_a_real_mode_L2_has_no_error_code(void **state)
{
	(void)state;
	fx_start(&f, REAL, false);
	fx_enter(&f);
	assert_int_equal(nested_l2_fault(&f.n, OUTCOME_GP), NESTED_RESUME);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), GP & ~INTR_ERROR_CODE);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, EXCEPTION_BITMAP, BIT32(X86_GP));
	fx_enter(&f);
	assert_int_equal(nested_l2_fault(&f.n, OUTCOME_GP), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO), GP & ~INTR_ERROR_CODE);
	fx_end(&f);
}

/* SDM 3C "Exit Qualification for Page-Fault Exceptions": the address. */
static void a_page_fault_has_its_address(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	FX12_WRITE(&f, EXCEPTION_BITMAP, BIT32(X86_PF));
	fx_enter(&f);
	assert_int_equal(nested_l2_fault(&f.n, OUTCOME_PF(PF_W, 0x7000)), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), 0x7000);
	assert_int_equal(FX12_READ(&f, EXIT_INTR_ERROR_CODE), PF_W);
	/* Mask and match turn the bit around. */
	FX12_WRITE(&f, PF_ERROR_MASK, PF_W);
	FX12_WRITE(&f, PF_ERROR_MATCH, 0);
	fx_enter(&f);
	assert_int_equal(nested_l2_fault(&f.n, OUTCOME_PF(PF_W, 0x7000)), NESTED_RESUME);
	assert_int_equal(FX02(&f, ENTRY_ERROR_CODE), PF_W);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static void an_nmi_that_came_to_L0(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	assert_int_equal(nested_l2_nmi(&f.n, true), NESTED_RESUME);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), NMI);
	fx_exit_to_l1(&f);
	set_bits(VF_PIN_CONTROLS, 0, PIN_NMI);
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
	set_bits(VF_PIN_CONTROLS, 0, PIN_NMI);
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	assert_int_equal(nested_l2_nmi(&f.n, false), NESTED_REFLECTED);
	assert_int_equal(fx_instruction(&f, EXIT_VMRESUME).kind, OUT_ENTER_L2);
	fx_exit_to_l1(&f);
	/* It is not lost in an entry that fails, nor is what L1 injects L1's own. */
	FX12_WRITE(&f, GUEST_RFLAGS, 0);
	set_bits(VF_PIN_CONTROLS, PIN_NMI, 0);
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

/* SDM 3C "VM Entries": what ends with the end of an entry is after all that makes it fail. */
static void an_nmi_after_the_entry_that_fails(void **state)
{
	const u32 failed = EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE;

	(void)state;
	fx_start(&f, B64, false);
	set_bits(VF_PIN_CONTROLS, 0, PIN_NMI);
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
	inject(NMI, 0, 0);
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
	inject(INTR_VALID | INTR_TYPE_OTHER, 0, 0);
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

/* SDM 3C "VM-Entry Failures During or After Loading Guest State": the valid bit is not
 * cleared; but it is L1's, and what L1 took back must not be injected later. */
static void an_event_of_a_failed_entry_is_not_left_behind(void **state)
{
	struct outcome o;

	(void)state;
	fx_start(&f, B64, false);
	inject(NMI, 0, 0);
	FX12_WRITE(&f, GUEST_RFLAGS, 0);
	o = fx_launch(&f);
	assert_int_equal(o.kind, OUT_ENTRY_FAIL);
	assert_int_equal(FX12_READ(&f, ENTRY_INTR_INFO), NMI);
	inject(0, 0, 0);
	FX12_WRITE(&f, GUEST_RFLAGS, RFLAGS_FIXED);
	fx_enter(&f);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	fx_exit_to_l1(&f);
	/* The same where MSRs could not be loaded, and where the hardware refused a control. */
	inject(NMI, 0, 0);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, FX_NOWHERE);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, 1);
	assert_int_equal(fx_launch(&f).kind, OUT_ENTRY_FAIL);
	inject(0, 0, 0);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, 0);
	fx_enter(&f);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	fx_exit_to_l1(&f);
	inject(INTR_VALID | INTR_TYPE_NMI | 3, 0, 0);
	o = fx_launch(&f);
	assert_int_equal(o.kind, OUT_VMFAIL_VALID);
	inject(0, 0, 0);
	fx_enter(&f);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	/* And where L0 was to deliver again what an absorbed exit had interrupted. */
	absorbed_exit(GP, 0x2a, 0, EPTQ_READ);
	assert_true(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	assert_int_equal(nested_l2_exit(&f.n, EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE),
			 NESTED_REFLECTED);
	fx_enter(&f);
	absorbed_exit(GP, 0x2a, 0, EPTQ_READ);
	assert_int_equal(nested_entry_refused(&f.n, VMERR_ENTRY_CONTROLS).kind, OUT_VMFAIL_VALID);
	fx_enter(&f);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_injected_event_is_injected_once),
		cmocka_unit_test(a_reflected_exit_passes_vectoring_on),
		cmocka_unit_test(an_absorbed_exit_delivers_again),
		cmocka_unit_test(an_nmi_delivered_again_is_not_blocked_by_itself),
		cmocka_unit_test(an_absorbed_fault_of_iret_blocks_nmis_again),
		cmocka_unit_test(a_fault_of_L2_is_injected_or_reflected),
		cmocka_unit_test(a_fault_of_a_real_mode_L2_has_no_error_code),
		cmocka_unit_test(a_page_fault_has_its_address),
		cmocka_unit_test(an_nmi_that_came_to_L0),
		cmocka_unit_test(an_nmi_that_came_during_vmlaunch),
		cmocka_unit_test(an_nmi_after_the_entry_that_fails),
		cmocka_unit_test(an_init_that_came_to_L0),
		cmocka_unit_test(an_init_waits),
		cmocka_unit_test(an_injected_monitor_trap),
		cmocka_unit_test(signals_are_L1s),
		cmocka_unit_test(machine_checks),
		cmocka_unit_test(an_event_of_a_failed_entry_is_not_left_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
