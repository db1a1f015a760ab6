/*
 * Classes of bugs that other hypervisors' nested VMX has had, and by which a
 * guest got out, saw what is not its own, or stopped the host. One test for
 * each, named after its class; most have more tests elsewhere, and the fuzzers
 * (tests/fuzz) look for all of them.
 *
 * One class has no test: branch prediction shared by L2 and L1 (no IBPB between
 * them). docs/l1.md says whose business that is.
 */
#include "engine_fixture.h"
#include "nested_kit.h"

#include "nested/slots.h"

static struct fx f;

static const u16 instructions[] = {
	EXIT_VMCALL, EXIT_VMCLEAR, EXIT_VMLAUNCH, EXIT_VMPTRLD, EXIT_VMPTRST, EXIT_VMREAD,
	EXIT_VMRESUME, EXIT_VMWRITE, EXIT_VMXOFF, EXIT_VMXON, EXIT_INVEPT, EXIT_INVVPID,
};

/*
 * A reason that nobody handles. Every number a processor may come to write ends in
 * a verdict or costs the VM alone; that L0's own handlers exist is what the tables
 * of vm/exits.c compile to, and machine test vmx_exits runs them.
 */
static void missing_exit_handler(void **state)
{
	(void)state;
	for (u32 reason = 0; reason < 0x200; reason++) {
		if (reason == EXIT_INVALID_GUEST_STATE || reason == EXIT_MSR_LOADING)
			continue;	/* of failed entries */
		fx_start(&f, B64, false);
		fx_enter(&f);
		FX02(&f, EXIT_INTR_INFO) = INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_UD;
		FX02(&f, IDT_VECTORING_INFO) = 0;
		FX02(&f, EXIT_QUALIFICATION) = 1;
		fx_exit(&f, reason);
		if (reason >= EXIT_REASON_COUNT)
			assert_non_null(f.vm.killed);
		fx_end(&f);
	}
}

/* Exits for VMX instructions come at any CPL and mode; the checks are L0's. */
static void no_privilege_check(void **state)
{
	struct kit k;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(instructions); i++) {
		for (u64 cpl = 1; cpl <= 3; cpl++) {
			kit_start(&k);
			kit_enter_root_with_vmcs(&k);
			kit_set(&k, VMCS_GUEST_SS_AR, 0xc093 | cpl << AR_DPL_SHIFT);
			assert_fault(kit_exit(&k, instructions[i], KIT_INFO_MEM64, KIT_OPERAND),
				     X86_GP, 0);
			kit_end(&k);
		}
		kit_start(&k);
		kit_enter_root_with_vmcs(&k);
		kit_set(&k, VMCS_GUEST_CS_AR, 0xc09b);	/* compatibility mode */
		assert_fault(kit_exit(&k, instructions[i], KIT_INFO_MEM32, KIT_OPERAND), X86_UD, 0);
		kit_set(&k, VMCS_GUEST_EFER, 0);
		kit_set(&k, VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_VM);
		assert_fault(kit_exit(&k, instructions[i], KIT_INFO_MEM32, KIT_OPERAND), X86_UD, 0);
		kit_set(&k, VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
		kit_set(&k, VMCS_GUEST_CR0, CR0_NE);
		assert_fault(kit_exit(&k, instructions[i], KIT_INFO_MEM32, KIT_OPERAND), X86_UD, 0);
		kit_end(&k);
	}
}

static void entry_fails(enum state_base base, unsigned field, u64 value)
{
	struct outcome o;

	fx_start(&f, base, false);
	fx_vmwrite(&f, field, value);
	o = fx_launch(&f);
	assert_int_equal(o.kind, OUT_ENTRY_FAIL);
	assert_int_equal(o.error_code, EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE);
	fx_end(&f);
}

