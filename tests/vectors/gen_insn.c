/* See gen_insn.h. */
#include "gen_insn.h"
#include "gen_state.h"

#define P BIT(0)
#define RW BIT(1)
#define US BIT(2)
#define AD (BIT(5) | BIT(6))
#define NOWHERE PAGE_COUNT

/* The window: which page of the scratch area, with which rights. */
static const struct { unsigned page; u64 bits; } window[WINDOW_PAGES] = {
	{ PAGE_DATA, P | RW }, { PAGE_DATA + 1, P | RW }, { NOWHERE, 0 },
	{ PAGE_DATA + 2, P }, { PAGE_DATA, P | RW }, { NOWHERE, P | RW | BIT(51) },
	{ PAGE_DATA + 1, P | RW | US }, { NOWHERE, 0 },
};

static void put64(u8 *area, unsigned page, unsigned at, u64 value)
{
	gen_put(area, page, at, value, 8);
}

u64 gen_window_entry(const struct gen_world *world, unsigned i)
{
	if (!(window[i].bits & P))
		return 0;
	return (world->w[W_SCRATCH] + window[i].page * GEN_PAGE_SIZE) | window[i].bits | AD;
}

void gen_fill_window(const struct gen_world *world, u8 *area)
{
	u64 scratch = world->w[W_SCRATCH], upper = P | RW | US | AD;

	put64(area, PAGE_ROOT, (WINDOW >> 39) * 8, (scratch + PAGE_WINDOW * GEN_PAGE_SIZE) | upper);
	put64(area, PAGE_WINDOW, 0, (scratch + (PAGE_WINDOW + 1) * GEN_PAGE_SIZE) | upper);
	put64(area, PAGE_WINDOW + 1, 0, (scratch + (PAGE_WINDOW + 2) * GEN_PAGE_SIZE) | upper);
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		put64(area, PAGE_WINDOW + 2, i * 8, gen_window_entry(world, i));
}

static u64 region(struct gen *g)
{
	u64 page = PICK(g, PAGE(VMCS), PAGE(VMCS), PAGE(VMXON), PAGE(LINK), PAGE(LINK_SHADOW),
			PAGE(LINK_WRONG));

	return gen_one_in(g, 3) ? gen_physical(g, page, GEN_PAGE_SIZE) : page;
}

static u64 encoding(struct gen *g)
{
	u64 field = gen_encoding[gen_below(g, VF_COUNT)];

	switch (gen_below(g, 8)) {
	case 0:
		return field | 1;
	case 1:
		return field ^ BIT(gen_below(g, 16));
	case 2:
		return field | BIT(gen_below(g, 64));
	case 3:
		return gen_random(g) & 0x6fff;
	default:
		return field;
	}
}

static u64 target(struct gen *g)
{
	u64 page = gen_below(g, 3) ? gen_below(g, 2) : gen_below(g, WINDOW_PAGES);

	if (gen_one_in(g, 12))
		return PICK(g, BIT(47) - 4, BIT(47) - 1, BIT(47), BIT(48), BIT(63),
			    (~0ull << 47) - 4, (~0ull << 47) - 1, ~0ull << 48, BIT(63) - 1,
			    WINDOW | BIT(47));
	return WINDOW + page * GEN_PAGE_SIZE +
	       PICK(g, 0, 0, 8, 0x10, 0xff0, 0xff1, 0xff8, 0xff9, 0xffc, 0xfff);
}

/* What is in memory and in RDX, for the instruction to find right or wrong. */
void gen_insn_operands(struct gen *g, struct insn_vector *x)
{
	x->rdx = x->insn <= INSN_VMWRITE ? encoding(g) :
					   PICK(g, 0, 1, 1, 2, 2, 3, 4, BIT(32), BIT(63));
	x->operand[1] = gen_one_in(g, 2) ? 0 : gen_linear(g);
	switch (x->insn) {
	case INSN_INVEPT:
		x->operand[0] = PAGE(ZERO) | 0x1e;
		if (gen_one_in(g, 2))
			x->operand[0] ^= BIT(gen_below(g, gen_one_in(g, 3) ? 64 : 12));
		break;
	case INSN_INVVPID:
		x->operand[0] = PICK(g, 0, 1, 1, 2, 0xffff, 0x10000, 0x10001, BIT(63) | 1);
		break;
	case INSN_VMPTRLD:
	case INSN_VMCLEAR:
	case INSN_VMXON:
		x->operand[0] = region(g);
		break;
	default:
		x->operand[0] = gen_random(g);
	}
}

