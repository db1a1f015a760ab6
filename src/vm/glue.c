/* The engine's ops that are more than an instruction (ops/engine_ops.h). */
#include "engine_ops.h"
#include "vm/msr.h"
#include "vm/vm.h"
#include "vmx/setup.h"

bool vm_msr_read(struct nested_vcpu *n, u32 msr, u64 *value)
{
	return vm_rdmsr(vcpu_of_nested(n), msr, value);
}

bool vm_msr_write(struct nested_vcpu *n, u32 msr, u64 value)
{
	return vm_wrmsr(vcpu_of_nested(n), msr, value);
}

void vm_init_vmcs02(struct nested_vcpu *n)
{
	struct vcpu *v = vcpu_of_nested(n);

	vmx_write_host_state(&v->frame, v->vm->shared);
	vmx_write(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmx_write(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmx_write(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmx_write(VMCS_ENTRY_INTR_INFO, 0);
}