/* The states that made hosts loop or crash. All rules: test_nested_check.c, and the vectors. */
static void missing_entry_check(void **state)
{
	(void)state;
	entry_fails(B64, VF_GUEST_ACTIVITY, 4);
	entry_fails(REAL, VF_GUEST_CR0, CR0_NE | CR0_PG);
	entry_fails(B32, VF_GUEST_CR0, CR0_NE);		/* without unrestricted guest */
	entry_fails(B64, VF_GUEST_CR4, CR4_PAE);	/* without VMXE */

	/* A trap flag under MOV SS wants the single-step exception pending, and not otherwise. */
	fx_start(&f, B64, false);
	FX12_WRITE(&f, GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_TF);
	FX12_WRITE(&f, GUEST_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS);
	assert_int_equal(fx_launch(&f).kind, OUT_ENTRY_FAIL);
	FX12_WRITE(&f, GUEST_PENDING_DEBUG, BIT(14));
	fx_enter(&f);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* L1 intercepts nothing: L0 still does. L1 intercepts: so does vmcs02. */
static void merge_drops_an_intercept(void **state)
{
	const u64 cr8 = PROC_CR8_LOAD | PROC_CR8_STORE;

	(void)state;
	fx_start(&f, B64, false);
	fx_page02(&f, f.n.msr_bitmap01.v)[0x3a / 8] = 1 << 0x3a % 8;
	fx_page02(&f, f.n.io_bitmap01[0].v)[0xcf9 / 8] = 1 << 0xcf9 % 8;
	FX12_WRITE(&f, MSR_BITMAP, FX_PAGE(0));
	FX12_WRITE(&f, IO_BITMAP_A, FX_PAGE(1));
	FX12_WRITE(&f, IO_BITMAP_B, FX_PAGE(2));
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) | cr8 | PROC_MSR_BITMAPS |
				      PROC_IO_BITMAPS);
	fx_enter(&f);
	assert_true(fx_page02(&f, FX02(&f, MSR_BITMAP))[0x3a / 8] & 1 << 0x3a % 8);
	assert_true(fx_page02(&f, FX02(&f, IO_BITMAP_A))[0xcf9 / 8] & 1 << 0xcf9 % 8);
	assert_int_equal(FX02(&f, PROC_CONTROLS) & cr8, cr8);
	fx_exit_to_l1(&f);
	/* Without bitmaps of L1 every MSR exits, and of the ports those of L0. */
	FX12_WRITE(&f, PROC_CONTROLS,
		   FX12_READ(&f, PROC_CONTROLS) & ~(u64)(cr8 | PROC_MSR_BITMAPS | PROC_IO_BITMAPS));
	fx_enter(&f);
	assert_false(FX02(&f, PROC_CONTROLS) & PROC_MSR_BITMAPS);
	assert_true(FX02(&f, PROC_CONTROLS) & PROC_IO_BITMAPS);
	assert_int_equal(FX02(&f, IO_BITMAP_A), f.n.io_bitmap01[0].v);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* Whatever is read is something else the next time. */
static void overwrite_afterwards(struct vm *vm, gpa1_t a, size_t len)
{
	static u64 reads;

	if (a.v >= FX_PAGE(0) && a.v + len <= FX_PAGE(8))
		memset(vm->memory.ram + FX_SHIFT + a.v + (len > 8 ? 8 : 0),
		       (int)(0x41 + ++reads % 4), MIN(len, (size_t)8));
}

/* Whatever the engine reads of L1's pages between a call and the next, it reads once. */
static u8 fetched[FX_L1_RAM];

/* Operands and how to find them: what is kept of an earlier walk is looked at first (mmu_memo). */
#define L1_OPERAND FX_PAGE(60)
#define L1_TABLES FX_PAGE(61)

static void fetch_once(struct vm *vm, gpa1_t a, size_t len)
{
	(void)vm;
	for (u64 at = a.v; at < MIN(a.v + len, FX_L1_RAM); at++)
		if (fetched[at]++ && at - L1_OPERAND >= 4 * PAGE_SIZE)
			fail_msg("what lies at 0x%llx is read twice", (unsigned long long)at);
}

static struct outcome with_operand(u32 reason, u64 low, u64 type)
{
	const u64 operand[2] = { low };

