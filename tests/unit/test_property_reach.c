/*
 * For every vmcs12 and every EPT of L1, also while others write to them: vmcs02
 * keeps what L0 needs, and leads L2 (and the processor on L2's behalf) to no page
 * but L1's. Which ports and MSRs exit: test_property_owner.c.
 */
#include "random_vmcs12.h"

#include "nested/slots.h"

#define CPUS 30u
#define ROUNDS 60
#define VIOLATIONS 12
#define MODEL_HOST 0x5a5a5a5a5a5a5a5aull	/* what the model puts where L0's state would be */

static struct fx f;
static unsigned leaves, entered;

/* Where L1 may have pages, where L0 has its own, and where nobody has anything. */
static u64 some_address(void)
{
	switch (fx_below(&f, 6)) {
	case 0: return FX_HOME + fx_below(&f, 0x400) * PAGE_SIZE;
	case 1: return FX_SHIFT + fx_below(&f, 0x800) * PAGE_SIZE;
	case 2: return fx_random(&f) & (BIT(PHYS_WIDTH) - 1) & PAGE_MASK;
	case 3: return FX_EPT12 + fx_below(&f, 4) * PAGE_SIZE;
	default: return fx_below(&f, FX_L1_RAM / PAGE_SIZE) * PAGE_SIZE;
	}
}

/* Of an EPT of five levels, where L1 is offered those. */
#define PML5 (FX_EPT12 + 4 * PAGE_SIZE)

/* Four tables, one for each level: mostly as they should be. */
static void random_ept12(void)
{
	for (unsigned i = 0; i < 8; i++) {
		u64 level = 1 + fx_below(&f, 4), table = FX_EPT12 + (4 - level) * PAGE_SIZE;
		u64 entry = (table + PAGE_SIZE) | EPT_RWX;

		if (level == 1 || (level < 4 && !fx_below(&f, 3))) {
			entry = some_address() & ~(BIT(12 + 9 * (level - 1)) - 1);
			entry |= EPT_RWX | MT_WB << EPT_MT_SHIFT | (level > 1 ? EPT_LARGE : 0);
		}
		if (!fx_below(&f, 4))
			entry ^= BIT(fx_below(&f, 12));
		fx_l1_writes(&f, table + 8 * fx_below(&f, level == 4 ? 2 : 8), &entry,
			     sizeof(entry));
	}
}

static void new_ept12(void)
{
	u64 pml5[2] = { FX_EPT12 | EPT_RWX, FX_EPT12 | EPT_R };

	fx_l1_writes(&f, PML5, pml5, sizeof(pml5));
	memset(fx_at(&f, FX_EPT12), 0, 4 * PAGE_SIZE);
	for (u64 table = FX_EPT12; table < FX_EPT12 + 3 * PAGE_SIZE; table += PAGE_SIZE) {
		u64 entry = (table + PAGE_SIZE) | EPT_RWX;

		fx_l1_writes(&f, table, &entry, sizeof(entry));
	}
}

/* The first table, and how many levels of them there are. */
static u64 random_table(void)
{
	if ((f.n.caps.ept_vpid & EPTCAP_WALK5) && fx_below(&f, 2))
		return (PML5 - fx_below(&f, 2) * 4 * PAGE_SIZE) | EPTP_WALK_5;
	return (FX_EPT12 + fx_below(&f, 2) * PAGE_SIZE) | EPTP_WALK_4;
}

