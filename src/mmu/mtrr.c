/*
 * Memory types from MTRR values: the type of one address, the next address
 * where it may change, and from both the type of a range.
 */
#include "mmu/mtrr.h"

#define FIXED_END 0x100000ull

static u8 sane(u64 type)
{
	switch (type & 0xff) {
	case MT_WC:
	case MT_WT:
	case MT_WP:
	case MT_WB:
		return (u8)type;
	default:
		return MT_UC;
	}
}

static bool fixed_applies(const struct mtrr_state *s, u64 addr)
{
	return (s->def_type & MTRR_DEF_FIXED_ENABLE) && addr < FIXED_END;
}

static u64 fixed_size(u64 addr)
{
	return addr < 0x80000 ? 0x10000 : addr < 0xc0000 ? 0x4000 : 0x1000;
}

static u8 fixed_type(const struct mtrr_state *s, u64 addr)
{
	u64 n;	/* number of the byte in the array of registers */

	if (addr < 0x80000)
		n = addr >> 16;
	else if (addr < 0xc0000)
		n = 8 + ((addr - 0x80000) >> 14);
	else
		n = 24 + ((addr - 0xc0000) >> 12);
	return sane(s->fixed[n / 8] >> (n % 8 * 8));
}

/* SDM 3A "MTRR Precedences". */
static u8 combine(u8 a, u8 b)
{
	if (a == b)
		return a;
	if ((a == MT_WT && b == MT_WB) || (a == MT_WB && b == MT_WT))
		return MT_WT;
	return MT_UC;
}

static u64 address_bits(const struct mtrr_state *s)
{
	return (BIT(s->maxphyaddr) - 1) & PAGE_MASK;
}

static u8 variable_type(const struct mtrr_state *s, u64 addr)
{
	bool found = false;
	u8 type = sane(s->def_type);
	u32 i;

	for (i = 0; i < s->variable_count; i++) {
		u64 base = s->variable[i].base;
		u64 mask = s->variable[i].mask & address_bits(s);

		if (!(s->variable[i].mask & MTRR_MASK_VALID) || ((addr ^ base) & mask))
			continue;
		type = found ? combine(type, sane(base)) : sane(base);
		found = true;
	}
	return type;
}

static u8 type_at(const struct mtrr_state *s, u64 addr)
{
	if (!(s->def_type & MTRR_DEF_ENABLE))
		return MT_UC;
	return fixed_applies(s, addr) ? fixed_type(s, addr) : variable_type(s, addr);
}

/* Where the answer of one variable range may change next. */
static u64 variable_boundary(u64 base, u64 mask, u64 bits, u64 addr)
{
	u64 step, end;

	mask &= bits;
	if (!mask)
		return UINT64_MAX;
	step = mask & -mask;
	base &= mask;
	if ((mask | (step - 1)) != (bits | (step - 1)))
		return (addr | (step - 1)) + 1;	/* a mask with gaps: many ranges */
	end = base + step;
	return addr < base ? base : addr < end ? end : UINT64_MAX;
}

u64 mtrr_next_boundary(const struct mtrr_state *s, hpa_t addr)
{
	u64 next = UINT64_MAX;
	u32 i;

	if (!(s->def_type & MTRR_DEF_ENABLE))
		return next;
	if (fixed_applies(s, addr.v))
		return ALIGN_DOWN(addr.v, fixed_size(addr.v)) + fixed_size(addr.v);
	for (i = 0; i < s->variable_count; i++) {
		if (s->variable[i].mask & MTRR_MASK_VALID)
			next = MIN(next, variable_boundary(s->variable[i].base,
							   s->variable[i].mask,
							   address_bits(s), addr.v));
	}
	return next;
}

bool mtrr_type(const struct mtrr_state *s, hpa_t start, u64 len, u8 *type)
{
	u64 addr = start.v;

	*type = type_at(s, addr);
	for (;;) {
		u64 next = mtrr_next_boundary(s, HPA(addr));

		if (next == UINT64_MAX || next - start.v >= len)
			return true;
		addr = next;
		if (type_at(s, addr) != *type)
			return false;
	}
}
