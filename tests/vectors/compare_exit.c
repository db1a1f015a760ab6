/*
 * Real exits through the engine. L1 on the host writes the same fields and enters;
 * vmcs02 gets what the emulator's exit saved, as far as the hardware would save it
 * under vmcs02's controls; the engine reflects that. Then vmcs12 must hold what the
 * emulator's VMCS holds, field by field, and L1 must be in the state in which the
 * emulator left the runner.
 *
 * All of this with VMCS shadowing in the hardware and without.
 *
 * Always: what vmcs12 holds here is what the emulator's VMCS held before a vector,
 * so that L1 writes the same fields on both sides, and what is stale stays stale.
 */
#include "engine_fixture.h"

#include "compare_exit.h"
#include "nested/caps.h"
#include "nested/fields.h"

static struct fx machines[2], *fx;	/* with VMCS shadowing for L1, and without */
static struct gen_world world;
static unsigned differences;
static bool saying;

static u64 page(unsigned n)
{
	return world.w[W_SCRATCH] + (u64)n * PAGE_SIZE;
}

/* L1 between two entries: in 64-bit mode, with registers that an entry may leave alone. */
static void l1_at_home(const struct exit_vector *x)
{
	FX01(fx, GUEST_CR0) = world.w[W_CR0];
	FX01(fx, GUEST_CR3) = world.w[W_CR3];
	FX01(fx, GUEST_CR4) = world.w[W_CR4];
	FX01(fx, GUEST_EFER) = world.w[W_EFER];
	FX01(fx, GUEST_DEBUGCTL) = 0;
	FX01(fx, GUEST_PAT) = x->pat01;
	FX01(fx, GUEST_DR7) = x->dr7_01;
	hw_msr_set(&fx->hw, GEN_MSR, 0);
}

static void start(const struct gen_world *w)
{
	struct vmx_caps machine;

	gen_caps(w, &machine);
	machine.pg_1g = true;
	fx_start_root(fx, &machine, fx == &machines[0]);
	gen_fill(&world, fx_at(fx, page(0)));
	fx->n.vmxon_region = GPA1(page(PAGE_VMXON));
	fx->n.explain = true;
	fx_vmptrld(fx, page(PAGE_VMCS));
}

void exit_l1_init(const struct gen_world *w)
{
	world = *w;
	world.w[W_BASIC] = (w->w[W_BASIC] & ~0xffffffffull) | NESTED_REVISION;
	for (fx = machines; fx < machines + ARRAY_SIZE(machines); fx++)
		start(w);
}

void exit_l1_end(void)
{
	for (fx = machines; fx < machines + ARRAY_SIZE(machines); fx++)
		fx_end(fx);
}

static void differ(const char *what, const char *name, u64 engine, u64 emulator)
{
	differences++;
	if (saying)
		printf("  %s %s: the engine %#llx, the emulator %#llx\n", what, name,
		       (unsigned long long)engine, (unsigned long long)emulator);
}

static void write_fields(const u64 *v, const u64 *was)
{
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (v[i] != was[i] && field_test(&fx->n.exists, i) &&
		    VMCS_TYPE(gen_encoding[i]) != VMCS_TYPE_INFO)
			fx_vmwrite(fx, i, v[i]);
}

static u8 outcome_of(struct outcome o)
{
	switch (o.kind) {
	case OUT_ENTER_L2:
		return OUTCOME_ENTERS;
	case OUT_VMFAIL_INVALID:
		return OUTCOME_VMFAIL_INVALID;
	case OUT_VMFAIL_VALID:
		return (u8)(OUTCOME_VMFAIL + o.error_code);
	case OUT_ENTRY_FAIL:
		if ((o.error_code & EXIT_REASON_BASIC) == EXIT_INVALID_GUEST_STATE)
			return (u8)(OUTCOME_GUEST + o.value);
		return o.value == 1 ? OUTCOME_MSR_FIRST : OUTCOME_MSR_LATER;
	default:
		return OUTCOME_ODD;
	}
}

static bool is_guest(unsigned i)
{
	return VMCS_TYPE(gen_encoding[i]) == VMCS_TYPE_GUEST && field_test(&fx->n.exists, i) &&
	       i != VF_VMCS_LINK_POINTER && i != VF_GUEST_SMBASE && i != VF_PREEMPTION_TIMER &&
	       i != VF_PML_INDEX;
}

/* Fields that L1's exit controls, or its lack of EPT, keep from being saved. */
static bool is_saved(const u64 *v, const u64 *now, unsigned i)
{
	switch (i) {
	case VF_GUEST_DEBUGCTL:
		return false;	/* the emulator does not */
	case VF_GUEST_DR7:
		return v[VF_EXIT_CONTROLS] & EXIT_SAVE_DEBUG;
	case VF_GUEST_PAT:
		return v[VF_EXIT_CONTROLS] & EXIT_SAVE_PAT;
	case VF_GUEST_EFER:
		return v[VF_EXIT_CONTROLS] & EXIT_SAVE_EFER;
	case VF_GUEST_PDPTE0: case VF_GUEST_PDPTE1: case VF_GUEST_PDPTE2: case VF_GUEST_PDPTE3:
		return exit_defines(now, i);
	}
	return true;
}

