/*
 * Hardware VPIDs for L2s. A VPID of L1's is given one of NESTED_VPIDS hardware
 * VPIDs, which is flushed when it changes owner. An L2 that L1 runs without
 * VPID shares hardware VPID NESTED_VPID_FIRST - 1 and is flushed at each entry,
 * and L1 at each exit, as on hardware (SDM 3C "Operations that Invalidate
 * Cached Mappings").
 */
#include "nested/vpid.h"

#include "engine_ops.h"
#include "nested/engine.h"

#define VPID_UNTAGGED (NESTED_VPID_FIRST - 1)

static u16 vpid12_of(const struct nested_vmcs *s)
{
	return nested_proc2(s) & PROC2_VPID ? (u16)s->v[VF_VPID] : 0;
}

/* The hardware VPID of an owner, or 0. */
static u16 find(const struct nested_vpids *t, u16 vpid12)
{
	for (u16 i = 0; i < NESTED_VPIDS; i++)
		if (t->vpid12[i] == vpid12)
			return (u16)(NESTED_VPID_FIRST + i);
	return 0;
}

static u16 take(struct nested_vcpu *n, u16 vpid12)
{
	struct nested_vpids *t = &n->vpids;
	u16 i = t->next, hw = find(t, vpid12);

	if (hw)
		return hw;
	t->next = (u16)((i + 1) % NESTED_VPIDS);
	hw = (u16)(NESTED_VPID_FIRST + i);
	if (t->vpid12[i])
		op_hw_invvpid(n, INVVPID_SINGLE, hw, GVA(0));
	t->vpid12[i] = vpid12;
	return hw;
}

void nested_merge_vpid(struct nested_vcpu *n, struct nested_vmcs *s)
{
	u16 vpid12 = vpid12_of(s), hw = s->vpid02;

	if (!vpid12) {
		hw = VPID_UNTAGGED;
		op_hw_invvpid(n, INVVPID_SINGLE, hw, GVA(0));
	} else if (hw < NESTED_VPID_FIRST || n->vpids.vpid12[hw - NESTED_VPID_FIRST] != vpid12) {
		hw = take(n, vpid12);
	}
	if (hw == s->vpid02)
		return;
	s->vpid02 = hw;
	op_hw_write(n, VMCS_VPID, hw);
}

void nested_vpid_transition(struct nested_vcpu *n, const struct nested_vmcs *s)
{
	if (vpid12_of(s))
		return;
	if (n->vtlb)
		nested_vtlb_host(n, s);
	else
		op_hw_invvpid(n, INVVPID_SINGLE, n->vpid01, GVA(0));
}

void nested_vpid_flush(struct nested_vcpu *n, u32 type, u16 vpid12, gva_t a)
{
	u16 hw;

	if (type == INVVPID_ALL) {
		for (u16 i = 0; i < NESTED_VPIDS; i++)
			if (n->vpids.vpid12[i])
				op_hw_invvpid(n, INVVPID_SINGLE, (u16)(NESTED_VPID_FIRST + i),
					      GVA(0));
		return;
	}
	hw = find(&n->vpids, vpid12);
	if (hw)
		op_hw_invvpid(n, type, hw, a);
}
