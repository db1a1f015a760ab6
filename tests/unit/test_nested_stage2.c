/*
 * nested/stage2.c and operands of L2: what L0 reads and writes in L2's place goes through
 * L2's tables and L1's EPT, as the processor's own access would. The string instructions
 * are the ones that do it.
 */
#include "ept_features.h"

#include "nested/operand.h"

/* L2's physical pages, and where L1 has them; data of two pages is where L2's PT says. */
enum { PML4 = 0x10, PDPT2, PD2, PT2, DATA, DATA2, PAGES };
#define AT(n) FX_PAGE(0x20 + ((n) - PML4))
#define GVA_DATA 0x14000ull		/* PT2 entries 14H and 15H */
#define LOG FX_PAGE(0x40)
#define AD_FLAGS (EPT_A | EPT_D)
#define PTE_FLAGS (BIT(5) | BIT(6))
#define GOOD (EPT_RWX | EPT_XU)

static void page12_at(unsigned n, u64 rights)
{
	map12(n, AT(n) | MT_WB << EPT_MT_SHIFT | rights);
}

static void start_l2(u32 proc2, bool flags)
{
	start(proc2);
	for (unsigned n = PML4; n < PAGES; n++)
		page12_at(n, GOOD);
	for (unsigned n = PML4; n < PT2; n++)
		poke(AT(n), (u64)(n + 1) * PAGE_SIZE | 7);
	poke(AT(PT2) + 8 * 0x14, DATA * PAGE_SIZE | 7);
	poke(AT(PT2) + 8 * 0x15, DATA2 * PAGE_SIZE | 7);
	poke(AT(DATA) + 0x10, 0x1122334455667788);
	if (flags)
		FX12_WRITE(&f, EPT_POINTER, FX_EPT12 | EPTP_WALK_4 | EPTP_AD | MT_WB);
	if (proc2 & PROC2_PML) {
		FX12_WRITE(&f, PML_ADDRESS, LOG);
		FX12_WRITE(&f, PML_INDEX, 511);
	}
}

/* L2 is at an INS or OUTS of this address, 64-bit, at CPL 0. */
static struct nested_string string_at(u64 gva, bool input)
{
	struct nested_string s;

	FX02(&f, GUEST_CR3) = PML4 * PAGE_SIZE;
	FX02(&f, EXIT_INSTR_INFO) = 2u << 7 | (u32)SEG_DS << 15;
	FX02(&f, IDT_VECTORING_INFO) = 0;
	f.gpr[input ? GPR_RDI : GPR_RSI] = gva;
	nested_string_decode(&f.n, input, &s);
	return s;
}

static struct outcome read_l2(u64 gva, u32 *value)
{
	struct nested_string s = string_at(gva, false);
	struct outcome o = OUTCOME_OK;

	nested_string_read(&s, value, sizeof(*value), &o);
	return o;
}

static struct outcome write_l2(u64 gva, u32 value)
{
	struct nested_string s = string_at(gva, true);
	struct outcome o = OUTCOME_OK;

	if (nested_string_check(&s, sizeof(value), &o))
		nested_string_write(&s, &value, sizeof(value), &o);
	return o;
}

static void memory_is_found(void **state)
{
	u32 value;

	(void)state;
	start_l2(0, false);
	fx_enter(&f);
	assert_int_equal(read_l2(GVA_DATA + 0x10, &value).kind, OUT_OK);
	assert_int_equal(value, 0x55667788);
	assert_int_equal(write_l2(GVA_DATA + 0xffe, 0xaabbccdd).kind, OUT_OK);
	assert_int_equal(peek(AT(DATA) + 0xff8) >> 48, 0xccdd);
	assert_int_equal(peek(AT(DATA2)), 0xaabb);
	/* L2's own flags, in L2's own tables. */
	assert_int_equal(peek(AT(PML4)) & PTE_FLAGS, BIT(5));
	assert_int_equal(peek(AT(PT2) + 8 * 0x14) & PTE_FLAGS, PTE_FLAGS);
	assert_false(peek(PT + 8 * DATA) & AD_FLAGS);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 3C "Accessed and Dirty Flags for EPT", "Page-Modification Logging". */
static void flags_and_log_of_ept12(void **state)
{
	static const u64 logged[] = { PML4, PDPT2, PD2, PT2, DATA };
	u32 value;

	(void)state;
	start_l2(PROC2_PML, true);
	fx_enter(&f);
	assert_int_equal(read_l2(GVA_DATA + 0x10, &value).kind, OUT_OK);
	assert_int_equal(peek(PT + 8 * PML4) & AD_FLAGS, AD_FLAGS);
	assert_int_equal(peek(PT + 8 * PT2) & AD_FLAGS, AD_FLAGS);
	assert_int_equal(peek(PT + 8 * DATA) & AD_FLAGS, EPT_A);
	assert_int_equal(write_l2(GVA_DATA + 0x10, 1).kind, OUT_OK);
	assert_int_equal(peek(PT + 8 * DATA) & AD_FLAGS, AD_FLAGS);
	assert_false(peek(PT + 8 * DATA2) & AD_FLAGS);
	for (unsigned i = 0; i < ARRAY_SIZE(logged); i++)
		assert_int_equal(peek(LOG + 8 * (511 - i)), logged[i] * PAGE_SIZE);
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, PML_INDEX), 511 - ARRAY_SIZE(logged));
	fx_end(&f);
}

