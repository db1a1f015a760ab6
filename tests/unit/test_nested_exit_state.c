/*
 * nested/exit.c, sync.c: what an exit saves of L2's state and loads of L1's, and what L1 reads and
 * writes of it afterwards.
 */
#include "engine_fixture.h"

#define SAVES (EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_SAVE_EFER)
#define LOADS (ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)

static struct fx f;

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
	fx_vmwrite_bits(&f, VF_EXIT_CONTROLS, 0, SAVES);
	fx_vmwrite_bits(&f, VF_ENTRY_CONTROLS, 0, LOADS);
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
			fx_vmwrite_bits(&f, VF_EXIT_CONTROLS, 0, SAVES);
			fx_vmwrite_bits(&f, VF_ENTRY_CONTROLS, 0, LOADS);
			continue;
		}
		assert_int_equal(*fx_vmcs02(&f, i), (value ^ 0x100) & nested_field_bits[i]);
		fx_exit_to_l1(&f);
		assert_int_equal(fx_vmread(&f, i), (value ^ 0x100) & nested_field_bits[i]);
		fx_load_state(&f, B64);
		fx_vmwrite_bits(&f, VF_EXIT_CONTROLS, 0, SAVES);
		fx_vmwrite_bits(&f, VF_ENTRY_CONTROLS, 0, LOADS);
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
			fx_vmwrite_bits(&f, VF_ENTRY_CONTROLS, LOADS, entry);
		if (fx_below(&f, 2))
			fx_vmwrite_bits(&f, VF_EXIT_CONTROLS, SAVES, exit);
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
	fx_vmwrite_bits(&f, VF_PIN_CONTROLS, 0, PIN_PREEMPTION_TIMER);
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
	fx_vmwrite_bits(&f, VF_EXIT_CONTROLS, 0, EXIT_SAVE_PREEMPTION);
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
	fx_vmwrite_bits(&f, VF_PROC2_CONTROLS, 0, PROC2_UNRESTRICTED);
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
