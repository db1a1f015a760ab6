/*
 * EPT violations and misconfigurations of L2, and when ept02 is flushed: what
 * nested/exit.c and merge_ept.c make of mmu/ept02.h.
 */
#include "engine_fixture.h"

#define PD (FX_EPT12 + 2 * PAGE_SIZE)	/* of the first GiB, once L1 uses 2-MiB pages */

static struct fx f;

static void poke(u64 at, u64 value)
{
	memcpy(fx_at(&f, at), &value, sizeof(value));
}

/* GPA2 0..2M to GPA1 0..2M, 2M..4M read-only to GPA1 0..2M, 4M..6M misconfigured. */
static void split_ept12(void)
{
	poke(FX_EPT12 + PAGE_SIZE, PD | EPT_RWX);
	poke(PD, 0 | EPT_RWX | EPT_LARGE | MT_WB << EPT_MT_SHIFT);
	poke(PD + 8, 0 | EPT_R | EPT_LARGE | MT_WB << EPT_MT_SHIFT);
	poke(PD + 16, 0 | EPT_W | EPT_LARGE | MT_WB << EPT_MT_SHIFT);
}

static enum nested_verdict touch(u64 gpa2, u64 qualification)
{
	FX02(&f, IDT_VECTORING_INFO) = 0;
	FX02(&f, GUEST_PHYSICAL_ADDRESS) = gpa2;
	FX02(&f, GUEST_LINEAR_ADDRESS) = gpa2 + 0x1000;
	FX02(&f, EXIT_QUALIFICATION) = qualification;
	return fx_exit(&f, EXIT_EPT_VIOLATION);
}

static void absorbed_violations_fill_ept02(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	split_ept12();
	fx_enter(&f);
	assert_int_equal(fx_translate(&f, 0x5000), 0);
	assert_int_equal(touch(0x5000, EPTQ_READ), NESTED_RESUME);
	assert_int_equal(fx_translate(&f, 0x5000), 0x5000 + FX_SHIFT);
	assert_int_equal(touch(SZ_2M + 0x5000, EPTQ_READ), NESTED_RESUME);
	assert_int_equal(fx_translate(&f, SZ_2M + 0x5000), 0x5000 + FX_SHIFT);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 3C "Exit Qualification for EPT Violations", "Guest-physical address". */
static void violations_of_ept12_are_L1s(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	split_ept12();
	fx_enter(&f);
	assert_int_equal(touch(SZ_2M + 0x123, EPTQ_WRITE | EPTQ_GLA_VALID | EPTQ_GLA_FINAL),
			 NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_EPT_VIOLATION);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION),
			 EPTQ_WRITE | EPTQ_GLA_VALID | EPTQ_GLA_FINAL |
			 EPTQ_READ << EPTQ_RIGHTS_SHIFT);
	assert_int_equal(FX12_READ(&f, GUEST_PHYSICAL_ADDRESS), SZ_2M + 0x123);
	assert_int_equal(FX12_READ(&f, GUEST_LINEAR_ADDRESS), SZ_2M + 0x1123);
	/* Nothing is there at all. */
	fx_enter(&f);
	assert_int_equal(touch(BIT(35), EPTQ_READ), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), EPTQ_READ);
	/* SDM 3C "EPT Misconfigurations": another reason, no qualification. */
	fx_enter(&f);
	assert_int_equal(touch(2 * SZ_2M, EPTQ_READ), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_EPT_MISCONFIG);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), 0);
	assert_int_equal(FX12_READ(&f, GUEST_PHYSICAL_ADDRESS), 2 * SZ_2M);
	fx_end(&f);
}

