/*
 * L1's VMX instructions: what they have in common, and those without operands.
 * Each is decode, check, commit; what it comes to is a value. The order of
 * faults and failures is that of the SDM's operation sections (SDM 3C
 * "VMX Instruction Reference").
 */
#include "nested/instr.h"

#include "x86.h"

struct insn_row {
	const char *name;
	struct outcome (*run)(const struct nested_insn *in);
	bool operands;
	bool outside;		/* may be executed outside VMX operation */
	u64 ept_vpid;		/* capability that it comes with; 0: none */
};

void insn_explain_fault(const struct nested_insn *in, struct outcome o, const char *why)
{
	const char *fault = o.vector == X86_UD ? "#UD" : o.vector == X86_SS ? "#SS(0)" : "#GP(0)";

	if (o.vector == X86_PF)
		op_log(in->n, "L1 %s: #PF(0x%x) at 0x%llx: %s\n", in->name, o.error_code,
		       (unsigned long long)o.value, why);
	else
		op_log(in->n, "L1 %s: %s: %s\n", in->name, fault, why);
}

static struct outcome vmcall(const struct nested_insn *in)
{
	return VMFAIL(in, VMERR_VMCALL_IN_ROOT, "%s", "there is no SMM monitor to call");
}

static struct outcome enter(const struct nested_insn *in, bool launch)
{
	struct nested_vcpu *n = in->n;

	if (!n->current)
		return VMFAIL_INVALID(in, "there is no current VMCS");
	if (n->current->is_shadow)
		return VMFAIL_INVALID(in, "the current VMCS is a shadow VMCS");
	if (op_hw_read(n, VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_BY_MOV_SS)
		return VMFAIL(in, VMERR_ENTRY_MOV_SS, "%s", "the instruction before loaded SS");
	if (launch && n->current->launched)
		return VMFAIL(in, VMERR_VMLAUNCH_NOT_CLEAR, "the VMCS at 0x%llx is launched",
			      (unsigned long long)n->current->gpa.v);
	if (!launch && !n->current->launched)
		return VMFAIL(in, VMERR_VMRESUME_NOT_LAUNCHED, "the VMCS at 0x%llx is clear",
			      (unsigned long long)n->current->gpa.v);
	return nested_enter(n);
}

static struct outcome vmlaunch(const struct nested_insn *in)
{
	return enter(in, true);
}

static struct outcome vmresume(const struct nested_insn *in)
{
	return enter(in, false);
}

static const struct insn_row rows[] = {
	[EXIT_VMCALL] = { "vmcall", vmcall, false, false, 0 },
	[EXIT_VMCLEAR] = { "vmclear", insn_vmclear, true, false, 0 },
	[EXIT_VMLAUNCH] = { "vmlaunch", vmlaunch, false, false, 0 },
	[EXIT_VMPTRLD] = { "vmptrld", insn_vmptrld, true, false, 0 },
	[EXIT_VMPTRST] = { "vmptrst", insn_vmptrst, true, false, 0 },
	[EXIT_VMREAD] = { "vmread", insn_vmread, true, false, 0 },
	[EXIT_VMRESUME] = { "vmresume", vmresume, false, false, 0 },
	[EXIT_VMWRITE] = { "vmwrite", insn_vmwrite, true, false, 0 },
	[EXIT_VMXOFF] = { "vmxoff", insn_vmxoff, false, false, 0 },
	[EXIT_VMXON] = { "vmxon", insn_vmxon, true, true, 0 },
	[EXIT_INVEPT] = { "invept", insn_invept, true, false, EPTCAP_INVEPT },
	[EXIT_INVVPID] = { "invvpid", insn_invvpid, true, false, EPTCAP_INVVPID },
};

/* CR0.PE, RFLAGS.VM and compatibility mode; NULL: VMX instructions exist here. */
static const char *decode_mode(struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;

	/* Every exit has made it EFER.LMA, and no field is nearer where L0 is an L1 itself. */
	if (op_hw_read(n, VMCS_ENTRY_CONTROLS) & ENTRY_IA32E) {	/* CR0.PE = 1, RFLAGS.VM = 0 */
		in->mode64 = op_hw_read(n, VMCS_GUEST_CS_AR) & AR_L;
		return in->mode64 ? NULL : "compatibility mode";
	}
	in->mode64 = false;
	if (!(op_hw_read(n, VMCS_GUEST_CR0) & CR0_PE) ||
	    (n->vtlb && !(nested_vtlb_cr0(n) & CR0_PE)))
		return "real mode";
	return op_hw_read(n, VMCS_GUEST_RFLAGS) & RFLAGS_VM ? "virtual-8086 mode" : NULL;
}

static bool cr4_vmxe(struct nested_vcpu *n)
{
	u64 seen = op_hw_read(n, VMCS_CR4_MASK) & CR4_VMXE ?
			   op_hw_read(n, VMCS_CR4_SHADOW) : op_hw_read(n, VMCS_GUEST_CR4);

	return seen & CR4_VMXE;
}

/* NULL: the instruction exists; else why it is undefined. */
static const char *undefined(const struct insn_row *row, struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;

	if (!n->vmxon && !row->outside)
		return "not in VMX operation";
	if (!n->vmxon && !cr4_vmxe(n))
		return "CR4.VMXE is 0";
	if (row->ept_vpid & ~n->caps.ept_vpid)
		return "this processor does not have it";
	return decode_mode(in);
}

struct outcome nested_vmx_instruction(struct nested_vcpu *n, u32 reason)
{
	const struct insn_row *row;
	struct nested_insn in;
	const char *why;

