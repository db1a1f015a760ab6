/*
 * VMCS shadowing that L1 gives to L2: the VMCS that L1's link pointer names is
 * one of L1's active VMCSs, and vmcs02 lets L2 into the hardware's copy of it,
 * as far as L1's bitmaps say (bitmaps.c).
 * Source: SDM 3C "VMCS Types: Ordinary and Shadow", "VMCS Link Pointer".
 */
#include "nested/engine.h"

#include "engine_ops.h"
#include "nested/slots.h"

static bool has_link(const struct nested_vmcs *s)
{
	return s->v[VF_VMCS_LINK_POINTER] != NESTED_NO_VMPTR.v;
}

struct nested_vmcs *nested_link(const struct nested_vmcs *s)
{
	struct nested_vmcs *link = s->link;

	if (!link || link->gpa.v != s->v[VF_VMCS_LINK_POINTER] || !link->is_shadow)
		return NULL;
	return nested_proc2(s) & PROC2_SHADOW_VMCS ? link : NULL;
}

bool nested_link_is_known(const struct nested_vmcs *s)
{
	return !has_link(s) || nested_link(s);
}

void nested_find_link(struct nested_vcpu *n, struct nested_vmcs *s)
{
	gpa1_t gpa = GPA1(s->v[VF_VMCS_LINK_POINTER]);
	struct nested_vmcs *link;

	s->link = NULL;
	if (!has_link(s) || !(nested_proc2(s) & PROC2_SHADOW_VMCS) ||
	    gpa.v == n->vmxon_region.v)
		return;
	link = nested_slot_find(n, gpa);
	/* The checks saw a shadow VMCS: L1 changed the type of an active one. */
	if (unlikely(link && !link->is_shadow)) {
		nested_slot_flush(n, link);
		link = NULL;
	}
	if (!link)
		link = nested_slot_load(n, gpa, true);
	link->last_used = ++n->clock;
	s->link = link;
}

void nested_merge_link(struct nested_vcpu *n, struct nested_vmcs *s)
{
	const struct nested_vmcs *link = nested_link(s);
	hpa_t region = link ? link->shadow : HPA(~0ull);

	if (likely(region.v == s->link02.v))
		return;
	s->link02 = region;
	op_hw_write(n, VMCS_VMCS_LINK_POINTER, region.v);
}
