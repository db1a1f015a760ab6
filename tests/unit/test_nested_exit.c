/* nested/exit.c: whose an exit of L2 is, and what L1 is told of it. */
#include "engine_fixture.h"

static struct fx f;

/* Exit information as a processor that ran L2 might leave it, garbage included. */
static void fill_exit_information(void)
{
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (nested_field_merge[i] == MERGE_INFO)
			*fx_vmcs02(&f, i) = (0x1111111111111111ull * (1 + i % 15)) & nested_field_bits[i];
	FX02(&f, IDT_VECTORING_INFO) = 0;
	FX02(&f, EXIT_INTR_INFO) = INTR_VALID | INTR_TYPE_HW_EXCEPTION | INTR_ERROR_CODE | X86_GP;
}

struct info_row { u16 reason; const char *owner, *info; };
static const struct info_row rows[] = {
#define X(reason, name, owner, handler, info) { reason, #owner, #info },
#include "exits.def"
#undef X
};

static bool has(const struct info_row *r, char field)
{
	return strchr(r->info, field);
}

/* SDM 3C "VM-Exit Information Fields": each defined field is the hardware's; the
 * qualification and the interruption information of others are 0. */
static void exit_information_is_passed_on(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_vmwrite_bits(&f, VF_PIN_CONTROLS, 0, PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI);
	fx_vmwrite_bits(&f, VF_PROC_CONTROLS, 0, PROC_UNCOND_IO | PROC_MTF | PROC_NMI_WINDOW);
	FX12_WRITE(&f, EXCEPTION_BITMAP, ~0u);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct info_row *r = &rows[i];

		if (!strcmp(r->owner, "ept") || !strcmp(r->owner, "L0"))
			continue;
		fx_enter(&f);
		fill_exit_information();
		f.gpr[GPR_RCX] = 0x10;
		assert_int_equal(fx_exit(&f, r->reason), NESTED_REFLECTED);
		assert_int_equal(FX12_READ(&f, EXIT_REASON), r->reason);
		assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION),
				 has(r, 'Q') ? FX02(&f, EXIT_QUALIFICATION) : 0);
		assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO),
				 has(r, 'V') ? FX02(&f, EXIT_INTR_INFO) : 0);
		assert_int_equal(FX12_READ(&f, IDT_VECTORING_INFO), 0);
		if (has(r, 'V'))
			assert_int_equal(FX12_READ(&f, EXIT_INTR_ERROR_CODE),
					 FX02(&f, EXIT_INTR_ERROR_CODE));
		if (has(r, 'L'))
			assert_int_equal(FX12_READ(&f, EXIT_INSTR_LENGTH),
					 FX02(&f, EXIT_INSTR_LENGTH));
		if (has(r, 'I'))
			assert_int_equal(FX12_READ(&f, EXIT_INSTR_INFO), FX02(&f, EXIT_INSTR_INFO));
		if (has(r, 'A'))
			assert_int_equal(FX12_READ(&f, GUEST_LINEAR_ADDRESS),
					 FX02(&f, GUEST_LINEAR_ADDRESS));
	}
	fx_end(&f);
}

/* SDM 3C "Guest-Linear Address": a control-register access has one if LMSW read memory. */
static void where_LMSW_read(void **state)
{
	static const struct { u64 qualification; bool address; } accesses[] = {
		{ 0x00010070, true }, { 0x00010030, false }, { 0x40, false }, { 0x60, false },
	};

	(void)state;
	fx_start(&f, B64, false);
	for (unsigned i = 0; i < ARRAY_SIZE(accesses); i++) {
		u64 before = FX12_READ(&f, GUEST_LINEAR_ADDRESS);

		fx_enter(&f);
		FX02(&f, IDT_VECTORING_INFO) = 0;
		FX02(&f, EXIT_QUALIFICATION) = accesses[i].qualification;
		FX02(&f, GUEST_LINEAR_ADDRESS) = 0x7000 + i;
		assert_int_equal(fx_exit(&f, EXIT_CR_ACCESS), NESTED_REFLECTED);
		assert_int_equal(FX12_READ(&f, GUEST_LINEAR_ADDRESS),
				 accesses[i].address ? 0x7000 + i : before);
	}
	fx_end(&f);
}

