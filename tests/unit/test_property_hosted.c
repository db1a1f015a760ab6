/*
 * The engine that hosts itself: whatever a hypervisor and its guest can see on an
 * engine that is a guest of another one, they see on an engine alone. Random
 * programs, step by step in both worlds of hosted_world.h.
 */
#include "hosted_world.h"
#include "processor.h"

#define STEPS 2000

static struct fx below;
static struct world worlds[2];
static struct world *const alone = &worlds[0], *const upper = &worlds[1];
static struct unit_random r;
static unsigned entered, failed, exits, touched, far;

static u64 pick(u64 n)
{
	return unit_random(&r) % n;
}

static bool plain_checks(struct world *w, bool guest, struct check_failure *f)
{
	struct vm flat = { .memory = { .ram = w->vm.memory.ram, .ram_size = WORLD_RAM } };
	const struct check_env e = {
		.vm = &flat, .caps = &w->hw.caps, .v = w->hw.loaded->v, .lma = true,
	};

	return guest ? nested_check_guest(&e, f) : nested_check_controls(&e, f);
}

/* VM entry of the world's engine: on the model, or as an instruction of the engine below. */
static struct outcome hardware_entry(struct world *w)
{
	struct check_failure f;

	if (w->below)
		return fx_launch(w->below);
	if (!plain_checks(w, false, &f))
		return OUTCOME_VALID(VMERR_ENTRY_CONTROLS);
	if (plain_checks(w, true, &f))
		return OUTCOME_ENTER_L2;
	w->hw.loaded->v[VF_EXIT_QUALIFICATION] = f.qualification;
	return OUTCOME_ENTRY_FAIL(EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE,
				  f.qualification);
}

/* What vm/ does when a vmcs02 is not what the hardware takes. */
static void resume(struct world *w)
{
	struct outcome o = hardware_entry(w);

	if (o.kind == OUT_ENTER_L2)
		return;
	assert_true(w->n.in_l2);	/* vmcs01 is always good */
	if (o.kind == OUT_VMFAIL_VALID)
		nested_commit_flags(&w->n, nested_entry_refused(&w->n, o.error_code));
	else
		assert_int_equal(nested_l2_exit(&w->n, o.error_code), NESTED_REFLECTED);
	assert_int_equal(hardware_entry(w).kind, OUT_ENTER_L2);
}

/* P, or its guest, exits: to the world's engine, by way of the one below. */
static void leave(struct world *w, u32 reason)
{
	u64 *v = world_cpu(w);

	if (w->below) {
		memcpy(w->below->gpr, w->gpr, sizeof(w->gpr));
		assert_int_equal(fx_exit(w->below, reason), NESTED_REFLECTED);
		return;
	}
	v[VF_ENTRY_CONTROLS] &= ~(u64)ENTRY_IA32E;
	v[VF_ENTRY_CONTROLS] |= v[VF_GUEST_EFER] & EFER_LMA ? ENTRY_IA32E : 0;
	v[VF_ENTRY_INTR_INFO] &= ~(u64)INTR_VALID;
	v[VF_EXIT_REASON] = reason;
}

/* Fields of the guest state that mean something to whoever runs. */
static bool is_visible(unsigned i)
{
	if (VMCS_TYPE(nested_field_encoding[i]) != VMCS_TYPE_GUEST || !upper->hw.exists[i])
		return false;
	return i != VF_VMCS_LINK_POINTER && i != VF_PML_INDEX && i != VF_GUEST_SMBASE &&
	       i != VF_PREEMPTION_TIMER && i != VF_GUEST_INTR_STATUS &&
	       !(i >= VF_GUEST_PDPTE0 && i <= VF_GUEST_PDPTE3);
}

