/*
 * MSR, I/O, VMREAD and VMWRITE bitmaps: L1's OR L0's, in a page of L0. A merged page is rebuilt
 * only when L1 wrote to its own (which is write-protected meanwhile) or named
 * another. Source: SDM 3C "I/O-Bitmap Addresses", "MSR-Bitmap Address".
 */
#include "nested/engine.h"

#include "engine_ops.h"
#include "nested/fields.h"

static void merge_page(struct nested_vcpu *n, struct nested_merged_page *m,
		       u64 source, hpa_t own)
{
	u64 *to = op_table(n->vm, m->page);
	const u64 *mine = op_table(n->vm, own);

	/* Protect before reading, or a write in between would be lost. */
	m->source = GPA1(source);
	m->valid = op_gpa1_watch(n->vm, m->source);
	if (!op_gpa1_read(n->vm, m->source, to, PAGE_SIZE))
		for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
			to[i] = ~0ull;	/* what a bus without a device answers */
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		to[i] |= mine[i];
}

static bool up_to_date(const struct nested_merged_page *m, u64 source)
{
	return m->valid && m->source.v == source;
}

static void merge_io(struct nested_vcpu *n, struct nested_vmcs *s, bool fresh)
{
	static const u8 field[2] = { VF_IO_BITMAP_A, VF_IO_BITMAP_B };
	static const u32 enc[2] = { VMCS_IO_BITMAP_A, VMCS_IO_BITMAP_B };
	bool l1 = s->v[VF_PROC_CONTROLS] & PROC_IO_BITMAPS;

	for (unsigned i = 0; i < 2; i++) {
		u64 source = s->v[field[i]];

		if (l1 && !up_to_date(&s->io_bitmap[i], source))
			merge_page(n, &s->io_bitmap[i], source, n->io_bitmap01[i]);
		if (fresh)
			op_hw_write(n, enc[i], l1 ? s->io_bitmap[i].page.v : n->io_bitmap01[i].v);
	}
}

/* L2 reaches no field that L1 has not got, whatever L1's bitmap says. */
static void merge_fields(struct nested_vcpu *n, struct nested_vmcs *s, bool fresh)
{
	static const u8 field[2] = { VF_VMREAD_BITMAP, VF_VMWRITE_BITMAP };
	static const u32 enc[2] = { VMCS_VMREAD_BITMAP, VMCS_VMWRITE_BITMAP };

	for (unsigned i = 0; i < 2; i++) {
		u64 source = s->v[field[i]];

		if (unlikely(!up_to_date(&s->field_bitmap[i], source)))
			merge_page(n, &s->field_bitmap[i], source, n->fields_bitmap);
		if (fresh)
			op_hw_write(n, enc[i], s->field_bitmap[i].page.v);
	}
}

void nested_merge_bitmaps(struct nested_vcpu *n, struct nested_vmcs *s, bool fresh)
{
	u64 proc = s->v[VF_PROC_CONTROLS];

	if (proc & PROC_MSR_BITMAPS) {
		u64 source = s->v[VF_MSR_BITMAP];

		if (unlikely(!up_to_date(&s->msr_bitmap, source)))
			merge_page(n, &s->msr_bitmap, source, n->msr_bitmap01);
		if (fresh)
			op_hw_write(n, VMCS_MSR_BITMAP, s->msr_bitmap.page.v);
	}
	if (fresh || (proc & PROC_IO_BITMAPS))
		merge_io(n, s, fresh);
	if (unlikely(nested_proc2(s) & PROC2_SHADOW_VMCS))
		merge_fields(n, s, fresh);
}

void nested_page_written(struct nested_vcpu *n, gpa1_t page)
{
	for (unsigned i = 0; i < NESTED_SLOTS; i++) {
		struct nested_vmcs *s = &n->slot[i];

		if (s->msr_bitmap.source.v == page.v)
			s->msr_bitmap.valid = false;
		for (unsigned b = 0; b < 2; b++) {
			if (s->io_bitmap[b].source.v == page.v)
				s->io_bitmap[b].valid = false;
			if (s->field_bitmap[b].source.v == page.v)
				s->field_bitmap[b].valid = false;
		}
	}
}

/* A bit of L1's own page, as it is now. Unreadable counts as set. */
static bool l1_bit(struct nested_vcpu *n, u64 page, u32 bit)
{
	u8 byte;

	if (!op_gpa1_read(n->vm, GPA1(page + bit / 8), &byte, 1))
		return true;
	return byte >> (bit % 8) & 1;
}

bool nested_l1_wants_msr(struct nested_vcpu *n, u32 msr, bool write)
{
	const struct nested_vmcs *s = n->current;
	u32 bit = (write ? 0x4000 : 0) + (msr & 0x1fff);

	if (!(s->v[VF_PROC_CONTROLS] & PROC_MSR_BITMAPS))
		return true;
	if (msr >= 0xc0000000 && msr <= 0xc0001fff)
		bit += 0x2000;
	else if (msr > 0x1fff)
		return true;
	return l1_bit(n, s->v[VF_MSR_BITMAP], bit);
}

/*
 * SDM 3C "VMREAD": bits 63:15 of the encoding always exit. A field that L1 has
 * exits only when L1's bitmap said so at the entry.
 */
bool nested_l1_wants_field(struct nested_vcpu *n, u64 encoding, bool write)
{
	const struct nested_vmcs *s = n->current;

	if (!(nested_proc2(s) & PROC2_SHADOW_VMCS) || encoding >> 15 ||
	    nested_field_of(n, encoding) >= 0)
		return true;
	return l1_bit(n, s->v[write ? VF_VMWRITE_BITMAP : VF_VMREAD_BITMAP], (u32)encoding);
}

bool nested_l1_wants_io(struct nested_vcpu *n, u16 port, u32 size)
{
	const struct nested_vmcs *s = n->current;

	if (!(s->v[VF_PROC_CONTROLS] & PROC_IO_BITMAPS))
		return s->v[VF_PROC_CONTROLS] & PROC_UNCOND_IO;
	for (u32 i = 0; i < size; i++) {
		u32 p = port + i;

		if (p > 0xffff)
			return true;	/* the access wraps */
		if (l1_bit(n, s->v[p & 0x8000 ? VF_IO_BITMAP_B : VF_IO_BITMAP_A], p & 0x7fff))
			return true;
	}
	return false;
}
