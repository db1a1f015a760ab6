/*
 * nested/exit.c, sync.c: whose an exit of L2 is, what L1 is told of it, and what
 * L1 reads and writes afterwards.
 */
#include "engine_fixture.h"

#define SAVES (EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_SAVE_EFER)
#define LOADS (ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)

static struct fx f;

static void set_bits(unsigned index, u64 clear, u64 set)
{
	fx_vmwrite(&f, index, (fx_vmread(&f, index) & ~clear) | set);
}

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
	set_bits(VF_PIN_CONTROLS, 0, PIN_EXTERNAL_INTERRUPT | PIN_NMI);
	set_bits(VF_PROC_CONTROLS, 0, PROC_UNCOND_IO | PROC_MTF);
	FX12_WRITE(&f, EXCEPTION_BITMAP, ~0u);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct info_row *r = &rows[i];

		if (!strcmp(r->owner, "ept"))
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
	set_bits(VF_PROC_CONTROLS, 0, PROC_UNCOND_IO);
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

			set_bits(VF_PIN_CONTROLS, PIN_NMI, asked ? PIN_NMI : 0);
			set_bits(VF_PROC_CONTROLS, PROC_UNCOND_IO | PROC_MSR_BITMAPS | PROC_MTF,
				 asked ? PROC_UNCOND_IO | PROC_MTF : PROC_MSR_BITMAPS);
			FX12_WRITE(&f, MSR_BITMAP, FX_PAGE(2));
			FX12_WRITE(&f, EXCEPTION_BITMAP, asked ? ~0u : 0);
			fx_enter(&f);
			fill_exit_information();
			FX02(&f, EXIT_QUALIFICATION) = 0;
			FX02(&f, GUEST_PHYSICAL_ADDRESS) = FX_PAGE(1);
			f.gpr[GPR_RCX] = 0x10;
			if (!strcmp(r->owner, "ept"))
				expect = NESTED_RESUME;
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

/* Fields that an exit saves. */
static bool is_saved(unsigned i)
{
	return field_test(&f.n.exists, i) &&
	       (field_test(&nested_fields_hot, i) || field_test(&nested_fields_cold, i)) &&
	       !(i >= VF_GUEST_PDPTE0 && i <= VF_GUEST_PDPTE3);
}

static void L1_reads_what_L2_left(bool shadow)
{
	fx_start(&f, B64, shadow);
	set_bits(VF_EXIT_CONTROLS, 0, SAVES);
	set_bits(VF_ENTRY_CONTROLS, 0, LOADS);
	for (unsigned i = 0; i < VF_COUNT; i++) {
		u64 value;

		if (!is_saved(i))
			continue;
		fx_enter(&f);
		value = (*fx_vmcs02(&f, i) ^ 0x100) & nested_field_bits[i];
		if (i == VF_GUEST_EFER || i == VF_GUEST_CR0 || i == VF_GUEST_CR4)
			value = *fx_vmcs02(&f, i);
		*fx_vmcs02(&f, i) = value;
		fx_exit_to_l1(&f);
		if (fx_vmread(&f, i) != value)
			fail_msg("%s: L1 reads %#llx, L2 left %#llx", nested_field_name[i],
				 (unsigned long long)fx_vmread(&f, i), (unsigned long long)value);
		/* L1 writes it; vmcs02 gets it; nothing else is lost. */
		fx_vmwrite(&f, i, value ^ 0x100);
		if (fx_launch(&f).kind != OUT_ENTER_L2) {
			fx_vmwrite(&f, i, value);
			fx_load_state(&f, B64);
			set_bits(VF_EXIT_CONTROLS, 0, SAVES);
			set_bits(VF_ENTRY_CONTROLS, 0, LOADS);
			continue;
		}
		assert_int_equal(*fx_vmcs02(&f, i), (value ^ 0x100) & nested_field_bits[i]);
		fx_exit_to_l1(&f);
		assert_int_equal(fx_vmread(&f, i), (value ^ 0x100) & nested_field_bits[i]);
		fx_load_state(&f, B64);
		set_bits(VF_EXIT_CONTROLS, 0, SAVES);
		set_bits(VF_ENTRY_CONTROLS, 0, LOADS);
	}
	fx_end(&f);
}

static void L1_reads_what_L2_left_by_software(void **state)
{
	(void)state;
	L1_reads_what_L2_left(false);
}

static void L1_reads_what_L2_left_by_shadow(void **state)
{
	(void)state;
	L1_reads_what_L2_left(true);
}

/* What stays in vmcs02 comes once, when L1 asks, and all of it together. */
static void cold_fields_come_when_asked_for(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	hw_forget(&f.hw);
	fx_exit_to_l1(&f);
	assert_int_equal(f.hw.count.loads, 1);
	FX12_READ(&f, GUEST_RIP);
	FX12_READ(&f, EXIT_REASON);
	assert_int_equal(f.hw.count.loads, 1);
	FX12_READ(&f, GUEST_GDTR_BASE);
	assert_int_equal(f.hw.count.loads, 3);
	FX12_READ(&f, GUEST_FS_BASE);
	assert_int_equal(f.hw.count.loads, 3);
	fx_end(&f);
}

