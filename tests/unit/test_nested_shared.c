/*
 * An L1 with several CPUs, from one of them: L0 takes all NMIs, vmcs02 has virtual ones in their
 * place, and between an exit of L2 and its entry other CPUs change what is mapped.
 */
#include "engine_fixture.h"

#define NMI (INTR_VALID | INTR_TYPE_NMI | X86_NMI)

static struct fx f;

static void start(u32 pin)
{
	fx_start(&f, B64, false);
	f.n.nmi_exits = true;
	fx_vmwrite(&f, VF_PIN_CONTROLS, (fx_vmread(&f, VF_PIN_CONTROLS) &
					 ~(u64)(PIN_NMI | PIN_VIRTUAL_NMI)) | pin);
}

static enum nested_verdict nmi_exit(void)
{
	FX02(&f, IDT_VECTORING_INFO) = 0;
	FX02(&f, EXIT_INTR_INFO) = NMI;
	return fx_exit(&f, EXIT_EXCEPTION_NMI);
}

/* Whatever L1 asks for: else L0 could not stop this CPU. */
static void every_nmi_exits(void **state)
{
	static const u32 pins[] = { 0, PIN_NMI, PIN_NMI | PIN_VIRTUAL_NMI };
	const u32 both = PIN_NMI | PIN_VIRTUAL_NMI;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(pins); i++) {
		start(pins[i]);
		fx_enter(&f);
		assert_int_equal(FX02(&f, PIN_CONTROLS) & both, both);
		assert_int_equal(nmi_exit(), i ? NESTED_REFLECTED : NESTED_L0);
		if (!i)
			fx_exit_to_l1(&f);
		assert_int_equal(FX12_READ(&f, PIN_CONTROLS) & both, pins[i]);
		fx_end(&f);
	}
}

/* SDM 3C, controls "NMI exiting" and "Virtual NMIs": what an NMI finds blocked, and by whom. */
static void a_blocked_nmi_waits(void **state)
{
	(void)state;
	start(0);
	fx_enter(&f);
	FX02(&f, GUEST_INTERRUPTIBILITY) = BLOCKED_BY_NMI;
	assert_true(nested_l2_nmi_blocked(&f.n));
	FX02(&f, GUEST_INTERRUPTIBILITY) = BLOCKED_BY_MOV_SS;
	assert_true(nested_l2_nmi_blocked(&f.n));
	FX02(&f, GUEST_INTERRUPTIBILITY) = BLOCKED_BY_STI;
	assert_false(nested_l2_nmi_blocked(&f.n));
	fx_exit_to_l1(&f);
	fx_end(&f);
	/* An exit by NMIs that IRET cannot unblock. */
	start(PIN_NMI);
	FX12_WRITE(&f, GUEST_INTERRUPTIBILITY, BLOCKED_BY_NMI);
	fx_enter(&f);
	FX02(&f, GUEST_INTERRUPTIBILITY) = 0;
	assert_true(nested_l2_nmi_blocked(&f.n));
	assert_int_equal(nmi_exit(), NESTED_L0);
	fx_exit_to_l1(&f);
	fx_end(&f);
	/* Virtual ones block nothing. */
	start(PIN_NMI | PIN_VIRTUAL_NMI);
	FX12_WRITE(&f, GUEST_INTERRUPTIBILITY, BLOCKED_BY_NMI);
	fx_enter(&f);
	assert_false(nested_l2_nmi_blocked(&f.n));
	assert_int_equal(nmi_exit(), NESTED_REFLECTED);
	fx_end(&f);
}

