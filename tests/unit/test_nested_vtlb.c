/*
 * The engine on a processor without EPT (nested/vtlb.c, exit_vtlb.c): vmcs02 has
 * what hardware and L0 need, L1 and L2 see what is theirs, and each page fault and
 * control-register access goes to whom it belongs.
 */
#include "engine_fixture.h"

#define PF_INFO (INTR_VALID | INTR_ERROR_CODE | INTR_TYPE_HW_EXCEPTION | X86_PF)
#define PML4 0x1000ull		/* L2's tables, as check_states.h has CR3 */
#define PAGE_AT 0x40000ull	/* what they map at 0 */

static struct fx f;

static void poke(u64 gpa1, u64 value)
{
	memcpy(fx_at(&f, gpa1), &value, sizeof(value));
}

static void start(enum state_base base)
{
	fx_start_without_ept(&f, base);
	poke(PML4, 0x9000 | 7);
	poke(0x9000, 0xa000 | 7);
	poke(0xa000, 0xb000 | 7);
	poke(0xb000, PAGE_AT | 7);
}

/* An exit of L2 by #PF; the qualification is the address. */
static enum nested_verdict page_fault(u64 gva, u32 error, u64 vectoring)
{
	FX02(&f, EXIT_QUALIFICATION) = gva;
	FX02(&f, EXIT_INTR_INFO) = PF_INFO;
	FX02(&f, EXIT_INTR_ERROR_CODE) = error;
	FX02(&f, IDT_VECTORING_INFO) = vectoring;
	return fx_exit(&f, EXIT_EXCEPTION_NMI);
}

/* What the shadow tables that vmcs02 runs on have at level 1 for address 0. */
static u64 shadow_entry(void)
{
	u64 entry = FX02(&f, GUEST_CR3);

	for (unsigned level = 4; level; level--) {
		if (level < 4 && !(entry & 1))
			return 0;
		entry = *op_table(&f.vm, HPA(entry & EPT_ADDR));
	}
	return entry;
}

static void registers_are_everybodys_own(void **state)
{
	u64 cr0 = CR0_PE | CR0_NE | CR0_PG | CR0_TS;

	(void)state;
	start(B64);
	FX12_WRITE(&f, GUEST_CR0, cr0);
	FX12_WRITE(&f, CR0_MASK, CR0_TS);
	FX12_WRITE(&f, CR0_SHADOW, 0);
	FX12_WRITE(&f, CR4_MASK, CR4_VMXE);
	FX12_WRITE(&f, EXCEPTION_BITMAP, BIT(X86_UD));
	FX12_WRITE(&f, PF_ERROR_MASK, 1);
	FX12_WRITE(&f, CR3_TARGET_COUNT, 1);
	FX12_WRITE(&f, CR3_TARGET0, 0x77000);
	fx_enter(&f);
	assert_int_equal(FX02(&f, GUEST_CR0), cr0 | CR0_WP);
	assert_int_equal(FX02(&f, CR0_MASK), CR0_TS | VTLB_CR0_MASK);
	assert_int_equal(FX02(&f, CR0_SHADOW), cr0 & ~CR0_TS);
	assert_int_equal(FX02(&f, CR4_MASK), CR4_VMXE | VTLB_CR4_MASK);
	assert_int_equal(FX02(&f, EXCEPTION_BITMAP), BIT(X86_UD) | BIT(X86_PF));
	assert_int_equal(FX02(&f, PF_ERROR_MASK) | FX02(&f, PF_ERROR_MATCH), 0);
	assert_int_equal(FX02(&f, CR3_TARGET_COUNT), 0);
	assert_int_equal(FX02(&f, PROC_CONTROLS) & (PROC_INVLPG | PROC_CR3_LOAD | PROC_CR3_STORE),
			 PROC_INVLPG | PROC_CR3_LOAD | PROC_CR3_STORE);
	assert_true(FX02(&f, GUEST_CR3) >= FX_HOME);
	FX02(&f, GUEST_CR0) |= CR0_MP;		/* L2 may without an exit */
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, GUEST_CR0), cr0 | CR0_MP);
	assert_int_equal(FX12_READ(&f, GUEST_CR3), PML4);
	assert_int_equal(FX12_READ(&f, GUEST_CR4), CR4_PAE | CR4_VMXE);
	assert_int_equal(FX12_READ(&f, CR3_TARGET0), 0x77000);
	fx_end(&f);
}

