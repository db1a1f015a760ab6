/*
 * What neither L1 nor L2 changes stays: each VMCS of L1 is an array, L2's state is
 * what an entry loads of it, and an exit saves what the SDM says. More VMCSs than
 * the engine holds, of random controls; every field is compared, some soon, all
 * of them at the end.
 */
#include "random_vmcs12.h"

#include "x86.h"

#define VMCSS 24
#define STEPS 4000

static struct fx f;
static struct model { bool known; u64 v[VF_COUNT], good[VF_COUNT]; } model[VMCSS];
static unsigned current, trips, failures;

static u64 *mine(void)
{
	return model[current].v;
}

static void expect_field(unsigned i)
{
	u64 now;

	if (!field_test(&f.n.exists, i))
		return;
	now = fx_vmread(&f, i);
	if (now != mine()[i])
		fail_msg("VMCS %u: %s is %#llx, not %#llx", current, nested_field_name[i],
			 (unsigned long long)now, (unsigned long long)mine()[i]);
}

static void write_field(unsigned i, u64 value)
{
	fx_vmwrite(&f, i, value);
	mine()[i] = value & nested_field_bits[i];
}

static void choose_vmcs(void)
{
	current = (unsigned)fx_below(&f, VMCSS);
	fx_vmptrld(&f, FX_VMCS(current));
}

static void new_state(enum state_base base)
{
	FX01(&f, GUEST_CS_AR) = base == HOST32 ? 0xc09b : 0xa09b;
	random_vmcs12(&f, base);
	for (unsigned i = 0; i < VF_COUNT; i++)
		mine()[i] = field_test(&f.n.exists, i) ? fx_vmread(&f, i) : 0;
	memcpy(model[current].good, mine(), sizeof(model->good));
	model[current].known = true;
}

/* After an entry that failed: what was written since the last good one. */
static void take_back(void)
{
	const u64 *good = model[current].good;

	failures++;
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (mine()[i] != good[i] && VMCS_TYPE(nested_field_encoding[i]) != VMCS_TYPE_INFO)
			write_field(i, good[i]);
}

/* Lists and links lead elsewhere; which entries they make fail is tried elsewhere. */
static void disturb(void)
{
	unsigned i = (unsigned)fx_below(&f, VF_COUNT);

	if (!field_test(&f.n.exists, i) || i == VF_VMCS_LINK_POINTER ||
	    i == VF_ENTRY_MSR_LOAD_COUNT || i == VF_EXIT_MSR_LOAD_COUNT ||
	    i == VF_EXIT_MSR_STORE_COUNT || VMCS_TYPE(nested_field_encoding[i]) == VMCS_TYPE_HOST)
		return;
	write_field(i, fx_below(&f, 4) ? mine()[i] ^ BIT(fx_below(&f, 16)) : fx_random(&f));
}

/* SDM 3C "Loading Guest State": those that depend on a control, and the control. */
static bool is_loaded(unsigned i, const u64 *v)
{
	switch (i) {
	case VF_GUEST_DEBUGCTL: case VF_GUEST_DR7: return v[VF_ENTRY_CONTROLS] & ENTRY_LOAD_DEBUG;
	case VF_GUEST_PAT: return v[VF_ENTRY_CONTROLS] & ENTRY_LOAD_PAT;
	case VF_GUEST_EFER: return v[VF_ENTRY_CONTROLS] & ENTRY_LOAD_EFER;
	default: return true;
	}
}

/* SDM 3C "Saving Guest State", for fields of the guest-state area. */
static bool is_saved(unsigned i, const u64 *v)
{
	u64 exit = v[VF_EXIT_CONTROLS];

	switch (i) {
	case VF_GUEST_DEBUGCTL: case VF_GUEST_DR7: return exit & EXIT_SAVE_DEBUG;
	case VF_GUEST_PAT: return exit & EXIT_SAVE_PAT;
	case VF_GUEST_EFER: return exit & EXIT_SAVE_EFER;
	case VF_PREEMPTION_TIMER: return exit & EXIT_SAVE_PREEMPTION;
	case VF_GUEST_PDPTE0 ... VF_GUEST_PDPTE3:
		return (v[VF_PROC2_CONTROLS] & PROC2_EPT) && (v[VF_GUEST_CR0] & CR0_PG) &&
		       (v[VF_GUEST_CR4] & CR4_PAE) && !(v[VF_ENTRY_CONTROLS] & ENTRY_IA32E);
	case VF_VMCS_LINK_POINTER: case VF_GUEST_SMBASE: case VF_PML_INDEX:
	case VF_GUEST_INTR_STATUS: case VF_GUEST_PERF_GLOBAL_CTRL:
		return false;
	default:
		return VMCS_TYPE(nested_field_encoding[i]) == VMCS_TYPE_GUEST;
	}
}

/* L2 finds what vmcs12 says. */
static void expect_l2(void)
{
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (field_test(&f.n.exists, i) && is_saved(i, mine()) && is_loaded(i, mine()) &&
		    *fx_vmcs02(&f, i) != mine()[i])
			fail_msg("L2's %s is %#llx, not %#llx", nested_field_name[i],
				 (unsigned long long)*fx_vmcs02(&f, i),
				 (unsigned long long)mine()[i]);
}

