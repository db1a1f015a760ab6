/* See gen_real.h. */
#include "gen_real_maker.h"

#define SELECTOR 0x2000u	/* and the seven after it */
#define CODE_AT 0x20500u
#define TARGETS_AT 0x20600u

const struct real_window real_windows[REAL_WINDOWS] = {
	{ 0x20000, 0x20800 }, { 0x2ff00, 0x30200 },
};

void gen_real_emit(struct real_maker *m, u32 value, unsigned bytes)
{
	for (; bytes; bytes--, value >>= 8)
		m->x->code[m->x->length++] = (u8)value;
}

void gen_real_put(struct real_maker *m, u32 at, u32 value)
{
	m->x->put[m->x->puts].at = at;
	m->x->put[m->x->puts++].value = value;
}

u16 gen_real_selector(struct real_maker *m)
{
	return (u16)(SELECTOR + gen_real_below(m, 8));
}

u16 gen_real_target(struct real_maker *m, u32 *offset)
{
	u16 cs = gen_real_selector(m);

	*offset = TARGETS_AT + gen_real_below(m, 0x80) - ((u32)cs << 4);
	if (m->wide && !m->stack_on_top && gen_real_one_in(m, 6))
		*offset |= 0x10000u << gen_real_below(m, 16);
	return cs;
}

void gen_real_prefixes(struct real_maker *m, u32 seg)
{
	static const u8 bytes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

	if (m->lock)
		gen_real_emit(m, 0xf0, 1);
	if (seg < GEN_REAL_NO_SEG)
		gen_real_emit(m, bytes[seg], 1);
	if (m->wide)
		gen_real_emit(m, 0x66, 1);
	if (m->wide_address)
		gen_real_emit(m, 0x67, 1);
}

void gen_real_opcode(struct real_maker *m, u32 op)
{
	if (op >> 8)
		gen_real_emit(m, op >> 8, 1);
	gen_real_emit(m, op & 0xff, 1);
}

/* Registers that an address is made of; ESP is the stack's. */
static void set_gpr(struct real_maker *m, u32 gpr, u32 value)
{
	m->x->gpr[gpr] = m->wide_address ? value : (gen_real_any(m) & 0xffff0000) | (value & 0xffff);
}

static void address16(struct real_maker *m, u32 reg, u32 offset)
{
	u32 disp = gen_real_any(m);

	switch (gen_real_below(m, 4)) {
	case 0:
		gen_real_emit(m, reg << 3 | 6, 1);
		gen_real_emit(m, offset, 2);
		return;
	case 1:			/* BX and 8 bits */
		set_gpr(m, GPR_RBX, offset - (u32)(signed char)disp);
		gen_real_emit(m, 0x40 | reg << 3 | 7, 1);
		gen_real_emit(m, disp, 1);
		return;
	case 2:			/* BP, SI, and 16 bits */
		set_gpr(m, GPR_RBP, gen_real_any(m));
		set_gpr(m, GPR_RSI, offset - disp - m->x->gpr[GPR_RBP]);
		gen_real_emit(m, 0x80 | reg << 3 | 2, 1);
		gen_real_emit(m, disp, 2);
		return;
	default:		/* DI */
		set_gpr(m, GPR_RDI, offset);
		gen_real_emit(m, reg << 3 | 5, 1);
	}
}

static void address32(struct real_maker *m, u32 reg, u32 offset)
{
	u32 disp = gen_real_any(m);

	switch (gen_real_below(m, 4)) {
	case 0:
		gen_real_emit(m, reg << 3 | 5, 1);
		gen_real_emit(m, offset, 4);
		return;
	case 1:			/* ECX and 8 bits */
		set_gpr(m, GPR_RCX, offset - (u32)(signed char)disp);
		gen_real_emit(m, 0x40 | reg << 3 | 1, 1);
		gen_real_emit(m, disp, 1);
		return;
	case 2:			/* EBP, four times EDX, and 32 bits */
		set_gpr(m, GPR_RDX, gen_real_any(m));
		set_gpr(m, GPR_RBP, offset - disp - 4 * m->x->gpr[GPR_RDX]);
		gen_real_emit(m, 0x80 | reg << 3 | 4, 1);
		gen_real_emit(m, 0x95, 1);
		gen_real_emit(m, disp, 4);
		return;
	default:		/* ESP and 32 bits */
		gen_real_emit(m, 0x80 | reg << 3 | 4, 1);
		gen_real_emit(m, 0x24, 1);
		gen_real_emit(m, offset - m->x->gpr[GPR_RSP], 4);
	}
}

