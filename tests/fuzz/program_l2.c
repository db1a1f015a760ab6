/* Steps of a program: what L2 does until its exit, and the exit. See program_steps.h. */
#include "program_parts.h"

#include "nested/caps.h"
#include "nested/operand.h"

/* Vectoring information of a kind that a processor writes. */
static u64 vectoring(struct fuzz_input *in)
{
	static const u32 some[] = {
		0, INTR_VALID | INTR_TYPE_EXTERNAL | 0x31, INTR_VALID | INTR_TYPE_NMI | 2,
		INTR_VALID | INTR_TYPE_HW_EXCEPTION | INTR_ERROR_CODE | X86_PF,
		INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_UD,
		INTR_VALID | INTR_TYPE_SW_INTERRUPT | 0x80,
		INTR_VALID | INTR_TYPE_SW_EXCEPTION | X86_BP,
		INTR_VALID | INTR_TYPE_PRIV_SW_EXCEPTION | X86_DB,
	};
	u8 which = fuzz_u8(in);

	return which < 0x80 ? 0 : some[which % ARRAY_SIZE(some)];
}

/* Bits of its state that L2 can change, by MOV, WRMSR and the like. */
static u64 l2_can_change(struct fx *f, unsigned i)
{
	if (!field_test(&f->n.exists, i) ||
	    !(field_test(&nested_fields_hot, i) || field_test(&nested_fields_cold, i)))
		return 0;
	switch (i) {
	case VF_GUEST_EFER:
		return EFER_SCE | EFER_NXE;
	case VF_GUEST_PAT:
		return 0x0101010101010101;
	default:
		return nested_field_bits[i];
	}
}

/* What L2 did until its exit, and what the exit tells. */
static void l2_did(struct program *p, u32 reason)
{
	struct fx *f = p->f;
	unsigned changes = fuzz_below(p->in, 4);

	while (changes--) {
		unsigned i = program_field(p->in);

		*fx_vmcs02(f, i) ^= fuzz_value(p->in) & l2_can_change(f, i);
	}
	FX02(f, IDT_VECTORING_INFO) = vectoring(p->in);
	FX02(f, IDT_VECTORING_ERROR_CODE) = fuzz_u8(p->in);
	FX02(f, EXIT_QUALIFICATION) = fuzz_value(p->in);
	FX02(f, EXIT_INSTR_LENGTH) = 1 + fuzz_below(p->in, 15);
	FX02(f, EXIT_INSTR_INFO) = (u32)fuzz_value(p->in);
	FX02(f, EXIT_INTR_INFO) = reason == EXIT_EXCEPTION_NMI ?
		INTR_VALID | INTR_TYPE_HW_EXCEPTION | fuzz_below(p->in, 32) : vectoring(p->in);
	if (reason == EXIT_EXCEPTION_NMI && fuzz_flip(p->in))
		FX02(f, EXIT_INTR_INFO) = INTR_VALID | INTR_TYPE_NMI | 2;
	FX02(f, EXIT_INTR_ERROR_CODE) = fuzz_u8(p->in);
	FX02(f, GUEST_LINEAR_ADDRESS) = fuzz_value(p->in);
	FX02(f, GUEST_PHYSICAL_ADDRESS) = (fuzz_flip(p->in) ? fuzz_value(p->in) :
							program_address(p->in)) & (BIT(48) - 1);
	f->gpr[GPR_RCX] = 0;
	if (reason == EXIT_MSR_READ || reason == EXIT_MSR_WRITE)
		f->gpr[GPR_RCX] = fuzz_value(p->in);
	if (reason == EXIT_VMFUNC) {
		f->gpr[GPR_RAX] = fuzz_u8(p->in) >> 7;
		f->gpr[GPR_RCX] = fuzz_below(p->in, 4);
	}
}

/* Where L1 wants MSRs of L2 stored, pages that L2 modified logged, and #VE told of. */
static void allow_exit(struct fx *f)
{
	const u64 *v = f->n.current->v;

	program_allow_abort(f);
	if (nested_proc2(f->n.current) & PROC2_PML)
		fuzz_allow(v[VF_PML_ADDRESS], PAGE_SIZE);
	if (nested_proc2(f->n.current) & PROC2_EPT_VE)
		fuzz_allow(v[VF_VE_INFO_ADDR], 42);
	if (v[VF_EXIT_MSR_STORE_COUNT] <= 4096)
		fuzz_allow(v[VF_EXIT_MSR_STORE_ADDR], 16 * v[VF_EXIT_MSR_STORE_COUNT]);
}

/* What vm/ does behind an instruction of L2 that L1 does not want to see. */
static enum nested_verdict carried_out(struct program *p, struct outcome o)
{
	struct nested_vcpu *n = &p->f->n;