/* L2 runs with what the emulator's guest ran with: what it did not change, an exit saved. */
static void check_entered(const u64 *v, const struct exit_vector *x, const u64 *now)
{
	bool wrmsr = x->code[0] == 0x0f && x->code[1] == 0x30;

	if (wrmsr && v[VF_ENTRY_MSR_LOAD_COUNT])
		return;		/* it writes what the entry loaded from the list */
	for (unsigned i = 0; i < VF_COUNT; i++) {
		u64 has = *fx_vmcs02(fx, i);

		if (wrmsr && (i == VF_GUEST_EFER || i == VF_GUEST_PAT))
			continue;	/* what an entry does not load is the emulator's alone */
		if (is_guest(i) && is_saved(v, now, i) && has != now[i] && has != v[i])
			differ("vmcs02 at the entry,", gen_field_name[i], has, now[i]);
	}
}

/* What the hardware saves in vmcs02, and what of it L1 must never see. */
static void hardware_exits(const u64 *v, const u64 *now)
{
	bool lma = now[VF_ENTRY_CONTROLS] & ENTRY_IA32E;

	for (unsigned i = 0; i < VF_COUNT; i++) {
		bool information = VMCS_TYPE(gen_encoding[i]) == VMCS_TYPE_INFO &&
				   i != VF_VM_INSTRUCTION_ERROR;

		if (fx->hw.exists[i] && (information || (is_guest(i) && is_saved(v, now, i))))
			*fx_vmcs02(fx, i) = now[i];
	}
	if (!is_saved(v, now, VF_GUEST_DR7))
		FX02(fx, GUEST_DR7) ^= 0xf0000;
	if (!(v[VF_EXIT_CONTROLS] & EXIT_SAVE_DEBUG))
		FX02(fx, GUEST_DEBUGCTL) ^= 3;
	if (!is_saved(v, now, VF_GUEST_EFER))	/* CR0.PG may have changed it */
		FX02(fx, GUEST_EFER) = (FX02(fx, GUEST_EFER) & ~EFER_LMA) | (lma ? EFER_LMA : 0);
	FX02(fx, PREEMPTION_TIMER) = v[VF_EXIT_CONTROLS] & EXIT_SAVE_PREEMPTION ?
				      now[VF_PREEMPTION_TIMER] : 0x5a5a;
}

/* VMREAD, or without its effects: what is stale is left so. */
static u64 look_at(unsigned i, bool read)
{
	struct nested_vmcs *s = FX_SLOT(fx);
	u16 accesses = s->cold_accesses;
	u64 value;

	if (!read && field_test(&s->stale, i))
		return *fx_vmcs02(fx, i);
	value = fx_vmread(fx, i);
	if (!read)
		s->cold_accesses = accesses;
	return value;
}

/* A failed entry leaves exit information as it was; the emulator does not. */
static bool is_left(unsigned i)
{
	return VMCS_TYPE(gen_encoding[i]) == VMCS_TYPE_INFO && i != VF_EXIT_REASON &&
	       i != VF_EXIT_QUALIFICATION && i != VF_VM_INSTRUCTION_ERROR;
}

static void check_vmcs12(const u64 *now, bool failed, bool read)
{
	for (unsigned i = 0; i < VF_COUNT; i++) {
		u64 has;

		if (!field_test(&fx->n.exists, i) || (failed && is_left(i)))
			continue;
		if (!failed && !exit_defines(now, i)) {
			if (is_guest(i))	/* L1 takes nothing for granted */
				fx_vmwrite(fx, i, now[i]);
			continue;
		}
		has = look_at(i, read);
		if ((i == VF_EXIT_INTR_INFO || i == VF_IDT_VECTORING_INFO) &&
		    !((has | now[i]) & INTR_VALID))
			continue;
		if (has != now[i])
			differ("vmcs12", gen_field_name[i], has, now[i]);
	}
}