static void compare(const char *what)
{
	const u64 *a = world_cpu(alone), *u = world_cpu(upper);

	assert_int_equal(alone->n.in_l2, upper->n.in_l2);
	assert_int_equal(!!alone->vm.killed, !!upper->vm.killed);
	assert_memory_equal(alone->gpr, upper->gpr, sizeof(alone->gpr));
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (is_visible(i) && a[i] != u[i])
			fail_msg("after %s %s is %#llx, but %#llx where the engine is hosted", what,
				 nested_field_name[i], (unsigned long long)a[i],
				 (unsigned long long)u[i]);
	assert_true((a[VF_ENTRY_INTR_INFO] & INTR_VALID) == (u[VF_ENTRY_INTR_INFO] & INTR_VALID));
	if (a[VF_ENTRY_INTR_INFO] & INTR_VALID)
		assert_int_equal(a[VF_ENTRY_INTR_INFO], u[VF_ENTRY_INTR_INFO]);
}

static struct outcome instruction_in(struct world *w, u32 reason, u32 info)
{
	struct outcome o;

	world_cpu(w)[VF_EXIT_INSTR_INFO] = info;
	world_cpu(w)[VF_EXIT_QUALIFICATION] = P_OPERAND;
	world_cpu(w)[VF_IDT_VECTORING_INFO] = 0;
	leave(w, reason);
	o = nested_vmx_instruction(&w->n, reason);
	nested_commit_flags(&w->n, o);
	assert_true(nested_invariant(&w->n));
	resume(w);
	return o;
}

static void instruction(const char *name, u32 reason, u32 info)
{
	struct outcome a = instruction_in(alone, reason, info);
	struct outcome u = instruction_in(upper, reason, info);

	assert_int_equal(a.kind, u.kind);
	assert_int_equal(a.error_code, u.error_code);
	assert_int_equal(a.value, u.value);
	entered += alone->n.in_l2;
	failed += a.kind != OUT_OK && a.kind != OUT_ENTER_L2;
	compare(name);
}

static void set_gpr(unsigned i, u64 value)
{
	alone->gpr[i] = upper->gpr[i] = value;
}

#define MEMORY_OPERAND (2u << 7 | (u32)SEG_DS << 15 | BIT32(22) | BIT32(27) | (u32)GPR_RDX << 28)
#define REGISTER_OPERANDS (BIT32(10) | (u32)GPR_RAX << 3 | (u32)GPR_RDX << 28)

static void with_memory(const char *name, u32 reason, u64 low, u64 high, u64 type)
{
	for (unsigned i = 0; i < 2; i++) {
		world_poke(&worlds[i], P_OPERAND, low);
		world_poke(&worlds[i], P_OPERAND + 8, high);
	}
	set_gpr(GPR_RDX, type);
	instruction(name, reason, MEMORY_OPERAND);
}

static u64 vmread(unsigned i)
{
	set_gpr(GPR_RDX, nested_field_encoding[i]);
	instruction("VMREAD", EXIT_VMREAD, REGISTER_OPERANDS);
	return alone->gpr[GPR_RAX];
}

static void vmwrite(unsigned i, u64 value)
{
	set_gpr(GPR_RDX, nested_field_encoding[i]);
	set_gpr(GPR_RAX, value);
	instruction("VMWRITE", EXIT_VMWRITE, REGISTER_OPERANDS);
}

static bool has_current(void)
{
	return alone->n.current;
}

/* P uses as many levels as its processor has. */
static bool five_levels(void)
{
	return alone->n.caps.ept_vpid & EPTCAP_WALK5;
}

static u64 eptp_of_p(void)
{
	return MT_WB | (five_levels() ? P_PML5 | EPTP_WALK_5 : P_EPT12 | EPTP_WALK_4);
}

