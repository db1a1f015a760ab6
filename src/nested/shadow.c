/*
 * The hardware shadow VMCS of a slot: where L1, and with L1's leave L2, read and
 * write fields without an exit. Of L1's ordinary VMCSs it holds the fields that
 * vmcs_fields.def says; of its shadow VMCSs, which are never entered, all.
 *
 * Always: what is not in shadow_dirty and may be written there has its truth
 * there, and v[] has it only after a pull.
 * Source: SDM 3C "VMCS Types: Ordinary and Shadow", "VMCS Shadowing".
 */
#include "nested/slots.h"

#include "engine_ops.h"
#include "nested/fields.h"

static bool is_shadowed(const struct nested_vcpu *n, const struct nested_vmcs *s)
{
	return n->use_shadow && s->shadow.v;
}

struct field_set nested_shadow_holds(const struct nested_vcpu *n, const struct nested_vmcs *s)
{
	struct field_set held = n->exists;

	if (!s->is_shadow)
		for (unsigned k = 0; k < VF_WORDS; k++)
			held.w[k] &= nested_fields_shadow_ro.w[k] | nested_fields_shadow_rw.w[k] |
				     (s->wide ? nested_fields_cold.w[k] : 0);
	return held;
}

/* L1 may write it in the shadow. */
static bool is_held(const struct nested_vcpu *n, const struct nested_vmcs *s, unsigned index)
{
	return is_shadowed(n, s) &&
	       (s->is_shadow || field_test(&nested_fields_shadow_rw, index) ||
		(s->wide && field_test(&nested_fields_cold, index)));
}

/* vmcs01 (current) lets L1 into this shadow VMCS, as far as it holds fields. */
static void use_bitmaps(struct nested_vcpu *n, const struct nested_vmcs *s)
{
	hpa_t reads = n->vmread_bitmap, writes = n->vmwrite_bitmap;

	if (s->is_shadow) {
		reads = writes = n->fields_bitmap;
	} else if (s->wide) {
		reads = n->wide_bitmap[0];
		writes = n->wide_bitmap[1];
	}
	if (reads.v == n->linked_bitmap)
		return;
	n->linked_bitmap = reads.v;
	op_hw_write(n, VMCS_VMREAD_BITMAP, reads.v);
	op_hw_write(n, VMCS_VMWRITE_BITMAP, writes.v);
}

void nested_slot_link(struct nested_vcpu *n)
{
	struct nested_vmcs *s = n->current;
	bool on = s && is_shadowed(n, s);

	if (!n->use_shadow)
		return;
	if (on) {
		nested_shadow_push(n, s);
		use_bitmaps(n, s);
	}
	op_hw_write(n, VMCS_VMCS_LINK_POINTER, on ? s->shadow.v : ~0ull);
	if (on == n->linked)
		return;
	n->linked = on;
	op_hw_write(n, VMCS_PROC2_CONTROLS, op_hw_read(n, VMCS_PROC2_CONTROLS) ^ PROC2_SHADOW_VMCS);
}

bool nested_shadow_give(struct nested_vcpu *n, struct nested_vmcs *s)
{
	if (!is_shadowed(n, s) || field_set_empty(&s->shadow_dirty))
		return false;
	op_hw_load(n, s->shadow);
	for (unsigned k = 0; k < VF_WORDS; k++) {
		u64 left = s->shadow_dirty.w[k];

		while (left) {
			unsigned i = field_pop(&left, k);

			op_hw_write(n, nested_field_encoding[i], s->v[i]);
		}
		s->shadow_dirty.w[k] = 0;
	}
	return true;
}

void nested_shadow_push(struct nested_vcpu *n, struct nested_vmcs *s)
{
	if (nested_shadow_give(n, s))
		op_hw_load(n, n->vmcs01);
}

static void __attribute__((noinline)) take_field(struct nested_vmcs *s, unsigned i, u64 now)
{
	s->v[i] = now;
	field_set(&s->dirty, i);
	s->unchecked |= BIT32(nested_field_group[i]);
}

/* All of a shadow VMCS of L1: on its way out of the slot. */
static void take_all(struct nested_vcpu *n, struct nested_vmcs *s)
{
	op_hw_load(n, s->shadow);
	for (unsigned k = 0; k < VF_WORDS; k++) {
		u64 left = n->exists.w[k] & ~s->shadow_dirty.w[k];

		while (left) {
			unsigned i = field_pop(&left, k);

			s->v[i] = op_hw_read(n, nested_field_encoding[i]);
		}
	}
}

