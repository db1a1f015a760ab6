/*
 * What L1 does in real mode that hardware cannot: its events, which go through
 * its vectors, and its instructions.
 *
 * In REAL_STEP hardware would show L1 other selectors of CS and SS than its own,
 * and flags that are L0's. So each instruction is first given to real_emulate(),
 * which executes all that look at such things; between two of them, REAL_IDLE
 * lets an interrupt in. Neither lasts: most code fits REAL_V86 after a few
 * loads of segment registers.
 */
#include "vm/real/switch.h"

#include "cpu/cpu.h"
#include "debug/console.h"
#include "lib/format.h"
#include "vm/exits.h"
#include "vm/regs.h"

#define BURST 32u			/* instructions that L0 executes in one exit */
#define SHADOW (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)
#define DR6_HITS 0xfull
#define DR6_BD BIT(13)
#define DR6_BS PENDING_DEBUG_BS
#define DR7_GD BIT(13)

void vm_real_print(const struct vcpu *v)
{
	const struct real_cpu *c = &v->real.cpu;

	con_printf("real mode: %04x:%04x (base %#x), stack %04x:%04x, flags %#x\n",
		   c->seg[SEG_CS].selector, c->eip, c->seg[SEG_CS].base,
		   c->seg[SEG_SS].selector, c->gpr[GPR_RSP], c->eflags);
}

static void unsupported(struct vcpu *v, const struct real_insn *insn)
{
	const struct real_cpu *c = &v->real.cpu;
	char bytes[3 * REAL_MAX_INSN + 1] = "";

	for (u32 i = 0; i < insn->count; i++)
		lib_snprintf(bytes + 3 * i, 4, " %02x", insn->bytes[i]);
	con_printf("L1 in real mode at %04x:%04x: this processor's VMX has no unrestricted guest, "
		   "and L0 does not execute%s there: use a processor that has it, or a boot "
		   "protocol that starts in protected mode\n",
		   c->seg[SEG_CS].selector, c->eip, bytes);
	vm_kill(v->vm, "an instruction in real mode");
}

static void deliver(struct vcpu *v, u32 event)
{
	struct real_mode *r = &v->real;
	u32 length = (u32)vmx_read(VMCS_EXIT_INSTR_LENGTH);

	r->activity = ACTIVITY_ACTIVE;
	if (real_deliver(v->vm, &r->cpu, event, length) == REAL_SHUTDOWN)
		vm_exit_triple_fault(v);
}

static void raise(struct vcpu *v, u32 vector)
{
	deliver(v, INTR_VALID | INTR_TYPE_HW_EXCEPTION | vector);
}

/* Hits are told as in an exit qualification. SDM 3B "Debug Status Register (DR6)". */
static void raise_debug(struct vcpu *v, u64 hits)
{
	cpu_write_dr6((cpu_read_dr6() & ~DR6_HITS) | hits);
	vmx_write(VMCS_GUEST_DR7, vmx_read(VMCS_GUEST_DR7) & ~DR7_GD);
	vmx_write(VMCS_GUEST_DEBUGCTL, vmx_read(VMCS_GUEST_DEBUGCTL) & ~DEBUGCTL_LBR);
	raise(v, X86_DB);
}

