/*
 * Whether this CPU can run Plastron at all, said so that its owner knows what
 * to change. What else Plastron needs of VMX is vmx/'s to check.
 */
#include <string.h>

#include "boot/init.h"
#include "cpu/cpu.h"
#include "debug/console.h"
#include "debug/dump.h"

#define CPUID_1_ECX_VMX BIT32(5)

/* The processor's brand string, trimmed; "unknown" before 2003. */
static const char *cpu_model(char name[49])
{
	if (cpu_cpuid(0x80000000, 0).eax < 0x80000004)
		return "unknown model";
	for (u32 i = 0; i < 3; i++) {
		struct cpuid_regs r = cpu_cpuid(0x80000002 + i, 0);

		memcpy(name + 16 * i, &r, 16);
	}
	name[48] = '\0';
	while (*name == ' ')
		name++;
	return name;
}

static bool is_amd(void)
{
	return cpu_cpuid(0, 0).ebx == 0x68747541;	/* "Auth" */
}

void boot_check_vmx(void)
{
	char name[49];
	const char *model = cpu_model(name);
	u64 control;

	if (!(cpu_cpuid(1, 0).ecx & CPUID_1_ECX_VMX)) {
		if (is_amd())
			debug_refuse("this CPU (%s) has no VMX: Plastron needs an Intel CPU with VT-x, or an emulator of one (./plastron run does that)",
				  model);
		debug_refuse("this CPU (%s) has no VMX: Plastron needs VT-x; in a VM, enable nested virtualization for it, or use ./plastron run, which emulates a CPU that has it",
			  model);
	}
	if (!cpu_rdmsr_safe(MSR_IA32_FEATURE_CONTROL, &control))
		debug_refuse("this CPU (%s) says it has VMX, but no IA32_FEATURE_CONTROL MSR: the hypervisor underneath is at fault",
			  model);
	if ((control & FEATURE_CONTROL_LOCK) && !(control & FEATURE_CONTROL_VMX))
		debug_refuse("the firmware has switched VMX off and locked it (IA32_FEATURE_CONTROL = %#lx): enable \"Intel Virtualization Technology\" or \"VT-x\" in the firmware's setup, then power the machine off and on",
			  control);
}
