/* See gen.h: random numbers, boundaries, and how a vector is put together. */
#include "gen_state.h"

const unsigned gen_field_count = VF_COUNT;
const uint16_t gen_encoding[] = {
#define F(name, enc, exists, merge, sync, shadow, group) enc,
#include "vmcs_fields.def"
#undef F
};
const char *const gen_field_name[] = {
#define F(name, enc, exists, merge, sync, shadow, group) #name,
#include "vmcs_fields.def"
#undef F
};
static const u8 field_exists[] = {
#define F(name, enc, exists, merge, sync, shadow, group) EXISTS_##exists,
#include "vmcs_fields.def"
#undef F
};

/* splitmix64 */
static u64 scramble(u64 z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void gen_seed(struct gen *g, u64 seed, u64 number)
{
	g->state = scramble(seed * 0x2545f4914f6cdd1dull + 1) ^ scramble(number);
}

u64 gen_random(struct gen *g)
{
	return scramble(g->state += 0x9e3779b97f4a7c15ull);
}

u64 gen_below(struct gen *g, u64 n)
{
	return (gen_random(g) >> 33) % n;
}

u64 gen_linear(struct gen *g)
{
	switch (gen_below(g, 4)) {
	case 0:
		return BIT(gen_below(g, 64));
	case 1:
		return ~BIT(gen_below(g, 64));
	default:
		return PICK(g, 0, 0xffffffff, BIT(32), BIT(47) - 1, BIT(47), BIT(48) - 1, BIT(48),
			    ~0ull << 47, (~0ull << 47) - 1, ~0ull << 48, ~0ull << 49, ~0ull,
			    BIT(63), BIT(63) - 1, BIT(56) - 1, BIT(56), BIT(57), ~0ull << 56);
	}
}

u64 gen_physical(struct gen *g, u64 page, u64 alignment)
{
	switch (gen_below(g, 6)) {
	case 0:
		return page | BIT(gen_below(g, 12));
	case 1:
		return page | (alignment >> 1);
	case 2:
		return page | BIT(g->caps.maxphyaddr + gen_below(g, 64u - g->caps.maxphyaddr));
	case 3:
		return page | gen_too_high(g);
	case 4:
		return gen_too_high(g) >> 1;
	default:
		return page;
	}
}

static struct vmx_allowed allowed(u64 pair)
{
	return (struct vmx_allowed){ .must = (u32)pair, .may = (u32)(pair >> 32) };
}

void gen_caps(const struct gen_world *world, struct vmx_caps *c)
{
	const u64 *w = world->w;

	*c = (struct vmx_caps){
		.basic = w[W_BASIC], .misc = w[W_MISC], .ept_vpid = w[W_EPT_VPID],
		.vmfunc = w[W_VMFUNC], .vmcs_enum = w[W_VMCS_ENUM],
		.cr0_fixed0 = w[W_CR0_FIXED0], .cr0_fixed1 = w[W_CR0_FIXED1],
		.cr4_fixed0 = w[W_CR4_FIXED0], .cr4_fixed1 = w[W_CR4_FIXED1],
		.pin = allowed(w[W_PIN]), .proc = allowed(w[W_PROC]),
		.proc2 = allowed(w[W_PROC2]), .exit = allowed(w[W_EXIT]),
		.entry = allowed(w[W_ENTRY]),
		.maxphyaddr = (u8)w[W_MAXPHYADDR], .long_mode = true,
		.sgx = w[W_PROC2] >> 32 & PROC2_ENCLS,
		.rtm = w[W_FEATURES] & W_HAS_RTM,
	};
}

static void mutate(struct gen *g)
{
	static const struct {
		const gen_mutator *of;
		const unsigned *count;
		u8 weight;
	} groups[] = {
		{ gen_control_mutators, &gen_control_mutator_count, 3 },
		{ gen_host_mutators, &gen_host_mutator_count, 2 },
		{ gen_guest_mutators, &gen_guest_mutator_count, 5 },
	};
	u64 roll = gen_below(g, 10);
	unsigned i = 0;

	while (roll >= groups[i].weight)
		roll -= groups[i++].weight;
	groups[i].of[gen_below(g, *groups[i].count)](g);
}

/*
 * L2 must not run: an inactive state sleeps, some emulators stop at an MTF event
 * that they do not have. The entry ends in its MSR-load list instead, which comes
 * after all checks; so do some others.
 */
static void fence(struct gen *g)
{
	bool other_event = (V(ENTRY_INTR_INFO) & INTR_TYPE) == INTR_TYPE_OTHER;

	if (!V(GUEST_ACTIVITY) && !other_event && gen_below(g, 4))
		return;
	if (V(ENTRY_MSR_LOAD_COUNT) && !V(GUEST_ACTIVITY) && !other_event)
		return;
	V(ENTRY_MSR_LOAD_ADDR) = PAGE(MSRS_BAD);
	V(ENTRY_MSR_LOAD_COUNT) = 1;
}

/* What the runner's way back from an exit relies on, and what stops an emulator for good. */
static void keep_alive(struct gen *g)
{
	if (V(ENTRY_CONTROLS) & ENTRY_IA32E)	/* it believes that this cannot be in real mode */
		V(GUEST_CR0) |= CR0_PE;
	V(HOST_CR4) = (V(HOST_CR4) & ~CR4_LA57) | (WORLD(CR4) & CR4_LA57);
	/* The emulator stops at an exit that sets CET without WP. */
	if ((V(HOST_CR4) & CR4_CET) && !(V(EXIT_CONTROLS) & GEN_EXIT_LOAD_CET))
		V(HOST_CR0) |= CR0_WP;
	if (g->host32)
		V(HOST_CR4) |= CR4_PAE;
	V(EXCEPTION_BITMAP) = 0xffffffff;
}

static u64 width_mask(u32 encoding)
{
	switch (VMCS_WIDTH(encoding)) {
	case VMCS_WIDTH_16:
		return 0xffff;
	case VMCS_WIDTH_32:
		return 0xffffffff;
	default:
		return ~0ull;
	}
}

static void start(struct gen *g, const struct gen_world *world, u64 seed, u64 number, u64 *v)
{
	*g = (struct gen){ .world = world, .v = v };
	gen_seed(g, seed, number);
	gen_caps(world, &g->caps);
	for (unsigned i = 0; i < VF_COUNT; i++)
		v[i] = 0;
	gen_base(g);
}

void gen_trim(struct gen *g)
{
	u32 classes = vmx_caps_exists(&g->caps);

	for (unsigned i = 0; i < VF_COUNT; i++)
		g->v[i] &= classes & BIT32(field_exists[i]) ? width_mask(gen_encoding[i]) : 0;
}

static void finish(struct gen *g)
{
	keep_alive(g);
	gen_trim(g);
}

_Bool gen_entry(const struct gen_world *world, uint64_t seed, uint64_t number, uint64_t *v)
{
	struct gen g;
	u64 roll;

	start(&g, world, seed, number, v);
	roll = gen_below(&g, 100);	/* mostly one rule, often two, sometimes none or many */
	for (u64 n = roll < 4 ? 0 : roll < 60 ? 1 : roll < 92 ? 2 : 3; n; n--)
		mutate(&g);
	fence(&g);
	finish(&g);
	return g.host32;
}

void gen_entry_base(const struct gen_world *world, uint64_t seed, uint64_t number, uint64_t *v)
{
	struct gen g;

	start(&g, world, seed, number, v);
	finish(&g);
}

uint32_t gen_sum(uint32_t sum, const uint64_t *v)
{
	u64 s = sum;

	for (unsigned i = 0; i < VF_COUNT; i++)
		s = gen_mix(s, v[i]);
	return (u32)s;
}

static void fill_page(u8 *area, unsigned page, unsigned at, u32 value)
{
	gen_put(area, page, at, value, 4);
}

/*
 * Set k of four PDPTEs has something in entry k % 4: a good one, an absent one with
 * junk, or one with one more bit, good or not. Pages they lead to map nothing.
 */
static void fill_pdptes(u8 *area, const struct gen_world *world)
{
	static const u8 bits[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 11 };
	unsigned width = (unsigned)world->w[W_MAXPHYADDR];

	for (unsigned k = 0; k < 128; k++) {
		unsigned at = k * 32 + k % 4 * 8, n = k / 4;
		u64 value = world->w[W_SCRATCH] | 1;

		if (n == 1)
			value = 0x1fe;
		else if (n >= 2 && n < 2 + ARRAY_SIZE(bits))
			value |= BIT(bits[n - 2]);
		else if (n)
			value |= BIT(width - 1 + (n - 2 - ARRAY_SIZE(bits)) % (65 - width));
		fill_page(area, PAGE_PDPTES, at, (u32)value);
		fill_page(area, PAGE_PDPTES, at + 4, (u32)(value >> 32));
	}
}

void gen_fill(const struct gen_world *world, void *to)
{
	u32 revision = (u32)world->w[W_BASIC] & ~VMCS_SHADOW_INDICATOR;
	u8 *area = to;

	for (unsigned i = 0; i < PAGE_COUNT * GEN_PAGE_SIZE; i++)
		area[i] = 0;
	fill_page(area, PAGE_VAPIC, 0x80, GEN_VTPR);
	for (unsigned at = 0; at < GEN_PAGE_SIZE; at = at ? at * 2 : 4)	/* misaligned ones too */
		fill_page(area, PAGE_LINK, at, revision);
	fill_page(area, PAGE_LINK_SHADOW, 0, revision | VMCS_SHADOW_INDICATOR);
	fill_page(area, PAGE_LINK_WRONG, 0, revision ^ 1);
	fill_page(area, PAGE_VMCS, 0, revision);
	fill_page(area, PAGE_VMXON, 0, revision);
	for (unsigned at = 0; at < 3 * GEN_PAGE_SIZE; at += 16)
		fill_page(area, PAGE_MSRS, at, GEN_MSR);
	for (unsigned at = 0; at < GEN_PAGE_SIZE; at += 16)
		fill_page(area, PAGE_MSRS_BAD, at, MSR_FS_BASE);
	fill_pdptes(area, world);
	gen_fill_window(world, area);
	gen_fill_exits(world, area);
	gen_fill_modes(world, area);
}
