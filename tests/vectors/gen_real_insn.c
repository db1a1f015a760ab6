/* The instructions of gen_real.h: those that src/vm/real/ executes, and some that it refuses. */
#include "gen_real_maker.h"

#define VIRTUAL_FLAGS (RFLAGS_VM | BIT(19) | BIT(20))	/* and VIF, VIP */

/* A selector, and something above it. */
static u32 wide_selector(struct real_maker *m)
{
	u32 above = gen_real_any(m) & 0xffff0000;

	return above | gen_real_selector(m);
}

/* After a load: it tells the base. MOV [seg:offset], AX */
static void store_through(struct real_maker *m, u32 seg)
{
	if (seg >= GEN_REAL_NO_SEG || seg == SEG_CS)
		return;
	m->lock = m->wide = m->wide_address = false;
	gen_real_prefixes(m, seg);
	gen_real_emit(m, 0x0689, 2);
	gen_real_emit(m, 0x90 + gen_real_below(m, 0x60), 2);
}

static void mov_sreg(struct real_maker *m)
{
	u32 seg = gen_real_below(m, gen_real_one_in(m, 6) ? 8 : 6), from = gen_real_below(m, 8);

	if (from != GPR_RSP && gen_real_one_in(m, 2)) {
		m->x->gpr[from] = wide_selector(m);
		gen_real_with_register(m, 0x8e, seg, from);
	} else {
		u32 at = gen_real_with_memory(m, 0x8e, seg, 0);

		gen_real_put(m, at, gen_real_selector(m));
	}
	store_through(m, seg);
}

/* Where the stack is, item n of the operand size. */
static void put_on_stack(struct real_maker *m, u32 n, u32 value)
{
	u32 offset = (m->x->gpr[GPR_RSP] + n * gen_real_size(m)) & 0xffff;

	if (offset + gen_real_size(m) <= 0x10000)
		gen_real_put(m, gen_real_base(m, SEG_SS) + offset, value);
}

static void pop_sreg(struct real_maker *m)
{
	static const u16 op[] = { 0x07, 0, 0x17, 0x1f, 0x0fa1, 0x0fa9 };
	u32 seg = PICK(&m->g, SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS);

	put_on_stack(m, 0, wide_selector(m));
	gen_real_prefixes(m, GEN_REAL_NO_SEG);
	gen_real_opcode(m, op[seg]);
	store_through(m, seg);
}

static void load_pointer(struct real_maker *m)
{
	static const u16 op[] = { 0xc4, 0, 0x0fb2, 0xc5, 0x0fb4, 0x0fb5 };
	u32 seg = PICK(&m->g, SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS), reg = gen_real_below(m, 8);
	u32 offset = reg == GPR_RSP ? 0x300 : gen_real_any(m), at;

	if (gen_real_one_in(m, 12)) {
		gen_real_with_register(m, op[seg], reg, gen_real_below(m, 8));
		return;
	}
	at = gen_real_with_memory(m, op[seg], reg, gen_real_size(m));
	gen_real_put(m, at, offset);
	gen_real_put(m, at + gen_real_size(m), gen_real_selector(m));
	store_through(m, seg);
}

static void far_direct(struct real_maker *m)
{
	u32 offset;
	u16 cs = gen_real_target(m, &offset);

	gen_real_prefixes(m, GEN_REAL_NO_SEG);
	gen_real_opcode(m, gen_real_one_in(m, 2) ? 0xea : 0x9a);
	gen_real_emit(m, offset, gen_real_size(m));
	gen_real_emit(m, cs, 2);
}

static void far_indirect(struct real_maker *m)
{
	u32 offset, reg = gen_real_one_in(m, 2) ? 3 : 5, at;
	u16 cs = gen_real_target(m, &offset);

	if (gen_real_one_in(m, 12)) {
		gen_real_with_register(m, 0xff, reg, gen_real_below(m, 8));
		return;
	}
	at = gen_real_with_memory(m, 0xff, reg, gen_real_size(m));
	gen_real_put(m, at, offset);
	gen_real_put(m, at + gen_real_size(m), cs);
}

static void far_return(struct real_maker *m)
{
	u32 offset, how = gen_real_below(m, 3);
	u16 cs = gen_real_target(m, &offset);

	put_on_stack(m, 0, offset);
	put_on_stack(m, 1, (gen_real_any(m) & 0xffff0000) | cs);
	m->x->v86_differs = how == 2 && offset > 0xffff;
	if (how == 2)
		put_on_stack(m, 2, (gen_real_any(m) & (GEN_REAL_FLAGS | RFLAGS_RF | VIRTUAL_FLAGS)) |
				   GEN_REAL_FIXED_FLAGS);
	gen_real_prefixes(m, GEN_REAL_NO_SEG);
	gen_real_opcode(m, how == 0 ? 0xcb : how == 1 ? 0xca : 0xcf);
	if (how == 1)
		gen_real_emit(m, 2 * gen_real_below(m, 8), 2);
}

