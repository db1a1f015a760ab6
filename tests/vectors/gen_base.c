/*
 * Valid states to start from: kinds of guest, with few controls or with many
 * that go together. Every address field is good whether it is used or not, so
 * that a control alone makes a rule apply.
 */
#include "gen_state.h"

enum guest_kind { LONG64, LONG_COMPAT, LONG_USER, PROTECTED, PAE, UNPAGED, REAL, V86, KINDS };

static void addresses(struct gen *g)
{
	V(IO_BITMAP_A) = V(IO_BITMAP_B) = V(MSR_BITMAP) = PAGE(BITMAP);
	V(VMREAD_BITMAP) = V(VMWRITE_BITMAP) = V(EPTP_LIST) = V(SPP_TABLE) = PAGE(BITMAP);
	V(VE_INFO_ADDR) = PAGE(VE);
	V(VIRTUAL_APIC_ADDR) = PAGE(VAPIC);
	V(APIC_ACCESS_ADDR) = PAGE(APIC);
	V(POSTED_INTR_DESC) = PAGE(POSTED);
	V(PML_ADDRESS) = PAGE(PML);
	V(EXIT_MSR_STORE_ADDR) = V(EXIT_MSR_LOAD_ADDR) = V(ENTRY_MSR_LOAD_ADDR) = PAGE(MSRS);
	V(VMCS_LINK_POINTER) = ~0ull;
	V(EPT_POINTER) = PAGE(ZERO) | 3 << 3 | (g->caps.ept_vpid & EPTCAP_WB ? MT_WB : MT_UC);
	V(TSC_MULTIPLIER) = BIT(48);
	V(VPID) = 1;
	V(POSTED_INTR_VECTOR) = 0xf2;
}

static void host(struct gen *g)
{
	V(EXIT_CONTROLS) = g->caps.exit.must | EXIT_HOST_64;
	V(HOST_CR0) = WORLD(CR0);
	V(HOST_CR3) = WORLD(CR3);
	V(HOST_CR4) = WORLD(CR4);
	V(HOST_EFER) = WORLD(EFER);
	V(HOST_PAT) = V(GUEST_PAT) = WORLD(PAT);
	V(HOST_CS_SELECTOR) = WORLD(CS);
	V(HOST_SS_SELECTOR) = V(HOST_DS_SELECTOR) = V(HOST_ES_SELECTOR) = WORLD(SS);
	V(HOST_TR_SELECTOR) = WORLD(TR);
	V(HOST_TR_BASE) = WORLD(TSS);
	V(HOST_GDTR_BASE) = WORLD(GDT);
	V(HOST_IDTR_BASE) = WORLD(IDT);
	V(HOST_RIP) = WORLD(RIP);
	V(HOST_RSP) = WORLD(RSP);
}

/* A 32-bit L1, where the machine can be one: no 64-bit guest either. */
static void host_32(struct gen *g)
{
	g->host32 = true;
	V(EXIT_CONTROLS) &= ~(u64)EXIT_HOST_64;
	V(ENTRY_CONTROLS) &= ~(u64)ENTRY_IA32E;
	V(HOST_EFER) &= ~(EFER_LME | EFER_LMA);
	V(HOST_CS_SELECTOR) = WORLD(CS32);
	V(HOST_CR3) = WORLD(CR3_32);
	V(HOST_RIP) = WORLD(RIP32);
}

static void segments(struct gen *g, u32 cs_ar, u32 data_ar, u64 limit, u64 rpl)
{
	for (unsigned s = SEG_ES; s <= SEG_GS; s++) {
		g->v[VF_GUEST_ES_SELECTOR + s] = (s == SEG_CS ? 0x10 : 0x18) | rpl;
		g->v[VF_GUEST_ES_LIMIT + s] = limit;
		g->v[VF_GUEST_ES_AR + s] = (s == SEG_CS ? cs_ar : data_ar) |
					   (u32)rpl << AR_DPL_SHIFT;
	}
	V(GUEST_LDTR_SELECTOR) = 0x28;
	V(GUEST_LDTR_LIMIT) = 0xffff;
	V(GUEST_LDTR_AR) = gen_one_in(g, 2) ? 0x82 : 0x82 | AR_UNUSABLE;
	V(GUEST_TR_SELECTOR) = 0x30;
	V(GUEST_TR_LIMIT) = 0x67;
	V(GUEST_TR_AR) = 0x8b;
}

static void v86(struct gen *g)
{
	V(GUEST_RFLAGS) |= RFLAGS_VM;
	segments(g, 0xf3, 0xf3, 0xffff, 0);
	for (unsigned s = SEG_ES; s <= SEG_GS; s++)
		g->v[VF_GUEST_ES_BASE + s] = g->v[VF_GUEST_ES_SELECTOR + s] << 4;
}

static void long_mode(struct gen *g, enum guest_kind kind)
{
	V(ENTRY_CONTROLS) |= ENTRY_IA32E;
	V(GUEST_EFER) = EFER_LME | EFER_LMA;
	V(GUEST_CR4) |= CR4_PAE;
	segments(g, kind == LONG_COMPAT ? 0xc09b : 0xa09b, 0xc093, 0xffffffff,
		 kind == LONG_USER ? 3 : 0);
	if (kind != LONG_COMPAT)
		V(GUEST_RIP) = gen_one_in(g, 2) ? 0xffffffff81000000 : 0x1000;
}

