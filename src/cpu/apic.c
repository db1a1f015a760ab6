/* See apic.h. SDM 3A "Advanced Programmable Interrupt Controller (APIC)". */
#include "cpu/apic.h"

#include "cpu/memory.h"
#include "cpu/cpu.h"

#define BASE_X2APIC BIT(10)
#define BASE_ENABLE BIT(11)
#define BASE_ADDRESS 0x000ffffffffff000ull

#define REG_ID 0x20u
#define REG_ICR_LOW 0x300u
#define REG_ICR_HIGH 0x310u
#define ICR_PENDING BIT32(12)
#define PENDING_LOOPS 100000
#define ID_BROADCAST 255u

#define MSR_X2APIC_ID (MSR_IA32_X2APIC_FIRST + REG_ID / 16)

static u64 base(void)
{
	return cpu_rdmsr(MSR_IA32_APIC_BASE);
}

static bool is_x2apic(void)
{
	return base() & BASE_X2APIC;
}

static volatile u32 *reg(u32 offset)
{
	return hpa_to_ptr(HPA((base() & BASE_ADDRESS) + offset));
}

bool cpu_apic_usable(void)
{
	u64 b = base();

	return (b & BASE_ENABLE) &&
	       ((b & BASE_X2APIC) || (b & BASE_ADDRESS) < cpu_direct_map_end.v);
}

u32 cpu_apic_id(void)
{
	if (!cpu_apic_usable())
		return cpu_cpuid(1, 0).ebx >> 24;
	if (is_x2apic())
		return (u32)cpu_rdmsr(MSR_X2APIC_ID);
	return *reg(REG_ID) >> 24;
}

bool cpu_apic_can_name(u32 id)
{
	return is_x2apic() ? id != UINT32_MAX : id < ID_BROADCAST;
}

void cpu_apic_send(u32 id, u32 command)
{
	if (is_x2apic()) {
		/* This write may overtake stores before it (SDM 3A "x2APIC Register Access"). */
		asm volatile("mfence; lfence" : : : "memory");
		cpu_wrmsr(MSR_IA32_X2APIC_ICR, (u64)id << 32 | command);
		return;
	}
	*reg(REG_ICR_HIGH) = id << 24;
	*reg(REG_ICR_LOW) = command;
	for (u32 i = 0; i < PENDING_LOOPS && (*reg(REG_ICR_LOW) & ICR_PENDING); i++)
		cpu_pause();
}
