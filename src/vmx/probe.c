/*
 * Trying what the capability MSRs promise, where processors are known that do
 * not keep it: a VM entry with valid controls and an impossible guest state must
 * fail for the guest state, not for the controls.
 *
 * Posted interrupts: Bochs 3.0 wants the descriptor page-aligned; the SDM wants
 * 64 bytes ("Checks on VM-Execution Control Fields"). A hypervisor's lies where
 * it lies, so with such a processor L1 cannot use them. Virtual-interrupt
 * delivery goes with them: the same Bochs tells of a delivery that is over as
 * if an EPT violation had interrupted it (IDT-vectoring information), and does
 * not end HLT for a virtual interrupt. Xen's guests lose their clock by that.
 */
#include "vmx/probe.h"

#include "vmx/insn.h"
#include "vmx/setup.h"

#define DESCRIPTOR_ALIGNMENT 64

/*
 * VMLAUNCH on the current VMCS, whose guest state is all 0 and so cannot be
 * entered. True: VMfail. False: the controls were accepted, and the failed entry
 * came back through the host state.
 */
static bool launch_fails_early(void)
{
	bool early = true;

	asm volatile("vmwrite %%rsp, %[rsp_field]\n\t"
		     "lea 1f(%%rip), %%rax\n\t"
		     "vmwrite %%rax, %[rip_field]\n\t"
		     "vmlaunch\n\t"
		     "jmp 2f\n"
		     "1: movb $0, %[early]\n"
		     "2:"
		     : [early] "+m"(early)
		     : [rsp_field] "r"((u64)VMCS_HOST_RSP), [rip_field] "r"((u64)VMCS_HOST_RIP)
		     : "rax", "cc", "memory");
	return early;
}

static void write_posted_controls(const struct vmx_caps *c, hpa_t scratch)
{
	vmx_write(VMCS_PIN_CONTROLS,
		  vmx_adjust(c->pin, PIN_EXTERNAL_INTERRUPT | PIN_POSTED_INTERRUPTS));
	vmx_write(VMCS_PROC_CONTROLS, vmx_adjust(c->proc, PROC_TPR_SHADOW | PROC_SECONDARY));
	vmx_write(VMCS_PROC2_CONTROLS, vmx_adjust(c->proc2, PROC2_VIRTUAL_INTR));
	vmx_write(VMCS_EXIT_CONTROLS, vmx_adjust(c->exit, EXIT_HOST_64 | EXIT_ACK_INTERRUPT));
	vmx_write(VMCS_ENTRY_CONTROLS, vmx_adjust(c->entry, 0));
	vmx_write(VMCS_VIRTUAL_APIC_ADDR, scratch.v);
	vmx_write(VMCS_POSTED_INTR_DESC, scratch.v + DESCRIPTOR_ALIGNMENT);
	vmx_write(VMCS_POSTED_INTR_VECTOR, 0xff);
	vmx_write(VMCS_VMCS_LINK_POINTER, ~0ull);
}

const char *vmx_probe(struct vmx_caps *c, hpa_t region, hpa_t scratch)
{
	bool broken;

	if (!(c->pin.may & PIN_POSTED_INTERRUPTS))
		return NULL;
	vmx_prepare_region(c, region, false);
	vmx_load(region);
	vmx_write_host_state(NULL, false);
	write_posted_controls(c, scratch);
	broken = launch_fails_early();
	vmx_clear(region);
	if (!broken)
		return NULL;
	c->pin.may &= ~PIN_POSTED_INTERRUPTS;
	c->proc2.may &= ~PROC2_VIRTUAL_INTR;
	return "posted interrupts and virtual-interrupt delivery";
}
