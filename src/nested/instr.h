/*
 * Between instr.c and the files that carry out single instructions: how they
 * fail, and how a failure is explained.
 */
#pragma once

#include "engine_ops.h"
#include "nested/operand.h"

const char *nested_error_text(u32 error);

/* VMfail of the SDM's "Conventions": VMfailValid needs a current VMCS to say why. */
static inline struct outcome insn_vmfail(const struct nested_insn *in, u32 error)
{
	return in->n->current ? OUTCOME_VALID(error) : OUTCOME_INVALID;
}

/* VMfail with one line of explanation where the user wants them. */
#define VMFAIL(in, error, fmt, ...) \
	((unlikely((in)->n->explain) ? \
		op_log((in)->n, "L1 %s: VMfail %u (%s): " fmt "\n", (in)->name, (unsigned)(error), \
		       nested_error_text(error), __VA_ARGS__) : (void)0), \
	 insn_vmfail(in, error))
#define VMFAIL_INVALID(in, why) \
	((unlikely((in)->n->explain) ? \
		op_log((in)->n, "L1 %s: VMfailInvalid: %s\n", (in)->name, why) : (void)0), \
	 OUTCOME_INVALID)
#define INSN_FAULT(in, outcome, why) \
	((unlikely((in)->n->explain) ? insn_explain_fault(in, outcome, why) : (void)0), outcome)

/* instr.c */
void insn_explain_fault(const struct nested_insn *in, struct outcome o, const char *why);

/* instr_region.c */
struct outcome insn_vmxon(const struct nested_insn *in);
struct outcome insn_vmxoff(const struct nested_insn *in);
struct outcome insn_vmclear(const struct nested_insn *in);
struct outcome insn_vmptrld(const struct nested_insn *in);
struct outcome insn_vmptrst(const struct nested_insn *in);
/* instr_field.c */
struct outcome insn_vmread(const struct nested_insn *in);
struct outcome insn_vmwrite(const struct nested_insn *in);
struct outcome insn_absent_field(const struct nested_insn *in, bool write);
/* instr_invalidate.c */
struct outcome insn_invept(const struct nested_insn *in);
struct outcome insn_invvpid(const struct nested_insn *in);
