/* See apic.h. SDM 3A "Advanced Programmable Interrupt Controller (APIC)". */
#include "cpu/apic.h"

#include "cpu/memory.h"
#include "cpu/cpu.h"

#define BASE_X2APIC BIT(10)
#define BASE_ENABLE BIT(11)
#define BASE_ADDRESS 0x000ffffffffff000ull

#define REG_ID 0x20u
#define REG_VERSION 0x30u
#define REG_TPR 0x80u
#define REG_EOI 0xb0u
#define REG_LDR 0xd0u
#define REG_DFR 0xe0u
#define REG_SPURIOUS 0xf0u
#define REG_ISR 0x100u
#define REG_LVT_CMCI 0x2f0u
#define REG_ICR_LOW 0x300u
#define REG_ICR_HIGH 0x310u
#define REG_LVT_TIMER 0x320u
#define REG_LVT_THERMAL 0x330u
#define REG_LVT_PERFORMANCE 0x340u
#define REG_LVT_LINT0 0x350u
#define REG_LVT_LINT1 0x360u
#define REG_LVT_ERROR 0x370u
#define REG_TIMER_COUNT 0x380u
#define REG_TIMER_DIVIDE 0x3e0u

#define SPURIOUS_INIT 0xffu
#define LVT_MASKED BIT32(16)
#define LVT_LAST(version) ((version) >> 16 & 0xff)
#define VECTORS 256u
#define ICR_PENDING BIT32(12)
#define PENDING_LOOPS 100000
#define ID_BROADCAST 255u

#define X2APIC_MSR(offset) (MSR_IA32_X2APIC_FIRST + (offset) / 16)

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

static u32 read(u32 offset)
{
	return is_x2apic() ? (u32)cpu_rdmsr(X2APIC_MSR(offset)) : *reg(offset);
}

static void write(u32 offset, u32 value)
{
	if (is_x2apic())
		cpu_wrmsr(X2APIC_MSR(offset), value);
	else
		*reg(offset) = value;
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
		return (u32)cpu_rdmsr(X2APIC_MSR(REG_ID));
	return *reg(REG_ID) >> 24;
}

bool cpu_apic_can_name(u32 id)
{
	return is_x2apic() ? id != UINT32_MAX : id < ID_BROADCAST;
}

static void wait_idle(void)
{
	for (u32 i = 0; i < PENDING_LOOPS && (*reg(REG_ICR_LOW) & ICR_PENDING); i++)
		cpu_pause();
}

void cpu_apic_send(u32 id, u32 command)
{
	u32 destination;

	if (is_x2apic()) {
		/* This write may overtake stores before it (SDM 3A "x2APIC Register Access"). */
		asm volatile("mfence; lfence" : : : "memory");
		cpu_wrmsr(MSR_IA32_X2APIC_ICR, (u64)id << 32 | command);
		return;
	}
	wait_idle();
	destination = *reg(REG_ICR_HIGH);
	*reg(REG_ICR_HIGH) = id << 24;
	*reg(REG_ICR_LOW) = command;
	wait_idle();
	*reg(REG_ICR_HIGH) = destination;
}

static bool in_service(void)
{
	u32 any = 0;

	for (u32 i = 0; i < VECTORS / 32; i++)
		any |= read(REG_ISR + 16 * i);
	return any;
}

static void mask_lvt(void)
{
	/* Each is there from this number of the last entry on. */
	static const struct { u32 offset, from; } lvt[] = {
		{ REG_LVT_TIMER, 0 }, { REG_LVT_LINT0, 1 }, { REG_LVT_LINT1, 2 },
		{ REG_LVT_ERROR, 3 }, { REG_LVT_PERFORMANCE, 4 }, { REG_LVT_THERMAL, 5 },
		{ REG_LVT_CMCI, 6 },
	};
	u32 last = LVT_LAST(read(REG_VERSION));

	for (u32 i = 0; i < ARRAY_SIZE(lvt); i++)
		if (lvt[i].from <= last)
			write(lvt[i].offset, LVT_MASKED);
}

void cpu_apic_init(void)
{
	if (!cpu_apic_usable())
		return;
	mask_lvt();
	write(REG_TIMER_COUNT, 0);
	write(REG_TIMER_DIVIDE, 0);
	write(REG_TPR, 0);
	for (u32 i = 0; i < VECTORS && in_service(); i++)
		write(REG_EOI, 0);
	write(REG_SPURIOUS, SPURIOUS_INIT);
	if (is_x2apic())	/* which has no DFR, and an LDR that follows from the ID */
		return;
	write(REG_LDR, 0);
	write(REG_DFR, UINT32_MAX);
}
