/* See gen_exit.h: what the guest is, and what L1 wants to be told of it. */
#include "gen_exit.h"
#include "gen_state.h"

#define XPAGE(n) (WORLD(SCRATCH) + (PAGE_EXITS + (unsigned)XP_##n) * (u64)GEN_PAGE_SIZE)

/* What L0 does not offer (src/nested/caps.c), and what the host side could not know the end of. */
static void reduce(struct vmx_caps *c)
{
	c->pin.may &= ~PIN_POSTED_INTERRUPTS;
	c->proc2.may &= ~(PROC2_ENCLS | PROC2_ENCLV | PROC2_PML | PROC2_EPT_VE | PROC2_CONCEAL_PT |
			  PROC2_SPP | PROC2_PT_GPA | PROC2_PCONFIG | PROC2_VIRTUAL_INTR);
	c->exit.may &= c->exit.must | EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_ACK_INTERRUPT |
		       EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER |
		       EXIT_SAVE_PREEMPTION;
	c->entry.may &= c->entry.must | ENTRY_LOAD_DEBUG | ENTRY_IA32E | ENTRY_LOAD_PAT |
			ENTRY_LOAD_EFER;
}

static void intercepts(struct gen *g)
{
	u64 r = gen_random(g), s = gen_random(g) & gen_random(g);

	gen_proc(g, (u32)s & (PROC_INVLPG | PROC_MWAIT | PROC_RDPMC | PROC_RDTSC | PROC_CR3_LOAD |
			      PROC_CR3_STORE | PROC_CR8_LOAD | PROC_CR8_STORE | PROC_MOV_DR |
			      PROC_MONITOR | PROC_PAUSE | PROC_HLT | PROC_UNCOND_IO |
			      PROC_IO_BITMAPS | PROC_MSR_BITMAPS));
	V(EXCEPTION_BITMAP) = r & 1 ? 0xffffffff : r & 2 ? gen_random(g) : 0;
	V(PF_ERROR_MASK) = r & 4 ? gen_below(g, 32) : 0;
	V(PF_ERROR_MATCH) = r & 8 ? gen_below(g, 32) : 0;
	V(CR0_MASK) = gen_random(g) & gen_random(g);
	V(CR0_SHADOW) = V(GUEST_CR0) ^ (gen_random(g) & gen_random(g) & gen_random(g));
	V(CR4_MASK) = gen_random(g) & gen_random(g);
	V(CR4_SHADOW) = V(GUEST_CR4) ^ (gen_random(g) & gen_random(g) & gen_random(g));
	V(CR3_TARGET_COUNT) = gen_below(g, 5);
	V(CR3_TARGET0) = V(GUEST_CR3);
	V(CR3_TARGET3) = PAGE(ZERO);
	V(MSR_BITMAP) = PICK(g, PAGE(BITMAP), XPAGE(ONES), XPAGE(MIXED), XPAGE(MIXED));
	V(IO_BITMAP_A) = PICK(g, PAGE(BITMAP), XPAGE(ONES), XPAGE(MIXED));
	V(IO_BITMAP_B) = PICK(g, PAGE(BITMAP), XPAGE(ONES), XPAGE(MIXED));
	V(VMREAD_BITMAP) = PICK(g, XPAGE(ONES), XPAGE(MIXED));
	V(VMWRITE_BITMAP) = PICK(g, XPAGE(ONES), XPAGE(MIXED));
	V(XSS_EXIT_BITMAP) = gen_one_in(g, 2) ? 0 : ~0ull;
	V(TSC_OFFSET) = r;
	V(PREEMPTION_TIMER) = gen_one_in(g, 4) ? gen_below(g, 3) : 1000;
}

/* Exits that no instruction causes. */
static void windows(struct gen *g)
{
	if (gen_one_in(g, 12))
		gen_proc(g, PROC_INTERRUPT_WINDOW);
	if (gen_one_in(g, 12) && gen_pin(g, PIN_NMI | PIN_VIRTUAL_NMI))
		gen_proc(g, PROC_NMI_WINDOW);
	if (gen_one_in(g, 12))
		gen_proc(g, PROC_MTF);
	/* An entry asks for no more than VTPR, or not. */
	if (gen_one_in(g, 3) && (V(PROC_CONTROLS) & PROC_TPR_SHADOW) &&
	    !(V(PROC2_CONTROLS) & PROC2_VIRTUAL_INTR))
		V(TPR_THRESHOLD) = gen_below(g, V(PROC2_CONTROLS) & PROC2_APIC_ACCESS ? 16 : 6);
}