static void a_full_log(void **state)
{
	u32 value;

	(void)state;
	start_l2(PROC2_PML, true);
	FX12_WRITE(&f, PML_INDEX, 512);
	FX12_WRITE(&f, GUEST_LINEAR_ADDRESS, 0x777);
	fx_enter(&f);
	assert_int_equal(read_l2(GVA_DATA, &value).kind, OUT_INTERRUPTED);
	assert_false(f.n.in_l2);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_PML_FULL);
	assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), 0);
	assert_int_equal(FX12_READ(&f, GUEST_LINEAR_ADDRESS), 0x777);
	assert_false(peek(PT + 8 * PML4) & AD_FLAGS);
	fx_end(&f);
}

static const struct {
	unsigned page;		/* of L2; its entry in ept12 has these rights */
	u64 rights;
	bool flags, write;
	u64 qualification, gpa;
} violations[] = {
	{ PML4, 0, false, false, EPTQ_READ | EPTQ_GLA_VALID, PML4 * PAGE_SIZE },
	{ PT2, 0, false, true, EPTQ_READ | EPTQ_GLA_VALID, PT2 * PAGE_SIZE + 0xa0 },
	{ PT2, EPT_R, false, false, EPTQ_WRITE | EPTQ_GLA_VALID | EPT_R << EPTQ_RIGHTS_SHIFT,
	  PT2 * PAGE_SIZE + 0xa0 },
	{ PD2, EPT_R, true, false, EPTQ_READ | EPTQ_WRITE | EPTQ_GLA_VALID |
	  EPT_R << EPTQ_RIGHTS_SHIFT, PD2 * PAGE_SIZE },
	{ DATA, 0, false, false, EPTQ_READ | FINAL | EPTQ_GLA_USER | EPTQ_GLA_WRITABLE,
	  DATA * PAGE_SIZE + 8 },
	{ DATA, EPT_X, false, false, EPTQ_READ | FINAL | EPTQ_GLA_USER | EPTQ_GLA_WRITABLE |
	  EPT_X << EPTQ_RIGHTS_SHIFT, DATA * PAGE_SIZE + 8 },
	{ DATA, EPT_R | EPT_X, true, true, EPTQ_WRITE | FINAL | EPTQ_GLA_USER | EPTQ_GLA_WRITABLE |
	  (EPT_R | EPT_X) << EPTQ_RIGHTS_SHIFT, DATA * PAGE_SIZE + 8 },
};

static void violations_are_L1s(void **state)
{
	u32 value;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(violations); i++) {
		start_l2(0, violations[i].flags);
		page12_at(violations[i].page, violations[i].rights);
		fx_enter(&f);
		FX02(&f, GUEST_RIP) = 0x4321;
		FX02(&f, GUEST_LINEAR_ADDRESS) = FX02(&f, GUEST_PHYSICAL_ADDRESS) = 0x999;
		if (violations[i].write)
			assert_int_equal(write_l2(GVA_DATA + 8, 1).kind, OUT_INTERRUPTED);
		else
			assert_int_equal(read_l2(GVA_DATA + 8, &value).kind, OUT_INTERRUPTED);
		assert_false(f.n.in_l2);
		assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_EPT_VIOLATION);
		assert_int_equal(FX12_READ(&f, EXIT_QUALIFICATION), violations[i].qualification);
		assert_int_equal(FX12_READ(&f, GUEST_LINEAR_ADDRESS), GVA_DATA + 8);
		assert_int_equal(FX12_READ(&f, GUEST_PHYSICAL_ADDRESS), violations[i].gpa);
		assert_int_equal(FX12_READ(&f, GUEST_RIP), 0x4321);
		assert_int_equal(peek(AT(DATA) + 8), 0);
		fx_end(&f);
	}
}

