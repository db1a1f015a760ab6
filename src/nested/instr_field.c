/*
 * VMREAD and VMWRITE of L1's current VMCS, where the hardware's shadow VMCS
 * does not serve them.
 */
#include "nested/instr.h"

typedef unsigned long long ull;

/* A field and the half of it that an encoding names. */
struct component {
	int index;		/* -1: L1's VMCS has no such component */
	bool high;
};

static struct component decode_field(const struct nested_vcpu *n, u64 encoding)
{
	struct component c = { -1, encoding & VMCS_HIGH_ACCESS };

	if (encoding >> 32 || (c.high && VMCS_WIDTH(encoding) != VMCS_WIDTH_64))
		return c;
	c.index = nested_field_index((u32)encoding & ~VMCS_HIGH_ACCESS);
	if (c.index >= 0 && !field_test(&n->exists, (unsigned)c.index))
		c.index = -1;
	return c;
}

static size_t operand_size(const struct nested_insn *in)
{
	return in->mode64 ? sizeof(u64) : sizeof(u32);
}

/* A memory operand faults only after the field was found to exist. */
struct outcome insn_vmread(const struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;
	u64 encoding, value;
	struct component c;
	struct outcome o;

	if (!n->current)
		return VMFAIL_INVALID(in, "there is no current VMCS");
	encoding = nested_gpr_read(in, INSN_REG2(in->info));
	c = decode_field(n, encoding);
	if (c.index < 0)
		return VMFAIL(in, VMERR_UNSUPPORTED_FIELD, "there is no field 0x%llx",
			      (ull)encoding);
	value = nested_field_read(n, n->current, (unsigned)c.index);
	if (c.high)
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
	struct component c;
	struct outcome o;

	if (!n->current)
		return VMFAIL_INVALID(in, "there is no current VMCS");
	if (INSN_IS_REGISTER(in->info))
		value = nested_gpr_read(in, INSN_REG1(in->info));
	else if (!nested_operand_read(in, &value, operand_size(in), &o))
		return INSN_FAULT(in, o, "memory operand");
	encoding = nested_gpr_read(in, INSN_REG2(in->info));
	c = decode_field(n, encoding);
	if (c.index < 0)
		return VMFAIL(in, VMERR_UNSUPPORTED_FIELD, "there is no field 0x%llx",
			      (ull)encoding);
	if (VMCS_TYPE(encoding) == VMCS_TYPE_INFO && !(n->caps.misc & MISC_VMWRITE_ANY))
		return VMFAIL(in, VMERR_READ_ONLY_FIELD, "%s", nested_field_name[c.index]);
	if (c.high)
		value = value << 32 |
			(u32)nested_field_read(n, n->current, (unsigned)c.index);
	nested_field_write(n, n->current, (unsigned)c.index, value);
	return OUTCOME_OK;
}
