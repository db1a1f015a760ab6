/* See gen_mode.h. */
#include "gen_mode.h"
#include "gen_state.h"

#define P BIT(0)
#define RW BIT(1)
#define PS BIT(7)
#define AD (BIT(5) | BIT(6))

#define MPAGE(n) (PAGE_MODES + (unsigned)MP_##n)
#define MPAGE_AT(n) (world->w[W_SCRATCH] + MPAGE(n) * (u64)GEN_PAGE_SIZE)

const struct gen_mode gen_modes[GEN_MODES] = {
	{ 0, 0, 1, 0, 64, FORMAT_LONG }, { 1, 0, 1, 0, 64, FORMAT_LONG },
	{ 0, 0, 1, 0, 32, FORMAT_LONG }, { 1, 0, 1, 0, 32, FORMAT_LONG },
	{ 0, 0, 1, 0, 16, FORMAT_LONG },
	{ 0, 0, 1, 0, 32, FORMAT_32 }, { 1, 0, 1, 0, 32, FORMAT_32 },
	{ 0, 0, 1, 0, 16, FORMAT_32 },
	{ 0, 0, 1, 0, 32, FORMAT_PAE }, { 1, 0, 1, 0, 32, FORMAT_PAE },
	{ 0, 0, 0, 0, 32, FORMAT_32 }, { 1, 0, 0, 0, 32, FORMAT_32 },
	{ 1, 1, 1, 0, 16, FORMAT_32 }, { 0, 0, 0, 1, 16, FORMAT_32 },
};
#define FIRST_MODE 2u		/* 64-bit mode is gen_insn.h's */

/* The first GiB for the supervisor, and the window. */
void gen_fill_modes(const struct gen_world *world, u8 *area)
{
	for (unsigned i = 0; i < 256; i++)
		gen_put(area, MPAGE(PD32), i * 4, (u64)i << 22 | P | RW | PS | AD, 4);
	for (unsigned i = 0; i < 512; i++)
		gen_put(area, MPAGE(PD), i * 8, (u64)i << 21 | P | RW | PS | AD, 8);
	gen_put(area, MPAGE(PD32), (MODE_WINDOW >> 22) * 4, MPAGE_AT(PT32) | P | RW | AD, 4);
	gen_put(area, MPAGE(PDPT), 0, MPAGE_AT(PD) | P, 8);
	gen_put(area, MPAGE(PDPT), 8, MPAGE_AT(PD1) | P, 8);
	gen_put(area, MPAGE(PD1), (MODE_WINDOW >> 21 & 511) * 8,
		(world->w[W_SCRATCH] + (PAGE_WINDOW + 2) * GEN_PAGE_SIZE) | P | RW | AD, 8);
	for (unsigned i = 0; i < WINDOW_PAGES; i++) {
		u64 entry = gen_window_entry(world, i);

		gen_put(area, MPAGE(PT32), i * 4, entry >> 32 ? 0 : entry, 4);
	}
}

uint32_t gen_mode_cr3(const struct gen_world *world, const struct gen_mode *mode)
{
	return (u32)(mode->format == FORMAT_PAE ? MPAGE_AT(PDPT) : MPAGE_AT(PD32));
}

static const struct { u8 length, bytes[4], digit; } opcodes[INSN_COUNT] = {
	[INSN_VMREAD] = { 2, { 0x0f, 0x78 }, 2 }, [INSN_VMWRITE] = { 2, { 0x0f, 0x79 }, 2 },
	[INSN_INVEPT] = { 4, { 0x66, 0x0f, 0x38, 0x80 }, 2 },
	[INSN_INVVPID] = { 4, { 0x66, 0x0f, 0x38, 0x81 }, 2 },
	[INSN_VMPTRLD] = { 2, { 0x0f, 0xc7 }, 6 }, [INSN_VMCLEAR] = { 3, { 0x66, 0x0f, 0xc7 }, 6 },
	[INSN_VMPTRST] = { 2, { 0x0f, 0xc7 }, 7 }, [INSN_VMXON] = { 3, { 0xf3, 0x0f, 0xc7 }, 6 },
	[INSN_VMLAUNCH] = { 3, { 0x0f, 0x01, 0xc2 }, 0 },
	[INSN_VMRESUME] = { 3, { 0x0f, 0x01, 0xc3 }, 0 },
	[INSN_VMXOFF] = { 3, { 0x0f, 0x01, 0xc4 }, 0 },
	[INSN_VMCALL] = { 3, { 0x0f, 0x01, 0xc1 }, 0 },
};

static unsigned operand_size(enum insn_kind insn)
{
	return insn <= INSN_VMWRITE ? 4 : insn <= INSN_INVVPID ? 16 : 8;
}

static void emit(struct mode_vector *m, u64 value, unsigned bytes)
{
	for (; bytes; bytes--, value >>= 8)
		m->code[m->length++] = (u8)value;
}

static void opcode(struct mode_vector *m)
{
	for (unsigned i = 0; i < opcodes[m->x.insn].length; i++)
		emit(m, opcodes[m->x.insn].bytes[i], 1);
}

