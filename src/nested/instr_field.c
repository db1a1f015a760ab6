/*
 * VMREAD and VMWRITE of L1's current VMCS, where the hardware's shadow VMCS
 * does not serve them.
 */
#include "nested/instr.h"

#include "nested/fields.h"

typedef unsigned long long ull;

static size_t operand_size(const struct nested_insn *in)
{
	return in->mode64 ? sizeof(u64) : sizeof(u32);
}

/* A memory operand faults only after the field was found to exist. */
struct outcome insn_vmread(const struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;
	u64 encoding, value;
	int index;
	struct outcome o;

	if (!n->current)
		return VMFAIL_INVALID(in, "there is no current VMCS");
	encoding = nested_gpr_read(in, INSN_REG2(in->info));
	index = nested_field_of(n, encoding);
	if (index < 0)
		return VMFAIL(in, VMERR_UNSUPPORTED_FIELD, "there is no field 0x%llx",
			      (ull)encoding);
	value = nested_field_read(n, n->current, (unsigned)index);
	if (encoding & VMCS_HIGH_ACCESS)
		value >>= 32;
	if (INSN_IS_REGISTER(in->info)) {
		nested_gpr_write(in, INSN_REG1(in->info), value);
		return OUTCOME_OK;
	}
	if (nested_operand_write(in, &value, operand_size(in), &o))
		return OUTCOME_OK;
	return INSN_FAULT(in, o, "memory operand");
}

/* A memory operand faults before the field is looked up (SDM 3C "VMWRITE"). */
struct outcome insn_vmwrite(const struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;
	u64 encoding, value = 0;
	int index;
	struct outcome o;

	if (!n->current)
		return VMFAIL_INVALID(in, "there is no current VMCS");
	if (INSN_IS_REGISTER(in->info))
		value = nested_gpr_read(in, INSN_REG1(in->info));
	else if (!nested_operand_read(in, &value, operand_size(in), &o))
		return INSN_FAULT(in, o, "memory operand");
	encoding = nested_gpr_read(in, INSN_REG2(in->info));
	index = nested_field_of(n, encoding);
	if (index < 0)
		return VMFAIL(in, VMERR_UNSUPPORTED_FIELD, "there is no field 0x%llx",
			      (ull)encoding);
	if (VMCS_TYPE(encoding) == VMCS_TYPE_INFO && !(n->caps.misc & MISC_VMWRITE_ANY))
		return VMFAIL(in, VMERR_READ_ONLY_FIELD, "%s", nested_field_name[index]);
	if (encoding & VMCS_HIGH_ACCESS)
		value = value << 32 |
			(u32)nested_field_read(n, n->current, (unsigned)index);
	nested_field_write(n, n->current, (unsigned)index, value);
	return OUTCOME_OK;
}

/*
 * VMREAD or VMWRITE of L2 by VMCS shadowing, of a field that L1 has not got: for
 * others the hardware serves L2.
 */
struct outcome insn_absent_field(const struct nested_insn *in, bool write)
{
	struct outcome o;
	u64 value;

	if (in->n->current->v[VF_VMCS_LINK_POINTER] == NESTED_NO_VMPTR.v)
		return OUTCOME_INVALID;
	if (write && !INSN_IS_REGISTER(in->info) &&
	    !nested_operand_read_l2(in, &value, operand_size(in), &o))
		return o;
	return OUTCOME_VALID(VMERR_UNSUPPORTED_FIELD);
}
