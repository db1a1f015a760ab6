/*
 * A vmcs12 of random controls, bitmaps and masks that a VM entry accepts: for
 * properties that hold of every vmcs12. The pages that the controls name are
 * L1's, and each has its own.
 */
#pragma once

#include "engine_fixture.h"

#define RANDOM_VMREAD_PAGE FX_PAGE(9)
#define RANDOM_VMWRITE_PAGE FX_PAGE(10)
#define RANDOM_EPTP_LIST FX_PAGE(12)

static const struct { u8 field; u64 at; } random_pages[] = {
	{ VF_MSR_BITMAP, FX_PAGE(3) }, { VF_IO_BITMAP_A, FX_PAGE(4) },
	{ VF_IO_BITMAP_B, FX_PAGE(5) }, { VF_VMREAD_BITMAP, RANDOM_VMREAD_PAGE },
	{ VF_VMWRITE_BITMAP, RANDOM_VMWRITE_PAGE }, { VF_APIC_ACCESS_ADDR, FX_PAGE(6) },
	{ VF_POSTED_INTR_DESC, FX_PAGE(7) }, { VF_PML_ADDRESS, FX_PAGE(8) },
	{ VF_EPTP_LIST, RANDOM_EPTP_LIST }, { VF_VE_INFO_ADDR, FX_PAGE(11) },
	{ VF_VIRTUAL_APIC_ADDR, VAPIC_PAGE },
};

/* Fields whose every value is good. */
static const u8 random_free[] = {
	VF_EXCEPTION_BITMAP, VF_CR0_MASK, VF_CR0_SHADOW, VF_CR4_MASK, VF_CR4_SHADOW,
	VF_CR3_TARGET0, VF_CR3_TARGET1, VF_CR3_TARGET2, VF_CR3_TARGET3, VF_EOI_EXIT_BITMAP0,
	VF_EOI_EXIT_BITMAP1, VF_EOI_EXIT_BITMAP2, VF_EOI_EXIT_BITMAP3, VF_XSS_EXIT_BITMAP,
	VF_TSC_OFFSET, VF_PLE_GAP, VF_PLE_WINDOW, VF_PREEMPTION_TIMER,
};

/* Some of a page's bytes; none, or few: then few things exit. */
static inline void random_bitmap(struct fx *f, u8 *page)
{
	u64 density = 2 + fx_below(f, 8);

	for (unsigned i = 0; i < PAGE_SIZE; i++)
		page[i] = fx_below(f, density) ? 0 : (u8)fx_random(f);
}

/* L1's pages for its bitmaps. */
static inline void random_bitmaps(struct fx *f)
{
	u8 page[PAGE_SIZE];

	for (unsigned i = 0; i < 5; i++) {
		random_bitmap(f, page);
		fx_l1_writes(f, random_pages[i].at, page, sizeof(page));
	}
}

static inline u32 random_controls(struct fx *f, struct vmx_allowed a, u64 now, u32 keep)
{
	u32 flip = (u32)fx_random(f) & a.may & ~a.must & ~keep;

	return (u32)now ^ (fx_below(f, 3) ? flip : flip & (u32)fx_random(f));
}

/* SDM 3C "Checks on VMX Controls": controls that need others lose what they cannot have. */
static inline void random_repair(u32 *pin, u32 *proc, u32 *proc2, u32 *exit)
{
	if (!(*proc & PROC_SECONDARY))
		*proc2 = 0;
	if (!(*pin & PIN_NMI))
		*pin &= ~PIN_VIRTUAL_NMI;
	if (!(*pin & PIN_VIRTUAL_NMI))
		*proc &= ~PROC_NMI_WINDOW;
	if (!(*pin & PIN_PREEMPTION_TIMER))
		*exit &= ~EXIT_SAVE_PREEMPTION;
	if (!(*proc & PROC_TPR_SHADOW))
		*proc2 &= ~(PROC2_X2APIC_MODE | PROC2_APIC_REGISTER | PROC2_VIRTUAL_INTR);
	if (*proc2 & PROC2_X2APIC_MODE)
		*proc2 &= ~PROC2_APIC_ACCESS;
	if (!(*pin & PIN_EXTERNAL_INTERRUPT))
		*proc2 &= ~PROC2_VIRTUAL_INTR;
	if (!(*proc2 & PROC2_VIRTUAL_INTR) || !(*exit & EXIT_ACK_INTERRUPT))
		*pin &= ~PIN_POSTED_INTERRUPTS;
}

static inline void random_write(struct fx *f, unsigned i, u64 value)
{
	if (field_test(&f->n.exists, i))
		fx_vmwrite(f, i, value);
}

static inline void random_write_controls(struct fx *f)
{
	const struct vmx_caps *c = &f->n.caps;
	u32 pin = random_controls(f, c->pin, FX12_READ(f, PIN_CONTROLS), 0);
	u32 proc = random_controls(f, c->proc, FX12_READ(f, PROC_CONTROLS),
				   fx_below(f, 8) ? PROC_SECONDARY : 0);
	u32 proc2 = random_controls(f, c->proc2, FX12_READ(f, PROC2_CONTROLS),
				    PROC2_EPT | PROC2_UNRESTRICTED);
	u32 exit = random_controls(f, c->exit, FX12_READ(f, EXIT_CONTROLS), EXIT_HOST_64);
	u32 entry = random_controls(f, c->entry, FX12_READ(f, ENTRY_CONTROLS), ENTRY_IA32E);

	random_repair(&pin, &proc, &proc2, &exit);
	random_write(f, VF_PIN_CONTROLS, pin);
	random_write(f, VF_PROC_CONTROLS, proc);
	random_write(f, VF_PROC2_CONTROLS, proc2);
	random_write(f, VF_EXIT_CONTROLS, exit);
	random_write(f, VF_ENTRY_CONTROLS, entry);
}

/* The current VMCS; the state beside the controls is that of the base. */
static inline void random_vmcs12(struct fx *f, enum state_base base)
{
	fx_load_state(f, base);
	for (unsigned i = 0; i < ARRAY_SIZE(random_pages); i++)
		random_write(f, random_pages[i].field, random_pages[i].at);
	for (unsigned i = 0; i < ARRAY_SIZE(random_free); i++)
		random_write(f, random_free[i], fx_random(f));
	random_write(f, VF_PF_ERROR_MASK, fx_random(f) & 3);
	random_write(f, VF_PF_ERROR_MATCH, fx_random(f) & 3);
	random_write(f, VF_CR3_TARGET_COUNT, fx_below(f, 5));
	random_write(f, VF_TPR_THRESHOLD, fx_below(f, 6));	/* VTPR is 50H */
	random_write(f, VF_VMFUNC_CONTROLS, fx_random(f) & f->n.caps.vmfunc);
	random_write(f, VF_VPID, 1 + fx_below(f, 3));
	random_write(f, VF_TSC_MULTIPLIER, BIT(48));
	random_write(f, VF_PML_INDEX, fx_below(f, PML_ENTRIES));
	random_write_controls(f);
}