	fx_l1_writes(&f, L1_OPERAND, operand, sizeof(operand));
	f.gpr[GPR_RDX] = type;
	FX01(&f, EXIT_INSTR_INFO) = KIT_INFO_MEM64 | KIT_REG2(GPR_RDX);
	FX01(&f, EXIT_QUALIFICATION) = L1_OPERAND;
	memset(fetched, 0, sizeof(fetched));
	return fx_instruction(&f, reason);
}

/* L1's linear addresses are GPA1s: three tables that nothing else is in. */
static void map_l1(void)
{
	const u64 entry[3] = { (L1_TABLES + PAGE_SIZE) | 0x23, (L1_TABLES + 2 * PAGE_SIZE) | 0x23,
			       0xe3 };

	for (u64 i = 0; i < ARRAY_SIZE(entry); i++)
		fx_l1_writes(&f, L1_TABLES + i * PAGE_SIZE, &entry[i], sizeof(entry[i]));
	FX01(&f, GUEST_CR3) = L1_TABLES;
	for (unsigned seg = 0; seg < 6; seg++)
		*fx_vmcs01(&f, VF_GUEST_ES_AR + seg) = seg == SEG_CS ? 0xa09b : 0xc093;
}

static void many_structures(u64 list, u64 bitmaps)
{
	const u32 entry[4] = { MSR_IA32_SYSENTER_CS };
	static const u8 lists[] = {
		VF_ENTRY_MSR_LOAD_ADDR, VF_EXIT_MSR_LOAD_ADDR, VF_EXIT_MSR_STORE_ADDR,
	};
	static const u8 counts[] = {
		VF_ENTRY_MSR_LOAD_COUNT, VF_EXIT_MSR_LOAD_COUNT, VF_EXIT_MSR_STORE_COUNT,
	};
	static const u8 pages[] = {
		VF_MSR_BITMAP, VF_IO_BITMAP_A, VF_IO_BITMAP_B, VF_VMREAD_BITMAP, VF_VMWRITE_BITMAP,
	};
	u32 shadow = NESTED_REVISION | VMCS_SHADOW_INDICATOR;

	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
		fx_l1_writes(&f, list + i * PAGE_SIZE, entry, sizeof(entry));
		fx_vmwrite(&f, lists[i], list + i * PAGE_SIZE);
		fx_vmwrite(&f, counts[i], 1);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		fx_vmwrite(&f, pages[i], bitmaps + i * PAGE_SIZE);
	fx_l1_writes(&f, FX_VMCS(7), &shadow, sizeof(shadow));
	FX12_WRITE(&f, VMCS_LINK_POINTER, FX_VMCS(7));
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) | PROC_MSR_BITMAPS |
				      PROC_IO_BITMAPS | PROC_SECONDARY);
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) | PROC2_SHADOW_VMCS);
}

static void every_structure_is_read_once(void **state)
{
	const u32 shadow = NESTED_REVISION | VMCS_SHADOW_INDICATOR;

	(void)state;
	fx_start(&f, B64, true);
	map_l1();
	fx_l1_writes(&f, FX_VMCS(6), &shadow, sizeof(shadow));
	f.vm.memory.before_read = fetch_once;
	assert_int_equal(with_operand(EXIT_VMXOFF, 0, 0).kind, OUT_OK);
	assert_int_equal(with_operand(EXIT_VMXON, FX_VMXON, 0).kind, OUT_OK);
	assert_int_equal(with_operand(EXIT_VMCLEAR, FX_VMCS(5), 0).kind, OUT_OK);
	assert_int_equal(with_operand(EXIT_VMPTRLD, FX_VMCS(5), 0).kind, OUT_OK);
	assert_true(fetched[FX_VMCS(5)]);
	assert_int_equal(with_operand(EXIT_VMPTRLD, FX_VMCS(6), 0).kind, OUT_OK);
	assert_true(FX_SLOT(&f)->is_shadow);
	assert_int_equal(with_operand(EXIT_INVEPT, FX_EPT12 | EPTP_WALK_4 | MT_WB, 1).kind, OUT_OK);
	assert_int_equal(with_operand(EXIT_INVVPID, 1, 1).kind, OUT_OK);
	fx_vmptrld(&f, FX_VMCS(5));
	memset(fetched, 0, sizeof(fetched));
	fx_load_state(&f, B64);
	many_structures(FX_PAGE(40), FX_PAGE(44));
	memset(fetched, 0, sizeof(fetched));
	fx_enter(&f);
	assert_true(fetched[FX_PAGE(40)] && fetched[FX_PAGE(44)] && fetched[FX_PAGE(48) + 0xfff]);
	assert_true(fetched[FX_VMCS(7)] && fetched[FX_VMCS(7) + 8]);
	memset(fetched, 0, sizeof(fetched));
	fx_exit_to_l1(&f);
	assert_true(fetched[FX_PAGE(41)] && fetched[FX_PAGE(42)]);
	f.vm.memory.before_read = NULL;
	fx_end(&f);
}

