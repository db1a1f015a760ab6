/*
 * What breaks rules about guest state (SDM 3C "Checking and Loading Guest
 * State"). All but addresses of memory may take any value: L2 fetches from
 * nowhere and is out again.
 */
#include "gen_state.h"

static void cr0(struct gen *g)
{
	if (gen_one_in(g, 4))
		V(GUEST_CR0) ^= BIT(gen_below(g, 64));
	else
		V(GUEST_CR0) ^= PICK(g, CR0_PE, CR0_PG, CR0_PE | CR0_PG, CR0_NE, CR0_WP, CR0_CD,
				     CR0_NW);
}

static void cr4(struct gen *g)
{
	V(GUEST_CR4) ^= gen_one_in(g, 2) ? PICK(g, CR4_PAE, CR4_VMXE, CR4_PCIDE, CR4_CET) :
					    BIT(gen_below(g, gen_one_in(g, 4) ? 64 : 32));
}

/* Its page must stay one that maps nothing. */
static void cr3(struct gen *g)
{
	switch (gen_below(g, 4)) {
	case 0:
		V(GUEST_CR3) |= BIT(g->caps.maxphyaddr + gen_below(g, 64u - g->caps.maxphyaddr));
		break;
	case 1:
		V(GUEST_CR3) |= gen_too_high(g) >> 1;
		break;
	case 2:
		V(GUEST_CR3) |= gen_too_high(g);
		break;
	default:
		V(GUEST_CR3) ^= BIT(gen_below(g, 12));
	}
}

static void long_mode(struct gen *g)
{
	V(ENTRY_CONTROLS) ^= ENTRY_IA32E;
	if (gen_one_in(g, 2))
		V(GUEST_CR4) |= CR4_PAE;
}

static void debugctl(struct gen *g)
{
	gen_entry_control(g, ENTRY_LOAD_DEBUG);
	V(GUEST_DEBUGCTL) = BIT(gen_below(g, gen_one_in(g, 2) ? 16 : 64));
}

static void dr7(struct gen *g)
{
	gen_entry_control(g, ENTRY_LOAD_DEBUG);
	V(GUEST_DR7) ^= BIT(gen_below(g, 64));
}

static void sysenter(struct gen *g)
{
	if (gen_one_in(g, 2))
		V(GUEST_SYSENTER_ESP) = gen_linear(g);
	else
		V(GUEST_SYSENTER_EIP) = gen_linear(g);
}

static void perf_global(struct gen *g)
{
	gen_entry_control(g, ENTRY_LOAD_PERF);
	V(GUEST_PERF_GLOBAL_CTRL) = BIT(gen_below(g, 64));
}

static void pat(struct gen *g)
{
	gen_entry_control(g, ENTRY_LOAD_PAT);
	gen_pat(g, &V(GUEST_PAT));
}

static void efer(struct gen *g)
{
	gen_entry_control(g, ENTRY_LOAD_EFER);
	V(GUEST_EFER) ^= gen_below(g, 4) ?
				 PICK(g, EFER_LME, EFER_LMA, EFER_LME | EFER_LMA, EFER_NXE) :
				 BIT(gen_below(g, 64));
}

static void selector(struct gen *g)
{
	u64 *s = &g->v[VF_GUEST_ES_SELECTOR + gen_below(g, 8)];

	*s = gen_one_in(g, 6) ? gen_below(g, 4) : *s ^ BIT(gen_below(g, gen_below(g, 3) ? 3 : 16));
}

static void segment_base(struct gen *g)
{
	unsigned s = (unsigned)gen_below(g, 8);

	g->v[VF_GUEST_ES_BASE + s] = gen_below(g, 3) ? gen_linear(g) : BIT(gen_below(g, 64));
}

static void limit(struct gen *g)
{
	u64 *l = &g->v[VF_GUEST_ES_LIMIT + gen_below(g, 8)];

	*l = gen_one_in(g, 2) ? ~BIT(gen_below(g, 32)) :
		PICK(g, 0, 0xfff, 0xffff, 0xfffff, 0x100000, 0x100fff, 0xfffff000, 0xffffffff);
}

static void rights(struct gen *g)
{
	u64 *ar = &g->v[VF_GUEST_ES_AR + gen_below(g, 8)];

	switch (gen_below(g, 4)) {
	case 0:
		*ar = (*ar & ~(u64)AR_TYPE) | gen_below(g, 16);
		break;
	case 1:
		*ar = (*ar & ~(u64)AR_DPL) | gen_below(g, 4) << AR_DPL_SHIFT;
		break;
	case 2:
		*ar ^= BIT(gen_below(g, 32));
		break;
	default:
		*ar ^= PICK(g, AR_S, AR_P, AR_L, AR_DB, AR_G, AR_UNUSABLE);
	}
}

