/*
 * L1's VMX capabilities: those of the hardware AND what the engine does, from
 * one table. Computed once; afterwards only read. A bit that the table does not
 * name is withheld. EPT of five levels alone can be had without the hardware's
 * help, if that is asked for. IA32_FEATURE_CONTROL is not here: it belongs to vm/.
 */
#include "nested/caps.h"

#include "nested/fields.h"
#include "x86.h"

const struct nested_cap_row nested_cap_rows[] = {
	{ CAP_PIN, PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI |
		PIN_PREEMPTION_TIMER | PIN_POSTED_INTERRUPTS, NULL },

	{ CAP_PROC, PROC_INTERRUPT_WINDOW | PROC_TSC_OFFSET | PROC_HLT | PROC_INVLPG |
		PROC_MWAIT | PROC_RDPMC | PROC_RDTSC | PROC_CR3_LOAD |
		PROC_CR3_STORE | PROC_CR8_LOAD | PROC_CR8_STORE | PROC_TPR_SHADOW |
		PROC_NMI_WINDOW | PROC_MOV_DR | PROC_UNCOND_IO | PROC_IO_BITMAPS |
		PROC_MTF | PROC_MSR_BITMAPS | PROC_MONITOR | PROC_PAUSE |
		PROC_SECONDARY, NULL },
	{ CAP_PROC, PROC_TERTIARY, "tertiary controls are not merged" },

	{ CAP_PROC2, PROC2_APIC_ACCESS | PROC2_EPT | PROC2_DESCRIPTOR_TABLE |
		PROC2_RDTSCP | PROC2_X2APIC_MODE | PROC2_VPID | PROC2_WBINVD |
		PROC2_UNRESTRICTED | PROC2_APIC_REGISTER | PROC2_VIRTUAL_INTR |
		PROC2_PLE | PROC2_RDRAND | PROC2_INVPCID | PROC2_SHADOW_VMCS | PROC2_RDSEED |
		PROC2_XSAVES | PROC2_TSC_SCALING | PROC2_USER_WAIT, NULL },
	{ CAP_PROC2, PROC2_ENCLS | PROC2_ENCLV, "SGX state is not merged" },
	{ CAP_PROC2, PROC2_MODE_BASED_EXEC | PROC2_PML | PROC2_VMFUNC | PROC2_EPT_VE, NULL },
	{ CAP_PROC2, PROC2_CONCEAL_PT | PROC2_PT_GPA, "processor trace is not merged" },
	{ CAP_PROC2, PROC2_SPP, "ept02 has no sub-page rights" },
	{ CAP_PROC2, PROC2_PCONFIG, "its exit bitmap is not merged" },

	{ CAP_EXIT, EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_ACK_INTERRUPT | EXIT_SAVE_PAT |
		EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER |
		EXIT_SAVE_PREEMPTION, NULL },
	{ CAP_EXIT, EXIT_LOAD_PERF, "some hardware advertises it and does not do it" },
	{ CAP_EXIT, EXIT_CLEAR_BNDCFGS, "MPX state is not merged" },

	{ CAP_ENTRY, ENTRY_LOAD_DEBUG | ENTRY_IA32E | ENTRY_LOAD_PAT |
		ENTRY_LOAD_EFER, NULL },
	{ CAP_ENTRY, ENTRY_SMM | ENTRY_DEACTIVATE_DUAL, "there is no SMM monitor" },
	{ CAP_ENTRY, ENTRY_LOAD_PERF, "some hardware advertises it and does not do it" },
	{ CAP_ENTRY, ENTRY_LOAD_BNDCFGS, "MPX state is not merged" },

	/* Bits 24:16 are the number of CR3 targets, 27:25 the longest MSR list. */
	{ CAP_MISC, MISC_TIMER_RATE | MISC_SAVE_LMA | MISC_ACTIVITY_HLT |
		MISC_ACTIVITY_SHUTDOWN | MISC_ACTIVITY_SIPI | 0x1ffull << 16 |
		7ull << 25 | MISC_ZERO_LENGTH, NULL },
	{ CAP_MISC, BIT(14), "processor trace in VMX operation" },
	{ CAP_MISC, BIT(15) | BIT(28) | 0xffffffffull << 32, "there is no SMM monitor" },

	{ CAP_EPT_VPID, EPTCAP_EXEC_ONLY | EPTCAP_WALK4 | EPTCAP_WALK5 | EPTCAP_UC | EPTCAP_WB |
		EPTCAP_2M | EPTCAP_1G | EPTCAP_INVEPT | EPTCAP_AD | EPTCAP_ADV_INFO |
		EPTCAP_INVEPT_SINGLE | EPTCAP_INVEPT_GLOBAL, NULL },
	{ CAP_EPT_VPID, EPTCAP_INVVPID | EPTCAP_INVVPID_ADDR | EPTCAP_INVVPID_SINGLE |
		EPTCAP_INVVPID_ALL | EPTCAP_INVVPID_SINGLE_RG, NULL },
};
const unsigned nested_cap_row_count = ARRAY_SIZE(nested_cap_rows);

