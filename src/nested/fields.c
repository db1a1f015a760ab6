/*
 * Tables generated from vmcs_fields.def: look-up by encoding, attributes by
 * index, and sets of fields. Constant data; the only code is the look-up.
 */
#include "nested/fields.h"

/*
 * Bits 14:13 (width) and 11:10 (type) choose a row of 32, bits 9:1 a place in
 * it. An entry is the field's index plus 1; 0: there is no such field.
 */
#define ROW 32u
#define PLACE(enc) \
	((VMCS_WIDTH(enc) * 4 + VMCS_TYPE(enc)) * ROW + (((enc) >> 1) & (ROW - 1)))
#define ENCODING_BITS (3u << 13 | 3u << 10 | (ROW - 1) << 1)

static const u8 place_index[16 * ROW] = {
#define F(name, enc, exists, merge, sync, shadow, group) [PLACE(enc)] = VF_##name + 1,
#include "vmcs_fields.def"
#undef F
};

/* What a row says must agree with what its encoding says. */
#define TYPE_IS(enc, type) (VMCS_TYPE(enc) == VMCS_TYPE_##type)
#define F(name, enc, exists, merge, sync, shadow, group) \
	_Static_assert(!((enc) & ~ENCODING_BITS), #name ": encoding out of range"); \
	_Static_assert((MERGE_##merge == MERGE_INFO) == TYPE_IS(enc, INFO), \
		       #name ": merge INFO and exit information are the same"); \
	_Static_assert(SHADOW_##shadow != SHADOW_RO || TYPE_IS(enc, INFO), \
		       #name ": L1 writes it, so its shadow is RW or NO"); \
	_Static_assert(SHADOW_##shadow != SHADOW_RW || !TYPE_IS(enc, INFO), \
		       #name ": exit information is not written through a shadow"); \
	_Static_assert((SYNC_##sync != SYNC_INFO) || TYPE_IS(enc, INFO), \
		       #name ": sync INFO of what is not exit information"); \
	_Static_assert(SYNC_##sync != SYNC_COLD || TYPE_IS(enc, GUEST), \
		       #name ": an exit saves guest state only"); \
	_Static_assert((GROUP_##group == GROUP_HOST) == TYPE_IS(enc, HOST), \
		       #name ": group HOST and host state are the same"); \
	_Static_assert(GROUP_##group != GROUP_GUEST || TYPE_IS(enc, GUEST), \
		       #name ": group GUEST of what is not guest state"); \
	_Static_assert(GROUP_##group != GROUP_CTL || TYPE_IS(enc, CONTROL), \
		       #name ": group CTL of what is not a control");
#include "vmcs_fields.def"
#undef F
_Static_assert(VF_COUNT < 256, "place_index holds bytes");
_Static_assert(VF_WORDS == 3, "select_fields.h fills three words");

int nested_field_index(u32 encoding)
{
	if (encoding & ~ENCODING_BITS)
		return -1;
	return place_index[PLACE(encoding)] - 1;
}

int nested_field_of(const struct nested_vcpu *n, u64 encoding)
{
	int index;

	if (encoding >> 32)
		return -1;
	if ((encoding & VMCS_HIGH_ACCESS) && VMCS_WIDTH(encoding) != VMCS_WIDTH_64)
		return -1;
	index = nested_field_index((u32)encoding & ~VMCS_HIGH_ACCESS);
	return index >= 0 && field_test(&n->exists, (unsigned)index) ? index : -1;
}

const u16 nested_field_encoding[VF_COUNT] = {
#define F(name, enc, exists, merge, sync, shadow, group) enc,
#include "vmcs_fields.def"
#undef F
};

const u64 nested_field_bits[VF_COUNT] = {
#define F(name, enc, exists, merge, sync, shadow, group) \
	VMCS_WIDTH(enc) == VMCS_WIDTH_16 ? 0xffff : \
	VMCS_WIDTH(enc) == VMCS_WIDTH_32 ? 0xffffffff : ~0ull,
#include "vmcs_fields.def"
#undef F
};

const u8 nested_field_exists[VF_COUNT] = {
#define F(name, enc, exists, merge, sync, shadow, group) EXISTS_##exists,
#include "vmcs_fields.def"
#undef F
};

const u8 nested_field_merge[VF_COUNT] = {
#define F(name, enc, exists, merge, sync, shadow, group) MERGE_##merge,
#include "vmcs_fields.def"
#undef F
};

const u8 nested_field_group[VF_COUNT] = {
#define F(name, enc, exists, merge, sync, shadow, group) GROUP_##group,
#include "vmcs_fields.def"
#undef F
};

const char *const nested_field_name[VF_COUNT] = {
#define F(name, enc, exists, merge, sync, shadow, group) #name,
#include "vmcs_fields.def"
#undef F
};

const struct field_set nested_fields_all =
#define SELECT(exists, merge, sync, shadow, group) true
#include "nested/select_fields.h"
;

const struct field_set nested_fields_hot =
#define SELECT(exists, merge, sync, shadow, group) SYNC_##sync == SYNC_HOT
#include "nested/select_fields.h"
;

const struct field_set nested_fields_cold =
#define SELECT(exists, merge, sync, shadow, group) SYNC_##sync == SYNC_COLD
#include "nested/select_fields.h"
;

const struct field_set nested_fields_shadow_ro =
#define SELECT(exists, merge, sync, shadow, group) SHADOW_##shadow == SHADOW_RO
#include "nested/select_fields.h"
;

const struct field_set nested_fields_shadow_rw =
#define SELECT(exists, merge, sync, shadow, group) SHADOW_##shadow == SHADOW_RW
#include "nested/select_fields.h"
;