static void l1_gets_its_host_state(void **state)
{
	(void)state;
	start(B64);
	FX12_WRITE(&f, HOST_CR0, CR0_PE | CR0_NE | CR0_PG);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	assert_int_equal(FX01(&f, CR0_SHADOW), CR0_PE | CR0_NE | CR0_PG | CR0_ET);
	assert_int_equal(FX01(&f, GUEST_CR0), CR0_PE | CR0_NE | CR0_PG | CR0_ET | CR0_WP);
	assert_int_equal(FX01(&f, CR4_SHADOW), CR4_PAE | CR4_VMXE);
	assert_int_equal(*fx_place01(&f, f.n.at.cr3), 0x3000);
	assert_true(FX01(&f, GUEST_CR3) >= FX_HOME);
	assert_int_equal(*fx_place01(&f, f.n.at.efer), EFER_LME | EFER_LMA | EFER_SCE);
	fx_end(&f);
}

static void missing_entries_are_filled(void **state)
{
	(void)state;
	start(B64);
	FX12_WRITE(&f, EXCEPTION_BITMAP, BIT(X86_PF));
	fx_enter(&f);
	assert_int_equal(page_fault(0x123, 0, 0), NESTED_RESUME);
	assert_int_equal(shadow_entry() & EPT_ADDR, PAGE_AT + FX_SHIFT);
	assert_false(shadow_entry() & BIT(1));		/* not dirty yet */
	assert_int_equal(page_fault(0x123, PF_W | PF_P, 0), NESTED_RESUME);
	assert_true(shadow_entry() & BIT(1));
	assert_false(FX02(&f, ENTRY_INTR_INFO) & INTR_VALID);
	/* What was being delivered is delivered again. */
	assert_int_equal(page_fault(0x200, PF_U, INTR_VALID | INTR_TYPE_SW_INTERRUPT | 0x80),
			 NESTED_RESUME);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), INTR_VALID | INTR_TYPE_SW_INTERRUPT | 0x80);
	/* An IRET that faulted had unblocked NMIs. */
	FX02(&f, GUEST_INTERRUPTIBILITY) = 0;
	FX02(&f, EXIT_INTR_INFO) = PF_INFO | INTR_NMI_UNBLOCKING;
	FX02(&f, IDT_VECTORING_INFO) = 0;
	assert_int_equal(fx_exit(&f, EXIT_EXCEPTION_NMI), NESTED_RESUME);
	assert_int_equal(FX02(&f, GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static void l2s_own_faults_are_l1s(void **state)
{
	(void)state;
	start(B64);
	FX12_WRITE(&f, EXCEPTION_BITMAP, BIT(X86_PF));
	fx_enter(&f);
	/* The hardware's error code is about the shadow, L1's must be about its own tables. */
	poke(0xb000, PAGE_AT | 5);
	assert_int_equal(page_fault(0x123, PF_W, 0), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_INTR_INFO), PF_INFO);
	assert_int_equal(FX12_READ(&f, EXIT_INTR_ERROR_CODE), PF_W | PF_P);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), 0x123);
	fx_end(&f);
}

static void l2s_own_faults_are_l2s(void **state)
{
	static const struct { u32 first; enum nested_verdict verdict; u32 vector; } with[] = {
		{ INTR_TYPE_HW_EXCEPTION | X86_GP, NESTED_RESUME, X86_PF },
		{ INTR_TYPE_HW_EXCEPTION | X86_PF, NESTED_RESUME, X86_DF },
		{ INTR_TYPE_HW_EXCEPTION | X86_UD, NESTED_RESUME, X86_PF },
		{ INTR_TYPE_SW_INTERRUPT | X86_GP, NESTED_RESUME, X86_PF },
		{ INTR_TYPE_EXTERNAL | 0x30, NESTED_RESUME, X86_PF },
		{ INTR_TYPE_HW_EXCEPTION | X86_DF, NESTED_REFLECTED, 0 },
	};

	(void)state;
	start(B64);
	fx_enter(&f);
	assert_int_equal(page_fault(0x5000, PF_U, 0), NESTED_RESUME);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), PF_INFO);
	assert_int_equal(FX02(&f, ENTRY_ERROR_CODE), PF_U);
	assert_int_equal(f.hw.cr2, 0x5000);
	for (unsigned i = 0; i < ARRAY_SIZE(with); i++) {
		f.hw.cr2 = 0;
		assert_int_equal(page_fault(0x6000, PF_W, INTR_VALID | with[i].first),
				 with[i].verdict);
		assert_int_equal(f.hw.cr2, 0x6000);	/* whatever becomes of it */
		if (with[i].verdict == NESTED_REFLECTED)
			break;
		assert_int_equal(FX02(&f, ENTRY_INTR_INFO) & INTR_VECTOR, with[i].vector);
		assert_int_equal(FX02(&f, ENTRY_ERROR_CODE), with[i].vector == X86_DF ? 0 : PF_W);
	}
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_TRIPLE_FAULT);
	/* Mask and match are L1's, and about the guest's error code. */
	FX12_WRITE(&f, EXCEPTION_BITMAP, BIT(X86_PF));
	FX12_WRITE(&f, PF_ERROR_MASK, PF_U);
	FX12_WRITE(&f, PF_ERROR_MATCH, PF_U);
	fx_enter(&f);
	assert_int_equal(page_fault(0x5000, PF_W, 0), NESTED_RESUME);
	assert_int_equal(page_fault(0x5000, PF_U, 0), NESTED_REFLECTED);
	fx_end(&f);
}

