/*
 * See delay.h. The PIT tells the time; where it does not count (some firmware
 * stops its clock) the TSC bounds the wait, taken to be as fast as any can be.
 */
#include "cpu/delay.h"

#include "cpu/cpu.h"

#define PIT_HZ 1193182ull
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PIT_CHANNEL2_ONESHOT 0xb0	/* both bytes, mode 0: OUT rises at the end */

#define PORT_B 0x61
#define PORT_B_GATE 0x01
#define PORT_B_SPEAKER 0x02
#define PORT_B_SETTINGS 0x0f
#define PORT_B_OUT 0x20

#define TSC_PER_US_MAX 10000ull

static bool pit_done(void)
{
	return cpu_inb(PORT_B) & PORT_B_OUT;
}

void cpu_delay_us(u32 us)
{
	u64 start = cpu_rdtsc(), count = us * PIT_HZ / 1000000 + 1;
	u8 before = cpu_inb(PORT_B) & PORT_B_SETTINGS;

	cpu_outb(PORT_B, (u8)((before & ~PORT_B_SPEAKER) | PORT_B_GATE));
	cpu_outb(PIT_COMMAND, PIT_CHANNEL2_ONESHOT);
	cpu_outb(PIT_CHANNEL2, (u8)count);
	cpu_outb(PIT_CHANNEL2, (u8)(count >> 8));
	bool counts = !pit_done();

	while (cpu_rdtsc() - start < us * TSC_PER_US_MAX && !(counts && pit_done()))
		cpu_pause();
	cpu_outb(PORT_B, before);
}