/* Nothing of a write is done when its second page must not be written. */
static void a_write_over_two_pages(void **state)
{
	(void)state;
	start_l2(0, false);
	page12_at(DATA2, EPT_R);
	fx_enter(&f);
	assert_int_equal(write_l2(GVA_DATA + 0xffe, ~0u).kind, OUT_INTERRUPTED);
	assert_int_equal(FX12_READ(&f, GUEST_LINEAR_ADDRESS), GVA_DATA + 0x1000);
	assert_int_equal(FX12_READ(&f, GUEST_PHYSICAL_ADDRESS), DATA2 * PAGE_SIZE);
	assert_int_equal(peek(AT(DATA) + 0xff8), 0);
	fx_end(&f);
}

static void misconfigurations_and_exceptions(void **state)
{
	u32 value;

	(void)state;
	start_l2(0, false);
	page12_at(DATA, EPT_W);
	fx_enter(&f);
	assert_int_equal(read_l2(GVA_DATA, &value).kind, OUT_INTERRUPTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_EPT_MISCONFIG);
	assert_int_equal(FX12_READ(&f, GUEST_PHYSICAL_ADDRESS), DATA * PAGE_SIZE);
	/* A violation that L1 wants L2 to see. */
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) | PROC2_EPT_VE);
	FX12_WRITE(&f, VE_INFO_ADDR, LOG);
	page12_at(DATA, 0);
	fx_enter(&f);
	assert_int_equal(read_l2(GVA_DATA + 4, &value).kind, OUT_INTERRUPTED);
	assert_true(f.n.in_l2);
	assert_int_equal(FX02(&f, ENTRY_INTR_INFO), INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_VE);
	assert_int_equal(peek(LOG + 16), GVA_DATA + 4);
	assert_int_equal(peek(LOG + 24), DATA * PAGE_SIZE + 4);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static void page_faults_come_first(void **state)
{
	struct outcome o;
	u32 value;

	(void)state;
	start_l2(0, false);
	poke(AT(PT2) + 8 * 0x14, DATA * PAGE_SIZE | 5);
	page12_at(DATA, 0);
	fx_enter(&f);
	FX02(&f, GUEST_CR0) |= CR0_WP;
	o = write_l2(GVA_DATA, 1);
	assert_int_equal(o.kind, OUT_FAULT);
	assert_int_equal(o.vector, X86_PF);
	assert_int_equal(o.error_code, PF_P | PF_W);
	assert_int_equal(o.value, GVA_DATA);
	assert_true(f.n.in_l2);
	o = read_l2(1ull << 47, &value);
	assert_int_equal(o.vector, X86_GP);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 3A "Protection Keys"; the register is L2's own, in the processor. */
static void protection_keys(void **state)
{
	struct outcome o;
	u32 value;

	(void)state;
	start_l2(0, false);
	poke(AT(PT2) + 8 * 0x14, 3ull << 59 | DATA * PAGE_SIZE | 7);
	fx_enter(&f);
	f.hw.pkru = 1u << 6;
	assert_int_equal(read_l2(GVA_DATA, &value).kind, OUT_OK);
	FX02(&f, GUEST_CR4) |= CR4_PKE;
	o = read_l2(GVA_DATA, &value);
	assert_int_equal(o.vector, X86_PF);
	assert_int_equal(o.error_code, PF_P | PF_PK);
	f.hw.pkru = ~(3u << 6);
	assert_int_equal(read_l2(GVA_DATA, &value).kind, OUT_OK);
	/* Supervisor pages have keys of their own. */
	poke(AT(PT2) + 8 * 0x14, 3ull << 59 | DATA * PAGE_SIZE | 3);
	hw_msr_set(&f.hw, MSR_IA32_PKRS, 2u << 6);
	assert_int_equal(write_l2(GVA_DATA, 1).kind, OUT_OK);
	FX02(&f, GUEST_CR4) |= CR4_PKS;
	FX02(&f, GUEST_CR0) |= CR0_WP;
	o = write_l2(GVA_DATA, 1);
	assert_int_equal(o.error_code, PF_P | PF_W | PF_PK);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 2A "INS", "OUTS": modes, segments, address sizes, alignment. */
static void strings_in_other_modes(void **state)
{
	struct nested_string s;
	struct outcome o;
	u16 value;

	(void)state;
	start_l2(0, false);
	fx_enter(&f);
	FX02(&f, GUEST_CR0) |= CR0_AM;
	FX02(&f, GUEST_RFLAGS) |= RFLAGS_AC;
	FX02(&f, GUEST_SS_AR) |= AR_DPL;
	s = string_at(GVA_DATA + 0x11, false);
	assert_false(nested_string_read(&s, &value, 2, &o));
	assert_int_equal(o.vector, X86_AC);
	s = string_at(GVA_DATA + 0x12, false);
	assert_true(nested_string_read(&s, &value, 2, &o));
	assert_int_equal(value, 0x5566);
	/* 16-bit addresses of compatibility mode. */
	FX02(&f, GUEST_CS_AR) &= ~(u64)AR_L;
	FX02(&f, GUEST_ES_BASE) = GVA_DATA - 0x8000;
	FX02(&f, GUEST_ES_AR) = 0xf3 | AR_DB;
	FX02(&f, GUEST_ES_LIMIT) = 0x8001;
	FX02(&f, EXIT_INSTR_INFO) = (u32)SEG_DS << 15;
	f.gpr[GPR_RDI] = 0xffffffff00008000;
	nested_string_decode(&f.n, true, &s);
	assert_int_equal(s.mask, 0xffff);
	FX02(&f, GUEST_CR3) = PML4 * PAGE_SIZE;
	assert_true(nested_string_check(&s, 2, &o) && nested_string_write(&s, "zy", 2, &o));
	assert_int_equal(peek(AT(DATA)), 'z' | 'y' << 8);
	FX02(&f, GUEST_ES_LIMIT) = 0x8000;
	assert_false(nested_string_check(&s, 2, &o));
	assert_int_equal(o.vector, X86_GP);
	/* OUTS takes the segment of a prefix. */
	FX02(&f, EXIT_INSTR_INFO) = (u32)SEG_SS << 15;
	FX02(&f, GUEST_SS_AR) |= AR_UNUSABLE;
	nested_string_decode(&f.n, false, &s);
	assert_false(nested_string_read(&s, &value, 2, &o));
	assert_int_equal(o.vector, X86_SS);
	FX02(&f, GUEST_SS_AR) &= ~(u64)(AR_DPL | AR_UNUSABLE);
	FX02(&f, GUEST_CS_AR) |= AR_L;
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 3C "VMWRITE": a memory operand is read before the field is looked for. */
static void a_vmwrite_of_L2_reads_its_operand(void **state)
{
	const u64 absent = 0x0000681e | 0x1000,
		  info = 2u << 7 | (u32)SEG_DS << 15 | 1u << 22 | 1u << 27;
	struct outcome o;

	(void)state;
	start_l2(0, false);
	FX12_WRITE(&f, VMCS_LINK_POINTER, ~0ull);
	for (unsigned i = 0; i < 3; i++) {
		page12_at(DATA, i == 1 ? 0 : GOOD);
		fx_enter(&f);
		/* As if it were one: no more is asked. */
	FX_SLOT(&f)->v[VF_VMCS_LINK_POINTER] = LOG;
		FX02(&f, GUEST_CR3) = PML4 * PAGE_SIZE;
		FX02(&f, EXIT_INSTR_INFO) = info | (u32)GPR_RDX << 28;
		FX02(&f, EXIT_QUALIFICATION) = i == 2 ? 0x13000 : GVA_DATA;
		f.gpr[GPR_RDX] = absent;
		o = nested_vmx_instruction(&f.n, EXIT_VMWRITE);
		FX_SLOT(&f)->v[VF_VMCS_LINK_POINTER] = ~0ull;
		if (i == 0) {
			assert_int_equal(o.kind, OUT_VMFAIL_VALID);
			assert_int_equal(o.error_code, VMERR_UNSUPPORTED_FIELD);
		} else if (i == 1) {
			assert_int_equal(o.kind, OUT_INTERRUPTED);
			assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_EPT_VIOLATION);
		} else {
			assert_int_equal(o.kind, OUT_FAULT);
			assert_int_equal(o.vector, X86_PF);
			assert_int_equal(o.value, 0x13000);
		}
		if (f.n.in_l2)
			fx_exit_to_l1(&f);
	}
	fx_end(&f);
}

/* A page of L1's that L0 watches: it is told, and the write goes on. */
static void a_page_that_L0_protects(void **state)
{
	(void)state;
	start_l2(0, false);
	fx_enter(&f);
	assert_true(ept01_protect(&f.ept01, GPA1(AT(DATA)), EPT_R | EPT_X));
	assert_int_equal(write_l2(GVA_DATA, 1).kind, OUT_OK);
	assert_int_equal(f.vm.faulted.v, AT(DATA));
	fx_exit_to_l1(&f);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_found),
		cmocka_unit_test(flags_and_log_of_ept12),
		cmocka_unit_test(a_full_log),
		cmocka_unit_test(violations_are_L1s),
		cmocka_unit_test(a_write_over_two_pages),
		cmocka_unit_test(misconfigurations_and_exceptions),
		cmocka_unit_test(page_faults_come_first),
		cmocka_unit_test(protection_keys),
		cmocka_unit_test(strings_in_other_modes),
		cmocka_unit_test(a_vmwrite_of_L2_reads_its_operand),
		cmocka_unit_test(a_page_that_L0_protects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
