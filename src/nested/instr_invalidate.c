/*
 * INVEPT and INVVPID of L1. A type that does not exist fails before the
 * descriptor is read, as in the SDM's operation sections.
 */
#include "nested/instr.h"

#include "mmu/ept02.h"
#include "nested/check.h"
#include "nested/vpid.h"
#include "x86.h"

typedef unsigned long long ull;

/* Wherever L1 has EPT at all, a VM entry would accept this: zeroed state holds no nonsense. */
#define GOOD_EPTP (EPTP_WALK_4 | MT_WB)

/* Bits 25, 26 of the capability are the types 1, 2. */
static bool invept_has(const struct vmx_caps *c, u64 type)
{
	return (type == INVEPT_SINGLE && (c->ept_vpid & EPTCAP_INVEPT_SINGLE)) ||
	       (type == INVEPT_GLOBAL && (c->ept_vpid & EPTCAP_INVEPT_GLOBAL));
}

struct outcome insn_invept(const struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;
	u64 type = nested_gpr_read(in, INSN_REG2(in->info));
	struct outcome o;
	u64 desc[2];

	if (!invept_has(&n->caps, type))
		return VMFAIL(in, VMERR_INVALID_OPERAND, "there is no type %llu", (ull)type);
	if (!nested_descriptor_read(in, desc, &o))
		return INSN_FAULT(in, o, "memory operand");
	/* Stamps of ept02 tell the entry to execute the hardware's INVEPT. */
	if (type == INVEPT_GLOBAL) {
		ept02_invalidate_all(n->ept02s);
		return OUTCOME_OK;
	}
	if (unlikely((desc[0] ^ GOOD_EPTP) != n->eptp_checked)) {
		if (!nested_check_eptp(&n->caps, desc[0]))
			return VMFAIL(in, VMERR_INVALID_OPERAND, "0x%llx is no EPTP that a VM "
				      "entry would accept", (ull)desc[0]);
		n->eptp_checked = desc[0] ^ GOOD_EPTP;
	}
	if (n->ept02s->live)
		ept02_invalidate(n->ept02s, desc[0]);
	return OUTCOME_OK;
}

/* NULL: the descriptor is good for this type. */
static const char *invvpid_wrong(struct nested_vcpu *n, u64 type, const u64 *desc)
{
	if (desc[0] >> 16)
		return "reserved bits of the descriptor are set";
	if (type != INVVPID_ALL && !desc[0])
		return "VPID 0 is not a guest's";
	if (type == INVVPID_ADDR &&
	    !nested_is_canonical(desc[1], op_hw_read(n, VMCS_GUEST_CR4)))
		return "the linear address is not canonical";
	return NULL;
}

struct outcome insn_invvpid(const struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;
	u64 type = nested_gpr_read(in, INSN_REG2(in->info));
	struct outcome o;
	const char *why;
	u64 desc[2];

	/* Bits 43:40 of the capability are the types 3..0. */
	if (type > INVVPID_SINGLE_RG || !(n->caps.ept_vpid & EPTCAP_INVVPID_ADDR << type))
		return VMFAIL(in, VMERR_INVALID_OPERAND, "there is no type %llu", (ull)type);
	if (!nested_descriptor_read(in, desc, &o))
		return INSN_FAULT(in, o, "memory operand");
	why = invvpid_wrong(n, type, desc);
	if (why)
		return VMFAIL(in, VMERR_INVALID_OPERAND, "%s", why);
	nested_vpid_flush(n, (u32)type, (u16)desc[0], GVA(desc[1]));
	return OUTCOME_OK;
}
