/*
 * Which fields L1, and L2 if L1 lets it, read and write in a hardware shadow
 * VMCS without an exit.
 * Source: SDM 3C "VMCS Shadowing Bitmap Addresses": a set bit is an exit.
 */
#include "nested/engine.h"

static void allow(u8 *bitmap, u32 encoding)
{
	bitmap[encoding / 8] &= (u8)~(1u << encoding % 8);
}

void nested_fields_bitmap(const struct nested_vcpu *n, u8 *bitmap)
{
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		bitmap[i] = 0xff;
	for (unsigned i = 0; i < VF_COUNT; i++) {
		u32 encoding = nested_field_encoding[i];

		if (!field_test(&n->exists, i))
			continue;
		allow(bitmap, encoding);
		if (VMCS_WIDTH(encoding) == VMCS_WIDTH_64)
			allow(bitmap, encoding | VMCS_HIGH_ACCESS);
	}
}

void nested_shadow_bitmaps(const struct nested_vcpu *n, bool wide, u8 *vmread, u8 *vmwrite)
{
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		vmread[i] = vmwrite[i] = 0xff;
	for (unsigned i = 0; i < VF_COUNT; i++) {
		bool rw = field_test(&nested_fields_shadow_rw, i) ||
			  (wide && field_test(&nested_fields_cold, i));

		if (!field_test(&n->exists, i))
			continue;
		if (rw || field_test(&nested_fields_shadow_ro, i))
			allow(vmread, nested_field_encoding[i]);
		if (rw)
			allow(vmwrite, nested_field_encoding[i]);
	}
}
