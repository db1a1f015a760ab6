/*
 * States that pass every entry check, for tests to break: a virtual CPU that
 * has every feature of vmx.h, and vmcs12s for it.
 */
#pragma once

#include "engine_ops.h"
#include "nested/check_run.h"

enum state_base {
	B64,		/* 64-bit guest, EPT, nothing else */
	FULL,		/* the same with every feature used that goes together */
	B32,		/* 32-bit PAE guest, EPT */
	B32_MEMORY,	/* 32-bit PAE guest without EPT: PDPTEs in memory */
	REAL,		/* real mode, unrestricted guest */
	V86,		/* virtual-8086 mode */
	HOST32,		/* 32-bit guest of a 32-bit L1 */
	BASES,
};

#define REVISION 0x504c5301ull
#define PHYS_WIDTH 40
#define TOO_HIGH BIT(PHYS_WIDTH)
#define NOT_CANONICAL BIT(47)

#define VAPIC_PAGE 0x5000ull	/* VTPR is 50H */
#define LINK_PAGE 0x6000ull
#define PDPT 0x7020ull
#define STATE_RAM 0x10000ull

struct state {
	struct check_env e;
	struct vmx_caps caps;
	u64 v[VF_COUNT];
	struct vm vm;
};

#define EXIT_CLEAR_RTIT_BIT BIT32(25)
#define ENTRY_LOAD_RTIT_BIT BIT32(18)

static inline struct vmx_caps state_caps(void)
{
	return (struct vmx_caps){
		.basic = REVISION | PAGE_SIZE << 32 | BASIC_INS_OUTS | BASIC_TRUE,
		.misc = 0x600401e0, .vmfunc = 1,
		.ept_vpid = EPTCAP_EXEC_ONLY | EPTCAP_WALK4 | EPTCAP_UC | EPTCAP_WB | EPTCAP_AD,
		.cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG, .cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = CR4_VMXE, .cr4_fixed1 = 0x00f727ff,
		.pin = { 0x16, 0xff }, .proc = { 0x04006172, 0xfff9fffe },
		.proc2 = { 0, 0x1fdfffff }, .exit = { 0x00036dfb, 0x03ffffff },
		.entry = { 0x000011fb, 0x0007ffff },
		.maxphyaddr = PHYS_WIDTH, .long_mode = true, .pg_1g = true,
	};
}

#define S(name) (t->v[VF_##name])

static inline void state_segments(struct state *t, u32 cs_ar, u32 data_ar, u64 limit)
{
	unsigned s;

	for (s = SEG_ES; s <= SEG_GS; s++) {
		t->v[VF_GUEST_ES_SELECTOR + s] = s == SEG_CS ? 0x10 : 0x18;
		t->v[VF_GUEST_ES_LIMIT + s] = limit;
		t->v[VF_GUEST_ES_AR + s] = s == SEG_CS ? cs_ar : data_ar;
	}
	S(GUEST_LDTR_SELECTOR) = 0x28;
	S(GUEST_LDTR_LIMIT) = 0xffff;
	S(GUEST_LDTR_AR) = 0x82;
	S(GUEST_TR_SELECTOR) = 0x30;
	S(GUEST_TR_LIMIT) = 0x67;
	S(GUEST_TR_AR) = 0x8b;
	S(GUEST_GDTR_LIMIT) = S(GUEST_IDTR_LIMIT) = 0xffff;
}

static inline void state_host(struct state *t)
{
	unsigned i;

	S(EXIT_CONTROLS) = 0x00036dfb | EXIT_HOST_64;
	S(HOST_CR0) = CR0_PE | CR0_NE | CR0_WP | CR0_PG;
	S(HOST_CR3) = 0x3000;
	S(HOST_CR4) = CR4_PAE | CR4_VMXE;
	S(HOST_RIP) = 0xffffffff80001000;
	for (i = VF_HOST_ES_SELECTOR; i <= VF_HOST_TR_SELECTOR; i++)
		t->v[i] = 8 * (1 + i - VF_HOST_ES_SELECTOR);
	t->e.lma = true;
}

static inline void state_64(struct state *t)
{
	state_host(t);
	S(PIN_CONTROLS) = 0x16;
	S(PROC_CONTROLS) = 0x04006172 | PROC_SECONDARY;
	S(PROC2_CONTROLS) = PROC2_EPT;
	S(EPT_POINTER) = 0x2000 | 3 << 3 | MT_WB;
	S(ENTRY_CONTROLS) = 0x000011fb | ENTRY_IA32E;
	S(VMCS_LINK_POINTER) = ~0ull;
	S(GUEST_CR0) = CR0_PE | CR0_NE | CR0_WP | CR0_PG;
	S(GUEST_CR3) = 0x1000;
	S(GUEST_CR4) = CR4_PAE | CR4_VMXE;
	S(GUEST_RIP) = 0xffffffff81000000;
	S(GUEST_RFLAGS) = RFLAGS_FIXED | RFLAGS_IF;
	state_segments(t, 0xa09b, 0xc093, 0xffffffff);
}

static inline void state_32(struct state *t)
{
	state_64(t);
	S(ENTRY_CONTROLS) &= ~(u64)ENTRY_IA32E;
	S(GUEST_RIP) = 0x1000;
	S(GUEST_PDPTE0) = 0x8001;
	state_segments(t, 0xc09b, 0xc093, 0xffffffff);
}

static inline void state_real(struct state *t)
{
	state_32(t);
	S(PROC2_CONTROLS) |= PROC2_UNRESTRICTED;
	S(GUEST_CR0) = CR0_NE;
	state_segments(t, 0x9b, 0x93, 0xffff);
}