/* Of its state, but not its mode: that goes through other fields, too. */
static void l2_changes(void)
{
	for (u64 k = fx_below(&f, 5); k; k--) {
		unsigned i = (unsigned)fx_below(&f, VF_COUNT);
		u64 bits = i == VF_GUEST_PAT ? 0x0101010101010101 : nested_field_bits[i];

		if (field_test(&f.n.exists, i) && is_saved(i, mine()) && i != VF_GUEST_EFER &&
		    i != VF_GUEST_CR0 && i != VF_GUEST_CR4 && i != VF_PREEMPTION_TIMER)
			*fx_vmcs02(&f, i) ^= fx_random(&f) & bits;
	}
	if (FX02(&f, PIN_CONTROLS) & PIN_PREEMPTION_TIMER)
		FX02(&f, PREEMPTION_TIMER) -= MIN(FX02(&f, PREEMPTION_TIMER), fx_below(&f, 1000));
}

/* L0 does something of its own for L2, of which L1 learns nothing. */
static void absorbed_exit(void)
{
	FX02(&f, IDT_VECTORING_INFO) = 0;
	FX02(&f, GUEST_PHYSICAL_ADDRESS) = FX_PAGE(fx_below(&f, 16));
	FX02(&f, EXIT_QUALIFICATION) = EPTQ_READ;
	assert_int_equal(fx_exit(&f, EXIT_EPT_VIOLATION), NESTED_RESUME);
}

/* Information of this exit, and what the SDM calls undefined after one that did not save it. */
static bool is_anything(unsigned i, const u64 *v)
{
	static const u8 told[] = {
		VF_EXIT_REASON, VF_EXIT_QUALIFICATION, VF_EXIT_INTR_INFO, VF_EXIT_INTR_ERROR_CODE,
		VF_IDT_VECTORING_INFO, VF_IDT_VECTORING_ERROR_CODE, VF_EXIT_INSTR_LENGTH,
		VF_EXIT_INSTR_INFO, VF_GUEST_LINEAR_ADDRESS, VF_GUEST_PHYSICAL_ADDRESS,
	};

	for (unsigned k = 0; k < ARRAY_SIZE(told); k++)
		if (told[k] == i)
			return true;
	return i >= VF_GUEST_PDPTE0 && i <= VF_GUEST_PDPTE3 && !is_saved(i, v);
}

static void l2_exits(void)
{
	u64 *v = mine(), was[VF_COUNT];
	bool long_mode = FX02(&f, GUEST_EFER) & EFER_LMA;

	memcpy(was, v, sizeof(was));
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (field_test(&f.n.exists, i) && is_saved(i, was))
			v[i] = *fx_vmcs02(&f, i);
	fx_exit_to_l1(&f);
	/* SDM 3C "Saving Control Registers, ...", "VM-Entry Controls for Event Injection". */
	v[VF_ENTRY_CONTROLS] = (was[VF_ENTRY_CONTROLS] & ~(u64)ENTRY_IA32E) |
			       (long_mode ? ENTRY_IA32E : 0);
	v[VF_ENTRY_INTR_INFO] &= ~(u64)INTR_VALID;
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (is_anything(i, was) && field_test(&f.n.exists, i))
			v[i] = fx_vmread(&f, i);
}

static void trip(void)
{
	struct outcome o = fx_launch(&f);
	u64 *v = mine();

	switch (o.kind) {
	case OUT_VMFAIL_VALID:
		v[VF_VM_INSTRUCTION_ERROR] = o.error_code;
		take_back();
		return;
	case OUT_ENTRY_FAIL:
		v[VF_EXIT_REASON] = o.error_code;
		v[VF_EXIT_QUALIFICATION] = o.value;
		take_back();
		return;
	default:
		assert_int_equal(o.kind, OUT_ENTER_L2);
	}
	trips++;
	memcpy(model[current].good, v, sizeof(model->good));
	expect_l2();
	l2_changes();
	if ((v[VF_PROC2_CONTROLS] & PROC2_EPT) && !((v[VF_EPT_POINTER] ^ FX_EPT12) & PAGE_MASK))
		absorbed_exit();
	l2_exits();
}

static void step(enum state_base base)
{
	switch (fx_below(&f, 16)) {
	case 0:
		choose_vmcs();
		break;
	case 1:
		if (!fx_below(&f, 16))
			new_state(base);
		break;
	case 2:
		if (fx_below(&f, 4))
			break;
		fx_vmclear(&f, FX_VMCS(current));
		choose_vmcs();
		break;
	case 3: case 4: case 5:
		disturb();
		break;
	case 6: case 7: case 8: case 9:
		expect_field((unsigned)fx_below(&f, VF_COUNT));
		break;
	default:
		trip();
	}
	if (!model[current].known)
		new_state(base);
}

static void sequence(enum state_base base, bool shadow, unsigned steps)
{
	fx_start(&f, base, shadow);
	f.random.state = 2 * base + shadow;
	memset(model, 0, sizeof(model));
	trips = failures = current = 0;
	new_state(base);
	for (unsigned i = 0; i < steps; i++)
		step(base);
	for (current = 0; current < VMCSS; current++) {
		fx_vmptrld(&f, FX_VMCS(current));
		for (unsigned i = 0; i < VF_COUNT && model[current].known; i++)
			expect_field(i);
	}
	assert_null(f.vm.killed);
	assert_true(trips > steps / 20 && failures > steps / 100);
	fx_end(&f);
}

static void what_nobody_changes_stays(void **state)
{
	static const enum state_base bases[] = { B64, B32, B32_MEMORY, REAL, V86, HOST32 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
		sequence(bases[i], false, STEPS);
		sequence(bases[i], true, STEPS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_nobody_changes_stays) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