/* A write to a cold field that nobody read: the others still come from vmcs02. */
static void a_cold_field_written_unread(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	FX02(&f, GUEST_GDTR_BASE) = 0x1000;
	FX02(&f, GUEST_IDTR_BASE) = 0x2000;
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, GUEST_GDTR_BASE, 0x3000);
	assert_int_equal(FX12_READ(&f, GUEST_IDTR_BASE), 0x2000);
	assert_int_equal(FX12_READ(&f, GUEST_GDTR_BASE), 0x3000);
	fx_enter(&f);
	assert_int_equal(FX02(&f, GUEST_GDTR_BASE), 0x3000);
	assert_int_equal(FX02(&f, GUEST_IDTR_BASE), 0x2000);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 3C "Saving Control Registers, Debug Registers, and MSRs", and the loads of the
 * next entry, for each combination of the controls. */
struct state_msrs { u64 debugctl, dr7, pat, efer; };
#define L1_MSRS ((struct state_msrs){ 0, DR7_INIT, 0x0007040600070406, EFER_LME | EFER_LMA | EFER_SCE })

static struct state_msrs in_vmcs(u64 *(*at)(struct fx *, unsigned))
{
	return (struct state_msrs){ *at(&f, VF_GUEST_DEBUGCTL), *at(&f, VF_GUEST_DR7),
				    *at(&f, VF_GUEST_PAT), *at(&f, VF_GUEST_EFER) };
}

static struct state_msrs read_by_L1(void)
{
	return (struct state_msrs){ FX12_READ(&f, GUEST_DEBUGCTL), FX12_READ(&f, GUEST_DR7),
				    FX12_READ(&f, GUEST_PAT), FX12_READ(&f, GUEST_EFER) };
}

static void L2_changes_them(struct state_msrs *now)
{
	*now = (struct state_msrs){ fx_below(&f, 2), DR7_INIT | fx_below(&f, 256),
				    fx_below(&f, 2) ? 0x0606060606060606 : 0x0404040404040404,
				    EFER_LME | EFER_LMA | (fx_below(&f, 2) ? EFER_NXE : 0) };
	FX02(&f, GUEST_DEBUGCTL) = now->debugctl;
	FX02(&f, GUEST_DR7) = now->dr7;
	FX02(&f, GUEST_PAT) = now->pat;
	FX02(&f, GUEST_EFER) = now->efer;
}

static struct state_msrs loaded(struct state_msrs field, u64 entry)
{
	struct state_msrs l1 = L1_MSRS;

	return (struct state_msrs){
		entry & ENTRY_LOAD_DEBUG ? field.debugctl : l1.debugctl,
		entry & ENTRY_LOAD_DEBUG ? field.dr7 : l1.dr7,
		entry & ENTRY_LOAD_PAT ? field.pat : l1.pat,
		entry & ENTRY_LOAD_EFER ? field.efer : l1.efer,
	};
}

static struct state_msrs saved(struct state_msrs field, struct state_msrs now, u64 exit)
{
	return (struct state_msrs){
		exit & EXIT_SAVE_DEBUG ? now.debugctl : field.debugctl,
		exit & EXIT_SAVE_DEBUG ? now.dr7 : field.dr7,
		exit & EXIT_SAVE_PAT ? now.pat : field.pat,
		exit & EXIT_SAVE_EFER ? now.efer : field.efer,
	};
}

static void assert_same(struct state_msrs a, struct state_msrs b, const char *what)
{
	if (memcmp(&a, &b, sizeof(a)))
		fail_msg("%s: DEBUGCTL %llx/%llx DR7 %llx/%llx PAT %llx/%llx EFER %llx/%llx", what,
			 (unsigned long long)a.debugctl, (unsigned long long)b.debugctl,
			 (unsigned long long)a.dr7, (unsigned long long)b.dr7,
			 (unsigned long long)a.pat, (unsigned long long)b.pat,
			 (unsigned long long)a.efer, (unsigned long long)b.efer);
}

/* A failed entry in between loads and saves nothing. */
static void fail_once(void)
{
	u64 rflags = FX12_READ(&f, GUEST_RFLAGS);

	FX12_WRITE(&f, GUEST_RFLAGS, 0);
	assert_int_equal(fx_launch(&f).kind, OUT_ENTRY_FAIL);
	FX12_WRITE(&f, GUEST_RFLAGS, rflags);
	*fx_vmcs01(&f, VF_GUEST_EFER) = L1_MSRS.efer;
	*fx_vmcs01(&f, VF_GUEST_PAT) = L1_MSRS.pat;
}