/* The bit that L1 finds after an exit, where vmcs02's is about virtual NMIs. */
static void what_iret_does_to_the_blocking(void **state)
{
	static const struct { u32 pin; u64 before, inject, after, expect; } rows[] = {
		{ 0, BLOCKED_BY_NMI, 0, 0, 0 },
		{ 0, 0, 0, BLOCKED_BY_NMI, BLOCKED_BY_NMI },
		{ PIN_NMI, BLOCKED_BY_NMI, 0, 0, BLOCKED_BY_NMI },
		{ PIN_NMI, BLOCKED_BY_NMI, 0, BLOCKED_BY_STI, BLOCKED_BY_NMI | BLOCKED_BY_STI },
		{ PIN_NMI, 0, NMI, 0, BLOCKED_BY_NMI },
		{ PIN_NMI, 0, 0, 0, 0 },
		{ PIN_NMI | PIN_VIRTUAL_NMI, BLOCKED_BY_NMI, 0, 0, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		start(rows[i].pin);
		FX12_WRITE(&f, GUEST_INTERRUPTIBILITY, rows[i].before);
		FX12_WRITE(&f, ENTRY_INTR_INFO, rows[i].inject);
		fx_enter(&f);
		FX02(&f, GUEST_INTERRUPTIBILITY) = rows[i].after;
		fx_exit_to_l1(&f);
		assert_int_equal(FX12_READ(&f, GUEST_INTERRUPTIBILITY), rows[i].expect);
		/* And the next entry has what L1 has. */
		fx_enter(&f);
		assert_int_equal(FX02(&f, GUEST_INTERRUPTIBILITY), rows[i].expect);
		fx_exit_to_l1(&f);
		fx_end(&f);
	}
}

/* SDM 3C "Checks on Guest Non-Register State" forbids it with virtual NMIs only. */
static void an_nmi_injected_while_they_are_blocked(void **state)
{
	(void)state;
	start(PIN_NMI);
	for (unsigned i = 0; i < 2; i++) {
		FX12_WRITE(&f, GUEST_INTERRUPTIBILITY, BLOCKED_BY_NMI);
		FX12_WRITE(&f, ENTRY_INTR_INFO, i ? INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_UD : NMI);
		fx_enter(&f);
		assert_int_equal(FX02(&f, GUEST_INTERRUPTIBILITY), i ? BLOCKED_BY_NMI : 0);
		fx_exit_to_l1(&f);
		assert_int_equal(FX12_READ(&f, GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	}
	fx_end(&f);
}

/* L0 stopped the CPU for itself, at the first instruction and in the middle of a delivery. */
static void an_interruption_leaves_no_trace(void **state)
{
	(void)state;
	start(0);
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	FX02(&f, IDT_VECTORING_INFO) = 0;
	nested_l2_interrupted(&f.n);
	assert_true(f.n.in_l2 && FX_SLOT(&f)->launched && FX_SLOT(&f)->launched02);
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	fx_exit_to_l1(&f);
	assert_int_equal(fx_instruction(&f, EXIT_VMRESUME).kind, OUT_ENTER_L2);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static void other_cpus_take_ept02_away(void **state)
{
	struct ept02 *root;
	u64 flushes;

	(void)state;
	start(0);
	fx_enter(&f);
	FX02(&f, IDT_VECTORING_INFO) = 0;
	FX02(&f, GUEST_PHYSICAL_ADDRESS) = FX_PAGE(1);
	FX02(&f, EXIT_QUALIFICATION) = EPTQ_READ;
	assert_int_equal(fx_exit(&f, EXIT_EPT_VIOLATION), NESTED_RESUME);
	flushes = f.hw.count.invepts;
	nested_l2_memory_changed(&f.n);
	assert_int_equal(f.hw.count.invepts, flushes);
	/* Its tables, which nobody may be using by then. */
	f.vm.stops = 0;
	ept02_unmap_gpa1(&f.ept02s, GPA1(FX_PAGE(1)), PAGE_SIZE);
	assert_true(f.vm.stops > 0);
	nested_l2_memory_changed(&f.n);
	assert_int_equal(f.hw.count.invepts, flushes + 1);
	assert_int_equal(fx_translate(&f, FX_PAGE(1)), 0);
	/* The root itself, for another role. */
	f.vm.stops = 0;
	for (unsigned i = 0; i < EPT02_ROOTS; i++)
		ept02_root(&f.ept02s, FX_PAGE(i + 2) | 0x1e, &root);
	assert_true(f.vm.stops > 0);
	nested_l2_memory_changed(&f.n);
	assert_int_equal(f.hw.count.invepts, flushes + 2);
	assert_int_equal(FX_SLOT(&f)->ept02->role, FX_SLOT(&f)->v[VF_EPT_POINTER]);
	assert_int_equal(FX02(&f, EPT_POINTER), FX_SLOT(&f)->ept02->eptp);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_nmi_exits),
		cmocka_unit_test(a_blocked_nmi_waits),
		cmocka_unit_test(what_iret_does_to_the_blocking),
		cmocka_unit_test(an_nmi_injected_while_they_are_blocked),
		cmocka_unit_test(an_interruption_leaves_no_trace),
		cmocka_unit_test(other_cpus_take_ept02_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