/* ept12 leads where L1 has no memory: L0's to solve, or the VM's end. */
static void what_L1_does_not_have_is_L0s(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	assert_int_equal(touch(FX_NOWHERE + 0x10, EPTQ_READ), NESTED_RESUME);
	assert_int_equal(f.vm.faulted.v, FX_NOWHERE + 0x10);
	fx_exit_to_l1(&f);
	fx_end(&f);
	/* Without EPT in L1, the address is L1's own. */
	fx_start(&f, B32_MEMORY, false);
	fx_enter(&f);
	assert_int_equal(touch(FX_NOWHERE + 0x20, EPTQ_WRITE), NESTED_RESUME);
	assert_int_equal(f.vm.faulted.v, FX_NOWHERE + 0x20);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static u64 invepts_of_an_entry(void)
{
	hw_forget(&f.hw);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	return f.hw.count.invepts;
}

/* An INVEPT of L1's is one of the hardware's, at the next entry, and no more than one. */
static void an_invept_of_L1_is_done_once(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	assert_int_equal(touch(0x5000, EPTQ_READ), NESTED_RESUME);
	fx_exit_to_l1(&f);
	assert_int_equal(invepts_of_an_entry(), 0);
	ept02_invalidate(&f.ept02s, FX_EPT12 | EPTP_WALK_4 | MT_WB);
	assert_int_equal(invepts_of_an_entry(), 1);
	assert_int_equal(f.hw.last_invept.what, FX02(&f, EPT_POINTER));
	assert_int_equal(invepts_of_an_entry(), 0);
	/* Nothing was cached of another EPTP. */
	ept02_invalidate(&f.ept02s, 0x400000 | EPTP_WALK_4 | MT_WB);
	assert_int_equal(invepts_of_an_entry(), 0);
	fx_end(&f);
}

/* Two VMCSs with one ept12 share its ept02, flushed once for both. */
static void vmcss_share_an_ept02(void **state)
{
	u64 eptp;

	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	assert_int_equal(touch(0x5000, EPTQ_READ), NESTED_RESUME);
	eptp = FX02(&f, EPT_POINTER);
	fx_exit_to_l1(&f);
	fx_vmptrld(&f, FX_VMCS(1));
	fx_load_state(&f, B64);
	assert_int_equal(invepts_of_an_entry(), 0);
	assert_int_equal(FX02(&f, EPT_POINTER), eptp);
	ept02_invalidate_all(&f.ept02s);
	assert_int_equal(invepts_of_an_entry(), 1);
	fx_vmptrld(&f, FX_VMCS(0));
	assert_int_equal(invepts_of_an_entry(), 0);
	/* Another EPTP, another table; and back. */
	FX12_WRITE(&f, EPT_POINTER, FX_EPT12 | EPTP_WALK_4 | MT_UC);
	fx_enter(&f);
	assert_int_not_equal(FX02(&f, EPT_POINTER), eptp);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, EPT_POINTER, FX_EPT12 | EPTP_WALK_4 | MT_WB);
	fx_enter(&f);
	assert_int_equal(FX02(&f, EPT_POINTER), eptp);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* More ept12s than roots: whoever lost its root gets another, and vmcs02 is told. */
static void roots_change_hands(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	for (unsigned round = 0; round < 300; round++) {
		unsigned i = (unsigned)fx_below(&f, EPT02_ROOTS * 2);
		u64 ept12 = 0x400000 + 2 * PAGE_SIZE * i, gpa2 = fx_below(&f, SZ_2M) & PAGE_MASK;

		/* Each maps GPA2 to the same GPA1 plus a shift of its own. */
		poke(ept12, (ept12 + PAGE_SIZE) | EPT_RWX);
		poke(ept12 + PAGE_SIZE, PD | EPT_RWX);
		poke(PD, (i % 2 ? SZ_2M : 0) | EPT_RWX | EPT_LARGE | MT_WB << EPT_MT_SHIFT);
		ept02_invalidate_all(&f.ept02s);
		FX12_WRITE(&f, EPT_POINTER, ept12 | EPTP_WALK_4 | MT_WB);
		fx_enter(&f);
		assert_int_equal(touch(gpa2, EPTQ_READ), NESTED_RESUME);
		assert_int_equal(fx_translate(&f, gpa2), gpa2 + (i % 2 ? SZ_2M : 0) + FX_SHIFT);
		fx_exit_to_l1(&f);
	}
	fx_end(&f);
}

#define PML5 (FX_EPT12 + 4 * PAGE_SIZE)

/* Refused, where they are not offered; and as many of L0's as the processor's addresses need. */
static void five_levels(void **state)
{
	const u64 five = PML5 | EPTP_WALK_5 | MT_WB;

	(void)state;
	fx_start(&f, B64, false);
	poke(PML5, FX_EPT12 | EPT_RWX);
	FX12_WRITE(&f, EPT_POINTER, five);
	assert_int_equal(fx_launch(&f).kind, OUT_VMFAIL_VALID);
	f.n.always_ept5 = true;
	nested_caps_init(&f.n);
	fx_enter(&f);
	assert_int_equal(FX02(&f, EPT_POINTER) & ~PAGE_MASK, EPTP_WALK_4 | MT_WB);
	assert_int_equal(touch(0x5000, EPTQ_READ), NESTED_RESUME);
	assert_int_equal(fx_translate(&f, 0x5000), 0x5000 + FX_SHIFT);
	fx_exit_to_l1(&f);
	fx_end(&f);
	fx_start_wide(&f, B64, false);
	poke(PML5 + 8, FX_EPT12 | EPT_RWX);
	FX12_WRITE(&f, EPT_POINTER, five);
	fx_enter(&f);
	assert_int_equal(FX02(&f, EPT_POINTER) & ~PAGE_MASK, EPTP_WALK_5 | MT_WB);
	assert_int_equal(touch(BIT(48) + 0x5000, EPTQ_READ), NESTED_RESUME);
	assert_int_equal(fx_translate(&f, BIT(48) + 0x5000), 0x5000 + FX_SHIFT);
	assert_int_equal(touch(0x5000, EPTQ_READ), NESTED_REFLECTED);
	FX12_WRITE(&f, EPT_POINTER, FX_EPT12 | EPTP_WALK_4 | MT_WB);
	fx_enter(&f);
	assert_int_equal(FX02(&f, EPT_POINTER) & ~PAGE_MASK, EPTP_WALK_4 | MT_WB);
	assert_int_equal(touch(BIT(48) + 0x5000, EPTQ_READ), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), EPTQ_READ);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absorbed_violations_fill_ept02),
		cmocka_unit_test(violations_of_ept12_are_L1s),
		cmocka_unit_test(what_L1_does_not_have_is_L0s),
		cmocka_unit_test(an_invept_of_L1_is_done_once),
		cmocka_unit_test(vmcss_share_an_ept02),
		cmocka_unit_test(roots_change_hands),
		cmocka_unit_test(five_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