static u64 seen01(enum exit_seen i)
{
	static const u8 fields[] = {
		[SEEN_FS_BASE] = VF_GUEST_FS_BASE, [SEEN_GS_BASE] = VF_GUEST_GS_BASE,
		[SEEN_GDTR_BASE] = VF_GUEST_GDTR_BASE, [SEEN_GDTR_LIMIT] = VF_GUEST_GDTR_LIMIT,
		[SEEN_IDTR_BASE] = VF_GUEST_IDTR_BASE, [SEEN_IDTR_LIMIT] = VF_GUEST_IDTR_LIMIT,
		[SEEN_RSP] = VF_GUEST_RSP, [SEEN_RFLAGS] = VF_GUEST_RFLAGS,
		[SEEN_CR0] = VF_GUEST_CR0,
		[SEEN_CR3] = VF_GUEST_CR3, [SEEN_CR4] = VF_GUEST_CR4, [SEEN_DR7] = VF_GUEST_DR7,
		[SEEN_EFER] = VF_GUEST_EFER, [SEEN_PAT] = VF_GUEST_PAT,
		[SEEN_DEBUGCTL] = VF_GUEST_DEBUGCTL, [SEEN_SYSENTER_CS] = VF_GUEST_SYSENTER_CS,
		[SEEN_SYSENTER_ESP] = VF_GUEST_SYSENTER_ESP,
		[SEEN_SYSENTER_EIP] = VF_GUEST_SYSENTER_EIP,
	};
	u64 value;

	if (i == SEEN_LIST)
		return gen_exit_list_sum(fx_at(fx, page(0)));
	if (i == SEEN_GEN_MSR)
		return hw_msr_read(&fx->hw, GEN_MSR, &value) ? value : ~0ull;
	if (i <= SEEN_TR)
		return *fx_vmcs01(fx, VF_GUEST_ES_SELECTOR + i);
	return *fx_vmcs01(fx, fields[i]);
}

static void check_l1(const u64 *seen)
{
	static const char *const names[] = {
		"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR", "FS base", "GS base", "GDTR base",
		"GDTR limit", "IDTR base", "IDTR limit", "RSP", "RFLAGS", "CR0", "CR3", "CR4", "DR7",
		"EFER", "PAT", "DEBUGCTL", "SYSENTER_CS", "SYSENTER_ESP", "SYSENTER_EIP", "the loaded MSR",
		"the stored MSRs",
	};
	u64 kept = CR0_ET | CR0_NW | CR0_CD;	/* an exit does not touch them */

	for (unsigned i = 0; i < SEEN_COUNT; i++) {
		u64 has = seen01((enum exit_seen)i);

		if ((has ^ seen[i]) & (i == SEEN_CR0 ? ~kept : ~0ull))
			differ("L1's", names[i], has, seen[i]);
	}
}

/* After a difference that leaves the engine elsewhere than the emulator is. */
static void start_anew(const struct exit_report *r)
{
	bool launched = FX_SLOT(fx)->launched || r->outcome >= OUTCOME_ENTERED;

	host_memory_free(&fx->vm.memory);
	start(&world);
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (field_test(&fx->n.exists, i))
			nested_field_write(&fx->n, FX_SLOT(fx), i, r->now[i]);
	FX_SLOT(fx)->launched = launched;
}

static bool reflected(const u64 *v, const struct exit_vector *x, const struct exit_report *r)
{
	check_entered(v, x, r->now);
	hardware_exits(v, r->now);
	if (fx_exit(fx, (u32)r->now[VF_EXIT_REASON]) == NESTED_REFLECTED)
		return true;
	differ("exit", "that L1 does not get", 0, r->now[VF_EXIT_REASON]);
	start_anew(r);
	return false;
}

static void judge(const u64 *v, const struct exit_vector *x, const struct exit_report *r)
{
	const u64 gpr[] = { x->rax, x->rcx, x->rdx, x->rbx };
	struct outcome o;
	u8 outcome;

	gen_exit_place(&world, fx_at(fx, page(0)), x);
	l1_at_home(x);
	write_fields(v, r->was);
	memset(fx->gpr, 0, sizeof(fx->gpr));
	memcpy(fx->gpr, gpr, sizeof(gpr));
	fx->gpr[GPR_RDI] = x->rdi;
	o = fx_launch(fx);
	outcome = outcome_of(o);
	if (!judge_same(outcome, r->outcome)) {
		differ("outcome of the entry", "(OUTCOME_*)", outcome, r->outcome);
		if (saying)
			printf("%.*s", (int)fx->hw.log_len, fx->hw.log);
		start_anew(r);
	} else if (outcome != OUTCOME_ENTERS || reflected(v, x, r)) {
		check_vmcs12(r->now, outcome != OUTCOME_ENTERS, !(v[VF_TSC_OFFSET] & 3));
		if (outcome >= OUTCOME_GUEST)
			check_l1(r->now + VF_COUNT);
	}
	fx->hw.log_len = 0;
}

/* The same as L1 would have it where it is not offered VMCS shadowing. */
static void judge_without_shadowing(const u64 *v, const struct exit_vector *x,
				    const struct exit_report *r)
{
	static struct exit_report report;
	u64 fields[VF_COUNT];

	report = *r;
	memcpy(fields, v, sizeof(fields));
	fields[VF_PROC2_CONTROLS] &= ~(u64)PROC2_SHADOW_VMCS;
	report.was[VF_PROC2_CONTROLS] &= ~(u64)PROC2_SHADOW_VMCS;
	report.now[VF_PROC2_CONTROLS] &= ~(u64)PROC2_SHADOW_VMCS;
	judge(fields, x, &report);
}

unsigned exit_judge(const u64 *v, const struct exit_vector *x, const struct exit_report *r,
		    bool say)
{
	differences = 0;
	saying = say;
	fx = &machines[0];
	judge(v, x, r);
	fx = &machines[1];
	judge_without_shadowing(v, x, r);
	return differences;
}
