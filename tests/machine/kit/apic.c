/*
 * The local APIC of the one CPU, in xAPIC mode: self-IPIs and the one-shot timer.
 * Nothing here waits: in xAPIC mode a self-IPI may arrive some instructions later.
 */
#include "cpu.h"

#define REG_EOI		0xb0
#define REG_SPURIOUS	0xf0
#define REG_ID		0x20
#define REG_ICR_LOW	0x300
#define REG_ICR_HIGH	0x310
#define REG_LVT_TIMER	0x320
#define REG_TIMER_COUNT	0x380
#define REG_TIMER_DIVIDE	0x3e0

u32 apic_read(u32 reg)
{
	return *(volatile u32 *)(APIC_BASE + reg);
}

void apic_write(u32 reg, u32 value)
{
	*(volatile u32 *)(APIC_BASE + reg) = value;
}

void apic_enable(void)
{
	apic_write(REG_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
	write_cr8(0);
}

void apic_eoi(void)
{
	apic_write(REG_EOI, 0);
}

void apic_self_ipi(unsigned int vector)
{
	apic_write(REG_ICR_LOW, 0x44000 | vector);
}

void apic_self_nmi(void)
{
	/* The self shorthand is for fixed interrupts alone (SDM: Interrupt Command Register). */
	apic_write(REG_ICR_HIGH, apic_read(REG_ID) & 0xff000000);
	apic_write(REG_ICR_LOW, 0x4400);
}

void apic_timer(unsigned int vector, u32 count)
{
	apic_write(REG_TIMER_DIVIDE, 0xb);	/* by one */
	apic_write(REG_LVT_TIMER, vector);
	apic_write(REG_TIMER_COUNT, count);
}
