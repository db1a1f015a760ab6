/*
 * Takes one instruction of real mode apart, as far as this emulator has to know
 * it. See emulate_run.h.
 * Source: SDM 2A "Instruction Format".
 */
#include "vm/real/emulate_run.h"

/* The next byte of code. SDM 2A: longer than 15 bytes, or beyond CS: #GP. */
static bool fetch_byte(struct real_run *r, u8 *byte)
{
	const struct real_segment *cs = &r->cpu.seg[SEG_CS];
	u8 i = r->insn->count;
	u64 offset = (u64)r->cpu.eip + i;

	if (i == REAL_MAX_INSN || offset > cs->limit)
		return real_fault(r, X86_GP);
	real_read(r->vm, cs->base + (u32)offset, byte, 1);
	r->insn->bytes[i] = *byte;
	r->insn->count++;
	return true;
}

/* Little-endian, zero-extended. */
static bool fetch(struct real_run *r, u32 *value, u32 size)
{
	u8 byte;

	*value = 0;
	for (u32 i = 0; i < size; i++) {
		if (!fetch_byte(r, &byte))
			return false;
		*value |= (u32)byte << (8 * i);
	}
	return true;
}

static bool fetch_signed(struct real_run *r, u32 *value, u32 size)
{
	if (!fetch(r, value, size))
		return false;
	if (size == 1)
		*value = (u32)(int8_t)*value;
	return true;
}

static void override_segment(struct real_run *r, u8 seg)
{
	r->seg = seg;
	r->from_cs = seg == SEG_CS;
}

/* false: the byte is no prefix. */
static bool take_prefix(struct real_run *r, u8 byte)
{
	bool wide = r->cpu.seg[SEG_CS].ar & AR_DB;

	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e:
		override_segment(r, SEG_ES + (byte >> 3 & 3));
		return true;
	case 0x64: case 0x65:
		override_segment(r, SEG_FS + (byte & 1));
		return true;
	case 0x66:
		r->operand_size = wide ? 2 : 4;
		return true;
	case 0x67:
		r->address_size = wide ? 2 : 4;
		return true;
	case 0xf0:
		r->lock = true;
		return true;
	default:
		return byte == 0xf2 || byte == 0xf3;
	}
}

static bool decode_opcode(struct real_run *r, const struct real_row **row)
{
	u8 byte;

	do {
		if (!fetch_byte(r, &byte))
			return false;
	} while (take_prefix(r, byte));
	*row = &real_one_byte[byte];
	if (byte == 0x0f) {
		if (!fetch_byte(r, &byte))
			return false;
		*row = &real_two_bytes[byte];
	}
	r->opcode = byte;
	return true;
}

/* Segment of an address that no prefix gives another. */
static void default_segment(struct real_run *r, u8 seg)
{
	if (r->seg == REAL_SEGMENTS)
		r->seg = seg;
}

static bool decode_address16(struct real_run *r)
{
	static const u8 base[] = { GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP,
				   GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX };
	static const u8 index[] = { GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI };
	u32 size = r->mod;

	if (r->rm < ARRAY_SIZE(index))
		r->index = index[r->rm];
	if (r->mod == 0 && r->rm == 6)
		size = 2;
	else
		r->base = base[r->rm];
	default_segment(r, r->base == GPR_RBP ? SEG_SS : SEG_DS);
	return fetch_signed(r, &r->disp, size);
}

static bool decode_sib(struct real_run *r)
{
	u8 sib;

	if (!fetch_byte(r, &sib))
		return false;
	r->scale = sib >> 6;
	if ((sib >> 3 & 7) != GPR_RSP)
		r->index = sib >> 3 & 7;
	r->base = sib & 7;
	return true;
}

static bool decode_address32(struct real_run *r)
{
	u32 size = r->mod == 2 ? 4 : r->mod;

	r->base = r->rm;
	if (r->rm == GPR_RSP && !decode_sib(r))
		return false;
	if (r->mod == 0 && r->base == GPR_RBP) {
		r->base = REAL_NO_GPR;
		size = 4;
	}
	default_segment(r, r->base == GPR_RSP || r->base == GPR_RBP ? SEG_SS : SEG_DS);
	return fetch_signed(r, &r->disp, size);
}

static bool decode_modrm(struct real_run *r, u32 form)
{
	u8 modrm;

	if (!fetch_byte(r, &modrm))
		return false;
	r->mod = form & REAL_NO_MEMORY ? 3 : modrm >> 6;
	r->reg = modrm >> 3 & 7;
	r->rm = modrm & 7;
	if (!real_is_memory(r))
		return true;
	return r->address_size == 2 ? decode_address16(r) : decode_address32(r);
}

static bool decode_immediate(struct real_run *r, u32 form)
{
	u32 selector = 0;

	if ((form & REAL_IMM8) && !fetch_signed(r, &r->imm, 1))
		return false;
	if ((form & REAL_IMM16) && !fetch(r, &r->imm, 2))
		return false;
	if ((form & (REAL_IMM | REAL_FAR)) && !fetch(r, &r->imm, r->operand_size))
		return false;
	if ((form & REAL_FAR) && !fetch(r, &selector, 2))
		return false;
	r->selector = (u16)selector;
	if (!(form & REAL_MOFFS))
		return true;
	default_segment(r, SEG_DS);
	return fetch(r, &r->disp, r->address_size);
}

bool real_decode(struct real_run *r, const struct real_row **row)
{
	bool wide = r->cpu.seg[SEG_CS].ar & AR_DB;

	r->operand_size = r->address_size = wide ? 4 : 2;
	r->seg = REAL_SEGMENTS;
	r->base = r->index = REAL_NO_GPR;
	return decode_opcode(r, row) &&
	       (!((*row)->form & REAL_MODRM) || decode_modrm(r, (*row)->form)) &&
	       decode_immediate(r, (*row)->form);
}
