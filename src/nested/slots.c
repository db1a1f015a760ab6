/*
 * The active VMCSs of L1: a bounded cache with least-recently-used eviction,
 * and the format of a vmcs12 in L1's page. What the hardware holds of a slot:
 * shadow.c.
 *
 * Always: a region is in at most one slot; the current slot is never evicted;
 * what leaves a slot is in L1's page, launch state included. What comes from
 * L1's page is hostile: each value is cut to its field's width, and a field
 * that L1 does not have is 0.
 */
#include "nested/slots.h"

#include <string.h>

#include "engine_ops.h"
#include "nested/fields.h"

/*
 * VMCS region, SDM 3C "Format of the VMCS Region": the first eight bytes are
 * architectural, the rest is ours. Values are in the order of vmcs_fields.def;
 * another length of the table is another format, and reads as all zero.
 */
#define REGION_FORMAT (0x504c0000u | VF_COUNT)
#define REGION_LAUNCHED 1u

struct region {
	u32 revision;		/* L1's */
	u32 abort;		/* VMX-abort indicator */
	u32 format;
	u32 launched;
	u64 v[VF_COUNT];
};
_Static_assert(sizeof(struct region) <= PAGE_SIZE, "vmcs12 fits its region");

static gpa1_t region_at(gpa1_t gpa, size_t offset)
{
	return GPA1(gpa.v + offset);
}

static bool is_free(const struct nested_vmcs *s)
{
	return s->gpa.v == NESTED_NO_VMPTR.v;
}

/* Forgets what is L1's; hardware regions and merged pages stay with the slot. */
static void make_free(struct nested_vmcs *s)
{
	static const struct field_set none;

	s->gpa = NESTED_NO_VMPTR;
	s->launched = s->launched02 = s->ready02 = s->is_shadow = false;
	s->cold_accesses = s->busy = s->wide = 0;
	s->link = NULL;
	s->unchecked = 0;
	s->last_used = 0;
	s->ept02 = NULL;
	s->dirty = s->stale = s->shadow_dirty = none;
	memset(s->v, 0, sizeof(s->v));
}

void nested_slots_reset(struct nested_vcpu *n)
{
	for (unsigned i = 0; i < NESTED_SLOTS; i++)
		make_free(&n->slot[i]);
	n->current = NULL;
}

struct nested_vmcs *nested_slot_find(struct nested_vcpu *n, gpa1_t gpa)
{
	for (unsigned i = 0; i < NESTED_SLOTS; i++)
		if (n->slot[i].gpa.v == gpa.v)
			return &n->slot[i];
	return NULL;
}

/* A free slot, or the least recently used of those that may go. */
static struct nested_vmcs *victim(struct nested_vcpu *n)
{
	struct nested_vmcs *oldest = NULL;

	for (unsigned i = 0; i < NESTED_SLOTS; i++) {
		struct nested_vmcs *s = &n->slot[i];

		if (is_free(s))
			return s;
		if (s != n->current && (!oldest || s->last_used < oldest->last_used))
			oldest = s;
	}
	return oldest;
}

static void sanitise(const struct nested_vcpu *n, u64 *v)
{
	for (unsigned i = 0; i < VF_COUNT; i++)
		v[i] &= nested_field_bits[i];
	for (unsigned k = 0; k < VF_WORDS; k++) {
		u64 absent = nested_fields_all.w[k] & ~n->exists.w[k];

		while (absent)
			v[field_pop(&absent, k)] = 0;
	}
}

struct nested_vmcs *nested_slot_load(struct nested_vcpu *n, gpa1_t gpa, bool is_shadow)
{
	struct nested_vmcs *s = victim(n);
	struct { u32 format, launched; } head;
	bool readable = op_gpa1_read(n->vm, region_at(gpa, offsetof(struct region, format)),
				     &head, sizeof(head));

	if (!is_free(s))
		nested_slot_flush(n, s);
	s->gpa = gpa;
	s->is_shadow = is_shadow;
	s->unchecked = ~0u;
	s->dirty = n->exists;	/* what L1 does not have, the hardware may lack, too */
	s->shadow_dirty = nested_shadow_holds(n, s);
	if (!readable || head.format != REGION_FORMAT)
		return s;
	if (!op_gpa1_read(n->vm, region_at(gpa, offsetof(struct region, v)),
			  s->v, sizeof(s->v)))
		memset(s->v, 0, sizeof(s->v));
	s->launched = head.launched == REGION_LAUNCHED;
	sanitise(n, s->v);
	return s;
}

static void write_back(struct nested_vcpu *n, const struct nested_vmcs *s)
{
	const u32 head[2] = { REGION_FORMAT, s->launched ? REGION_LAUNCHED : 0 };

	/* L1 took the memory away: then it took its data away, too. */
	if (op_gpa1_write(n->vm, region_at(s->gpa, offsetof(struct region, format)),
			  head, sizeof(head)))
		op_gpa1_write(n->vm, region_at(s->gpa, offsetof(struct region, v)),
			      s->v, sizeof(s->v));
}

void nested_slot_flush(struct nested_vcpu *n, struct nested_vmcs *s)
{
	if (!field_set_empty(&s->stale))
		nested_sync_cold(n, s);
	nested_shadow_pull(n, s);
	write_back(n, s);
	/* The slot's next owner starts with a VMCS that is clear. */
	if (s->ready02)
		op_hw_clear(n, s->vmcs02);
	make_free(s);
	if (n->current == s) {
		n->current = NULL;
		nested_slot_link(n);
	}
}

void nested_region_clear(struct nested_vcpu *n, gpa1_t gpa)
{
	const u32 launched = 0;

	op_gpa1_write(n->vm, region_at(gpa, offsetof(struct region, launched)),
		      &launched, sizeof(launched));
}