/* Privilege of CS, SS and another, in selectors and descriptors. */
static void privilege(struct gen *g)
{
	u64 level = gen_below(g, 4);
	unsigned s = (unsigned)gen_below(g, 6);

	g->v[VF_GUEST_ES_AR + s] = (g->v[VF_GUEST_ES_AR + s] & ~(u64)AR_DPL) |
				   level << AR_DPL_SHIFT;
	if (s > SEG_SS && gen_one_in(g, 4))
		g->v[VF_GUEST_ES_AR + s] |= 11;
	if (gen_one_in(g, 2))
		V(GUEST_SS_AR) = (V(GUEST_SS_AR) & ~(u64)AR_DPL) | level << AR_DPL_SHIFT;
	if (gen_one_in(g, 2))
		V(GUEST_CS_SELECTOR) = (V(GUEST_CS_SELECTOR) & ~3ull) | level;
	if (gen_one_in(g, 2))
		V(GUEST_SS_SELECTOR) = (V(GUEST_SS_SELECTOR) & ~3ull) | level;
	if (gen_one_in(g, 4))
		V(GUEST_CS_AR) ^= 4;
}

static void code_type(struct gen *g)
{
	V(GUEST_CS_AR) = (V(GUEST_CS_AR) & ~(u64)AR_TYPE) | gen_below(g, 16);
	if (gen_one_in(g, 3))
		gen_proc2(g, PROC2_EPT | PROC2_UNRESTRICTED);
}

/* A null selector in SS that is usable all the same, with what else may be wrong with it. */
static void null_stack(struct gen *g)
{
	V(GUEST_SS_SELECTOR) = gen_below(g, 4);
	V(GUEST_SS_AR) ^= gen_one_in(g, 2) ? BIT(gen_below(g, 16)) : 0;
	if (gen_one_in(g, 4))
		V(GUEST_SS_LIMIT) ^= BIT(gen_below(g, 32));
	if (gen_one_in(g, 4))
		V(GUEST_SS_BASE) = gen_linear(g);
}

/* Usable or not, each rule for segments once more. */
static void unusable(struct gen *g)
{
	unsigned s = (unsigned)gen_below(g, 8);

	g->v[VF_GUEST_ES_AR + s] = AR_UNUSABLE | (gen_random(g) & 0xffff);
	if (gen_one_in(g, 2))
		g->v[VF_GUEST_ES_BASE + s] = gen_linear(g);
}

static void ldtr(struct gen *g)
{
	V(GUEST_LDTR_AR) = 0x82;
	switch (gen_below(g, 5)) {
	case 0:
		V(GUEST_LDTR_SELECTOR) ^= BIT(gen_below(g, 4));
		break;
	case 1:
		V(GUEST_LDTR_BASE) = gen_linear(g);
		break;
	case 2:
		V(GUEST_LDTR_LIMIT) = PICK(g, 0, 0xfffff, 0x100000, 0xffffffff);
		V(GUEST_LDTR_AR) ^= gen_one_in(g, 2) ? AR_G : 0;
		break;
	default:
		V(GUEST_LDTR_AR) ^= gen_one_in(g, 3) ? AR_G : BIT(gen_below(g, 32));
	}
}

static void tr(struct gen *g)
{
	switch (gen_below(g, 5)) {
	case 0:
		V(GUEST_TR_AR) = 0x80 | gen_below(g, 32);
		break;
	case 1:
		V(GUEST_TR_BASE) = gen_linear(g);
		break;
	case 2:
		V(GUEST_TR_LIMIT) = PICK(g, 0, 0xfffff, 0x100000, 0xffffffff);
		break;
	default:
		V(GUEST_TR_AR) ^= gen_one_in(g, 3) ? AR_G : BIT(gen_below(g, 32));
	}
}

static void tables(struct gen *g)
{
	u64 *base = gen_one_in(g, 2) ? &V(GUEST_GDTR_BASE) : &V(GUEST_IDTR_BASE);
	u64 *size = gen_one_in(g, 2) ? &V(GUEST_GDTR_LIMIT) : &V(GUEST_IDTR_LIMIT);

	if (gen_one_in(g, 2))
		*base = gen_linear(g);
	else
		*size = PICK(g, 0, 0xffff, 0x10000, BIT(31));
}

static void rip(struct gen *g)
{
	V(GUEST_RIP) = gen_linear(g);
	if (gen_one_in(g, 3))
		V(GUEST_CS_AR) ^= AR_L;
}

static void rflags(struct gen *g)
{
	V(GUEST_RFLAGS) ^= gen_one_in(g, 2) ?
				   PICK(g, RFLAGS_IF, RFLAGS_TF, RFLAGS_VM, RFLAGS_FIXED) :
				   BIT(gen_below(g, gen_one_in(g, 2) ? 24 : 64));
}

static void link(struct gen *g)
{
	u64 page = PICK(g, PAGE(LINK), PAGE(LINK), PAGE(LINK_SHADOW), PAGE(LINK_WRONG), PAGE(VMCS),
			PAGE(VMXON));

	V(VMCS_LINK_POINTER) = gen_one_in(g, 3) ? gen_physical(g, page, GEN_PAGE_SIZE) : page;
	if (page == PAGE(LINK_SHADOW) && gen_one_in(g, 2))
		gen_proc2(g, PROC2_SHADOW_VMCS);
}

