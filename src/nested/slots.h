/*
 * The hardware shadow VMCS of a slot, on the exit path. While L1 runs, the
 * current slot's shadow_dirty is empty and the shadow holds the truth of the
 * fields that L1 may write in it; so does that of the VMCS that L2 may use.
 */
#pragma once

#include "nested/nested.h"

/* The fields of this slot that live in the hardware's shadow VMCS. */
struct field_set nested_shadow_holds(const struct nested_vcpu *n, const struct nested_vmcs *s);
/* v[] to the shadow: what is in shadow_dirty. vmcs01 is current before and after. */
void nested_shadow_push(struct nested_vcpu *n, struct nested_vmcs *s);
/* The shadow to v[]: what L1 or L2 may have written. vmcs01 is current before and after. */
void nested_shadow_pull(struct nested_vcpu *n, struct nested_vmcs *s);
/* The same, but true: the shadow is current afterwards. */
bool nested_shadow_give(struct nested_vcpu *n, struct nested_vmcs *s);
bool nested_shadow_take(struct nested_vcpu *n, struct nested_vmcs *s);
/*
 * Before an entry with the current slot s: whether its shadow should hold the cold
 * fields from now on, or no longer. vmcs01 is current before and after.
 */
void nested_shadow_adapt(struct nested_vcpu *n, struct nested_vmcs *s);
/* Frees every slot without writing it back: for entry into VMX operation. */
void nested_slots_reset(struct nested_vcpu *n);
/* VMCLEAR of a region that is not active: its launch state becomes clear. */
void nested_region_clear(struct nested_vcpu *n, gpa1_t gpa);