static void lists(struct gen *g)
{
	V(EXIT_MSR_STORE_ADDR) = XPAGE(STORE_LIST);
	V(EXIT_MSR_LOAD_ADDR) = XPAGE(LOAD_LIST);
	V(ENTRY_MSR_LOAD_ADDR) = XPAGE(ENTRY_LIST);
	if (gen_one_in(g, 6))
		V(EXIT_MSR_STORE_COUNT) = 1 + gen_below(g, 8);
	if (gen_one_in(g, 6))
		V(EXIT_MSR_LOAD_COUNT) = 1 + gen_below(g, 6);
	if (gen_one_in(g, 6))
		V(ENTRY_MSR_LOAD_COUNT) = 1 + gen_below(g, 6);
}

/* Linear and guest-physical addresses of gen_exit.h, by the paging that gen_base() chose. */
static void memory(struct gen *g)
{
	bool paging = V(GUEST_CR0) & CR0_PG, pae = V(GUEST_CR4) & CR4_PAE;
	bool ia32e = V(ENTRY_CONTROLS) & ENTRY_IA32E;

	if (V(PROC2_CONTROLS) & PROC2_EPT) {
		V(EPT_POINTER) = XPAGE(EPT) | 3 << 3 |
				 (g->caps.ept_vpid & EPTCAP_WB ? MT_WB : MT_UC);
		if (g->caps.ept_vpid & EPTCAP_AD)
			V(EPT_POINTER) |= gen_random(g) & BIT(6);
	}
	V(GUEST_CR3) = ia32e ? XPAGE(PML4) : pae ? XPAGE(PAE) : XPAGE(PD32);
	if (paging && pae && !ia32e)
		V(GUEST_PDPTE0) = XPAGE(PD) | 1;
	V(GUEST_RIP) = XA_CODE - V(GUEST_CS_BASE);
	V(GUEST_RSP) = XA_STACK - V(GUEST_SS_BASE);
	V(GUEST_CR4) |= gen_random(g) & g->caps.cr4_fixed1 &
			(CR4_TSD | CR4_DE | CR4_PGE | CR4_PCE | CR4_SMXE | CR4_FSGSBASE |
			 CR4_OSXSAVE);
	V(GUEST_GDTR_BASE) = XA_GDT;
	V(GUEST_GDTR_LIMIT) = 0x3f;
	V(GUEST_IDTR_BASE) = XA_IDT;
	V(GUEST_IDTR_LIMIT) = PICK(g, 0, 0x3ff, 0x7ff, 0x7ff);
	/* All fields of 64 bits that an exit saves whole, with something in them. */
	V(GUEST_SYSENTER_CS) = gen_below(g, 0x10000);
	V(GUEST_SYSENTER_ESP) = PICK(g, 0, 0x7000, ~0ull << 47);
	V(GUEST_SYSENTER_EIP) = PICK(g, 0, 0x7000, ~0ull << 40);
	if (V(ENTRY_CONTROLS) & ENTRY_LOAD_DEBUG)	/* the emulator never saves it */
		V(GUEST_DEBUGCTL) = PICK(g, 0, 0, 1, 2);
	V(GUEST_DR7) = DR7_INIT | (gen_random(g) & 0xffff0000);
	if (gen_one_in(g, 2))
		V(GUEST_PAT) ^= PICK(g, BIT(0), BIT(8), BIT(32), BIT(58));
}

static void events(struct gen *g)
{
	V(ENTRY_INTR_INFO) = 0;
	if (gen_one_in(g, 4)) {
		gen_event(g);
		if ((V(ENTRY_INTR_INFO) & INTR_TYPE) == INTR_TYPE_OTHER &&
		    !(g->caps.proc.may & PROC_MTF))
			V(ENTRY_INTR_INFO) = 0;
		return;
	}
	if (gen_one_in(g, 10)) {
		V(GUEST_INTERRUPTIBILITY) = PICK(g, BLOCKED_BY_STI, BLOCKED_BY_MOV_SS,
						 BLOCKED_BY_NMI);
		V(GUEST_RFLAGS) |= RFLAGS_IF;
		return;
	}
	if (gen_one_in(g, 10))
		V(GUEST_RFLAGS) |= RFLAGS_TF;
	else if (gen_one_in(g, 10))
		V(GUEST_PENDING_DEBUG) = PICK(g, 1 | BIT(12), 3 | BIT(12), BIT(14), 1);
}