static enum nested_verdict mov_to_cr(unsigned cr, u64 value)
{
	FX02(&f, EXIT_QUALIFICATION) = cr | GPR_RBX << 8;
	f.gpr[GPR_RBX] = value;
	FX02(&f, IDT_VECTORING_INFO) = 0;
	return fx_exit(&f, EXIT_CR_ACCESS);
}

static enum nested_verdict mov_from_cr3(void)
{
	FX02(&f, EXIT_QUALIFICATION) = 3 | CRQ_FROM_CR << 4 | GPR_RBX << 8;
	return fx_exit(&f, EXIT_CR_ACCESS);
}

static void each_access_has_its_owner(void **state)
{
	u64 cr0 = CR0_PE | CR0_NE | CR0_PG | CR0_WP, proc;

	(void)state;
	start(B64);
	FX12_WRITE(&f, CR0_MASK, CR0_TS);
	FX12_WRITE(&f, CR0_SHADOW, cr0);
	FX12_WRITE(&f, CR4_MASK, CR4_PGE);
	FX12_WRITE(&f, CR4_SHADOW, 0);
	proc = FX12_READ(&f, PROC_CONTROLS) & ~(u64)(PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG);
	FX12_WRITE(&f, PROC_CONTROLS, proc);
	fx_enter(&f);
	assert_int_equal(mov_to_cr(0, cr0 & ~CR0_WP), NESTED_L0);
	nested_vtlb_set_cr(&f.n, nested_l2_own_cr0(&f.n, cr0, (cr0 & ~CR0_WP) | CR0_TS),
			   CR4_PAE | CR4_VMXE);
	assert_int_equal(FX02(&f, CR0_SHADOW), cr0 & ~CR0_WP);
	assert_true(FX02(&f, GUEST_CR0) & CR0_WP);
	assert_int_equal(mov_to_cr(4, CR4_PAE | CR4_PSE), NESTED_L0);
	assert_int_equal(mov_to_cr(3, 0x8000), NESTED_L0);
	assert_int_equal(mov_from_cr3(), NESTED_L0);
	assert_int_equal(fx_exit(&f, EXIT_INVLPG), NESTED_L0);
	assert_int_equal(mov_to_cr(0, cr0 | CR0_TS), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, GUEST_CR0), cr0 & ~CR0_WP);	/* and TS is L1's */
	fx_enter(&f);
	assert_int_equal(mov_to_cr(4, CR4_PAE | CR4_PGE), NESTED_REFLECTED);
	FX12_WRITE(&f, PROC_CONTROLS, proc | PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG);
	FX12_WRITE(&f, CR3_TARGET_COUNT, 2);
	FX12_WRITE(&f, CR3_TARGET1, 0x8000);
	fx_enter(&f);
	assert_int_equal(mov_to_cr(3, 0x8000), NESTED_L0);
	assert_int_equal(mov_to_cr(3, 0x9000), NESTED_REFLECTED);
	fx_enter(&f);
	assert_int_equal(mov_from_cr3(), NESTED_REFLECTED);
	fx_enter(&f);
	assert_int_equal(fx_exit(&f, EXIT_INVLPG), NESTED_REFLECTED);
	fx_end(&f);
}

static void fails_with(u64 qualification)
{
	struct outcome o = fx_launch(&f);

	assert_int_equal(o.kind, OUT_ENTRY_FAIL);
	assert_int_equal(o.error_code & EXIT_REASON_BASIC, EXIT_INVALID_GUEST_STATE);
	assert_int_equal(o.value, qualification);
	assert_int_equal(FX12_READ(&f, EXIT_REASON),
			 EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE);
}