u32 gen_real_offset(struct real_maker *m, u32 seg)
{
	if (m->wide_address && (m->x->big[seg] || gen_real_one_in(m, 6)) && gen_real_one_in(m, 2))
		return 0x10090 + gen_real_below(m, 0x60);
	if (!m->stack_on_top && !m->inside && gen_real_one_in(m, 6))
		return 0xfff8 + gen_real_below(m, 8);
	return 0x90 + gen_real_below(m, 0x60);
}

u32 gen_real_with_memory(struct real_maker *m, u32 op, u32 reg, u32 first)
{
	u32 seg = gen_real_below(m, 6), offset;

	m->wide_address = gen_real_one_in(m, 3);
	offset = gen_real_offset(m, seg);
	if (first && !m->wide_address && offset + first >= 0x10000)
		offset -= 8;
	gen_real_prefixes(m, seg);
	gen_real_opcode(m, op);
	if (m->wide_address)
		address32(m, reg, offset);
	else
		address16(m, reg, offset);
	return gen_real_base(m, seg) + offset;
}

void gen_real_with_register(struct real_maker *m, u32 op, u32 reg, u32 rm)
{
	gen_real_prefixes(m, GEN_REAL_NO_SEG);
	gen_real_opcode(m, op);
	gen_real_emit(m, 0xc0 | reg << 3 | rm, 1);
}

u16 gen_real_idt_limit(struct real_maker *m)
{
	return (u16)PICK(&m->g, 0x3ff, 0x3ff, 0xffff, 0x1ff, 4 * X86_GP + 3, 4 * X86_GP + 2);
}

static void start(struct real_maker *m)
{
	struct real_vector *x = m->x;

	for (u32 i = 0; i < 6; i++) {
		x->seg[i] = gen_real_selector(m);
		x->big[i] = i != SEG_CS && i != SEG_SS && gen_real_one_in(m, 3);
	}
	for (u32 i = 0; i < 8; i++)
		x->gpr[i] = gen_real_any(m);
	m->stack_on_top = gen_real_one_in(m, 3);
	x->gpr[GPR_RSP] &= 0xffff0000;
	if (m->stack_on_top)
		x->gpr[GPR_RSP] |= PICK(&m->g, 0, 2, 4, 6, 0xfff8, 0xfffa, 0xfffc, 0xfffe, 0xffff);
	else
		x->gpr[GPR_RSP] |= 0x1a0 + gen_real_below(m, 0x200);
	x->eflags = (gen_real_any(m) & GEN_REAL_FLAGS) | GEN_REAL_FIXED_FLAGS;
	x->ip = (u16)(CODE_AT + gen_real_below(m, 0x40) - gen_real_base(m, SEG_CS));
	x->idt_limit = gen_real_idt_limit(m);
	m->wide = gen_real_one_in(m, 2);
}

void gen_real_vector(uint64_t seed, uint64_t number, struct real_vector *x)
{
	struct real_maker m = { .x = x };

	*x = (struct real_vector){ 0 };
	gen_seed(&m.g, seed, number);
	start(&m);
	gen_real_insn(&m);
}

uint32_t gen_real_sum(uint32_t sum, const struct real_vector *x)
{
	u64 s = sum;

	for (u32 i = 0; i < 8; i++)
		s = gen_mix(s, x->gpr[i]);
	for (u32 i = 0; i < 6; i++)
		s = gen_mix(s, x->seg[i] | (u32)x->big[i] << 16);
	for (u32 i = 0; i < x->length; i++)
		s = gen_mix(s, x->code[i]);
	for (u32 i = 0; i < x->puts; i++)
		s = gen_mix(s, (u64)x->put[i].at << 32 | x->put[i].value);
	return (u32)gen_mix(s, (u64)x->eflags << 32 | (u32)x->ip << 16 | x->idt_limit);
}

void gen_real_place(const struct real_vector *x, uint8_t *memory)
{
	for (u32 i = 0; i < REAL_WINDOWS; i++)
		for (u32 at = real_windows[i].start; at < real_windows[i].end; at++)
			memory[at] = REAL_FILL;
	for (u32 i = 0; i < x->puts; i++)
		for (u32 k = 0; k < 4; k++)
			memory[x->put[i].at + k] = (u8)(x->put[i].value >> 8 * k);
	for (u32 i = 0; i < x->length; i++)
		memory[((u32)x->seg[SEG_CS] << 4) + x->ip + i] = x->code[i];
	for (u32 i = 0; i < 256; i++)
		for (u32 k = 0; k < 4; k++)
			memory[REAL_IVT + 4 * i + k] = k < 2 ? (u8)((REAL_BLOCK + 16 * i) >> 8 * k) : 0;
}

uint32_t gen_real_memory(const uint8_t *memory)
{
	u64 sum = 0;

	for (u32 i = 0; i < REAL_WINDOWS; i++)
		for (u32 at = real_windows[i].start; at < real_windows[i].end; at++)
			sum = gen_mix(sum, memory[at]);
	return (u32)sum;
}
