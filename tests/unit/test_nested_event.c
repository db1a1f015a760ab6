/*
 * nested/event.c and its neighbours: events that L1 injects, that an exit interrupted, and that
 * L0 brings to L2 itself.
 */
#include "engine_fixture.h"

static struct fx f;

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
			fx_inject(&f, events[i].info, events[i].code, events[i].length);
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
	fx_vmwrite_bits(&f, VF_PIN_CONTROLS, 0, PIN_NMI | PIN_VIRTUAL_NMI);
	fx_inject(&f, NMI, 0, 0);
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

/* SDM 3C "VM-Entry Failures During or After Loading Guest State": the valid bit is not
 * cleared; but it is L1's, and what L1 took back must not be injected later. */
static void an_event_of_a_failed_entry_is_not_left_behind(void **state)
{
	struct outcome o;

	(void)state;
	fx_start(&f, B64, false);
	fx_inject(&f, NMI, 0, 0);
	FX12_WRITE(&f, GUEST_RFLAGS, 0);
	o = fx_launch(&f);
	assert_int_equal(o.kind, OUT_ENTRY_FAIL);
	assert_int_equal(FX12_READ(&f, ENTRY_INTR_INFO), NMI);
	fx_inject(&f, 0, 0, 0);
	FX12_WRITE(&f, GUEST_RFLAGS, RFLAGS_FIXED);
	fx_enter(&f);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	fx_exit_to_l1(&f);
	/* The same where MSRs could not be loaded, and where the hardware refused a control. */
	fx_inject(&f, NMI, 0, 0);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, FX_NOWHERE);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, 1);
	assert_int_equal(fx_launch(&f).kind, OUT_ENTRY_FAIL);
	fx_inject(&f, 0, 0, 0);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, 0);
	fx_enter(&f);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	fx_exit_to_l1(&f);
	fx_inject(&f, INTR_VALID | INTR_TYPE_NMI | 3, 0, 0);
	o = fx_launch(&f);
	assert_int_equal(o.kind, OUT_VMFAIL_VALID);
	fx_inject(&f, 0, 0, 0);
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
		cmocka_unit_test(an_event_of_a_failed_entry_is_not_left_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
