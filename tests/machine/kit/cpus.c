/*
 * Other CPUs, started by INIT and startup IPIs: each runs a function in the test's own address space,
 * with a stack, a GDT and a TR of its own. The rest of the kit is one for all: no two CPUs may take
 * exceptions by TRY() at the same time, and only one prints.
 */
#include "cpu.h"

#define REG_ID		0x20
#define REG_SPURIOUS	0xf0
#define REG_ICR_LOW	0x300
#define REG_ICR_HIGH	0x310
#define REG_LVT_TIMER	0x320
#define ICR_PENDING	BIT(12)

/* Two levels of hypervisors may be busy with an INIT for that long. */
#define INIT_PAUSES	20000u
#define ARRIVAL_PAUSES	500000u

#define STACK_SIZE	16384
#define PAGE		0x8000		/* of the code in real mode */

extern const u8 cpus_code[], cpus_code_end[], cpus_found_cr0[];
extern const struct table_register gdt_register;
void cpus_arrived(void);

u64 cpus_stack;			/* of the CPU that is being started */
static void (*function)(void);
static volatile bool arrived;
static u32 found_spurious, found_timer;

u32 cpu_id(void)
{
	return apic_read(REG_ID) >> 24;
}

void cpu_send(u32 id, u32 command)
{
	apic_write(REG_ICR_HIGH, id << 24);
	apic_write(REG_ICR_LOW, command);
	while (apic_read(REG_ICR_LOW) & ICR_PENDING)
		asm volatile("pause");
}

void cpu_relax(unsigned int times)
{
	while (times--)
		asm volatile("pause");
}

/* On the new CPU. The descriptor of a TSS that another CPU has loaded is busy. */
void cpus_arrived(void)
{
	u64 *table = page_alloc();
	u16 limit = gdt_register.limit;
	struct table_register r = { limit, (u64)table };

	memcpy(table, gdt, limit + 1u);
	table[SEL_TSS / 8] &= ~BIT(41);
	asm volatile("lgdt %0; ltr %w1" : : "m" (r), "r" (SEL_TSS));
	write_idtr((struct table_register){ 256 * sizeof(struct idt_gate) - 1, (u64)idt });
	found_spurious = apic_read(REG_SPURIOUS);
	found_timer = apic_read(REG_LVT_TIMER);
	apic_enable();
	arrived = true;
	function();
}

void cpu_prepare(void (*run)(void))
{
	if (!memory_is_available(PAGE, PAGE + PAGE_SIZE))
		die("the page for the other CPUs' code is not available");
	memcpy((void *)PAGE, cpus_code, (size_t)(cpus_code_end - cpus_code));
	cpus_stack = (u64)pages_alloc(STACK_SIZE / PAGE_SIZE) + STACK_SIZE;
	function = run;
	arrived = false;
}

bool cpu_arrives(void)
{
	for (unsigned int i = 0; i < ARRIVAL_PAUSES && !arrived; i++)
		cpu_relax(1);
	return arrived;
}

void cpu_start(u32 id, void (*run)(void))
{
	cpu_prepare(run);
	cpu_send(id, IPI_INIT);
	cpu_relax(INIT_PAUSES);
	cpu_send(id, IPI_STARTUP | PAGE >> 12);
	if (!cpu_arrives())
		die("the other CPU does not start");
}

void print_cpu_start(void)
{
	u32 cr0 = *(volatile u32 *)(PAGE + cpus_found_cr0);

	print("  CR0 outside CD and NW: %#x; APIC: spurious %#x, timer %#x\n",
	      cr0 & ~(u32)(CR0_CD | BIT(29)), found_spurious, found_timer);
}
