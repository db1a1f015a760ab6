/*
 * What the tables of fields.c know beyond nested.h: widths, and walks over sets
 * of fields.
 */
#pragma once

#include "nested/nested.h"

/* The index of the field of L1's VMCS that an encoding names, of whichever half; or -1. */
int nested_field_of(const struct nested_vcpu *n, u64 encoding);

/* Bits that each field can hold. */
extern const u64 nested_field_bits[VF_COUNT];

static inline bool field_set_empty(const struct field_set *s)
{
	u64 any = 0;

	for (unsigned k = 0; k < VF_WORDS; k++)
		any |= s->w[k];
	return !any;
}

static inline bool field_set_meet(const struct field_set *a, const struct field_set *b)
{
	u64 any = 0;

	for (unsigned k = 0; k < VF_WORDS; k++)
		any |= a->w[k] & b->w[k];
	return any;
}

/* Removes and returns the lowest field of a non-empty word of a set. */
static always_inline unsigned field_pop(u64 *word, unsigned k)
{
	unsigned bit = (unsigned)__builtin_ctzll(*word);

	*word &= *word - 1;
	return k * 64 + bit;
}

/* Every field that exists in some VMCS of this table; bits past VF_COUNT are 0. */
extern const struct field_set nested_fields_all;