/* The hardware would see none of these: what it gets has other registers. */
static void bad_guest_state_is_found(void **state)
{
	(void)state;
	start(B64);
	FX12_WRITE(&f, GUEST_CR3, BIT(41));
	fails_with(0);
	FX12_WRITE(&f, GUEST_CR3, PML4);
	FX12_WRITE(&f, GUEST_CR4, CR4_VMXE);
	fails_with(0);
	FX12_WRITE(&f, GUEST_CR4, CR4_VMXE | CR4_PAE | CR4_PCIDE);
	fails_with(0);
	FX12_WRITE(&f, GUEST_CR4, CR4_VMXE | CR4_PAE);
	FX12_WRITE(&f, GUEST_CR0, CR0_PE | CR0_NE);
	fails_with(0);
	FX12_WRITE(&f, GUEST_CR0, CR0_PE | CR0_NE | CR0_PG);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	/* Whatever L0 has to flush between the merge and the entry. */
	FX12_WRITE(&f, GUEST_CR3, BIT(41));
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMRESUME).kind, OUT_ENTER_L2);
	vtlb_drop(&f.vtlb);
	nested_vtlb_flush(&f.n);
	assert_true(FX02(&f, GUEST_CR3) >> f.n.caps.maxphyaddr);
	assert_int_equal(nested_l2_exit(&f.n, EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE),
			 NESTED_REFLECTED);
	fx_end(&f);
	start(B32_MEMORY);
	poke(PDPT, 0x9001);
	poke(PDPT + 8, 0x9001 | BIT(1));
	fails_with(2);
	poke(PDPT + 8, 0);
	fx_enter(&f);
	assert_int_equal(*fx_place02(&f, f.n.at.pdpte), 0x9001);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* L2's root took the place of L1's, and then the hardware says VMfail. */
static void l1_goes_on_with_its_own_tables(void **state)
{
	struct mmu_paging p;

	(void)state;
	start(B64);
	nested_vtlb_paging(&f.n, &p);
	FX01(&f, GUEST_CR3) = vtlb_root(&f.vtlb, &p).v;
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMLAUNCH).kind, OUT_ENTER_L2);
	vtlb_drop(&f.vtlb);
	nested_vtlb_flush(&f.n);
	assert_int_equal(FX01(&f, GUEST_CR3), FX02(&f, GUEST_CR3));
	assert_int_equal(nested_entry_refused(&f.n, VMERR_ENTRY_CONTROLS).kind, OUT_VMFAIL_VALID);
	assert_int_not_equal(FX01(&f, GUEST_CR3), FX02(&f, GUEST_CR3));
	nested_vtlb_paging(&f.n, &p);
	assert_int_equal(FX01(&f, GUEST_CR3), vtlb_root(&f.vtlb, &p).v);
	fx_end(&f);
}

/* Hardware is in protected mode whatever L1 is in: VMX instructions go by what L1 sees. */
static void no_vmx_in_real_mode(void **state)
{
	struct outcome o;

	(void)state;
	start(B64);
	FX01(&f, ENTRY_CONTROLS) &= ~(u64)ENTRY_IA32E;
	FX01(&f, CR0_SHADOW) &= ~CR0_PE;
	o = nested_vmx_instruction(&f.n, EXIT_VMXOFF);
	assert_int_equal(o.kind, OUT_FAULT);
	assert_int_equal(o.vector, X86_UD);
	FX01(&f, CR0_SHADOW) |= CR0_PE;
	assert_int_equal(nested_vmx_instruction(&f.n, EXIT_VMXOFF).kind, OUT_OK);
	fx_end(&f);
}

/* An L2 whose tables have two levels runs on tables of another format. */
static void two_levels(void **state)
{
	u32 pde = 0xc000 | 7, pte = PAGE_AT | 7;

	(void)state;
	start(B32_MEMORY);
	FX12_WRITE(&f, GUEST_CR4, CR4_VMXE);
	FX12_WRITE(&f, GUEST_CR3, 0xd000);
	memcpy(fx_at(&f, 0xd000), &pde, 4);
	memcpy(fx_at(&f, 0xc000), &pte, 4);
	fx_enter(&f);
	assert_int_equal(FX02(&f, GUEST_CR4) & CR4_PAE, CR4_PAE);
	assert_int_equal(FX02(&f, CR4_SHADOW) & CR4_PAE, 0);
	assert_int_equal(page_fault(0x10, PF_W, 0), NESTED_RESUME);
	memcpy(&pte, fx_at(&f, 0xc000), 4);
	assert_int_equal(pte, PAGE_AT | 0x67);
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, GUEST_CR4), CR4_VMXE);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_are_everybodys_own),
		cmocka_unit_test(l1_gets_its_host_state),
		cmocka_unit_test(missing_entries_are_filled),
		cmocka_unit_test(l2s_own_faults_are_l1s),
		cmocka_unit_test(l2s_own_faults_are_l2s),
		cmocka_unit_test(each_access_has_its_owner),
		cmocka_unit_test(bad_guest_state_is_found),
		cmocka_unit_test(l1_goes_on_with_its_own_tables),
		cmocka_unit_test(no_vmx_in_real_mode), cmocka_unit_test(two_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