static void asleep_and_blocked(struct gen *g)
{
	V(GUEST_ACTIVITY) = gen_below(g, 4);
	V(GUEST_INTERRUPTIBILITY) = gen_below(g, 3);
	V(GUEST_RFLAGS) |= RFLAGS_IF;
	V(ENTRY_INTR_INFO) = 0;
}

static void activity(struct gen *g)
{
	V(GUEST_ACTIVITY) = gen_one_in(g, 8) ? BIT(gen_below(g, 32)) : gen_below(g, 5);
	if (gen_one_in(g, 3))
		V(ENTRY_INTR_INFO) = INTR_VALID | PICK(g,
			INTR_TYPE_EXTERNAL | 0x30, INTR_TYPE_NMI | X86_NMI, INTR_TYPE_OTHER,
			INTR_TYPE_HW_EXCEPTION | X86_DB, INTR_TYPE_HW_EXCEPTION | X86_MC,
			INTR_TYPE_HW_EXCEPTION | X86_UD, INTR_TYPE_SW_INTERRUPT | X86_MC,
			INTR_TYPE_SW_EXCEPTION | X86_BP, INTR_TYPE_EXTERNAL | X86_MC);
	if (gen_one_in(g, 2))
		V(GUEST_RFLAGS) |= RFLAGS_IF;
	V(ENTRY_INSTR_LENGTH) = 1;
}

static void interruptibility(struct gen *g)
{
	V(GUEST_INTERRUPTIBILITY) = gen_one_in(g, 3) ? BIT(gen_below(g, 32)) : gen_below(g, 32);
	if (gen_one_in(g, 2))
		V(GUEST_RFLAGS) |= RFLAGS_IF;
	if (gen_one_in(g, 3))
		V(ENTRY_INTR_INFO) = INTR_VALID |
			PICK(g, INTR_TYPE_EXTERNAL | 0x30, INTR_TYPE_NMI | X86_NMI);
	if (gen_one_in(g, 3))
		gen_pin(g, PIN_NMI | PIN_VIRTUAL_NMI);
}

static void pending_debug(struct gen *g)
{
	V(GUEST_PENDING_DEBUG) = gen_one_in(g, 2) ? BIT(gen_below(g, 64)) :
		gen_random(g) & (BIT(12) | BIT(14) | BIT(16) | 0xf);
	if (gen_one_in(g, 2))
		V(GUEST_RFLAGS) ^= RFLAGS_TF;
	if (gen_one_in(g, 2))
		V(GUEST_INTERRUPTIBILITY) = gen_below(g, 3);
	if (V(GUEST_INTERRUPTIBILITY) & BLOCKED_BY_STI)
		V(GUEST_RFLAGS) |= RFLAGS_IF;
	if (gen_one_in(g, 4))
		V(GUEST_DEBUGCTL) = BIT(1);
}

static void pae(struct gen *g)
{
	V(ENTRY_CONTROLS) &= ~(u64)ENTRY_IA32E;
	V(GUEST_EFER) &= ~(EFER_LME | EFER_LMA);
	V(GUEST_CR0) |= CR0_PE | CR0_PG;
	V(GUEST_CR4) = (V(GUEST_CR4) | CR4_PAE) & ~CR4_PCIDE;
	V(GUEST_RIP) = 0x1000;
}

static void pdptes(struct gen *g)
{
	u64 *entry;

	pae(g);
	gen_proc2(g, PROC2_EPT);
	entry = &g->v[VF_GUEST_PDPTE0 + gen_below(g, 4)];
	*entry = gen_one_in(g, 4) ? PAGE(ZERO) : BIT(gen_below(g, 64));
	*entry |= gen_below(g, 4) ? 1 : 0;
}

static void pdptes_in_memory(struct gen *g)
{
	pae(g);
	V(PROC2_CONTROLS) &= ~(u64)(PROC2_EPT | PROC2_UNRESTRICTED | PROC2_PML | PROC2_VMFUNC |
				    PROC2_MODE_BASED_EXEC | PROC2_SPP);
	V(GUEST_CR3) = PAGE(PDPTES) + gen_below(g, 4096);
}

const gen_mutator gen_guest_mutators[] = {
	cr0, cr0, cr4, cr4, cr3, long_mode, debugctl, dr7, sysenter, perf_global, pat, efer, efer,
	selector, selector, segment_base, segment_base, limit, limit, rights, rights, rights,
	privilege, privilege, code_type, null_stack, unusable, ldtr, tr, tables, rip, rflags,
	rflags, link, link,
	activity, activity, asleep_and_blocked, interruptibility, interruptibility, pending_debug,
	pending_debug,
	pdptes, pdptes_in_memory,
};
const unsigned gen_guest_mutator_count = ARRAY_SIZE(gen_guest_mutators);