	if (reason >= ARRAY_SIZE(rows) || !rows[reason].run)
		return OUTCOME_UD;
	row = &rows[reason];
	in.n = n;
	in.name = row->name;
	in.cpl = 0;
	why = undefined(row, &in);
	if (why)
		return INSN_FAULT(&in, OUTCOME_UD, why);
	if (op_hw_read(n, VMCS_GUEST_SS_AR) & AR_DPL)	/* the CPL */
		return INSN_FAULT(&in, OUTCOME_GP, "CPL is not 0");
	in.info = row->operands ? (u32)op_hw_read(n, VMCS_EXIT_INSTR_INFO) : 0;
	if (unlikely(n->in_l2))
		return insn_absent_field(&in, reason == EXIT_VMWRITE);
	return row->run(&in);
}

void nested_commit_flags(struct nested_vcpu *n, struct outcome o)
{
	u64 was, flags;

	if (o.kind != OUT_OK && o.kind != OUT_VMFAIL_INVALID && o.kind != OUT_VMFAIL_VALID)
		return;
	was = op_hw_read(n, VMCS_GUEST_RFLAGS);
	flags = was & ~RFLAGS_ARITH;
	if (o.kind == OUT_VMFAIL_INVALID)
		flags |= RFLAGS_CF;
	if (o.kind == OUT_VMFAIL_VALID) {
		flags |= RFLAGS_ZF;
		if (n->in_l2)
			n->current->v[VF_VM_INSTRUCTION_ERROR] = o.error_code;
		else
			nested_field_write(n, n->current, VF_VM_INSTRUCTION_ERROR, o.error_code);
	}
	if (flags != was)
		op_hw_write(n, VMCS_GUEST_RFLAGS, flags);
}

const char *nested_error_text(u32 error)
{
	static const char *const text[] = {
		[VMERR_VMCALL_IN_ROOT] = "VMCALL in VMX root operation",
		[VMERR_VMCLEAR_ADDRESS] = "VMCLEAR with invalid physical address",
		[VMERR_VMCLEAR_VMXON] = "VMCLEAR with VMXON pointer",
		[VMERR_VMLAUNCH_NOT_CLEAR] = "VMLAUNCH with non-clear VMCS",
		[VMERR_VMRESUME_NOT_LAUNCHED] = "VMRESUME with non-launched VMCS",
		[VMERR_ENTRY_CONTROLS] = "VM entry with invalid control fields",
		[VMERR_ENTRY_HOST] = "VM entry with invalid host-state fields",
		[VMERR_VMPTRLD_ADDRESS] = "VMPTRLD with invalid physical address",
		[VMERR_VMPTRLD_VMXON] = "VMPTRLD with VMXON pointer",
		[VMERR_VMPTRLD_REVISION] = "VMPTRLD with incorrect VMCS revision identifier",
		[VMERR_UNSUPPORTED_FIELD] = "VMREAD or VMWRITE of unsupported VMCS component",
		[VMERR_READ_ONLY_FIELD] = "VMWRITE to read-only VMCS component",
		[VMERR_VMXON_IN_ROOT] = "VMXON in VMX root operation",
		[VMERR_ENTRY_MOV_SS] = "VM entry with events blocked by MOV SS",
		[VMERR_INVALID_OPERAND] = "invalid operand to INVEPT or INVVPID",
	};

	return error < ARRAY_SIZE(text) && text[error] ? text[error] : "unknown error";
}
