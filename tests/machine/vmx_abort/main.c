/*
 * VMX abort: a VM exit that cannot load what the VMM's MSR-load list says. The CPU shuts down, so
 * the test says that it is done before, and nothing may follow. SDM: VMX Aborts; Loading MSRs. Not
 * for the bare emulator, which shuts down, too, and does not end.
 */
#include "vmx.h"

asm("guest_end: vmcall\n");
extern const char guest_end[];

static struct { u32 index, zero; u64 value; } list[2] __attribute__((aligned(16)));

int main(void)
{
	struct vm vm;

	vmx_on();
	vm_init(&vm);
	list[0].index = MSR_LSTAR;
	list[0].value = 0x1230;
	vm_reset(&vm, guest_end);
	vmwrite(EXIT_MSR_LOAD, (u64)list);
	vmwrite(EXIT_MSR_LOAD_COUNT, 1);
	print("a good list: %s,", reason_name(vm_run(&vm)));
	print(" LSTAR %lx\n", rdmsr(MSR_LSTAR));
	list[1].index = MSR_LSTAR;
	list[1].value = BIT(63);	/* not canonical */
	vm_reset(&vm, guest_end);
	vmwrite(EXIT_MSR_LOAD_COUNT, 2);
	print("done\n");
	vm_run(&vm);
	print("after a VMX abort: indicator %u\n", ((u32 *)vm.vmcs)[1]);
	return 0;
}