/* SDM 3C "Guest-Linear Address", "VM-Exit Instruction Information": of I/O only INS and OUTS. */
static void what_INS_and_OUTS_tell(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_vmwrite_bits(&f, VF_PROC_CONTROLS, 0, PROC_UNCOND_IO);
	for (u32 string = 0; string < 2; string++) {
		u64 address = FX12_READ(&f, GUEST_LINEAR_ADDRESS),
		    info = FX12_READ(&f, EXIT_INSTR_INFO);

		fx_enter(&f);
		fill_exit_information();
		FX02(&f, EXIT_QUALIFICATION) = 0x640000 | (string ? IOQ_STRING : 0);
		assert_int_equal(fx_exit(&f, EXIT_IO), NESTED_REFLECTED);
		if (string) {
			address = FX02(&f, GUEST_LINEAR_ADDRESS);
			info = FX02(&f, EXIT_INSTR_INFO);
		}
		assert_int_equal(FX12_READ(&f, GUEST_LINEAR_ADDRESS), address);
		assert_int_equal(FX12_READ(&f, EXIT_INSTR_INFO), info);
	}
	assert_int_not_equal(FX12_READ(&f, GUEST_LINEAR_ADDRESS), 0);
	assert_int_not_equal(FX12_READ(&f, EXIT_INSTR_INFO), 0);
	fx_end(&f);
}

/* Every reason of the table has one owner, whatever L1 intercepts. Without VMCS
 * shadowing fields are L1's, and with EPT what L0 shares otherwise: test_nested_link.c,
 * test_nested_vtlb.c. */
static void each_reason_has_one_owner(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		for (unsigned asked = 0; asked < 2; asked++) {
			const struct info_row *r = &rows[i];
			enum nested_verdict verdict, expect = NESTED_REFLECTED;

			fx_vmwrite_bits(&f, VF_PIN_CONTROLS, PIN_NMI | PIN_VIRTUAL_NMI,
					asked ? PIN_NMI | PIN_VIRTUAL_NMI : 0);
			fx_vmwrite_bits(&f, VF_PROC_CONTROLS,
					PROC_UNCOND_IO | PROC_MSR_BITMAPS | PROC_MTF | PROC_NMI_WINDOW,
					asked ? PROC_UNCOND_IO | PROC_MTF | PROC_NMI_WINDOW :
						PROC_MSR_BITMAPS);
			FX12_WRITE(&f, MSR_BITMAP, FX_PAGE(2));
			FX12_WRITE(&f, EXCEPTION_BITMAP, asked ? ~0u : 0);
			fx_enter(&f);
			fill_exit_information();
			FX02(&f, EXIT_QUALIFICATION) = 0;
			FX02(&f, GUEST_PHYSICAL_ADDRESS) = FX_PAGE(1);
			f.gpr[GPR_RCX] = 0x10;
			if (!strcmp(r->owner, "ept"))
				expect = NESTED_RESUME;
			else if (!strcmp(r->owner, "L0"))
				expect = NESTED_L0;
			else if (strcmp(r->owner, "L1") && strcmp(r->owner, "field") &&
				 strcmp(r->owner, "vmfunc") && strcmp(r->owner, "cr") &&
				 strcmp(r->owner, "invlpg") && !asked)
				expect = NESTED_L0;
			verdict = fx_exit(&f, r->reason);
			if (verdict != expect)
				fail_msg("reason %u: verdict %d, not %d", r->reason, verdict,
					 expect);
			if (f.n.in_l2)
				fx_exit_to_l1(&f);
		}
	}
	assert_null(f.vm.killed);
	fx_end(&f);
}