/* More of it: test_mmu_hostile.c, fuzzer "changing". */
static void double_fetch(void **state)
{
	u32 entry[4] = { MSR_IA32_PAT };

	(void)state;
	fx_start(&f, B64, false);
	fx_l1_writes(&f, FX_PAGE(0), entry, sizeof(entry));
	FX12_WRITE(&f, ENTRY_MSR_LOAD_ADDR, FX_PAGE(0));
	FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, 1);
	FX12_WRITE(&f, MSR_BITMAP, FX_PAGE(1));
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) | PROC_MSR_BITMAPS);
	fx_page02(&f, f.n.msr_bitmap01.v)[9] = 0x80;
	f.vm.memory.before_read = overwrite_afterwards;
	/* 41H.. is no memory type: an entry that was read again would be found out, or be used. */
	assert_int_equal(fx_launch(&f).kind, OUT_ENTRY_FAIL);
	FX12_WRITE(&f, ENTRY_MSR_LOAD_COUNT, 0);
	fx_enter(&f);
	assert_int_equal(FX02(&f, GUEST_PAT), 0x0007040600070406);
	assert_true(fx_page02(&f, FX02(&f, MSR_BITMAP))[9] & 0x80);
	f.vm.memory.before_read = NULL;
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* What L0 does for L2 by itself, L1 may have asked to see. */
static void emulation_without_asking_l1(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	FX12_WRITE(&f, EXCEPTION_BITMAP, BIT(X86_GP));
	fx_enter(&f);
	assert_int_equal(nested_l2_fault(&f.n, OUTCOME_UD), NESTED_RESUME);
	FX02(&f, ENTRY_INTR_INFO) = 0;
	assert_int_equal(nested_l2_fault(&f.n, OUTCOME_GP), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO),
			 INTR_VALID | INTR_TYPE_HW_EXCEPTION | INTR_ERROR_CODE | X86_GP);
	/* An intercept of L0 on the same port and MSR does not hide L1's. */
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) | PROC_UNCOND_IO);
	fx_enter(&f);
	FX02(&f, EXIT_QUALIFICATION) = 0xcf9ull << 16;
	assert_int_equal(fx_exit(&f, EXIT_IO), NESTED_REFLECTED);
	fx_enter(&f);
	f.gpr[GPR_RCX] = 0x3a;
	assert_int_equal(fx_exit(&f, EXIT_MSR_READ), NESTED_REFLECTED);
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) & ~(u64)PROC_UNCOND_IO);
	fx_enter(&f);
	FX02(&f, EXIT_QUALIFICATION) = 0xcf9ull << 16;
	assert_int_equal(fx_exit(&f, EXIT_IO), NESTED_L0);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/*
 * One page of L1's is the root of one EPT and a lower table of another, with and
 * without accessed flags: four tables of L0's, none shared. Machine test vmx_ept.
 */