/* An instruction that began with TF set ends so, unless L1 wants to see branches only. */
static bool traps(bool tf)
{
	return tf && !(vmx_read(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF);
}

/* An instruction that is not the emulator's. */
static void machine(struct vcpu *v, const struct real_insn *insn)
{
	struct real_mode *r = &v->real;
	u32 eip = r->cpu.eip;
	u8 vector;

	/* As behind it: it may be the end of real mode. */
	r->cpu.blocking &= ~SHADOW;
	r->cpu.eip += insn->length;
	if (!vm_real_machine(v, insn, &vector)) {
		r->cpu.eip = eip;
		if (vector == X86_DB)
			raise_debug(v, DR6_BD);
		else
			raise(v, vector);
		return;
	}
	if (r->on && traps(r->cpu.eflags & RFLAGS_TF))
		raise_debug(v, DR6_BS);
}

/* The instruction at CS:EIP. False: the hardware must execute it. */
static bool emulate(struct vcpu *v, struct real_insn *insn, enum real_end *end)
{
	*end = real_emulate(v->vm, &v->real.cpu, insn);
	switch (*end) {
	case REAL_DONE:
		if (traps(insn->trap))
			raise_debug(v, DR6_BS);
		return true;
	case REAL_FAULT:
		raise(v, insn->vector);
		return true;
	case REAL_MACHINE:
		machine(v, insn);
		return true;
	default:
		return false;
	}
}

/* An interrupt may have to be taken before the next instruction. */
static bool must_poll(const struct real_mode *r)
{
	return !r->polled && (r->cpu.eflags & RFLAGS_IF) && !(r->cpu.blocking & SHADOW);
}

/* So that L1 cannot keep L0; but REAL_IDLE would let events in where they must wait. */
static bool may_end(const struct real_mode *r, u32 executed)
{
	return executed >= BURST && !(r->cpu.blocking & SHADOW);
}

/* real_mode.cpu is L1's: hardware goes on with it. */
static void go_on(struct vcpu *v)
{
	struct real_mode *r = &v->real;
	struct real_insn insn;
	enum real_end end;

	for (u32 i = 0; r->on && r->activity == ACTIVITY_ACTIVE && !may_end(r, i); i++) {
		if (real_fits_v86(&r->cpu)) {
			vm_real_store(v, REAL_V86);
			return;
		}
		if (must_poll(r))
			break;
		if (!emulate(v, &insn, &end)) {
			vm_real_store(v, REAL_STEP);
			return;
		}
		r->polled = false;
	}
	if (r->on)
		vm_real_store(v, REAL_IDLE);
}

void vm_real_begin(struct vcpu *v, bool trap)
{
	if (trap)
		raise_debug(v, DR6_BS);
	go_on(v);
}

/* An instruction, or what hardware took for one, has faulted. */
static void fault(struct vcpu *v, u32 info)
{
	struct real_mode *r = &v->real;
	struct real_insn insn;
	enum real_end end;

	if (r->form == REAL_IDLE) {	/* no event was there; or what ended HLT was an SMI */
		r->polled = true;
		go_on(v);
		return;
	}
	if (emulate(v, &insn, &end)) {
		go_on(v);
	} else if (r->form == REAL_V86 && real_is_big(&r->cpu)) {
		vm_real_store(v, REAL_STEP);
	} else if (r->form == REAL_STEP && end == REAL_UNSUPPORTED) {
		unsupported(v, &insn);
	} else {
		deliver(v, info);
		go_on(v);
	}
}

/* Single steps of REAL_STEP are L0's own. */
static void debug(struct vcpu *v)
{
	struct real_mode *r = &v->real;
	u64 hits = vmx_read(VMCS_EXIT_QUALIFICATION) & (DR6_HITS | DR6_BD | DR6_BS);

	if (r->form == REAL_STEP) {
		r->cpu.blocking &= ~SHADOW;
		if (!traps(r->cpu.eflags & RFLAGS_TF))
			hits &= ~DR6_BS;
	}
	if (hits)
		raise_debug(v, hits);
	if (!hits && r->form == REAL_STEP && r->cpu.eip == r->stepped)
		vm_real_store(v, REAL_STEP);	/* it is repeated */
	else
		go_on(v);
}

void vm_real_exception(struct vcpu *v)
{
	u32 event = (u32)vmx_read(VMCS_IDT_VECTORING_INFO);
	u32 info = (u32)vmx_read(VMCS_EXIT_INTR_INFO);

	vm_real_load(v);
	if (event & INTR_VALID) {
		deliver(v, event);
		go_on(v);
		return;
	}
	switch (info & (INTR_VECTOR | INTR_TYPE)) {
	case INTR_TYPE_HW_EXCEPTION | X86_DB:
		debug(v);
		break;
	case INTR_TYPE_HW_EXCEPTION | X86_UD:
	case INTR_TYPE_HW_EXCEPTION | X86_TS:
	case INTR_TYPE_HW_EXCEPTION | X86_NP:
	case INTR_TYPE_HW_EXCEPTION | X86_SS:
	case INTR_TYPE_HW_EXCEPTION | X86_GP:
		fault(v, info);
		break;
	default:
		deliver(v, info);
		go_on(v);
	}
}