/* SDM "IBPB": before each exit that L1 sees, and only there. */
static void a_barrier_is_between_L2_and_L1(void **state)
{
	(void)state;
	for (unsigned barrier = 0; barrier < 2; barrier++) {
		fx_start(&f, B64, false);
		f.n.barrier = barrier;
		for (unsigned i = 1; i <= 3; i++) {
			fx_enter(&f);
			FX02(&f, IDT_VECTORING_INFO) = 0;
			FX02(&f, EXIT_QUALIFICATION) = EPTQ_READ;
			FX02(&f, GUEST_PHYSICAL_ADDRESS) = FX_PAGE(1);
			assert_int_equal(fx_exit(&f, EXIT_EPT_VIOLATION), NESTED_RESUME);
			FX02(&f, EXIT_QUALIFICATION) = 0x640000;
			assert_int_equal(fx_exit(&f, EXIT_IO), NESTED_L0);
			assert_int_equal(f.hw.count.barriers, barrier * (i - 1));
			fx_exit_to_l1(&f);
			assert_int_equal(f.hw.count.barriers, barrier * i);
		}
		/* L2 did not run. */
		FX12_WRITE(&f, GUEST_RFLAGS, 0);
		assert_int_equal(fx_launch(&f).kind, OUT_ENTRY_FAIL);
		assert_int_equal(f.hw.count.barriers, barrier * 3);
		fx_end(&f);
	}
}

/* An exit that the table does not have stops the VM; it is never reflected unread. */
static void an_unlisted_reason_stops_the_VM(void **state)
{
	static const u16 unlisted[] = { 35, 38, 42, 65, 69, 74, 0xffff };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(unlisted); i++) {
		fx_start(&f, B64, false);
		fx_enter(&f);
		fx_exit(&f, unlisted[i]);
		assert_non_null(f.vm.killed);
		fx_end(&f);
	}
}

/* SDM 3C "Exception Bitmap": for #PF, mask and match. */
static void exceptions_are_owned_by_the_bitmap(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	for (unsigned round = 0; round < 2000; round++) {
		u32 bitmap = (u32)fx_random(&f), mask = (u32)fx_below(&f, 32),
		    match = (u32)fx_below(&f, 32);
		u32 vector = fx_below(&f, 3) ? (u32)fx_below(&f, 32) : X86_PF,
		    code = (u32)fx_below(&f, 32);
		bool wants = bitmap >> vector & 1;

		if (vector == X86_NMI)
			continue;
		if (vector == X86_PF && (code & mask) != match)
			wants = !wants;
		FX12_WRITE(&f, EXCEPTION_BITMAP, bitmap);
		FX12_WRITE(&f, PF_ERROR_MASK, mask);
		FX12_WRITE(&f, PF_ERROR_MATCH, match);
		fx_enter(&f);
		FX02(&f, EXIT_INTR_INFO) = INTR_VALID | INTR_TYPE_HW_EXCEPTION | vector |
					   (vector == X86_PF ? INTR_ERROR_CODE : 0);
		FX02(&f, EXIT_INTR_ERROR_CODE) = code;
		assert_int_equal(fx_exit(&f, EXIT_EXCEPTION_NMI),
				 wants ? NESTED_REFLECTED : NESTED_L0);
		if (f.n.in_l2)
			fx_exit_to_l1(&f);
	}
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_information_is_passed_on),
		cmocka_unit_test(where_LMSW_read),
		cmocka_unit_test(what_INS_and_OUTS_tell),
		cmocka_unit_test(each_reason_has_one_owner),
		cmocka_unit_test(a_barrier_is_between_L2_and_L1),
		cmocka_unit_test(an_unlisted_reason_stops_the_VM),
		cmocka_unit_test(exceptions_are_owned_by_the_bitmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
