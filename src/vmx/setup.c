/*
 * Entering VMX operation, VMCS regions, and L0's host state. Not here: what a
 * VMCS says about the guest (vm/ for L1, nested/ for L2).
 */
#include "vmx/setup.h"

#include "cpu/memory.h"
#include "cpu/pcpu.h"
#include "vmx/insn.h"

const char *vmx_enable(const struct vmx_caps *c, hpa_t vmxon_region)
{
	u64 cr0 = cpu_read_cr0(), cr4 = cpu_read_cr4() | CR4_VMXE;
	u64 feature = cpu_rdmsr(MSR_IA32_FEATURE_CONTROL);
	u32 *region = hpa_to_ptr(vmxon_region);

	if (!(feature & FEATURE_CONTROL_LOCK))
		cpu_wrmsr(MSR_IA32_FEATURE_CONTROL,
			  feature | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
	cpu_write_cr0((cr0 | c->cr0_fixed0) & c->cr0_fixed1);
	cpu_write_cr4((cr4 | c->cr4_fixed0) & c->cr4_fixed1);
	region[0] = (u32)c->basic & ~VMCS_SHADOW_INDICATOR;
	if (!vmx_try_vmxon(vmxon_region))
		return "VMXON failed";
	return NULL;
}

void vmx_prepare_region(const struct vmx_caps *c, hpa_t page, bool shadow)
{
	u32 *region = hpa_to_ptr(page);

	region[0] = ((u32)c->basic & ~VMCS_SHADOW_INDICATOR) |
		    (shadow ? VMCS_SHADOW_INDICATOR : 0);
	vmx_clear(page);
}

void vmx_write_host_state(struct vmx_frame *frame, bool shared)
{
	struct cpu_table_reg gdt = cpu_sgdt(), idt = cpu_sidt();

	vmx_write(VMCS_HOST_CR0, cpu_read_cr0());
	vmx_write(VMCS_HOST_CR3, cpu_read_cr3());
	vmx_write(VMCS_HOST_CR4, cpu_read_cr4());
	vmx_write(VMCS_HOST_CS_SELECTOR, CPU_SEL_CODE);
	vmx_write(VMCS_HOST_SS_SELECTOR, CPU_SEL_DATA);
	vmx_write(VMCS_HOST_DS_SELECTOR, 0);
	vmx_write(VMCS_HOST_ES_SELECTOR, 0);
	vmx_write(VMCS_HOST_FS_SELECTOR, 0);
	vmx_write(VMCS_HOST_GS_SELECTOR, 0);
	vmx_write(VMCS_HOST_TR_SELECTOR, CPU_SEL_TSS);
	vmx_write(VMCS_HOST_FS_BASE, 0);
	vmx_write(VMCS_HOST_GS_BASE, cpu_rdmsr(MSR_GS_BASE));
	vmx_write(VMCS_HOST_TR_BASE, cpu_tss_base());
	vmx_write(VMCS_HOST_GDTR_BASE, gdt.base);
	vmx_write(VMCS_HOST_IDTR_BASE, idt.base);
	vmx_write(VMCS_HOST_SYSENTER_CS, 0);
	vmx_write(VMCS_HOST_SYSENTER_ESP, 0);
	vmx_write(VMCS_HOST_SYSENTER_EIP, 0);
	vmx_write(VMCS_HOST_EFER, cpu_rdmsr(MSR_EFER));
	vmx_write(VMCS_HOST_PAT, 0x0007040600070406ull);
	vmx_write(VMCS_HOST_RSP, (u64)frame + VMX_FRAME_AGAIN);
	vmx_write(VMCS_HOST_RIP, (u64)(shared ? vmx_exit_entry_shared : vmx_exit_entry));
}