/* Addresses of the good vmcs12 go anywhere. */
static void random_addresses(void)
{
	static const u8 fields[] = {
		VF_MSR_BITMAP, VF_IO_BITMAP_A, VF_IO_BITMAP_B, VF_VMREAD_BITMAP, VF_VMWRITE_BITMAP,
		VF_APIC_ACCESS_ADDR, VF_VIRTUAL_APIC_ADDR, VF_POSTED_INTR_DESC, VF_PML_ADDRESS,
		VF_EPTP_LIST, VF_VE_INFO_ADDR,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
		if (field_test(&f.n.exists, fields[i]) && fx_below(&f, 2))
			fx_vmwrite(&f, fields[i], some_address());
	if (fx_below(&f, 4))
		FX12_WRITE(&f, EPT_POINTER, random_table() | MT_WB |
					    (fx_below(&f, 2) ? EPTP_AD : 0));
}

static bool is_l1s(u64 hpa)
{
	return hpa >= FX_SHIFT && hpa < FX_SHIFT + FX_L1_RAM;
}

/* Neither may a table be L1's, nor a page another's. */
static void walk(u64 table, u32 level)
{
	const u64 *entry = (const u64 *)(const void *)fx_page02(&f, table);
	const u64 tables = f.pool01.base.v;

	assert_true(table >= tables && table < tables + 2 * FX_POOL_PAGES * PAGE_SIZE);
	for (unsigned i = 0; i < EPT_ENTRIES; i++) {
		u64 at = entry[i] & EPT_ADDR;

		if (!ept_present(entry[i], true))
			continue;
		if (!ept_is_leaf(entry[i], level)) {
			walk(at, level - 1);
			continue;
		}
		leaves++;
		if (!is_l1s(at) || !is_l1s(at + BIT(ept_shift(level)) - 1))
			fail_msg("an entry of level %u is %#llx", level,
				 (unsigned long long)entry[i]);
	}
}

/* Where L1 has no page, vm/ names one that is nobody's; here that is page 0. */
static void assert_l1s(u64 hpa)
{
	assert_true(is_l1s(hpa) || hpa < PAGE_SIZE);
}

static void assert_l0s_bitmap(u64 hpa)
{
	assert_true(hpa >= FX_HOME && hpa < FX_HOME + FX_OWN_PAGES * PAGE_SIZE);
}

static void assert_pages(void)
{
	u64 proc = FX02(&f, PROC_CONTROLS), proc2 = FX02(&f, PROC2_CONTROLS);

	if (proc & PROC_TPR_SHADOW)
		assert_l1s(FX02(&f, VIRTUAL_APIC_ADDR));
	if (proc2 & PROC2_APIC_ACCESS)
		assert_l1s(FX02(&f, APIC_ACCESS_ADDR));
	if (FX02(&f, PIN_CONTROLS) & PIN_POSTED_INTERRUPTS)
		assert_l1s(FX02(&f, POSTED_INTR_DESC));
	if (proc & PROC_MSR_BITMAPS)
		assert_l0s_bitmap(FX02(&f, MSR_BITMAP));
	if (proc & PROC_IO_BITMAPS) {
		assert_l0s_bitmap(FX02(&f, IO_BITMAP_A));
		assert_l0s_bitmap(FX02(&f, IO_BITMAP_B));
	}
	if (proc2 & PROC2_SHADOW_VMCS) {
		assert_l0s_bitmap(FX02(&f, VMREAD_BITMAP));
		assert_l0s_bitmap(FX02(&f, VMWRITE_BITMAP));
	}
	/* Nothing that the processor would write to memory by itself for L1's sake. */
	assert_false(proc2 & (PROC2_PML | PROC2_EPT_VE | PROC2_SPP | PROC2_ENCLS | PROC2_PT_GPA));
	assert_false((proc2 & PROC2_VMFUNC) && FX02(&f, VMFUNC_CONTROLS));
	assert_int_equal(FX02(&f, VMCS_LINK_POINTER), ~0ull);
}

static void assert_has(u64 value, u64 bits, struct vmx_allowed a)
{
	assert_int_equal(value & bits, bits);
	assert_int_equal(value & a.must, a.must);
	assert_int_equal(value & ~(u64)a.may, 0);
}

static void assert_l0s_needs(void)
{
	const struct vmx_caps *hw = &f.hw.caps;

	assert_has(FX02(&f, PIN_CONTROLS), 0, hw->pin);
	assert_has(FX02(&f, PROC_CONTROLS), PROC_SECONDARY, hw->proc);
	assert_has(FX02(&f, PROC2_CONTROLS), PROC2_EPT | PROC2_VPID, hw->proc2);
	assert_has(FX02(&f, EXIT_CONTROLS), EXIT_HOST_64 | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT |
		   EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER, hw->exit);
	assert_has(FX02(&f, ENTRY_CONTROLS), ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER,
		   hw->entry);
	assert_false(FX02(&f, ENTRY_CONTROLS) & (ENTRY_SMM | ENTRY_DEACTIVATE_DUAL));
	assert_int_equal(FX02(&f, EXIT_MSR_STORE_COUNT) | FX02(&f, EXIT_MSR_LOAD_COUNT) |
			 FX02(&f, ENTRY_MSR_LOAD_COUNT), 0);
	assert_in_range(FX02(&f, VPID), NESTED_VPID_FIRST - 1,
			NESTED_VPID_FIRST + NESTED_VPIDS - 1);
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (VMCS_TYPE(nested_field_encoding[i]) == VMCS_TYPE_HOST)
			assert_int_equal(*fx_vmcs02(&f, i), MODEL_HOST & nested_field_bits[i]);
}

static void judge(void)
{
	assert_l0s_needs();
	assert_pages();
	walk(FX02(&f, EPT_POINTER) & EPT_ADDR, ept_levels(FX02(&f, EPT_POINTER)));
}

static void violation(void)
{
	FX02(&f, IDT_VECTORING_INFO) = 0;
	FX02(&f, GUEST_PHYSICAL_ADDRESS) = fx_below(&f, 2) ? some_address() :
			fx_below(&f, 8) << 12 | fx_below(&f, 8) << 21 | fx_below(&f, 2) << 30 |
			(f.hw.caps.maxphyaddr > EPT_GPA_BITS_4 ? fx_below(&f, 3) << 48 : 0);
	FX02(&f, EXIT_QUALIFICATION) = BIT(fx_below(&f, 3)) | EPTQ_GLA_VALID |
				       (fx_below(&f, 4) ? EPTQ_GLA_FINAL : 0);
	fx_exit(&f, EXIT_EPT_VIOLATION);
}

/* L1's writes to an EPT that L2 runs on come with an INVEPT or without. */
static void run(void)
{
	for (unsigned i = 0; i < VIOLATIONS; i++) {
		violation();
		if (!f.n.in_l2 && fx_launch(&f).kind != OUT_ENTER_L2)
			break;
		judge();
		if (!fx_below(&f, 4))
			random_ept12();
		if (!fx_below(&f, 8))
			ept02_invalidate_all(&f.ept02s);
	}
	if (f.n.in_l2)
		fx_exit_to_l1(&f);
}

/* Features that L0 can do without. SDM 3C App. A: some go only with others. */
static void weaken(struct vmx_allowed *a, u32 needed)
{
	a->may &= a->must | needed | (u32)fx_random(&f) | (u32)fx_random(&f);
}

static void weaken_hardware(void)
{
	struct vmx_caps *hw = &f.hw.caps;
	u32 classes;

	weaken(&hw->pin, 0);
	weaken(&hw->proc, PROC_SECONDARY | PROC_IO_BITMAPS | PROC_MSR_BITMAPS);
	weaken(&hw->proc2, PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED);
	hw->ept_vpid &= ~(fx_random(&f) & (EPTCAP_2M | EPTCAP_1G | EPTCAP_EXEC_ONLY));
	classes = vmx_caps_exists(hw);
	for (unsigned i = 0; i < VF_COUNT; i++)
		f.hw.exists[i] = classes >> nested_field_exists[i] & 1;
	nested_caps_init(&f.n);
	nested_slots_reset(&f.n);	/* they have fields that are gone */
	fx_vmptrld(&f, FX_VMCS(1));
}

/* Another processor of L1's writes to what the engine is about to read. */
static void change_before_read(struct vm *vm, gpa1_t a, size_t len)
{
	u64 at = a.v + fx_below(&f, len);

	if (at < FX_L1_RAM && !fx_below(&f, 3))
		vm->memory.ram[FX_SHIFT + at] ^= (u8)fx_random(&f);
}

static void start(bool shadow, unsigned hardware)
{
	(hardware % 5 == 4 ? fx_start_wide : fx_start)(&f, B64, shadow);
	f.random.state = 11 + 2 * hardware + shadow;
	f.n.always_ept5 = hardware % 5 == 3;
	if (hardware)
		weaken_hardware();
	if (hardware % 3 == 2)
		f.vm.memory.before_read = change_before_read;
}

static void property(bool shadow, unsigned hardware)
{
	start(shadow, hardware);
	for (unsigned round = 0; round < ROUNDS; round++) {
		f.vm.killed = NULL;
		random_vmcs12(&f, B64);
		random_addresses();
		if (!(round % 8)) {
			new_ept12();
			*fx_at(&f, VAPIC_PAGE + 0x80) = 0x50;
		}
		random_ept12();
		if (fx_launch(&f).kind != OUT_ENTER_L2)
			continue;
		entered++;
		judge();
		run();
	}
	fx_end(&f);
}

static void no_vmcs12_reaches_beyond_L1(void **state)
{
	(void)state;
	for (unsigned hardware = 0; hardware < CPUS; hardware++) {
		property(false, hardware);
		property(true, hardware);
	}
	assert_true(entered > CPUS * ROUNDS);
	assert_true(leaves > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_vmcs12_reaches_beyond_L1) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