static void saves_and_loads_in_every_combination(void **state)
{
	struct state_msrs field;

	(void)state;
	fx_start(&f, B64, false);
	field = read_by_L1();
	for (unsigned round = 0; round < 4000; round++) {
		u64 entry = fx_random(&f) & LOADS, exit = fx_random(&f) & SAVES;
		struct state_msrs now;

		if (fx_below(&f, 2))
			set_bits(VF_ENTRY_CONTROLS, LOADS, entry);
		if (fx_below(&f, 2))
			set_bits(VF_EXIT_CONTROLS, SAVES, exit);
		entry = FX12_READ(&f, ENTRY_CONTROLS);
		exit = FX12_READ(&f, EXIT_CONTROLS);
		if (!fx_below(&f, 4)) {
			fail_once();
			if (!fx_below(&f, 2))
				assert_same(read_by_L1(), field, "failed entry");
		}
		if (!fx_below(&f, 4)) {
			field.pat = fx_below(&f, 2) ? 0x0101010101010101 : 0x0505050505050505;
			FX12_WRITE(&f, GUEST_PAT, field.pat);
		}
		fx_enter(&f);
		assert_same(in_vmcs(fx_vmcs02), loaded(field, entry), "entry");
		if (fx_below(&f, 3)) {
			L2_changes_them(&now);
		} else {
			now = in_vmcs(fx_vmcs02);
		}
		fx_exit_to_l1(&f);
		field = saved(field, now, exit);
		if (!fx_below(&f, 3))
			assert_same(read_by_L1(), field, "exit");
		*fx_vmcs01(&f, VF_GUEST_EFER) = L1_MSRS.efer;
		*fx_vmcs01(&f, VF_GUEST_PAT) = L1_MSRS.pat;
	}
	fx_end(&f);
}

/* SDM 3C "VMX-Preemption Timer": saved only if L1 asks; else it starts anew. */
static void the_timer(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	set_bits(VF_PIN_CONTROLS, 0, PIN_PREEMPTION_TIMER);
	FX12_WRITE(&f, PREEMPTION_TIMER, 1000);
	fx_enter(&f);
	assert_int_equal(FX02(&f, PREEMPTION_TIMER), 1000);
	FX02(&f, PREEMPTION_TIMER) = 600;
	/* An exit that L0 absorbs does not wind it up. */
	FX02(&f, GUEST_PHYSICAL_ADDRESS) = FX_PAGE(1);
	FX02(&f, EXIT_QUALIFICATION) = EPTQ_READ;
	assert_int_equal(fx_exit(&f, EXIT_EPT_VIOLATION), NESTED_RESUME);
	assert_int_equal(FX02(&f, PREEMPTION_TIMER), 600);
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, PREEMPTION_TIMER), 1000);
	fx_enter(&f);
	assert_int_equal(FX02(&f, PREEMPTION_TIMER), 1000);
	fx_exit_to_l1(&f);
	set_bits(VF_EXIT_CONTROLS, 0, EXIT_SAVE_PREEMPTION);
	fx_enter(&f);
	FX02(&f, PREEMPTION_TIMER) = 30;
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, PREEMPTION_TIMER), 30);
	fx_enter(&f);
	assert_int_equal(FX02(&f, PREEMPTION_TIMER), 30);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 3C "Saving VM-Entry Controls": the mode that L2 is in. */
static void the_mode_of_L2_is_saved(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	set_bits(VF_PROC2_CONTROLS, 0, PROC2_UNRESTRICTED);
	fx_enter(&f);
	FX02(&f, GUEST_EFER) = 0;	/* paging off */
	FX02(&f, GUEST_CR0) = CR0_NE | CR0_PE;
	FX02(&f, GUEST_CS_AR) = 0xc09b;
	FX02(&f, GUEST_RIP) = 0x1000;
	fx_exit_to_l1(&f);
	assert_false(FX12_READ(&f, ENTRY_CONTROLS) & ENTRY_IA32E);
	fx_enter(&f);
	assert_int_equal(FX02(&f, GUEST_EFER) & EFER_LMA, 0);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* A 32-bit L1 cannot enter an L2 that went to 64-bit mode (SDM 3C "Checks Related to
 * Address-Space Size"): L1 did not write the control that is wrong now. */
static void a_saved_mode_is_checked_again(void **state)
{
	struct outcome o;

	(void)state;
	fx_start(&f, HOST32, false);
	fx_enter(&f);
	FX02(&f, GUEST_EFER) = EFER_LME | EFER_LMA;
	fx_exit_to_l1(&f);
	assert_true(FX12_READ(&f, ENTRY_CONTROLS) & ENTRY_IA32E);
	o = fx_launch(&f);
	assert_int_equal(o.kind, OUT_VMFAIL_VALID);
	assert_int_equal(o.error_code, VMERR_ENTRY_HOST);
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
		cmocka_unit_test(L1_reads_what_L2_left_by_software),
		cmocka_unit_test(L1_reads_what_L2_left_by_shadow),
		cmocka_unit_test(cold_fields_come_when_asked_for),
		cmocka_unit_test(a_cold_field_written_unread),
		cmocka_unit_test(saves_and_loads_in_every_combination),
		cmocka_unit_test(the_timer),
		cmocka_unit_test(the_mode_of_L2_is_saved),
		cmocka_unit_test(a_saved_mode_is_checked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