static void interrupt(struct real_maker *m)
{
	gen_real_prefixes(m, GEN_REAL_NO_SEG);
	if (gen_real_one_in(m, 2))
		gen_real_emit(m, 0xcd | gen_real_below(m, 256) << 8, 2);
	else
		gen_real_emit(m, PICK(&m->g, 0xcc, 0xce, 0xf1), 1);
}

static void table(struct real_maker *m)
{
	u32 reg = gen_real_below(m, 4), at;

	m->inside = reg < 2;	/* the emulator may store one half */
	m->x->v86_differs = reg == 1;
	at = gen_real_with_memory(m, 0x0f01, reg, 2);
	if (reg == 2) {
		gen_real_put(m, at, gen_real_any(m));
		gen_real_put(m, at + 4, gen_real_any(m));
	}
	if (reg == 3) {
		gen_real_put(m, at, gen_real_idt_limit(m) | REAL_IVT << 16);
		gen_real_put(m, at + 4, REAL_IVT >> 16);
	}
}

static void store(struct real_maker *m)
{
	static const struct { u8 op, count, reg, regs; bool immediate, may_lock; } of[] = {
		{ 0x00, 2, 0, 8, false, true }, { 0x08, 2, 0, 8, false, true },
		{ 0x10, 2, 0, 8, false, true }, { 0x18, 2, 0, 8, false, true },
		{ 0x20, 2, 0, 8, false, true }, { 0x28, 2, 0, 8, false, true },
		{ 0x30, 2, 0, 8, false, true }, { 0x80, 4, 0, 7, true, true },
		{ 0x86, 2, 0, 8, false, true }, { 0x88, 2, 0, 8, false, false },
		{ 0x8c, 1, 0, 8, false, false }, { 0x8f, 1, 0, 1, false, false },
		{ 0xc6, 2, 0, 1, true, false }, { 0xf6, 2, 2, 2, false, true },
		{ 0xfe, 2, 0, 2, false, true },
	};
	u32 i = gen_real_below(m, ARRAY_SIZE(of)), op = of[i].op + gen_real_below(m, of[i].count);
	u32 reg = of[i].reg + gen_real_below(m, of[i].regs), at;

	m->lock = gen_real_one_in(m, of[i].may_lock ? 3 : 20);
	at = gen_real_with_memory(m, op, reg, 0);
	if (op != 0x8f)		/* XCHG may load ESP */
		gen_real_put(m, at, op == 0x87 && reg == GPR_RSP ? 0x300 : gen_real_any(m));
	if (of[i].immediate)
		gen_real_emit(m, gen_real_any(m), op & 1 && op != 0x83 ? gen_real_size(m) : 1);
	if (op == 0x8f)
		put_on_stack(m, 0, gen_real_any(m));
}

static void store_offset(struct real_maker *m)
{
	u32 seg = gen_real_below(m, 6);

	m->wide_address = gen_real_one_in(m, 2);
	gen_real_prefixes(m, seg);
	gen_real_opcode(m, 0xa2 + gen_real_below(m, 2));
	gen_real_emit(m, gen_real_offset(m, seg), m->wide_address ? 4 : 2);
}

/* What is executed where hardware would show L1 what is L0's. */
static void shown(struct real_maker *m)
{
	static const u16 push[] = { 0x06, 0x0e, 0x16, 0x1e, 0x0fa0, 0x0fa8 };
	u32 how = gen_real_below(m, 5), rm;

	if (how == 0) {		/* MOV; what ESP gets is no stack */
		rm = (GPR_RSP + 1 + gen_real_below(m, 7)) & 7;
		gen_real_with_register(m, 0x8c, gen_real_below(m, 7), rm);
		return;
	}
	if (how == 1)
		put_on_stack(m, 0, (gen_real_any(m) & (GEN_REAL_FLAGS | RFLAGS_RF | VIRTUAL_FLAGS)) |
				   GEN_REAL_FIXED_FLAGS);
	gen_real_prefixes(m, GEN_REAL_NO_SEG);
	if (how < 4)
		gen_real_emit(m, how == 1 ? 0x9d : how == 2 ? 0x9c : 0xfb - gen_real_below(m, 2), 1);
	else
		gen_real_opcode(m, push[gen_real_below(m, 6)]);
}

static void undefined(struct real_maker *m)
{
	u32 op = (u32)PICK(&m->g, 0x63, 0x0f00, 0x0f02, 0x0f03), reg = gen_real_below(m, 6);

	gen_real_with_register(m, op, reg, gen_real_below(m, 8));
}

void gen_real_insn(struct real_maker *m)
{
	static void (*const make[])(struct real_maker *) = {
		mov_sreg, pop_sreg, load_pointer, far_direct, far_indirect, far_return, far_return,
		interrupt, table, store, store, store, store_offset, undefined,
		shown, shown,
	};

	make[gen_real_below(m, ARRAY_SIZE(make))](m);
}
