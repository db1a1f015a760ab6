/*
 * Exits of L2: whose they are (the owner column of exits.def), and how L1 gets
 * its own. Source: SDM 3C "VM Exits".
 */
#include "nested/engine.h"

#include "engine_ops.h"
#include "nested/fields.h"
#include "nested/operand.h"
#include "nested/slots.h"
#include "x86.h"

/* Which exit-information fields a reason defines, from exits.def. */
enum { Q = 1, L = 2, I = 4, V = 8, A = 16, P = 32, M = 64, S = 128 };
static const u8 exit_fields[EXIT_REASON_COUNT] = {
#define X(reason, name, owner, handler, info) [reason] = info,
#include "exits.def"
#undef X
};

/* SDM 3C "Exit Qualification for Control-Register Accesses": LMSW, operand in memory. */
#define LMSW_IN_MEMORY 0x70u

/* What M and S stand for, after this access. */
static u8 of_operand(u8 fields, u64 qualification)
{
	if (fields & S)
		return qualification & IOQ_STRING ? I | A : 0;
	return (qualification & LMSW_IN_MEMORY) == LMSW_IN_MEMORY ? A : 0;
}

void nested_read_exit_info(struct nested_vcpu *n, u32 reason, struct nested_exit_info *info)
{
	const u64 *v = n->current->v;
	u8 fields = exit_fields[reason & EXIT_REASON_BASIC];

	*info = (struct nested_exit_info){
		.reason = reason,
		.instr_info = (u32)v[VF_EXIT_INSTR_INFO],
		.instr_length = (u32)v[VF_EXIT_INSTR_LENGTH],
		.gla = v[VF_GUEST_LINEAR_ADDRESS],
		.gpa = v[VF_GUEST_PHYSICAL_ADDRESS],
		.vectoring_info = (u32)op_hw_read(n, VMCS_IDT_VECTORING_INFO),
	};
	if (fields & Q)
		info->qualification = op_hw_read(n, VMCS_EXIT_QUALIFICATION);
	if (fields & V) {
		info->intr_info = (u32)op_hw_read(n, VMCS_EXIT_INTR_INFO);
		if (info->intr_info & INTR_ERROR_CODE)
			info->intr_error = (u32)op_hw_read(n, VMCS_EXIT_INTR_ERROR_CODE);
	}
	if ((fields & L) || unlikely(info->vectoring_info & INTR_VALID))
		info->instr_length = (u32)op_hw_read(n, VMCS_EXIT_INSTR_LENGTH);
	if (fields & (M | S))
		fields |= of_operand(fields, info->qualification);
	if (fields & I)
		info->instr_info = (u32)op_hw_read(n, VMCS_EXIT_INSTR_INFO);
	if (fields & A)
		info->gla = op_hw_read(n, VMCS_GUEST_LINEAR_ADDRESS);
	if (fields & P)
		info->gpa = op_hw_read(n, VMCS_GUEST_PHYSICAL_ADDRESS);
	if (unlikely(info->vectoring_info & INTR_VALID))
		info->vectoring_error = (u32)op_hw_read(n, VMCS_IDT_VECTORING_ERROR_CODE);
}

static void write_exit_info(struct nested_vmcs *s, const struct nested_exit_info *info)
{
	nested_set_field(s, VF_EXIT_REASON, info->reason);
	nested_set_field(s, VF_EXIT_QUALIFICATION, info->qualification);
	nested_set_field(s, VF_EXIT_INTR_INFO, info->intr_info);
	nested_set_field(s, VF_EXIT_INTR_ERROR_CODE, info->intr_error);
	nested_set_field(s, VF_IDT_VECTORING_INFO, info->vectoring_info);
	nested_set_field(s, VF_IDT_VECTORING_ERROR_CODE, info->vectoring_error);
	nested_set_field(s, VF_EXIT_INSTR_LENGTH, info->instr_length);
	nested_set_field(s, VF_EXIT_INSTR_INFO, info->instr_info);
	nested_set_field(s, VF_GUEST_LINEAR_ADDRESS, info->gla);
	nested_set_field(s, VF_GUEST_PHYSICAL_ADDRESS, info->gpa);
}