static inline void state_v86(struct state *t)
{
	unsigned s;

	state_32(t);
	S(GUEST_RFLAGS) |= RFLAGS_VM;
	state_segments(t, 0xf3, 0xf3, 0xffff);
	for (s = SEG_ES; s <= SEG_GS; s++)
		t->v[VF_GUEST_ES_BASE + s] = t->v[VF_GUEST_ES_SELECTOR + s] << 4;
}

static inline void state_full_controls(struct state *t)
{
	S(PIN_CONTROLS) = 0xff;
	S(PROC_CONTROLS) |= PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_TPR_SHADOW |
			    PROC_NMI_WINDOW;
	S(PROC2_CONTROLS) = PROC2_EPT | PROC2_VPID | PROC2_APIC_ACCESS | PROC2_APIC_REGISTER |
			    PROC2_VIRTUAL_INTR | PROC2_VMFUNC | PROC2_SHADOW_VMCS |
			    PROC2_PML | PROC2_EPT_VE | PROC2_MODE_BASED_EXEC | PROC2_SPP |
			    PROC2_PT_GPA | PROC2_TSC_SCALING;
	S(EXIT_CONTROLS) |= EXIT_LOAD_PERF | EXIT_ACK_INTERRUPT | EXIT_LOAD_PAT |
			    EXIT_LOAD_EFER | EXIT_SAVE_PREEMPTION | EXIT_CLEAR_RTIT_BIT;
	S(ENTRY_CONTROLS) |= ENTRY_LOAD_DEBUG | ENTRY_LOAD_PERF | ENTRY_LOAD_PAT |
			     ENTRY_LOAD_EFER | ENTRY_LOAD_RTIT_BIT;
	S(CR3_TARGET_COUNT) = 4;
	S(VPID) = 1;
	S(POSTED_INTR_VECTOR) = 0xf2;
	S(VMFUNC_CONTROLS) = 1;
	S(TSC_MULTIPLIER) = BIT(48);
	S(EXIT_MSR_STORE_COUNT) = S(EXIT_MSR_LOAD_COUNT) = S(ENTRY_MSR_LOAD_COUNT) = 3;
	S(EPT_POINTER) |= BIT(6);
}

static inline void state_full(struct state *t)
{
	static const u16 pages[] = {
		VF_IO_BITMAP_A, VF_IO_BITMAP_B, VF_MSR_BITMAP, VF_EXIT_MSR_STORE_ADDR,
		VF_EXIT_MSR_LOAD_ADDR, VF_ENTRY_MSR_LOAD_ADDR, VF_PML_ADDRESS,
		VF_APIC_ACCESS_ADDR, VF_POSTED_INTR_DESC, VF_EPTP_LIST, VF_VMREAD_BITMAP,
		VF_VMWRITE_BITMAP, VF_VE_INFO_ADDR, VF_SPP_TABLE,
	};
	unsigned i;

	state_64(t);
	state_full_controls(t);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		t->v[pages[i]] = 0x100000 + i * PAGE_SIZE;
	S(VIRTUAL_APIC_ADDR) = VAPIC_PAGE;
	S(VMCS_LINK_POINTER) = LINK_PAGE;
	S(HOST_PAT) = S(GUEST_PAT) = 0x0007040600070406;
	S(HOST_EFER) = S(GUEST_EFER) = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	S(HOST_PERF_GLOBAL_CTRL) = S(GUEST_PERF_GLOBAL_CTRL) = 0xf;
	S(GUEST_DR7) = DR7_INIT;
	t->e.perf_global = 0x70000000full;
	t->caps.sgx = t->caps.rtm = t->caps.bus_lock = true;
}

static inline void state_host_32(struct state *t)
{
	state_32(t);
	S(EXIT_CONTROLS) &= ~(u64)EXIT_HOST_64;
	S(HOST_RIP) = 0x1000;
	t->e.lma = false;
}

/* The one memory of all states: nothing writes it but this. */
static inline void state_memory(struct host_memory *m)
{
	u32 revision = (u32)REVISION | VMCS_SHADOW_INDICATOR;
	u64 pdpte = 0x8001;

	host_memory_init(m, STATE_RAM, 0, 0);
	m->ram[VAPIC_PAGE + 0x80] = 0x50;
	memcpy(m->ram + LINK_PAGE, &revision, sizeof(revision));
	memcpy(m->ram + PDPT, &pdpte, sizeof(pdpte));
}

static inline void state_init(struct state *t, enum state_base base, const struct host_memory *m)
{
	static void (*const make[])(struct state *) = {
		[B64] = state_64, [FULL] = state_full, [B32] = state_32, [B32_MEMORY] = state_32,
		[REAL] = state_real, [V86] = state_v86, [HOST32] = state_host_32,
	};

	*t = (struct state){ .caps = state_caps(), .vm.memory = *m };
	t->e = (struct check_env){ .vm = &t->vm, .caps = &t->caps, .v = t->v, .vmptr = 0x9000 };
	make[base](t);
	if (base == B32_MEMORY) {
		S(PROC2_CONTROLS) = 0;
		S(GUEST_CR3) = PDPT;
		S(GUEST_PDPTE0) = 0;
	}
}

/* All checks of a VM entry; false: *f says why not. */
static inline bool state_check(const struct state *t, struct check_failure *f)
{
	return nested_check_controls(&t->e, f) && nested_check_host(&t->e, f) &&
	       nested_check_guest(&t->e, f);
}
