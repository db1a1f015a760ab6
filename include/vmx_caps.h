/*
 * VMX capabilities of a CPU, real or virtual: the contents of the capability
 * MSRs, reduced to one form. L1's are computed from the hardware's once.
 */
#pragma once

#include "vmx.h"
#include "x86.h"

/* A pair of a control capability MSR: bits that must be 1, bits that may be 1. */
struct vmx_allowed {
	u32 must;	/* "allowed 0-settings": 1 = the control is always 1 */
	u32 may;	/* "allowed 1-settings": 0 = the control is always 0 */
};

struct vmx_caps {
	u64 basic, misc, vmcs_enum, ept_vpid, vmfunc;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	struct vmx_allowed pin, proc, proc2, exit, entry;	/* TRUE MSRs where present */
	u8 maxphyaddr;	/* CPUID 80000008H */
	bool long_mode, pg_1g;
	bool sgx, rtm, bus_lock;	/* there, with what it adds to the guest state: CPUID 7 */
};

/*
 * Where a VMCS keeps what a processor without EPT has no field for: in fields
 * that it has and that L0 has no use for there. An MSR list's address means
 * nothing while its count is 0; CR3 targets nothing while theirs is.
 */
struct vmx_places {
	u32 cr3;	/* the guest's own; GUEST_CR3 is that of the shadow tables then */
	u32 efer, pat;
	u32 pdpte;	/* the first of four */
};

static inline struct vmx_places vmx_places_of(const struct vmx_caps *hw)
{
	if (hw->proc2.may & PROC2_EPT)
		return (struct vmx_places){
			.cr3 = VMCS_GUEST_CR3, .efer = VMCS_GUEST_EFER, .pat = VMCS_GUEST_PAT,
			.pdpte = VMCS_GUEST_PDPTE0,
		};
	return (struct vmx_places){
		.cr3 = VMCS_EXIT_MSR_STORE_ADDR, .efer = VMCS_EXIT_MSR_LOAD_ADDR,
		.pat = VMCS_ENTRY_MSR_LOAD_ADDR, .pdpte = VMCS_CR3_TARGET0,
	};
}

/* A guest whose page tables L0 shadows cannot have these, nor CPUID (cpuid.def) say so. */
#define CR4_UNSHADOWED (CR4_LA57 | CR4_PCIDE | CR4_PKE | CR4_PKS | CR4_CET)

/*
 * Takes away what is no use without EPT, or is not made use of: the first
 * processors with VMX had no VPID either, nor EFER and PAT in the VMCS.
 */
static inline void vmx_caps_without_ept(struct vmx_caps *c)
{
	c->proc2.may &= ~(PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED | PROC2_INVPCID |
			  PROC2_VMFUNC | PROC2_PML | PROC2_EPT_VE | PROC2_MODE_BASED_EXEC |
			  PROC2_SPP);
	c->ept_vpid = 0;
	c->vmfunc = 0;
	c->entry.may &= ~(ENTRY_LOAD_EFER | ENTRY_LOAD_PAT);
	c->exit.may &= ~(EXIT_LOAD_EFER | EXIT_SAVE_EFER | EXIT_LOAD_PAT | EXIT_SAVE_PAT);
	c->cr4_fixed1 &= ~CR4_UNSHADOWED;
}

/* Which fields of enum vmcs_exists classes such a CPU has, as a bit mask. */
static inline u32 vmx_caps_exists(const struct vmx_caps *c)
{
	u32 proc = c->proc.may;
	u32 proc2 = proc & PROC_SECONDARY ? c->proc2.may : 0;
	u32 m = BIT32(EXISTS_ALWAYS);

#define HAS(cond, what) (m |= (cond) ? BIT32(EXISTS_##what) : 0)
	HAS(proc & PROC_SECONDARY, SECONDARY);
	HAS(proc & PROC_MSR_BITMAPS, MSR_BITMAP);
	HAS(proc & PROC_TPR_SHADOW, TPR_SHADOW);
	HAS(proc2 & PROC2_APIC_ACCESS, APIC_ACCESS);
	HAS(proc2 & PROC2_VPID, VPID);
	HAS(proc2 & PROC2_EPT, EPT);
	HAS(proc2 & PROC2_EPT_VE, EPT_VE);
	HAS(proc2 & PROC2_VIRTUAL_INTR, VIRTUAL_INTR);
	HAS(proc2 & PROC2_PML, PML);
	HAS(proc2 & PROC2_VMFUNC, VMFUNC);
	HAS(proc2 & PROC2_SHADOW_VMCS, SHADOW_VMCS);
	HAS(proc2 & PROC2_XSAVES, XSAVES);
	HAS(proc2 & PROC2_ENCLS, ENCLS);
	HAS(proc2 & PROC2_SPP, SPP);
	HAS(proc2 & PROC2_TSC_SCALING, TSC_SCALING);
	HAS(proc2 & PROC2_PLE, PLE);
	HAS(c->pin.may & PIN_POSTED_INTERRUPTS, POSTED);
	HAS(c->pin.may & PIN_PREEMPTION_TIMER, PREEMPTION);
	HAS((c->entry.may & ENTRY_LOAD_PAT) | (c->exit.may & (EXIT_LOAD_PAT | EXIT_SAVE_PAT)), PAT);
	HAS((c->entry.may & ENTRY_LOAD_EFER) | (c->exit.may & (EXIT_LOAD_EFER | EXIT_SAVE_EFER)), EFER);
	HAS((c->entry.may & ENTRY_LOAD_PERF) | (c->exit.may & EXIT_LOAD_PERF), PERF);
#undef HAS
	return m;
}