/* Fields that L1 reads after nearly every exit. */
static always_inline void save_hot(struct nested_vcpu *n, struct nested_vmcs *s)
{
	static const struct { u16 index, encoding; } hot[] = {
#define SYNC_IF_NONE(name)
#define SYNC_IF_COLD(name)
#define SYNC_IF_INFO(name)
#define SYNC_IF_HOT(name) { VF_##name, VMCS_##name },
#define F(name, enc, exists, merge, sync, shadow, group) SYNC_IF_##sync(name)
#include "vmcs_fields.def"
#undef F
	};
	u64 entry = s->v[VF_ENTRY_CONTROLS] & ~(u64)ENTRY_IA32E;

	for (unsigned i = 0; i < ARRAY_SIZE(hot); i++)
		if (hot[i].index != VF_GUEST_INTR_STATUS || field_test(&n->exists, hot[i].index))
			nested_set_field(s, hot[i].index, op_hw_read(n, hot[i].encoding));
	entry |= op_hw_read(n, VMCS_ENTRY_CONTROLS) & ENTRY_IA32E;
	if (unlikely(entry != s->v[VF_ENTRY_CONTROLS]))
		s->unchecked |= BIT32(GROUP_HOST);	/* L1's mode and L2's must go together */
	nested_set_field(s, VF_ENTRY_CONTROLS, entry);
	nested_set_field(s, VF_ENTRY_INTR_INFO, s->v[VF_ENTRY_INTR_INFO] & ~(u64)INTR_VALID);
	if (s->v[VF_EXIT_CONTROLS] & EXIT_SAVE_PREEMPTION)
		nested_set_field(s, VF_PREEMPTION_TIMER, op_hw_read(n, VMCS_PREEMPTION_TIMER));
}

/*
 * Where vmcs02 has virtual NMIs in place of real ones, IRET has ended a blocking that
 * for L1 goes on.
 */
static __attribute__((noinline)) void save_hot_but_nmis(struct nested_vcpu *n,
							struct nested_vmcs *s)
{
	bool blocked = nested_nmi_blocked_for_good(s);
	u64 state;

	save_hot(n, s);
	if ((s->v[VF_PIN_CONTROLS] & (PIN_NMI | PIN_VIRTUAL_NMI)) != PIN_NMI)
		return;
	state = s->v[VF_GUEST_INTERRUPTIBILITY] & ~(u64)BLOCKED_BY_NMI;
	nested_set_field(s, VF_GUEST_INTERRUPTIBILITY, blocked ? state | BLOCKED_BY_NMI : state);
	field_set(&s->dirty, VF_GUEST_INTERRUPTIBILITY);
}

static void unsaved(struct nested_vmcs *s, struct field_set *saved, unsigned i)
{
	field_clear(saved, i);
	field_set(&s->dirty, i);
}

/*
 * Those that an exit saves; less what L1 did not ask for, which vmcs02 loses.
 * (Without EPT the hot ones have to be corrected, too.)
 */
static struct field_set saved_cold(struct nested_vcpu *n, struct nested_vmcs *s)
{
	u64 exit = s->v[VF_EXIT_CONTROLS];
	struct field_set saved;

	for (unsigned w = 0; w < VF_WORDS; w++)
		saved.w[w] = nested_fields_cold.w[w] & n->exists.w[w];
	if (!(exit & EXIT_SAVE_DEBUG)) {
		unsaved(s, &saved, VF_GUEST_DEBUGCTL);
		unsaved(s, &saved, VF_GUEST_DR7);
	}
	if (!(exit & EXIT_SAVE_PAT))
		unsaved(s, &saved, VF_GUEST_PAT);
	if (!(exit & EXIT_SAVE_EFER))
		unsaved(s, &saved, VF_GUEST_EFER);
	if (!nested_uses_ept(s)) {
		for (unsigned i = 0; i < 4; i++)
			field_clear(&saved, VF_GUEST_PDPTE0 + i);
		if (n->vtlb)
			nested_vtlb_save(n, s);
	}
	return saved;
}

