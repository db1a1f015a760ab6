/*
 * The processor's VMX capabilities, read once at boot and reduced to
 * struct vmx_caps. It decides nothing about what L1 gets (nested/caps.c).
 * Source: SDM 3C App. A "VMX Capability Reporting Facility".
 */
#include "vmx/caps.h"

#include "cpu/cpu.h"

#define CPUID_7_EBX_SGX BIT32(2)
#define CPUID_7_EBX_RTM BIT32(11)
#define CPUID_7_ECX_BUS_LOCK BIT32(24)

static struct vmx_allowed allowed(u32 msr)
{
	u64 v = cpu_rdmsr(msr);

	return (struct vmx_allowed){ .must = (u32)v, .may = (u32)(v >> 32) };
}

static u8 physical_address_width(void)
{
	struct cpuid_regs r = cpu_cpuid(0x80000000, 0);

	if (r.eax < 0x80000008)
		return 36;
	return (u8)cpu_cpuid(0x80000008, 0).eax;
}

void vmx_caps_read(struct vmx_caps *c)
{
	struct cpuid_regs ext = cpu_cpuid(0x80000001, 0), leaf7 = { 0 };
	bool true_msrs;

	if (cpu_cpuid(0, 0).eax >= 7)
		leaf7 = cpu_cpuid(7, 0);
	*c = (struct vmx_caps){ .basic = cpu_rdmsr(MSR_IA32_VMX_BASIC) };
	true_msrs = c->basic & BASIC_TRUE;
	c->pin = allowed(true_msrs ? MSR_IA32_VMX_TRUE_PINBASED : MSR_IA32_VMX_PINBASED);
	c->proc = allowed(true_msrs ? MSR_IA32_VMX_TRUE_PROCBASED : MSR_IA32_VMX_PROCBASED);
	c->exit = allowed(true_msrs ? MSR_IA32_VMX_TRUE_EXIT : MSR_IA32_VMX_EXIT);
	c->entry = allowed(true_msrs ? MSR_IA32_VMX_TRUE_ENTRY : MSR_IA32_VMX_ENTRY);
	if (c->proc.may & PROC_SECONDARY)
		c->proc2 = allowed(MSR_IA32_VMX_PROCBASED2);
	if (c->proc2.may & (PROC2_EPT | PROC2_VPID))
		c->ept_vpid = cpu_rdmsr(MSR_IA32_VMX_EPT_VPID_CAP);
	if (c->proc2.may & PROC2_VMFUNC)
		c->vmfunc = cpu_rdmsr(MSR_IA32_VMX_VMFUNC);
	c->misc = cpu_rdmsr(MSR_IA32_VMX_MISC);
	c->vmcs_enum = cpu_rdmsr(MSR_IA32_VMX_VMCS_ENUM);
	c->cr0_fixed0 = cpu_rdmsr(MSR_IA32_VMX_CR0_FIXED0);
	c->cr0_fixed1 = cpu_rdmsr(MSR_IA32_VMX_CR0_FIXED1);
	c->cr4_fixed0 = cpu_rdmsr(MSR_IA32_VMX_CR4_FIXED0);
	c->cr4_fixed1 = cpu_rdmsr(MSR_IA32_VMX_CR4_FIXED1);
	c->maxphyaddr = physical_address_width();
	c->long_mode = ext.edx & BIT32(29);
	c->pg_1g = ext.edx & BIT32(26);
	c->sgx = leaf7.ebx & CPUID_7_EBX_SGX;
	c->rtm = leaf7.ebx & CPUID_7_EBX_RTM;
	c->bus_lock = leaf7.ecx & CPUID_7_ECX_BUS_LOCK;
}

const char *vmx_caps_missing(const struct vmx_caps *c)
{
	bool ept = c->proc2.may & PROC2_EPT;
	const struct { bool there; const char *name; } need[] = {
		{ c->proc.may & PROC_SECONDARY || !ept, "secondary processor-based controls" },
		{ c->proc.may & PROC_MSR_BITMAPS, "MSR bitmaps" },
		{ c->proc.may & PROC_IO_BITMAPS, "I/O bitmaps" },
		{ ept || MISC_CR3_TARGETS(c->misc) == 4, "EPT or four CR3-target values" },
		{ !ept || c->ept_vpid & EPTCAP_WALK4, "EPT with 4 levels" },
		{ !ept || c->ept_vpid & EPTCAP_WB, "write-back EPT tables" },
		{ !ept || c->ept_vpid & EPTCAP_INVEPT_SINGLE, "single-context INVEPT" },
		{ !ept || c->proc2.may & PROC2_UNRESTRICTED, "unrestricted guest" },
		{ !ept || c->proc2.may & PROC2_VPID, "VPID" },
		{ !ept || c->ept_vpid & EPTCAP_INVVPID_SINGLE, "single-context INVVPID" },
		{ !ept || c->exit.may & EXIT_LOAD_EFER, "loading IA32_EFER" },
		{ !ept || c->exit.may & EXIT_LOAD_PAT, "loading IA32_PAT" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(need); i++)
		if (!need[i].there)
			return need[i].name;
	return NULL;
}
