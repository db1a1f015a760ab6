/*
 * Two CPUs outside VMX operation: the firmware's list, the start by INIT and SIPI, interrupts and NMIs
 * both ways, NMIs to a CPU that handles one, INIT in every state, a start while the CPU runs.
 * SDM: Multiple-Processor (MP) Initialization; Local APIC State After It Receives an INIT-Deassert;
 * Nonmaskable Interrupt (NMI).
 */
#include "cpu.h"

#define FROM_FIRST	0x50
#define FROM_OTHER	0x51
#define LONG		200000u

static u32 self, other;
static volatile u32 stage;		/* of the other CPU */
static volatile u32 wanted;		/* by the first */

static bool wait_for(volatile const u32 *what, u32 value)
{
	for (u32 i = 0; i < LONG && *what != value; i++)
		cpu_relax(1);
	return *what == value;
}

static void expect(const char *text, bool holds)
{
	print("%s: %s\n", text, holds ? "yes" : "NO");
}

static void spin(void)
{
	stage = 1;
	for (;;)
		cpu_relax(1);
}

static void count(void)
{
	apic_timer(FROM_FIRST, 0);
	stage = 1;
	for (;;)
		stage++;
}

static void sleep(void)
{
	stage = 1;
	for (;;)
		asm volatile("sti; hlt; cli");
}

static void answer(void)
{
	for (;;) {
		asm volatile("sti; hlt; cli");
		cpu_send(self, IPI_FIXED | FROM_OTHER);
	}
}

/* An NMI's handler that waits for the first CPU before it ends. */
static void long_nmi(struct trap_frame *frame)
{
	(void)frame;
	if (trap_count[2] != 1)
		return;
	stage = 2;
	wait_for(&wanted, 1);
	stage = 3;
}

static void test_start(void)
{
	cpu_start(other, spin);
	expect("the other CPU starts", wait_for(&stage, 1));
	print_cpu_start();
}

static void test_interrupts(void)
{
	u32 before;

	cpu_start(other, answer);
	for (u32 i = 0; i < 3; i++) {
		before = trap_count[FROM_OTHER];
		cpu_send(other, IPI_FIXED | FROM_FIRST);
		asm volatile("sti");
		expect("interrupt there and back", wait_for(&trap_count[FROM_OTHER], before + 1));
		asm volatile("cli");
	}
	print("  in all: %u, %u\n", trap_count[FROM_FIRST], trap_count[FROM_OTHER]);
}

static void test_nmis(void)
{
	stage = 0;
	cpu_start(other, spin);
	wait_for(&stage, 1);
	for (u32 i = 0; i < 3; i++) {
		trap_count[2] = 0;
		cpu_send(other, IPI_NMI);
		expect("NMI to a CPU that spins", wait_for(&trap_count[2], 1));
	}
	cpu_start(other, sleep);
	wait_for(&stage, 1);
	cpu_relax(1000);
	trap_count[2] = 0;
	cpu_send(other, IPI_NMI);
	expect("NMI to a CPU that sleeps", wait_for(&trap_count[2], 1));
	trap_hook[2] = long_nmi;
	trap_count[2] = 0;
	cpu_send(other, IPI_NMI);
	expect("NMI with a long handler", wait_for(&stage, 2));
	cpu_send(other, IPI_NMI);
	cpu_relax(5000);
	expect("  a second one waits", trap_count[2] == 1);
	wanted = 1;
	expect("  and comes", wait_for(&trap_count[2], 2) && stage == 3);
	cpu_relax(5000);
	expect("  once", trap_count[2] == 2);
	trap_hook[2] = NULL;
}

static void test_init(void)
{
	static void (*const what[])(void) = { count, sleep };
	static const char *const text[] = { "counts", "sleeps" };
	u32 then;

	for (u32 i = 0; i < ARRAY_SIZE(what); i++) {
		cpu_start(other, what[i]);
		cpu_send(other, IPI_INIT);
		cpu_relax(LONG / 10);
		then = stage;
		cpu_relax(1000);
		print("INIT of a CPU that %s: it %s\n", text[i], stage == then ? "stops" : "GOES ON");
		cpu_prepare(count);
		expect("  it waits", !cpu_arrives());
		cpu_send(other, IPI_STARTUP | 8);
		expect("  and starts", cpu_arrives());
		print_cpu_start();
	}
	cpu_send(other, IPI_STARTUP | 8);
	then = stage;
	cpu_relax(1000);
	expect("a startup IPI while it runs changes nothing", stage > then);
}

/* The CPU has been through INIT, which leaves its VMX controls in IA32_FEATURE_CONTROL alone. */
static void test_apic(void)
{
	cpu_start(other, answer);
	asm volatile("sti");
	stage = trap_count[FROM_OTHER];
	cpu_send(other, IPI_FIXED | FROM_FIRST);
	expect("interrupt after all that", wait_for(&trap_count[FROM_OTHER], stage + 1));
	asm volatile("cli");
}

int main(void)
{
	self = cpu_id();
	other = 1 - self;
	apic_enable();
	test_start();
	test_interrupts();
	test_nmis();
	test_init();
	test_apic();
	return 0;
}