static void table_reused_in_another_role(void **state)
{
	const u64 flags[] = { 0, EPTP_AD };
	struct ept02 *root[4];
	u64 eptp[4];

	(void)state;
	fx_start(&f, B64, false);
	for (unsigned i = 0; i < 4; i++) {
		struct ept02_fault out;

		eptp[i] = ept02_root(&f.ept02s, (FX_EPT12 + (i / 2) * PAGE_SIZE) | EPTP_WALK_4 |
				     MT_WB | flags[i % 2], &root[i]);
		ept02_fault(&f.ept02s, root[i], GPA2(0x1000), EPTQ_READ, &out);
		for (unsigned j = 0; j < i; j++)
			assert_false(((eptp[i] ^ eptp[j]) & EPT_ADDR) == 0);
	}
	/* And a role that was recycled starts empty. */
	for (unsigned i = 0; i < EPT02_ROOTS; i++)
		ept02_root(&f.ept02s, FX_PAGE(i) | EPTP_WALK_4 | MT_WB, &root[0]);
	eptp[0] = ept02_root(&f.ept02s, FX_EPT12 | EPTP_WALK_4 | MT_WB, &root[0]);
	for (unsigned i = 0; i < EPT_ENTRIES; i++)
		assert_int_equal(((u64 *)(void *)fx_page02(&f, eptp[0] & EPT_ADDR))[i], 0);
	fx_end(&f);
}

/* One vcpu's INVEPT is not another's: each flushes by itself before it enters. */
static void stale_tlb_of_another_cpu(void **state)
{
	static struct nested_vcpu other;
	struct nested_vmcs *s;
	u64 before;

	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	s = FX_SLOT(&f);
	other = f.n;
	ept02_invalidate_all(&f.ept02s);
	ept02_root(&f.ept02s, s->v[VF_EPT_POINTER], &s->ept02);
	ept02_fault(&f.ept02s, s->ept02, GPA2(0x1000), EPTQ_READ, &(struct ept02_fault){ 0 });
	ept02_unmap_gpa1(&f.ept02s, GPA1(0), FX_L1_RAM);
	before = f.hw.count.invepts;
	nested_use_ept02(&f.n, s, s->ept02);
	assert_int_equal(f.hw.count.invepts, before + 1);
	nested_use_ept02(&other, s, s->ept02);
	assert_int_equal(f.hw.count.invepts, before + 2);
	nested_use_ept02(&f.n, s, s->ept02);
	assert_int_equal(f.hw.count.invepts, before + 2);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* The preemption timer is vmcs02's; L1's shadow VMCS, its VMCSs and its bitmaps go. */
static void state_that_outlives_vmxoff(void **state)
{
	struct hw_region *vmcs02;
	u64 pin;

	(void)state;
	fx_start(&f, B64, true);
	pin = FX01(&f, PIN_CONTROLS);
	FX12_WRITE(&f, PIN_CONTROLS, FX12_READ(&f, PIN_CONTROLS) | PIN_PREEMPTION_TIMER);
	fx_enter(&f);
	vmcs02 = hw_region_at(&f.hw, FX_SLOT(&f)->vmcs02);
	fx_exit_to_l1(&f);
	assert_true(FX01(&f, PROC2_CONTROLS) & PROC2_SHADOW_VMCS);
	assert_int_equal(fx_instruction(&f, EXIT_VMXOFF).kind, OUT_OK);
	assert_false(FX01(&f, PROC2_CONTROLS) & PROC2_SHADOW_VMCS);
	assert_int_equal(FX01(&f, VMCS_LINK_POINTER), ~0ull);
	assert_int_equal(FX01(&f, PIN_CONTROLS), pin);
	assert_true(vmcs02->clear);
	for (unsigned i = 0; i < NESTED_SLOTS; i++)
		assert_int_equal(f.n.slot[i].gpa.v, NESTED_NO_VMPTR.v);
	fx_end(&f);
}

/* Machine test vmx_many does it with 300 VMCSs, each with an EPT and a VPID. */
static void unbounded_caches(void **state)
{
	u32 available;

	(void)state;
	fx_start(&f, B64, false);
	available = f.pool02.available;
	for (unsigned i = 0; i < 4000; i++) {
		struct ept02_fault out;
		struct ept02 *root;

		fx_vmptrld(&f, FX_VMCS(i % FX_VMCSS));
		ept02_root(&f.ept02s, (FX_EPT12 + (u64)i * PAGE_SIZE) | EPTP_WALK_4 | MT_WB, &root);
		ept02_fault(&f.ept02s, root, GPA2((u64)i << 21), EPTQ_READ, &out);
		assert_true(nested_invariant(&f.n));
	}
	ept02_invalidate_all(&f.ept02s);
	assert_true(f.pool02.available >= available - EPT02_ROOTS);
	fx_end(&f);
}

/* Leaves bytes where the next calls have their locals. */
static void __attribute__((noinline)) soil_stack(int byte)
{
	volatile u8 dirt[8192];

	for (unsigned i = 0; i < sizeof(dirt); i++)
		dirt[i] = (u8)byte;
}

static void trip_to_l2(int byte, u8 *region, struct hw_region *vmcs01)
{
	static const u16 reasons[] = { EXIT_CPUID, EXIT_EXTERNAL_INTERRUPT, EXIT_TRIPLE_FAULT };

	fx_start(&f, B64, false);
	for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++) {
		soil_stack(byte);
		fx_enter(&f);
		FX02(&f, IDT_VECTORING_INFO) = 0;
		soil_stack(byte);
		fx_exit(&f, reasons[i]);
	}
	soil_stack(byte);
	*vmcs01 = *hw_region_at(&f.hw, f.n.vmcs01);
	fx_vmclear(&f, FX_VMCS(0));
	memcpy(region, fx_at(&f, FX_VMCS(0)), PAGE_SIZE);
	fx_end(&f);
}