	program_tell(o);
	if (o.kind == OUT_FAULT)
		return nested_l2_fault(n, o);
	if (o.kind == OUT_INTERRUPTED)
		return n->in_l2 ? NESTED_RESUME : NESTED_REFLECTED;
	return nested_l2_stepped(n);
}

static enum nested_verdict absent_field(struct program *p, u32 reason)
{
	struct outcome o = nested_vmx_instruction(&p->f->n, reason);

	nested_commit_flags(&p->f->n, o);
	return carried_out(p, o);
}

static enum nested_verdict string_io(struct program *p)
{
	size_t size = 1ull << fuzz_below(p->in, 3);
	struct outcome o = { .kind = OUT_DONE };
	bool input = fuzz_below(p->in, 2);
	struct nested_string s;
	u32 value = 0;

	nested_string_decode(&p->f->n, input, &s);
	if (!input) {
		nested_string_read(&s, &value, size, &o);
		fuzz_tell("out", value);
	} else if (nested_string_check(&s, size, &o)) {
		fuzz_allow(0, ~0ull);	/* wherever L2's memory is */
		nested_string_write(&s, &value, size, &o);
	}
	return carried_out(p, o);
}

static void after_exit(struct program *p, enum nested_verdict verdict)
{
	fuzz_forbid();
	fuzz_tell("verdict", verdict);
	if (verdict == NESTED_REFLECTED)
		program_l1_runs(p);
	else
		program_l2_runs(p);
}

void program_l2_exits_for(struct program *p, u32 reason)
{
	bool judged = p->still && fuzz_exit_is_judged(p->f);
	bool aborts = judged && fuzz_exit_aborts(p->f);
	enum nested_verdict verdict;

	allow_exit(p->f);
	verdict = fx_exit(p->f, reason);
	if (verdict == NESTED_L0 && (reason == EXIT_VMREAD || reason == EXIT_VMWRITE))
		verdict = absent_field(p, reason);
	if (verdict == NESTED_L0 && reason == EXIT_IO)
		verdict = string_io(p);
	if (verdict == NESTED_DONE)
		verdict = nested_l2_stepped(&p->f->n);
	if (judged && verdict == NESTED_REFLECTED)
		assert_int_equal(!!p->f->vm.killed, aborts);
	after_exit(p, verdict);
}

void program_l2_exits(struct program *p)
{
	static const u16 often[] = {
		EXIT_EPT_VIOLATION, EXIT_EPT_MISCONFIG, EXIT_EXCEPTION_NMI, EXIT_IO, EXIT_MSR_READ,
		EXIT_MSR_WRITE, EXIT_CPUID, EXIT_EXTERNAL_INTERRUPT, EXIT_VMREAD, EXIT_VMWRITE,
		EXIT_VMFUNC,
	};
	u8 which = fuzz_u8(p->in);
	u32 reason = which < EXIT_REASON_COUNT ? which : often[which % ARRAY_SIZE(often)];

	l2_did(p, reason);
	if (reason == EXIT_EPT_VIOLATION) {
		FX02(p->f, EXIT_QUALIFICATION) &= 0x1fff;
		FX02(p->f, EXIT_QUALIFICATION) |= 1 << fuzz_below(p->in, 3);
	}
	program_l2_exits_for(p, reason);
}

/* Where a good EPT has pages. */
static void l2_writes(struct program *p)
{
	FX02(p->f, IDT_VECTORING_INFO) = vectoring(p->in);
	FX02(p->f, EXIT_QUALIFICATION) = EPTQ_WRITE | EPTQ_GLA_VALID | EPTQ_GLA_FINAL;
	FX02(p->f, GUEST_PHYSICAL_ADDRESS) = fuzz_u8(p->in) * PAGE_SIZE;
	program_l2_exits_for(p, EXIT_EPT_VIOLATION);
}

/* L0 emulates something for L2 and it faults, or an NMI came while L0 ran. */
static void l0_interferes(struct program *p)
{
	static const struct outcome faults[] = {
		OUTCOME_UD, OUTCOME_GP, OUTCOME_PF(2, 0x1234), OUTCOME_FAULT(X86_TS, 8),
	};
	u8 which = fuzz_u8(p->in);

	allow_exit(p->f);
	FX02(p->f, IDT_VECTORING_INFO) = 0;
	FX02(p->f, ENTRY_INTR_INFO) &= ~(u64)INTR_VALID;
	after_exit(p, which & 4 ? nested_l2_nmi(&p->f->n, true) :
				  nested_l2_fault(&p->f->n, faults[which & 3]));
}

void program_l2_step(struct program *p)
{
	switch (fuzz_below(p->in, 8)) {
	case 0:
		program_write_memory(p);
		break;
	case 1:
		program_write_ept12(p);
		break;
	case 2:
		l0_interferes(p);
		break;
	case 3:
		l2_writes(p);
		break;
	default:
		program_l2_exits(p);
	}
}
