/*
 * An L1 with two CPUs that takes from L0 the way to stop one of them: the other's local APIC is switched
 * off. It runs on as long as L0 has no need to stop it, and then the VM ends, and not a line later.
 * SDM: Local APIC Status and Location.
 */
#include "cpu.h"

#define MSR_MTRR_DEF_TYPE	0x2ff
#define APIC_ENABLE		BIT(11)
#define LONG			200000u

static volatile u32 turns;

static void turn_without_apic(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~APIC_ENABLE);
	for (;;)
		turns++;
}

int main(void)
{
	u32 before;

	apic_enable();
	cpu_start(1 - cpu_id(), turn_without_apic);
	for (u32 i = 0; i < LONG && !turns; i++)
		cpu_relax(1);
	before = turns;
	cpuid(0, 0);	/* an exit that needs nobody to stop */
	cpu_relax(LONG);
	print("it runs without its APIC: %s\n", turns > before ? "yes" : "NO");
	print("done\n");
	/* New memory types need both CPUs out of L1. */
	wrmsr(MSR_MTRR_DEF_TYPE, rdmsr(MSR_MTRR_DEF_TYPE));
	print("L0 has stopped a CPU that it cannot reach\n");
	return 0;
}