/* The fields of one kind: a comparison for each, and no loop. */
#define TAKE(kind, name, enc, exists) \
	if ((kind) && (EXISTS_##exists == EXISTS_ALWAYS || field_test(here, VF_##name))) { \
		now = op_hw_read(n, enc); \
		if (unlikely(now != s->v[VF_##name])) \
			take_field(s, VF_##name, now); \
	}

static void take_cold(struct nested_vcpu *n, struct nested_vmcs *s)
{
	const struct field_set *here = &n->exists;
	u64 now;

#define F(name, enc, exists, merge, sync, shadow, group) \
	TAKE(SYNC_##sync == SYNC_COLD, name, enc, exists)
#include "vmcs_fields.def"
#undef F
}

/* On the path of every entry. */
bool nested_shadow_take(struct nested_vcpu *n, struct nested_vmcs *s)
{
	const struct field_set *here = &n->exists;
	u64 now;

	if (!is_shadowed(n, s))
		return false;
	if (s->is_shadow) {
		take_all(n, s);
		return true;
	}
	/* What was never pushed is not L1's word on the field. */
	if (!nested_shadow_give(n, s))
		op_hw_load(n, s->shadow);
	if (s->wide)
		take_cold(n, s);
#define F(name, enc, exists, merge, sync, shadow, group) \
	TAKE(SHADOW_##shadow == SHADOW_RW, name, enc, exists)
#include "vmcs_fields.def"
#undef F
	return true;
}

void nested_shadow_pull(struct nested_vcpu *n, struct nested_vmcs *s)
{
	if (nested_shadow_take(n, s))
		op_hw_load(n, n->vmcs01);
}

/* One field of a shadow VMCS of L1. */
static void take_one(struct nested_vcpu *n, struct nested_vmcs *s, unsigned index)
{
	if (field_test(&s->shadow_dirty, index))
		return;
	op_hw_load(n, s->shadow);
	s->v[index] = op_hw_read(n, nested_field_encoding[index]);
	op_hw_load(n, n->vmcs01);
}

/* Where the hardware has VMCS shadowing, or vmcs02 has the field. */
static __attribute__((noinline)) u64 read_elsewhere(struct nested_vcpu *n, struct nested_vmcs *s,
						    unsigned index)
{
	if (unlikely(field_test(&s->stale, index)))
		nested_sync_cold(n, s);
	if (unlikely(s->is_shadow))
		take_one(n, s, index);
	else if (is_held(n, s, index))
		nested_shadow_pull(n, s);
	else if (field_test(&nested_fields_cold, index))
		s->cold_accesses++;
	return s->v[index];
}

u64 nested_field_read(struct nested_vcpu *n, struct nested_vmcs *s, unsigned index)
{
	return n->use_shadow || field_test(&s->stale, index) ? read_elsewhere(n, s, index) :
							       s->v[index];
}

void nested_field_write(struct nested_vcpu *n, struct nested_vmcs *s, unsigned index, u64 value)
{
	bool held = is_held(n, s, index);
	bool shadowed = held || (is_shadowed(n, s) && field_test(&nested_fields_shadow_ro, index));

	if (!held && field_test(&nested_fields_cold, index))
		s->cold_accesses++;
	value &= nested_field_bits[index];
	if (value == s->v[index] && !field_test(&s->stale, index) && !shadowed)
		return;
	s->v[index] = value;
	field_clear(&s->stale, index);
	field_set(&s->dirty, index);
	s->unchecked |= BIT32(nested_field_group[index]);
	if (shadowed) {
		field_set(&s->shadow_dirty, index);
		nested_shadow_push(n, s);
	}
}

/*
 * A hypervisor that looks at cold fields between any two entries (as one does that
 * runs in L1 and loads the state of its own L1 after each exit) pays an exit for
 * each. From the second of them on it is cheaper to have them all in the shadow.
 */
#define MANY_ACCESSES 3
#define MANY_TRIPS 4
#define WIDE_ENTRIES 4096	/* then it has to be seen anew */

static void widen(struct nested_vcpu *n, struct nested_vmcs *s)
{
	nested_sync_cold(n, s);
	s->wide = WIDE_ENTRIES;
	for (unsigned k = 0; k < VF_WORDS; k++)
		s->shadow_dirty.w[k] |= nested_fields_cold.w[k] & n->exists.w[k];
	nested_shadow_push(n, s);
	use_bitmaps(n, s);
}

static void narrow(struct nested_vcpu *n, struct nested_vmcs *s)
{
	nested_shadow_pull(n, s);
	s->wide = 0;
	use_bitmaps(n, s);
}

void nested_shadow_adapt(struct nested_vcpu *n, struct nested_vmcs *s)
{
	bool many = s->cold_accesses >= MANY_ACCESSES;

	s->cold_accesses = 0;
	s->busy = many ? (u16)(s->busy + 1) : 0;
	if (s->wide) {
		if (s->wide == 1)
			narrow(n, s);
		else
			s->wide--;
	} else if (s->busy >= MANY_TRIPS && is_shadowed(n, s)) {
		s->busy = 0;
		widen(n, s);
	}
}