static void load_state(enum state_base base)
{
	struct state t;

	state_init(&t, base, &alone->vm.memory);
	t.v[VF_EPT_POINTER] = t.v[VF_EPT_POINTER] ? eptp_of_p() : 0;
	t.v[VF_HOST_CR3] = P_CR3;
	t.v[VF_HOST_PAT] = t.v[VF_GUEST_PAT] = 0x0007040600070406;
	t.v[VF_HOST_EFER] = t.v[VF_GUEST_EFER] = EFER_LME | EFER_LMA | EFER_NXE;
	if (!(t.v[VF_ENTRY_CONTROLS] & ENTRY_IA32E))
		t.v[VF_GUEST_EFER] = EFER_NXE;
	t.v[VF_GUEST_DR7] = DR7_INIT;
	t.v[VF_VPID] = 1 + pick(3);
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (field_test(&alone->n.exists, i) && VMCS_TYPE(nested_field_encoding[i]) !=
		    VMCS_TYPE_INFO)
			vmwrite(i, t.v[i]);
}

static void flip_controls(void)
{
	const struct vmx_caps *c = &alone->n.caps;
	const struct { u8 field; struct vmx_allowed a; u32 keep; } kinds[] = {
		{ VF_PIN_CONTROLS, c->pin, PIN_POSTED_INTERRUPTS },
		{ VF_PROC_CONTROLS, c->proc, PROC_SECONDARY | PROC_TPR_SHADOW | PROC_NMI_WINDOW },
		{ VF_EXIT_CONTROLS, c->exit, EXIT_HOST_64 },
		{ VF_ENTRY_CONTROLS, c->entry, ENTRY_IA32E },
	};
	unsigned k = (unsigned)pick(ARRAY_SIZE(kinds));
	u32 flip = kinds[k].a.may & ~kinds[k].a.must & ~kinds[k].keep & BIT32(pick(32));

	vmwrite(kinds[k].field, vmread(kinds[k].field) ^ flip);
}

static void disturb(void)
{
	unsigned i = (unsigned)pick(VF_COUNT);

	if (i == VF_VMCS_LINK_POINTER || i == VF_EXIT_MSR_LOAD_COUNT ||
	    i == VF_EXIT_MSR_STORE_COUNT || i == VF_ENTRY_MSR_LOAD_COUNT ||
	    VMCS_TYPE(nested_field_encoding[i]) == VMCS_TYPE_HOST)
		return;
	vmwrite(i, vmread(i) ^ BIT(pick(32)));
}

static void p_step(void)
{
	switch (pick(16)) {
	case 0:
		with_memory("VMPTRLD", EXIT_VMPTRLD, P_VMCS(pick(P_VMCSS)), 0, 0);
		break;
	case 1:
		with_memory("VMCLEAR", EXIT_VMCLEAR, P_VMCS(pick(P_VMCSS)), 0, 0);
		break;
	case 2:
		with_memory("INVEPT", EXIT_INVEPT, eptp_of_p(), 0, pick(4));
		break;
	case 3:
		with_memory("INVVPID", EXIT_INVVPID, pick(4), 0x1000, pick(5));
		break;
	case 4:
		if (has_current())
			load_state((const enum state_base[]){ B64, B32, REAL, V86 }[pick(4)]);
		break;
	case 5: case 6:
		disturb();
		break;
	case 7:
		if (has_current())
			flip_controls();
		break;
	case 8: case 9:
		vmread((unsigned)pick(VF_COUNT));
		break;
	case 10:
		vmwrite(VF_EXCEPTION_BITMAP, unit_random(&r));
		vmwrite(VF_ENTRY_INTR_INFO, pick(2) ? 0 : INTR_VALID | (32 + pick(200)));
		break;
	default:
		instruction("an entry", has_current() && alone->n.current->launched ?
			    EXIT_VMRESUME : EXIT_VMLAUNCH, 0);
	}
}

/* The L2 that runs changes its state, and exits with what the processor tells. */
static void l2_exit_in(struct world *w, u32 reason, const u64 *info)
{
	static const u8 told[] = {
		VF_EXIT_QUALIFICATION, VF_EXIT_INTR_INFO, VF_EXIT_INTR_ERROR_CODE,
		VF_IDT_VECTORING_INFO, VF_IDT_VECTORING_ERROR_CODE, VF_EXIT_INSTR_LENGTH,
		VF_EXIT_INSTR_INFO, VF_GUEST_LINEAR_ADDRESS, VF_GUEST_PHYSICAL_ADDRESS,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(told); i++)
		world_cpu(w)[told[i]] = info[i] & nested_field_bits[told[i]];
	leave(w, reason);
	nested_l2_exit(&w->n, (u32)hw_read(&w->hw, VMCS_EXIT_REASON));
	assert_true(nested_invariant(&w->n));
	resume(w);
}

