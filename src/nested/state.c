/*
 * The legal states of a vcpu's nested VMX, as one predicate. Not on any path of
 * the hypervisor: tests ask it after every step.
 */
#include "nested/fields.h"
#include "nested/slots.h"

static bool subset(const struct field_set *a, const struct field_set *b)
{
	u64 outside = 0;

	for (unsigned k = 0; k < VF_WORDS; k++)
		outside |= a->w[k] & ~b->w[k];
	return !outside;
}

static bool values_fit(const struct nested_vcpu *n, const struct nested_vmcs *s)
{
	for (unsigned i = 0; i < VF_COUNT; i++) {
		if (s->v[i] & ~nested_field_bits[i])
			return false;
		if (s->v[i] && !field_test(&n->exists, i))
			return false;
	}
	return true;
}

static bool slot_is_legal(const struct nested_vcpu *n, const struct nested_vmcs *s)
{
	struct field_set shadowed = nested_shadow_holds(n, s);

	if ((s->gpa.v & ~PAGE_MASK) || s->gpa.v >> n->caps.maxphyaddr)
		return false;
	if (s->gpa.v == n->vmxon_region.v || s->last_used > n->clock)
		return false;
	if ((s->launched02 && !s->ready02) || (s->ready02 && s->is_shadow))
		return false;
	/* Only a vmcs02 that ran can be newer, and then v[] is not. */
	if (!subset(&s->stale, &nested_fields_cold) || field_set_meet(&s->stale, &s->dirty))
		return false;
	if (s->wide && !field_set_empty(&s->stale))
		return false;
	if (!s->ready02 && !field_set_empty(&s->stale))
		return false;
	return subset(&s->shadow_dirty, &shadowed) && values_fit(n, s);
}

static bool slots_are_legal(const struct nested_vcpu *n)
{
	for (unsigned i = 0; i < NESTED_SLOTS; i++) {
		if (n->slot[i].gpa.v == NESTED_NO_VMPTR.v)
			continue;
		if (!slot_is_legal(n, &n->slot[i]))
			return false;
		for (unsigned j = 0; j < i; j++)
			if (n->slot[j].gpa.v == n->slot[i].gpa.v)
				return false;
	}
	return true;
}

bool nested_invariant(const struct nested_vcpu *n)
{
	if (!n->vmxon)
		return !n->current && !n->in_l2;
	if (n->in_l2 && !(n->current && n->current->ready02))
		return false;
	if (n->current && (n->current < n->slot || n->current >= n->slot + NESTED_SLOTS ||
			   n->current->gpa.v == NESTED_NO_VMPTR.v))
		return false;
	return slots_are_legal(n);
}
