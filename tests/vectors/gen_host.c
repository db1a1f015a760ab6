/*
 * What breaks rules about host state (SDM 3C "Checks on VMX Controls and
 * Host-State Area"). Where a value is good, the next exit loads it into the
 * runner: nothing here that the runner cannot put right.
 */
#include "gen_state.h"

static void cr0(struct gen *g)
{
	if (gen_one_in(g, 4))
		V(HOST_CR0) |= BIT(32 + gen_below(g, 32));
	else
		V(HOST_CR0) ^= gen_one_in(g, 2) ? PICK(g, CR0_PE, CR0_PG, CR0_NE) :
						  BIT(gen_below(g, 32));
}

static void cr4(struct gen *g)
{
	V(HOST_CR4) ^= gen_one_in(g, 3) ? PICK(g, CR4_PAE, CR4_VMXE, CR4_PCIDE) :
					   BIT(gen_below(g, gen_one_in(g, 4) ? 64 : 32));
}

/* The emulator asks whether they go together where it loads more of CET than they are. */
static void cet(struct gen *g)
{
	if (!(g->caps.cr4_fixed1 & CR4_CET))
		return;
	gen_exit(g, GEN_EXIT_LOAD_CET);
	V(HOST_CR4) |= CR4_CET;
	V(HOST_CR0) ^= CR0_WP;
}

static void cr3(struct gen *g)
{
	if (gen_one_in(g, 2))
		V(HOST_CR3) |= BIT(g->caps.maxphyaddr + gen_below(g, 64u - g->caps.maxphyaddr));
	else if (!g->host32)
		V(HOST_CR3) = PICK(g, WORLD(CR3), WORLD(CR3) | 8, WORLD(CR3) | 0x10,
				   WORLD(CR3_OTHER), WORLD(CR3_OTHER) | 0x18);
}

static void sysenter(struct gen *g)
{
	if (gen_one_in(g, 2))
		V(HOST_SYSENTER_ESP) = gen_linear(g);
	else
		V(HOST_SYSENTER_EIP) = gen_linear(g);
}

static void perf_global(struct gen *g)
{
	gen_exit(g, EXIT_LOAD_PERF);
	V(HOST_PERF_GLOBAL_CTRL) = BIT(gen_below(g, 64));
}

void gen_pat(struct gen *g, u64 *pat)
{
	u64 entry = 8 * gen_below(g, 8);

	*pat ^= gen_one_in(g, 2) ? BIT(gen_below(g, 64)) : gen_below(g, 16) << entry;
}

static void pat(struct gen *g)
{
	gen_exit(g, EXIT_LOAD_PAT);
	gen_pat(g, &V(HOST_PAT));
}

static void efer(struct gen *g)
{
	gen_exit(g, EXIT_LOAD_EFER);
	V(HOST_EFER) ^= gen_one_in(g, 2) ?
				PICK(g, EFER_LME, EFER_LMA, EFER_LME | EFER_LMA, EFER_NXE) :
				BIT(gen_below(g, 64));
}

static void selector(struct gen *g)
{
	u64 *s = &g->v[VF_HOST_ES_SELECTOR + gen_below(g, 7)];

	*s = gen_one_in(g, 3) ? 0 : *s ^ BIT(gen_below(g, gen_one_in(g, 2) ? 3 : 16));
}

static void base(struct gen *g)
{
	u64 *b = &g->v[VF_HOST_FS_BASE + gen_below(g, 5)];

	*b = gen_linear(g);
}

static void rip(struct gen *g)
{
	if (g->host32)
		V(HOST_RIP) |= gen_one_in(g, 2) ? BIT(32 + gen_below(g, 32)) : 0;
	else
		V(HOST_RIP) = gen_one_in(g, 2) ?
				      PICK(g, WORLD(RIP), WORLD(RIP_LOW), WORLD(RIP_HIGH)) :
				      PICK(g, BIT(47), ~0ull << 47, BIT(48), BIT(63),
					   WORLD(RIP_LOW) | BIT(47), WORLD(RIP_HIGH) & ~BIT(63),
					   BIT(63) - 1, WORLD(RIP) | BIT(48)) &
					      ~0xfull;
	/* The last two canonical pages are good, and mapped; whatever else is canonical is not. */
	if (!g->host32 && V(HOST_RIP) == ~0ull << 47)
		V(HOST_RIP) = WORLD(RIP_HIGH);
}

static void size(struct gen *g)
{
	if (gen_one_in(g, 2))
		V(EXIT_CONTROLS) ^= EXIT_HOST_64;
	else
		V(ENTRY_CONTROLS) ^= ENTRY_IA32E;
}

const gen_mutator gen_host_mutators[] = {
	cr0, cr4, cet, cr3, sysenter, perf_global, pat, efer, selector, selector, base, base, rip,
	size,
};
const unsigned gen_host_mutator_count = ARRAY_SIZE(gen_host_mutators);