static void address(struct gen *g, struct insn_vector *x)
{
	x->target = target(g);
	x->rsi = gen_below(g, 16);
	x->rbp = x->target;
	x->rax = x->target;
	if (x->form == FORM_FS)
		x->rax -= WINDOW;
	if (x->form == FORM_INDEX)
		x->rax -= 0x10 + 2 * x->rsi;
}

void gen_insn(const struct gen_world *world, uint64_t seed, uint64_t number, struct insn_vector *x)
{
	struct gen generator = { .world = world }, *g = &generator;

	gen_seed(g, seed, number);
	gen_caps(world, &g->caps);
	*x = (struct insn_vector){ 0 };
	x->insn = gen_below(g, 5) ? (enum insn_kind)gen_below(g, INSN_VMLAUNCH) :
				    (enum insn_kind)gen_below(g, INSN_COUNT);
	x->form = (enum insn_form)gen_below(g,
					    x->insn <= INSN_VMWRITE ? FORM_COUNT : FORM_REGISTER);
	x->state = x->insn == INSN_VMXON ?
			   (enum insn_state)(gen_below(g, 4) ? STATE_OFF : STATE_CURRENT) :
		   gen_below(g, 8) ? STATE_CURRENT :
				     (enum insn_state)gen_below(g, 2);
	if (x->insn == INSN_VMCALL && x->state == STATE_CURRENT)
		x->state = STATE_ROOT;	/* the emulator stops where it should fail */
	if (x->state == STATE_CURRENT && (g->caps.proc2.may & PROC2_SHADOW_VMCS) &&
	    gen_one_in(g, 8))
		x->state = STATE_SHADOW;
	x->user = gen_one_in(g, 24);
	x->prepared = gen_random(g);
	gen_insn_operands(g, x);
	address(g, x);
	x->rcx = x->operand[0];
}

/* The parts of the data pages in which operands begin or end. */
static void ends_of_pages(u8 *area, void (*each)(u8 *byte, u64 *context), u64 *context)
{
	for (unsigned page = PAGE_DATA; page < PAGE_DATA + 3; page++)
		for (unsigned i = 0; i < 64; i++)	/* the first 32 bytes and the last */
			each(area + page * GEN_PAGE_SIZE + (i < 32 ? i : GEN_PAGE_SIZE - 64 + i),
			     context);
}

static void clear(u8 *byte, u64 *context)
{
	(void)context;
	*byte = 0;
}

static void add(u8 *byte, u64 *sum)
{
	*sum = (*sum ^ *byte) * 0x100000001b3ull;
}

void gen_insn_place(void *to, const struct insn_vector *x)
{
	u8 *area = to;

	ends_of_pages(area, clear, NULL);
	for (unsigned i = 0; i < 16; i++) {
		u64 at = x->target + i - WINDOW, page = at / GEN_PAGE_SIZE;

		if (page < WINDOW_PAGES && window[page].page != NOWHERE)
			area[window[page].page * GEN_PAGE_SIZE + at % GEN_PAGE_SIZE] =
				(u8)(x->operand[i / 8] >> 8 * (i % 8));
	}
}

uint32_t gen_insn_memory(const void *area)
{
	u64 sum = 0xcbf29ce484222325ull;

	ends_of_pages((u8 *)(uintptr_t)area, add, &sum);
	return (u32)(sum ^ sum >> 32);
}

uint32_t gen_insn_rest(uint64_t value, uint64_t pointer, uint32_t memory)
{
	return (u32)gen_mix(gen_mix(gen_mix(0, value), memory), pointer) & 0xffffff;
}

uint32_t gen_insn_sum(uint32_t sum, const struct insn_vector *x)
{
	const u64 parts[] = {
		x->insn, x->form, x->state, x->user, x->rax, x->rcx, x->rdx, x->rsi, x->target,
		x->operand[0], x->operand[1], x->prepared,
	};
	u64 s = sum;

	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
		s = gen_mix(s, parts[i]);
	return (u32)s;
}