#define EPTCAP_OF_VPID (EPTCAP_INVVPID | EPTCAP_INVVPID_ADDR | EPTCAP_INVVPID_SINGLE | \
			EPTCAP_INVVPID_ALL | EPTCAP_INVVPID_SINGLE_RG)

static u64 passed_on(enum nested_cap_register reg)
{
	u64 bits = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(nested_cap_rows); i++)
		if (nested_cap_rows[i].reg == reg && !nested_cap_rows[i].withheld)
			bits |= nested_cap_rows[i].bits;
	return bits;
}

/* What the hardware demands stays demanded: vmcs02 must satisfy it as well. */
static struct vmx_allowed reduce(struct vmx_allowed hw, enum nested_cap_register reg)
{
	u32 may = hw.may & (u32)passed_on(reg);

	return (struct vmx_allowed){ .must = hw.must, .may = may | hw.must };
}

/* Controls that the SDM lets be 1 only together with another. */
static void drop_dependents(struct vmx_caps *c)
{
	if (!(c->proc.may & PROC_SECONDARY))
		c->proc2 = (struct vmx_allowed){ 0, 0 };
	if (!(c->proc2.may & PROC2_EPT))
		c->proc2.may &= ~(PROC2_UNRESTRICTED | PROC2_MODE_BASED_EXEC | PROC2_PML |
				  PROC2_VMFUNC | PROC2_EPT_VE);
	if (!(c->proc.may & PROC_TPR_SHADOW))
		c->proc2.may &= ~(PROC2_X2APIC_MODE | PROC2_APIC_REGISTER |
				  PROC2_VIRTUAL_INTR);
	if (!(c->proc2.may & PROC2_VIRTUAL_INTR))
		c->pin.may &= ~PIN_POSTED_INTERRUPTS;
	if (!(c->pin.may & PIN_PREEMPTION_TIMER))
		c->exit.may &= ~EXIT_SAVE_PREEMPTION;
	if (!(c->proc2.may & PROC2_EPT))
		c->ept_vpid &= EPTCAP_OF_VPID;
	if (!(c->proc2.may & PROC2_VPID))
		c->ept_vpid &= ~EPTCAP_OF_VPID;
}

/* IA32_VMX_VMCS_ENUM bits 9:1: the highest index of any field, as encoded. */
static u64 highest_index(const struct field_set *exists)
{
	u64 highest = 0;

	for (unsigned i = 0; i < VF_COUNT; i++)
		if (field_test(exists, i))
			highest = MAX(highest, nested_field_encoding[i] & 0x3feull);
	return highest;
}