static void l2_exit(u32 reason, const u64 *info)
{
	l2_exit_in(alone, reason, info);
	l2_exit_in(upper, reason, info);
	exits++;
	compare("an exit");
}

static const u8 *top_page;	/* the processor's memory, of the world that is asked */

static const u8 *page_of_processor(u64 address)
{
	return top_page + address;
}

static bool exits_in(struct world *w, const struct act *a)
{
	const struct processor cpu = { world_cpu(w), page_of_processor };

	top_page = w->below ? w->below->vm.memory.ram : w->vm.memory.ram;
	return processor_exits(&cpu, a);
}

/* An instruction of L2, or an event, that exits if the controls say so: in both worlds or none. */
static void l2_acts(void)
{
	static const struct act acts[] = {
		{ ACT_ALWAYS, EXIT_CPUID, 0, 0, 0 }, { ACT_ALWAYS, EXIT_VMCALL, 0, 0, 0 },
		{ ACT_PROC, EXIT_HLT, PROC_HLT, 0, 0 }, { ACT_PROC, EXIT_RDTSC, PROC_RDTSC, 0, 0 },
		{ ACT_PROC, EXIT_MOV_DR, PROC_MOV_DR, 0, 0 },
		{ ACT_PIN, EXIT_EXTERNAL_INTERRUPT, PIN_EXTERNAL_INTERRUPT, 0, 0 },
		{ ACT_EXCEPTION, EXIT_EXCEPTION_NMI, 0, 0, 0 }, { ACT_IO, EXIT_IO, 0, 0, 1 },
		{ ACT_RDMSR, EXIT_MSR_READ, 0, 0, 0 }, { ACT_WRMSR, EXIT_MSR_WRITE, 0, 0, 0 },
		{ ACT_MOV_TO_CR0, EXIT_CR_ACCESS, 0, 0, 0 },
	};
	struct act a = acts[pick(ARRAY_SIZE(acts))];
	u64 info[9];

	for (unsigned i = 0; i < ARRAY_SIZE(info); i++)
		info[i] = unit_random(&r);
	a.value = a.kind == ACT_EXCEPTION ? pick(2) ? X86_UD : X86_PF : pick(0x2000);
	info[0] = a.kind == ACT_IO ? a.value << 16 : info[0];
	info[1] = INTR_VALID | (a.kind == ACT_EXCEPTION ? INTR_TYPE_HW_EXCEPTION | a.value : 0x31);
	info[3] = 0;
	set_gpr(GPR_RCX, a.value);
	assert_int_equal(exits_in(alone, &a), exits_in(upper, &a));
	if (exits_in(alone, &a))
		l2_exit(a.reason, info);
}

/* By the tables that the processor has: 0, or where the page is, as the world's machine has it. */
static u64 translate(struct world *w, u64 gpa2)
{
	struct vm *vm = w->below ? &w->below->vm : &w->vm;
	u64 eptp = world_cpu(w)[VF_EPT_POINTER], table = eptp & EPT_ADDR;

	for (u32 level = ept_levels(eptp); level; level--) {
		u64 entry = op_table(vm, HPA(table))[ept_index(gpa2, level)];

		if (!ept_present(entry, false))
			return 0;
		table = entry & EPT_ADDR;
		if (ept_is_leaf(entry, level))
			return table + (gpa2 & (BIT(ept_shift(level)) - 1)) -
			       (w->below ? FX_SHIFT : 0);
	}
	return 0;
}