/* Nothing that L1 can read depends on what L0's stack held; and see run-time sanitizers. */
static void uninitialised_bytes(void **state)
{
	static u8 region[2][PAGE_SIZE];
	static struct hw_region vmcs01[2];

	(void)state;
	trip_to_l2(0xaa, region[0], &vmcs01[0]);
	trip_to_l2(0x55, region[1], &vmcs01[1]);
	assert_memory_equal(region[0], region[1], PAGE_SIZE);
	assert_memory_equal(vmcs01[0].v, vmcs01[1].v, sizeof(vmcs01[0].v));
}

/* A vcpu that nobody initialised is not in VMX operation, and stays so. */
static void zeroed_state_means_on(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	assert_false(k.n.vmxon || k.n.in_l2 || k.n.current);
	assert_true(nested_invariant(&k.n));
	for (unsigned i = 0; i < ARRAY_SIZE(instructions); i++)
		if (instructions[i] != EXIT_VMXON)
			assert_fault(kit_exit(&k, instructions[i], KIT_INFO_MEM64, KIT_OPERAND),
				     X86_UD, 0);
	/* Slots full of zeros are not VMCSs at address 0. */
	kit_enter_root(&k);
	assert_null(nested_slot_find(&k.n, GPA1(0)));
	assert_kind(kit_m64(&k, EXIT_VMPTRLD, 0), OUT_VMFAIL_INVALID);
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_exit_handler),
		cmocka_unit_test(no_privilege_check),
		cmocka_unit_test(missing_entry_check),
		cmocka_unit_test(merge_drops_an_intercept),
		cmocka_unit_test(double_fetch),
		cmocka_unit_test(every_structure_is_read_once),
		cmocka_unit_test(emulation_without_asking_l1),
		cmocka_unit_test(table_reused_in_another_role),
		cmocka_unit_test(stale_tlb_of_another_cpu),
		cmocka_unit_test(state_that_outlives_vmxoff),
		cmocka_unit_test(unbounded_caches),
		cmocka_unit_test(uninitialised_bytes),
		cmocka_unit_test(zeroed_state_means_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