/* What L1 finds when it is back, and may look at without harm. */
static void host(struct gen *g)
{
	V(HOST_SYSENTER_CS) = gen_below(g, 0x10000);
	V(HOST_SYSENTER_ESP) = PICK(g, 0, 0x1000, ~0ull << 47);
	V(HOST_SYSENTER_EIP) = PICK(g, 0, BIT(47) - 1, ~0ull);
	V(HOST_FS_BASE) = PICK(g, 0, 0x123000, ~0ull << 40);
	V(HOST_GS_BASE) = PICK(g, 0, 0x456000, ~0ull << 39);
	V(HOST_FS_SELECTOR) = PICK(g, 0, WORLD(SS));
	V(HOST_GS_SELECTOR) = PICK(g, 0, WORLD(SS));
	V(HOST_DS_SELECTOR) = PICK(g, 0, WORLD(SS));
	V(HOST_CR0) ^= gen_random(g) & (CR0_WP | CR0_AM | CR0_MP);
	V(HOST_CR4) ^= gen_random(g) & (CR4_DE | CR4_TSD | CR4_PGE | CR4_OSFXSR);
	V(HOST_CR3) = PICK(g, WORLD(CR3), WORLD(CR3_OTHER), WORLD(CR3) | 0x18);
	V(HOST_EFER) ^= gen_random(g) & (EFER_SCE | EFER_NXE);
	V(HOST_PAT) ^= PICK(g, 0, BIT(0), BIT(8), BIT(32), BIT(58));
}

/* An entry that fails, each way: guest, event and launch state must be as they were. */
static void fail(struct gen *g)
{
	switch (gen_below(g, 7)) {
	case 0:
		V(PIN_CONTROLS) &= ~BIT(1);
		break;
	case 1:
		V(HOST_CR0) &= ~CR0_NE;
		break;
	case 2:
		V(HOST_TR_SELECTOR) = 0;
		break;
	case 3:
		V(GUEST_RFLAGS) |= BIT(3);
		break;
	case 4:
		V(GUEST_TR_AR) |= AR_UNUSABLE;
		break;
	case 5:
		V(VMCS_LINK_POINTER) = PAGE(LINK_WRONG);
		break;
	default:
		V(ENTRY_MSR_LOAD_ADDR) = PAGE(MSRS_BAD);
		V(ENTRY_MSR_LOAD_COUNT) = 1;
	}
}

void gen_exit_vector(const struct gen_world *world, uint64_t seed, uint64_t number, uint64_t *v,
		     struct exit_vector *x)
{
	struct gen_world here = *world;
	struct gen generator = { .world = &here, .v = v }, *g = &generator;

	here.w[W_RIP32] = 0;	/* the runner has no way to look at itself in 32-bit mode */
	gen_seed(g, seed, number);
	gen_caps(world, &g->caps);
	reduce(&g->caps);
	*x = (struct exit_vector){ 0 };
	for (unsigned i = 0; i < VF_COUNT; i++)
		v[i] = 0;
	gen_base(g);
	memory(g);
	intercepts(g);
	windows(g);
	lists(g);
	events(g);
	host(g);
	if (gen_one_in(g, 10))
		fail(g);
	gen_exit_code(g, x);
	x->pat01 = WORLD(PAT) ^ PICK(g, 0, BIT(0), BIT(10));
	x->dr7_01 = DR7_INIT | (gen_random(g) & 0xffff0000);
	gen_trim(g);
}

uint32_t gen_exit_sum(uint32_t sum, const struct exit_vector *x)
{
	const u64 parts[] = { x->rax, x->rcx, x->rdx, x->rbx, x->rdi, x->pat01, x->dr7_01 };
	u64 s = sum;

	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
		s = gen_mix(s, parts[i]);
	for (unsigned i = 0; i < EXIT_CODE_BYTES; i++)
		s = gen_mix(s, x->code[i]);
	return (u32)s;
}