static void violation(struct world *w, u64 gpa2)
{
	u64 *v = world_cpu(w);

	v[VF_EXIT_QUALIFICATION] = EPTQ_READ | EPTQ_GLA_VALID | EPTQ_GLA_FINAL;
	v[VF_GUEST_LINEAR_ADDRESS] = v[VF_GUEST_PHYSICAL_ADDRESS] = gpa2;
	v[VF_IDT_VECTORING_INFO] = 0;
	if (w->below && fx_exit(w->below, EXIT_EPT_VIOLATION) == NESTED_RESUME)
		return;		/* the engine below only had not looked yet */
	if (!w->below)
		leave(w, EXIT_EPT_VIOLATION);
	nested_l2_exit(&w->n, (u32)hw_read(&w->hw, VMCS_EXIT_REASON));
	resume(w);
}

/* L2 reads memory: in the end it finds the same page, or P has the same violation. */
static void l2_touches(void)
{
	u64 gpa2 = pick(4) ? 0x100000 + pick(0xc0) * PAGE_SIZE : SZ_1G + pick(16) * PAGE_SIZE;
	u64 found[2] = { 0, 0 };

	if (five_levels())
		gpa2 += pick(3) << EPT_GPA_BITS_4;

	for (unsigned i = 0; i < 2; i++) {
		struct world *w = &worlds[i];

		for (unsigned tries = 0; w->n.in_l2 && !found[i]; tries++) {
			assert_true(tries < 4);
			found[i] = translate(w, gpa2);
			if (!found[i])
				violation(w, gpa2);
		}
	}
	assert_int_equal(found[0], found[1]);
	touched += !!found[0];
	far += found[0] && gpa2 >> EPT_GPA_BITS_4;
	compare("an access");
}

static void l2_changes(void)
{
	unsigned i = (unsigned)pick(VF_COUNT);
	u64 value = unit_random(&r) & nested_field_bits[i];

	if (!is_visible(i) || nested_field_merge[i] != MERGE_COPY ||
	    !field_test(&nested_fields_cold, i))
		return;
	world_cpu(alone)[i] ^= value;
	world_cpu(upper)[i] ^= value;
}

static void l2_step(void)
{
	switch (pick(4)) {
	case 0:
		l2_touches();
		break;
	case 1:
		l2_changes();
		break;
	default:
		l2_acts();
	}
}

/* The engine below, whose L1 is the engine of the upper world: its operands go through paging. */
static void start_below(bool shadow, bool wide)
{
	u64 entries[2] = { 0x4000 | 0x27, 0xe7 };

	(wide ? fx_start_wide : fx_start)(&below, B64, shadow);
	fx_l1_writes(&below, 0x3000, &entries[0], 8);
	fx_l1_writes(&below, 0x4000, &entries[1], 8);
	*fx_vmcs01(&below, VF_GUEST_CR3) = 0x3000;
}

static void read_all(void)
{
	for (unsigned i = 0; i < VF_COUNT && has_current(); i++)
		if (field_test(&alone->n.exists, i))
			vmread(i);
}

static void program(u64 seed, bool shadow, bool wide)
{
	r.state = seed;
	start_below(shadow, wide);
	world_start(alone, NULL, wide);
	world_start(upper, &below, wide);
	assert_memory_equal(&alone->n.caps, &upper->n.caps, sizeof(alone->n.caps));
	resume(alone);
	resume(upper);
	with_memory("VMXON", EXIT_VMXON, P_VMXON, 0, 0);
	for (unsigned i = 0; i < STEPS && !alone->vm.killed; i++) {
		if (alone->n.in_l2)
			l2_step();
		else
			p_step();
	}
	if (!alone->n.in_l2 && !alone->vm.killed)
		read_all();
	assert_null(below.vm.killed);
	world_end(alone);
	world_end(upper);
	fx_end(&below);
}

static void what_is_seen_on_a_hosted_engine(void **state)
{
	(void)state;
	for (u64 seed = 1; seed <= 4; seed++)
		program(seed, seed & 1, seed & 2);
	assert_true(entered > 200 && failed > 200 && exits > 200 && touched > 50 && far > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_seen_on_a_hosted_engine) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