#define NO_INDEX BIT32(22)
#define NO_BASE BIT32(27)
#define BASE(r) ((u32)(r) << 23)
#define INDEX(r) ((u32)(r) << 18)

/* Registers that come to this effective address, in 16-bit forms; where BP is among them, SS goes
 * without saying, and must be said not to be meant. */
static bool address16(struct gen *g, struct mode_vector *m, u32 ea)
{
	static const struct { u8 base, index; } forms[] = {
		{ GPR_RBX, GPR_RSI }, { GPR_RBX, GPR_RDI }, { GPR_RBP, GPR_RSI },
		{ GPR_RBP, GPR_RDI },
		{ GPR_RSI, 0 }, { GPR_RDI, 0 }, { GPR_RBP, 0 }, { GPR_RBX, 0 },
	};
	unsigned form = (unsigned)gen_below(g, ARRAY_SIZE(forms));
	u32 index = (u32)gen_random(g) & 0xffff;

	m->displacement = (u32)(s32)(short)gen_random(g);
	m->info |= BASE(forms[form].base);
	if (form < 4) {
		m->info |= INDEX(forms[form].index);
		m->gpr[forms[form].index] = index | 0xdead0000;
	} else {
		m->info |= NO_INDEX;
		index = 0;
	}
	m->gpr[forms[form].base] = ((ea - index - m->displacement) & 0xffff) | 0xbeef0000;
	emit(m, 0x80 | opcodes[m->x.insn].digit << 3 | form, 1);
	emit(m, m->displacement, 2);
	return forms[form].base == GPR_RBP;
}

static bool address32(struct gen *g, struct mode_vector *m, u32 ea)
{
	static const u8 registers[] = { GPR_RAX, GPR_RCX, GPR_RBX, GPR_RBP, GPR_RSI, GPR_RDI };
	u8 base = registers[gen_below(g, 6)], index = registers[gen_below(g, 6)];
	u32 scale = (u32)gen_below(g, 4), digit = opcodes[m->x.insn].digit, value;

	m->displacement = gen_one_in(g, 2) ? 0x10 : (u32)gen_random(g);
	m->info |= BIT32(7);
	switch (gen_below(g, 4)) {
	case 0:		/* a displacement alone */
		m->displacement = ea;
		m->info |= NO_BASE | NO_INDEX;
		emit(m, digit << 3 | 5, 1);
		emit(m, ea, 4);
		return false;
	case 1:
		value = (u32)gen_random(g);
		m->info |= BASE(base) | INDEX(index) | scale;
		if (base == index) {	/* then both are this one */
			m->displacement = ea - value - (value << scale);
			m->gpr[base] = value;
		} else {
			m->gpr[index] = value;
			m->gpr[base] = ea - m->displacement - (value << scale);
		}
		emit(m, 0x80 | digit << 3 | 4, 1);
		emit(m, scale << 6 | (u32)index << 3 | base, 1);
		break;
	default:
		m->info |= BASE(base) | NO_INDEX;
		m->gpr[base] = ea - m->displacement;
		emit(m, 0x80 | digit << 3 | base, 1);
	}
	emit(m, m->displacement, 4);
	return base == GPR_RBP;
}

/* One whose limit is about where the operand begins or ends. */
static void own_segment(struct gen *g, struct mode_segment *s, u32 ea, u32 target, unsigned size)
{
	static const u32 types[] = { 0x93, 0x93, 0x93, 0x91, 0x97, 0x97, 0x95, 0x9b };
	u32 limit;

	s->own = true;
	s->base = target - ea;
	s->type = types[gen_below(g, ARRAY_SIZE(types))] | (gen_one_in(g, 2) ? BIT32(14) : 0);
	limit = (s->type & 0xc) == 4 ?	/* expand-down: what is above it is in it */
		ea + (u32)PICK(g, ~0ull, ~0ull, ~0ull, 0, size - 1) :
		ea + (u32)PICK(g, size - 1, size - 1, size, size - 2, ~0ull, 0x1000);
	if (limit >> 20 || gen_one_in(g, 8)) {
		s->type |= BIT32(15);
		limit >>= 12;
	}
	s->limit = limit & 0xfffff;
	s->null = gen_one_in(g, 24);
}

