/*
 * Between the files of the generator: the vector in the making, its random
 * numbers, and the values that lie at the boundaries of rules.
 */
#pragma once

#include "gen.h"
#include "vmx.h"
#include "vmx_caps.h"
#include "x86.h"

struct gen {
	const struct gen_world *world;
	struct vmx_caps caps;
	u64 state;
	u64 *v;
	bool host32;
};

/* Controls that the engine knows nothing of but that rules ask for, or the emulator does. */
#define GEN_EXIT_CLEAR_RTIT BIT32(25)
#define GEN_EXIT_LOAD_CET BIT32(28)
#define GEN_ENTRY_LOAD_RTIT BIT32(18)

#define V(name) (g->v[VF_##name])
#define WORLD(name) (g->world->w[W_##name])
#define PAGE(name) (WORLD(SCRATCH) + PAGE_##name * (u64)GEN_PAGE_SIZE)
#define PICK(g, ...) ({ \
	const u64 from_[] = { __VA_ARGS__ }; \
	from_[gen_below(g, ARRAY_SIZE(from_))]; \
})

/* One draw an expression: C does not say in which order operands are evaluated. */
u64 gen_random(struct gen *g);
u64 gen_below(struct gen *g, u64 n);
/* Vector number of a seed starts here. */
void gen_seed(struct gen *g, u64 seed, u64 number);
static inline bool gen_one_in(struct gen *g, u64 n)
{
	return gen_below(g, n) == 0;
}

/* For sums of vectors, one word at a time. */
static inline u64 gen_mix(u64 sum, u64 word)
{
	sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
	return sum ^ sum >> 32;
}

/* A linear address at a boundary of canonicality, or well off it. */
u64 gen_linear(struct gen *g);
/* A physical address about which page-aligned, wide-enough rules can differ; page itself often. */
u64 gen_physical(struct gen *g, u64 page, u64 alignment);

/* Control bits, where the CPU may have them. */
static inline bool gen_pin(struct gen *g, u32 bits)
{
	V(PIN_CONTROLS) |= bits & g->caps.pin.may;
	return !(bits & ~g->caps.pin.may);
}

static inline bool gen_proc(struct gen *g, u32 bits)
{
	V(PROC_CONTROLS) |= bits & g->caps.proc.may;
	return !(bits & ~g->caps.proc.may);
}

static inline bool gen_proc2(struct gen *g, u32 bits)
{
	if (!gen_proc(g, PROC_SECONDARY))
		return false;
	V(PROC2_CONTROLS) |= bits & g->caps.proc2.may;
	return !(bits & ~g->caps.proc2.may);
}

static inline bool gen_exit(struct gen *g, u32 bits)
{
	V(EXIT_CONTROLS) |= bits & g->caps.exit.may;
	return !(bits & ~g->caps.exit.may);
}

static inline bool gen_entry_control(struct gen *g, u32 bits)
{
	V(ENTRY_CONTROLS) |= bits & g->caps.entry.may;
	return !(bits & ~g->caps.entry.may);
}

static inline u64 gen_too_high(const struct gen *g)
{
	return BIT(g->caps.maxphyaddr);
}

/* gen.c: the capabilities that the world describes. */
void gen_caps(const struct gen_world *world, struct vmx_caps *c);

/* Fields that the CPU has, in their width. */
void gen_trim(struct gen *g);

static inline void gen_put(u8 *area, unsigned page, unsigned at, u64 value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		area[page * GEN_PAGE_SIZE + at + i] = (u8)(value >> 8 * i);
}

/* gen_insn.c, gen_exit_memory.c: their tables in the scratch area. */
void gen_fill_window(const struct gen_world *world, u8 *area);
void gen_fill_exits(const struct gen_world *world, u8 *area);
void gen_fill_modes(const struct gen_world *world, u8 *area);	/* gen_mode.c */
/* gen_insn.c: page i of the window. */
u64 gen_window_entry(const struct gen_world *world, unsigned i);

/* gen_base.c: a valid state; gen_controls.c, gen_host.c, gen_guest.c: what breaks it. */
void gen_base(struct gen *g);
typedef void (*gen_mutator)(struct gen *g);
extern const gen_mutator gen_control_mutators[], gen_host_mutators[], gen_guest_mutators[];
extern const unsigned gen_control_mutator_count, gen_host_mutator_count, gen_guest_mutator_count;
struct insn_vector;
void gen_insn_operands(struct gen *g, struct insn_vector *x);	/* what memory and RDX hold */
struct exit_vector;
void gen_exit_code(struct gen *g, struct exit_vector *x);	/* gen_exit_code.c */
void gen_pat(struct gen *g, u64 *pat);	/* gen_host.c */
void gen_event(struct gen *g);		/* gen_controls.c: an event, mostly a good one */