static void guest(struct gen *g, enum guest_kind kind)
{
	V(GUEST_CR0) = WORLD(CR0_FIXED0) | CR0_PE | CR0_PG | CR0_NE | (gen_random(g) & CR0_WP);
	V(GUEST_CR3) = PAGE(ZERO);
	V(GUEST_CR4) = WORLD(CR4_FIXED0);
	V(GUEST_RFLAGS) = RFLAGS_FIXED | (gen_random(g) & RFLAGS_IF);
	V(GUEST_DR7) = DR7_INIT;
	V(GUEST_RIP) = 0x1000;
	V(GUEST_GDTR_LIMIT) = 0xffff;	/* IDTR: none, so that no event gets far */
	segments(g, 0xc09b, 0xc093, 0xffffffff, kind == PROTECTED ? gen_random(g) & 3 : 0);
	switch (kind) {
	case LONG64:
	case LONG_COMPAT:
	case LONG_USER:
		long_mode(g, kind);
		break;
	case PAE:
		V(GUEST_CR4) |= CR4_PAE;
		V(GUEST_PDPTE0) = PAGE(ZERO) | 1;
		break;
	case UNPAGED:
		V(GUEST_CR0) &= ~CR0_PG;
		break;
	case REAL:
		V(GUEST_CR0) &= ~(CR0_PG | CR0_PE);
		segments(g, gen_one_in(g, 2) ? 0x93 : 0x9b, 0x93, 0xffff, 0);
		break;
	case V86:
		v86(g);
		break;
	default:
		break;
	}
}

/* Controls that do not depend on another, and those that do with what they need. */
static void many_controls(struct gen *g)
{
	u64 r = gen_random(g);

	gen_pin(g, (u32)r & (PIN_EXTERNAL_INTERRUPT | PIN_PREEMPTION_TIMER));
	if (r & BIT(40))
		gen_pin(g, PIN_NMI | (r & BIT(41) ? PIN_VIRTUAL_NMI : 0));
	gen_proc(g, (u32)(r >> 8) & (PROC_TSC_OFFSET | PROC_IO_BITMAPS | PROC_UNCOND_IO |
				     PROC_MSR_BITMAPS | PROC_HLT | PROC_TPR_SHADOW));
	gen_proc2(g, (u32)(r >> 20) & (PROC2_DESCRIPTOR_TABLE | PROC2_RDTSCP | PROC2_VPID |
				       PROC2_WBINVD | PROC2_PLE | PROC2_RDRAND | PROC2_INVPCID |
				       PROC2_SHADOW_VMCS | PROC2_RDSEED | PROC2_EPT_VE |
				       PROC2_XSAVES | PROC2_TSC_SCALING | PROC2_APIC_ACCESS));
	gen_exit(g, (u32)(r >> 13) &
			    (EXIT_SAVE_DEBUG | EXIT_ACK_INTERRUPT | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
			     EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_LOAD_PERF));
	gen_entry_control(g, (u32)(r >> 27) & (ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER |
					       ENTRY_LOAD_PERF));
	if (V(PIN_CONTROLS) & PIN_PREEMPTION_TIMER)
		gen_exit(g, (u32)(r >> 30) & EXIT_SAVE_PREEMPTION);
	if ((V(PROC_CONTROLS) & PROC_TPR_SHADOW) && (V(PIN_CONTROLS) & PIN_EXTERNAL_INTERRUPT))
		gen_proc2(g, (u32)(r >> 15) & (PROC2_VIRTUAL_INTR | PROC2_APIC_REGISTER));
	if (V(PROC2_CONTROLS) & PROC2_EPT)
		gen_proc2(g, (u32)r & (PROC2_UNRESTRICTED | PROC2_PML | PROC2_VMFUNC));
	if (V(PROC2_CONTROLS) & PROC2_VMFUNC)
		V(VMFUNC_CONTROLS) = g->caps.vmfunc & 1;
	if ((V(PROC2_CONTROLS) & PROC2_VIRTUAL_INTR) && (V(EXIT_CONTROLS) & EXIT_ACK_INTERRUPT))
		gen_pin(g, (u32)(r >> 3) & PIN_POSTED_INTERRUPTS);
}

void gen_base(struct gen *g)
{
	enum guest_kind kind = (enum guest_kind)gen_below(g, KINDS);
	bool need_ept = kind == UNPAGED || kind == REAL;

	addresses(g);
	host(g);
	V(PIN_CONTROLS) = g->caps.pin.must;
	V(PROC_CONTROLS) = g->caps.proc.must;
	V(PROC2_CONTROLS) = g->caps.proc2.must;
	V(ENTRY_CONTROLS) = g->caps.entry.must;
	if (need_ept && !gen_proc2(g, PROC2_EPT | PROC2_UNRESTRICTED))
		kind = LONG64;
	else if (gen_below(g, 4))
		gen_proc2(g, PROC2_EPT);
	guest(g, kind);
	if (gen_one_in(g, 2))
		many_controls(g);
	if (gen_one_in(g, 8))
		gen_event(g);
	if (WORLD(RIP32) && !(V(ENTRY_CONTROLS) & ENTRY_IA32E) && gen_one_in(g, 4))
		host_32(g);
}