/* A prefix, if the segment is not what the address implies. */
static const u8 overrides[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

static void memory_operand(struct gen *g, struct mode_vector *m, bool wide, u32 target)
{
	unsigned size = operand_size(m->x.insn);
	struct mode_vector trial = *m;
	bool implies_ss;
	u32 ea = target;

	if (!wide || gen_below(g, 3)) {
		m->segment.index = (unsigned)PICK(g, SEG_ES, SEG_DS, SEG_DS, SEG_FS, SEG_GS);
		ea = (u32)PICK(g, 0, 1, 0x800, 0x7ff8, 0xfff0, 0xfff8, 0xfffc, 0xffff);
		own_segment(g, &m->segment, ea, target, size);
	} else {
		m->segment.index = (unsigned)PICK(g, SEG_DS, SEG_ES, SEG_SS, SEG_CS);
	}
	/* The address first, to see what it implies; then all in its order. */
	trial = *m;
	trial.length = 0;
	implies_ss = wide ? address32(g, &trial, ea) : address16(g, &trial, ea);
	if (m->segment.index != (implies_ss ? (unsigned)SEG_SS : (unsigned)SEG_DS))
		emit(m, overrides[m->segment.index], 1);
	if (wide != (gen_modes[m->mode].bits == 32))
		emit(m, 0x67, 1);
	opcode(m);
	for (unsigned i = 0; i < trial.length; i++)
		emit(m, trial.code[i], 1);
	for (unsigned i = 0; i < 8; i++)
		m->gpr[i] = trial.gpr[i];
	m->displacement = trial.displacement;
	m->info |= trial.info | m->segment.index << 15;
}

static void operand(struct gen *g, struct mode_vector *m)
{
	const struct gen_mode *mode = &gen_modes[m->mode];
	bool wide = (mode->bits == 32) != gen_one_in(g, 4);
	u64 data = mode->paging ? MODE_WINDOW : PAGE(DATA);
	u64 in = gen_below(g, 3) ? gen_below(g, 2) : gen_below(g, mode->paging ? WINDOW_PAGES : 2);
	u32 offset = (u32)PICK(g, 0, 8, 0x10, 0xff0, 0xff1, 0xff8, 0xff9, 0xffc, 0xfff);

	m->x.target = data + in * GEN_PAGE_SIZE + offset;
	m->gpr[GPR_RDX] = (u32)m->x.rdx;
	m->info = (u32)GPR_RDX << 28;
	if (m->x.insn >= INSN_VMLAUNCH) {
		opcode(m);
	} else if (m->x.insn <= INSN_VMWRITE && gen_one_in(g, 8)) {
		m->x.form = FORM_REGISTER;
		m->gpr[GPR_RCX] = (u32)m->x.operand[0];
		m->info |= BIT32(10) | (u32)GPR_RCX << 3;
		opcode(m);
		emit(m, 0xc0 | GPR_RDX << 3 | GPR_RCX, 1);
	} else {
		memory_operand(g, m, wide, (u32)m->x.target);
	}
}

void gen_mode_vector(const struct gen_world *world, uint64_t seed, uint64_t number,
		     struct mode_vector *m)
{
	static const u8 usual[] = { 5, 7, 8, 10 };	/* where the instructions exist */
	struct gen generator = { .world = world }, *g = &generator;

	gen_seed(g, seed, number);
	gen_caps(world, &g->caps);
	*m = (struct mode_vector){ 0 };
	m->mode = gen_below(g, 8) ? usual[gen_below(g, ARRAY_SIZE(usual))] :
				    FIRST_MODE + (unsigned)gen_below(g, GEN_MODES - FIRST_MODE);
	m->x.insn = gen_below(g, 6) ? (enum insn_kind)gen_below(g, INSN_VMLAUNCH) :
				      (enum insn_kind)gen_below(g, INSN_COUNT);
	m->x.state = m->x.insn == INSN_VMXON ? (enum insn_state)gen_below(g, 2) :
		     gen_below(g, 8) ? STATE_CURRENT : (enum insn_state)gen_below(g, 2);
	if (m->x.insn == INSN_VMCALL && m->x.state == STATE_CURRENT)
		m->x.state = STATE_ROOT;	/* the emulator stops where it should fail */
	if (gen_modes[m->mode].real)
		m->x.state = STATE_OFF;		/* there is no VMX operation in it */
	m->x.unpaged = !gen_modes[m->mode].paging;
	m->x.prepared = gen_random(g);
	for (unsigned i = 0; i < 8; i++)
		m->gpr[i] = (u32)gen_random(g);
	gen_insn_operands(g, &m->x);
	m->x.rdx = (u32)m->x.rdx;
	operand(g, m);
}

void gen_mode_place(const struct gen_world *world, void *area, const struct mode_vector *m)
{
	struct insn_vector x = m->x;
	bool paging = gen_modes[m->mode].paging;
	/* As if it were in the window of 64-bit mode: its first pages are the data pages. */
	u64 from = paging ? MODE_WINDOW : world->w[W_SCRATCH] + PAGE_DATA * GEN_PAGE_SIZE;

	x.target = WINDOW + (m->x.target - from);
	gen_insn_place(area, &x);
}

uint32_t gen_mode_sum(uint32_t sum, const struct mode_vector *m)
{
	u64 s = gen_insn_sum(sum, &m->x);

	s = gen_mix(s, m->mode);
	s = gen_mix(s, (u64)m->segment.base << 32 | m->segment.limit);
	s = gen_mix(s, m->segment.type << 8 | m->segment.index << 2 | m->segment.own << 1 |
		       m->segment.null);
	for (unsigned i = 0; i < 8; i++)
		s = gen_mix(s, m->gpr[i]);
	for (unsigned i = 0; i < MODE_CODE_BYTES; i++)
		s = gen_mix(s, m->code[i]);
	return (u32)gen_mix(s, m->info);
}