void nested_caps_init(struct nested_vcpu *n)
{
	const struct vmx_caps *hw = n->hw;
	struct vmx_caps *c = &n->caps;
	u32 classes;

	n->at = vmx_places_of(hw);
	n->copied = hw->proc2.may & PROC2_EPT ? MERGE_PAGING : MERGE_COPY;
	*c = *hw;	/* CR0 and CR4 fixed bits, widths: as the hardware */
	c->basic = NESTED_REVISION | PAGE_SIZE << 32 | (u64)MT_WB << 50 | BASIC_TRUE |
		   (hw->basic & (BASIC_INS_OUTS | BASIC_ANY_ERRCODE));
	c->pin = reduce(hw->pin, CAP_PIN);
	c->proc = reduce(hw->proc, CAP_PROC);
	c->proc2 = reduce(hw->proc2, CAP_PROC2);
	if (!n->use_shadow)	/* it is the hardware that serves L2 */
		c->proc2.may &= ~PROC2_SHADOW_VMCS;
	if (n->hide_ept)
		c->proc2.may &= ~PROC2_EPT;
	c->exit = reduce(hw->exit, CAP_EXIT);
	c->entry = reduce(hw->entry, CAP_ENTRY);
	/* VMWRITE always exits or goes to a shadow: writing any field is ours to give. */
	c->misc = (hw->misc & passed_on(CAP_MISC)) | MISC_VMWRITE_ANY;
	c->ept_vpid = hw->ept_vpid & passed_on(CAP_EPT_VPID);
	/* Then ept02 has four levels whatever ept12 has. */
	if (n->always_ept5 && hw->maxphyaddr <= EPT_GPA_BITS_4)
		c->ept_vpid |= EPTCAP_WALK5;
	drop_dependents(c);
	c->vmfunc = c->proc2.may & PROC2_VMFUNC ? hw->vmfunc & BIT(VMFUNC_EPTP_SWITCHING) : 0;

	classes = vmx_caps_exists(c);
	n->exists = (struct field_set){ { 0 } };
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (classes & BIT32(nested_field_exists[i]))
			field_set(&n->exists, i);
	c->vmcs_enum = highest_index(&n->exists);
}

static u64 pair(struct vmx_allowed a, u32 default1)
{
	return (u64)(a.may | default1) << 32 | a.must | default1;
}

static bool true_controls(const struct vmx_caps *c, u32 msr, u64 *value)
{
	switch (msr) {
	case MSR_IA32_VMX_TRUE_PINBASED:
		*value = pair(c->pin, 0);
		return true;
	case MSR_IA32_VMX_TRUE_PROCBASED:
		*value = pair(c->proc, 0);
		return true;
	case MSR_IA32_VMX_TRUE_EXIT:
		*value = pair(c->exit, 0);
		return true;
	case MSR_IA32_VMX_TRUE_ENTRY:
		*value = pair(c->entry, 0);
		return true;
	default:
		return false;	/* tertiary controls, secondary exit controls */
	}
}

static bool default1_controls(const struct vmx_caps *c, u32 msr, u64 *value)
{
	switch (msr) {
	case MSR_IA32_VMX_PINBASED:
		*value = pair(c->pin, PIN_DEFAULT1);
		return true;
	case MSR_IA32_VMX_PROCBASED:
		*value = pair(c->proc, PROC_DEFAULT1);
		return true;
	case MSR_IA32_VMX_EXIT:
		*value = pair(c->exit, EXIT_DEFAULT1);
		return true;
	case MSR_IA32_VMX_ENTRY:
		*value = pair(c->entry, ENTRY_DEFAULT1);
		return true;
	default:
		return true_controls(c, msr, value);
	}
}

bool nested_caps_read(const struct nested_vcpu *n, u32 msr, u64 *value)
{
	const struct vmx_caps *c = &n->caps;

	switch (msr) {
	case MSR_IA32_VMX_BASIC:
		*value = c->basic;
		return true;
	case MSR_IA32_VMX_MISC:
		*value = c->misc;
		return true;
	case MSR_IA32_VMX_CR0_FIXED0:
		*value = c->cr0_fixed0;
		return true;
	case MSR_IA32_VMX_CR0_FIXED1:
		*value = c->cr0_fixed1;
		return true;
	case MSR_IA32_VMX_CR4_FIXED0:
		*value = c->cr4_fixed0;
		return true;
	case MSR_IA32_VMX_CR4_FIXED1:
		*value = c->cr4_fixed1;
		return true;
	case MSR_IA32_VMX_VMCS_ENUM:
		*value = c->vmcs_enum;
		return true;
	case MSR_IA32_VMX_PROCBASED2:
		*value = pair(c->proc2, 0);
		return c->proc.may & PROC_SECONDARY;
	case MSR_IA32_VMX_VMFUNC:
		*value = c->vmfunc;
		return c->proc2.may & PROC2_VMFUNC;
	case MSR_IA32_VMX_EPT_VPID_CAP:
		*value = c->ept_vpid;
		return c->proc2.may & (PROC2_EPT | PROC2_VPID);
	default:
		return default1_controls(c, msr, value);
	}
}