/* What is always there and always saved comes without a loop. */
#define IS_PLAIN(exists, merge, sync) \
	(SYNC_##sync == SYNC_COLD && MERGE_##merge == MERGE_COPY && EXISTS_##exists == EXISTS_ALWAYS)

/* A slot whose shadow holds the cold fields: L1 is going to look at them. */
static void save_cold(struct nested_vcpu *n, struct nested_vmcs *s, struct field_set saved)
{
	static const struct field_set plain =
#define SELECT(exists, merge, sync, shadow, group) IS_PLAIN(exists, merge, sync)
#include "nested/select_fields.h"
	;

#define F(name, enc, exists, merge, sync, shadow, group) \
	if (IS_PLAIN(exists, merge, sync)) \
		nested_set_field(s, VF_##name, op_hw_read(n, enc));
#include "vmcs_fields.def"
#undef F
	for (unsigned w = 0; w < VF_WORDS; w++) {
		u64 left = saved.w[w] & ~plain.w[w];

		while (left) {
			unsigned i = field_pop(&left, w);

			nested_set_field(s, i, op_hw_read(n, nested_field_encoding[i]));
		}
	}
}

enum nested_verdict nested_reflect(struct nested_vcpu *n, struct nested_exit_info *info)
{
	struct nested_vmcs *s = n->current;
	u64 efer = op_hw_read(n, n->at.efer), pat = op_hw_read(n, n->at.pat);
	bool stored;

	write_exit_info(s, info);
	if (unlikely(n->nmi_exits))
		save_hot_but_nmis(n, s);
	else
		save_hot(n, s);
	if (unlikely(s->wide))
		save_cold(n, s, saved_cold(n, s));
	else
		s->stale = saved_cold(n, s);	/* vmcs02 has the truth of these from now on */
	stored = nested_msr_store(n, GPA1(s->v[VF_EXIT_MSR_STORE_ADDR]),
				  s->v[VF_EXIT_MSR_STORE_COUNT]);
	n->in_l2 = false;
	/* To the processor both are guests: IBRS does not keep L1 from its guest. */
	if (n->barrier)
		op_barrier(n);
	nested_shadow_give(n, s);
	op_hw_load(n, n->vmcs01);
	if (likely(stored))
		nested_load_host_state(n, s, info, efer, pat);
	else
		nested_abort(n, ABORT_SAVE_MSR);
	return NESTED_REFLECTED;
}

static bool owns_exception(struct nested_vcpu *n)
{
	u64 info = op_hw_read(n, VMCS_EXIT_INTR_INFO);
	u32 error_code = 0;

	if ((info & INTR_TYPE) == INTR_TYPE_NMI)
		return (n->current->v[VF_PIN_CONTROLS] & PIN_NMI) && !nested_l2_nmi_blocked(n);
	if (info & INTR_ERROR_CODE)
		error_code = (u32)op_hw_read(n, VMCS_EXIT_INTR_ERROR_CODE);
	return nested_l1_wants_exception(n, (u32)info & INTR_VECTOR, error_code);
}

static bool owns_io(struct nested_vcpu *n)
{
	u64 qual = op_hw_read(n, VMCS_EXIT_QUALIFICATION);

	return nested_l1_wants_io(n, IOQ_PORT(qual), IOQ_SIZE(qual));
}

static bool owns_msr(struct nested_vcpu *n, bool write)
{
	return nested_l1_wants_msr(n, (u32)n->gpr[GPR_RCX], write);
}

static bool owns_field(struct nested_vcpu *n, bool write)
{
	u32 info = (u32)op_hw_read(n, VMCS_EXIT_INSTR_INFO);
	struct nested_insn in = { .n = n };

	/* In compatibility mode it is #UD. */
	in.mode64 = op_hw_read(n, VMCS_ENTRY_CONTROLS) & ENTRY_IA32E;
	return nested_l1_wants_field(n, nested_gpr_read(&in, INSN_REG2(info)), write);
}

/* Else it is L0's own. L1 may also inject one (SDM 3C "Injection of Pending MTF VM Exits"). */
static bool owns_mtf(const u64 *v)
{
	return (v[VF_PROC_CONTROLS] & PROC_MTF) ||
	       (v[VF_ENTRY_INTR_INFO] & (INTR_VALID | INTR_TYPE)) == (INTR_VALID | INTR_TYPE_OTHER);
}

/* The owner column; owner names as in exits.def. */
enum owner {
	OWNER_nobody, OWNER_L1, OWNER_L0, OWNER_mtf, OWNER_nmi_window, OWNER_io, OWNER_msr,
	OWNER_field, OWNER_cr, OWNER_invlpg,
	/* These decide more than whose it is: settled_by_l0(). */
	OWNER_exception, OWNER_ept, OWNER_vmfunc,
};
static const u8 exit_owner[EXIT_REASON_COUNT] = {
#define X(reason, name, owner, handler, info) [reason] = OWNER_##owner,
#include "exits.def"
#undef X
};

static bool l1_owns(struct nested_vcpu *n, u32 basic)
{
	switch ((enum owner)exit_owner[basic]) {
	case OWNER_L1: return true;
	case OWNER_exception: return owns_exception(n);
	case OWNER_mtf: return owns_mtf(n->current->v);
	case OWNER_nmi_window: return n->current->v[VF_PROC_CONTROLS] & PROC_NMI_WINDOW;
	case OWNER_io: return owns_io(n);
	case OWNER_msr: return owns_msr(n, basic == EXIT_MSR_WRITE);
	case OWNER_field: return owns_field(n, basic == EXIT_VMWRITE);
	case OWNER_cr: return nested_l1_wants_cr(n);
	case OWNER_invlpg: return !n->vtlb || (n->current->v[VF_PROC_CONTROLS] & PROC_INVLPG);
	case OWNER_ept: case OWNER_vmfunc: case OWNER_L0: case OWNER_nobody: return false;
	}
	return true;
}

static bool is_page_fault(struct nested_vcpu *n)
{
	const u32 bits = INTR_TYPE | INTR_VECTOR;

	return (op_hw_read(n, VMCS_EXIT_INTR_INFO) & bits) == (INTR_TYPE_HW_EXCEPTION | X86_PF);
}

/* True: the engine has dealt with the exit, and says how. */
static bool settled_by_l0(struct nested_vcpu *n, u32 basic, enum nested_verdict *verdict)
{
	if (exit_owner[basic] == OWNER_ept)
		*verdict = nested_ept_exit(n, basic);
	else if (exit_owner[basic] == OWNER_vmfunc)
		*verdict = nested_vmfunc(n);
	else if (n->vtlb && is_page_fault(n))
		*verdict = nested_vtlb_exit(n);
	else
		return false;
	return true;
}

void nested_l2_interrupted(struct nested_vcpu *n)
{
	n->current->launched = true;
	n->current->launched02 = true;
	nested_absorb(n, false);
}

enum nested_verdict nested_l2_exit(struct nested_vcpu *n, u32 reason)
{
	struct nested_vmcs *s = n->current;
	u32 basic = reason & EXIT_REASON_BASIC;
	struct nested_exit_info info;
	enum nested_verdict verdict;

	if (unlikely(reason & EXIT_REASON_ENTRY_FAILURE))
		return nested_entry_failed(n, reason);
	s->launched = true;
	s->launched02 = true;
	if (unlikely(basic >= EXIT_REASON_COUNT || exit_owner[basic] == OWNER_nobody)) {
		op_vm_kill(n, "an exit reason of L2 that L0 does not know");
		return NESTED_RESUME;
	}
	if (exit_owner[basic] >= OWNER_exception && settled_by_l0(n, basic, &verdict))
		return verdict;
	if (!l1_owns(n, basic))
		return NESTED_L0;
	nested_read_exit_info(n, reason, &info);
	return nested_reflect(n, &info);
}
