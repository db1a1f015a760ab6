/*
 * See ap.h. A CPU comes through the page (ap_entry.S), with tables that have
 * this page besides L0's own, answers in `starting`, and goes its own way.
 */
#include "cpu/ap.h"

#include <string.h>

#include "cpu/apic.h"
#include "cpu/delay.h"
#include "cpu/home.h"
#include "cpu/memory.h"
#include "cpu/pcpu.h"

/* SDM 3A "MP Initialization Example"; the answer may take an emulator long. */
#define AFTER_INIT_US 10000
#define AFTER_STARTUP_US 200
#define ANSWER_US 1000000
#define POLL_US 100

#define PTE_TABLE 0x3ull
#define PTE_LARGE 0x83ull

/* At cpu_ap_args. */
struct ap_args {
	u32 to_protected;
	u16 cs_protected;
	u32 to_long;
	u16 cs_long;
	u16 gdt_limit;
	u32 gdt_base;
	u32 tables;
} __attribute__((packed));

extern const u8 cpu_ap_code[], cpu_ap_code_end[], cpu_ap_args[];
u64 cpu_ap_cr3, cpu_ap_stack;

static struct {
	hpa_t page;
	void *saved;			/* what was there */
} way;

/* The CPU on its way. */
static struct {
	struct pcpu *pcpu;
	const char *(*prepare)(void);
	void (*run)(void);
	const char *error;
	bool answered;
} starting;

void cpu_ap_main(void) __attribute__((noreturn));

void cpu_ap_park(void)
{
	struct pcpu *p = cpu_this();

	for (;;) {
		asm volatile("cli; hlt" : : : "memory");
		if (p->mc_pending) {
			p->mc_pending = 0;
			/* Else the next one is a shutdown. */
			cpu_wrmsr(MSR_IA32_MCG_STATUS, 0);
		}
	}
}

void cpu_ap_main(void)
{
	void (*run)(void) = starting.run;

	cpu_enter(starting.pcpu);
	starting.error = starting.prepare();
	__atomic_store_n(&starting.answered, true, __ATOMIC_RELEASE);
	run();
	cpu_ap_park();
}

static bool answered(void)
{
	return __atomic_load_n(&starting.answered, __ATOMIC_ACQUIRE);
}

static bool answers_within(u32 us)
{
	for (u32 waited = 0; waited < us && !answered(); waited += POLL_US)
		cpu_delay_us(POLL_US);
	return answered();
}

void cpu_ap_init(const u32 *apic_id, u32 n)
{
	for (u32 i = 0; i < n; i++)
		cpu_apic_send(apic_id[i], CPU_APIC_INIT);
	cpu_delay_us(AFTER_INIT_US);
}

const char *cpu_ap_start(u32 apic_id, const char *(*prepare)(void), void (*run)(void))
{
	struct pcpu *p = cpu_alloc_pages(ALIGN_UP(sizeof(*p), PAGE_SIZE) / PAGE_SIZE);

	cpu_add(p, apic_id);
	starting.pcpu = p;
	starting.prepare = prepare;
	starting.run = run;
	cpu_ap_stack = p->stack_top;
	__atomic_store_n(&starting.answered, false, __ATOMIC_RELEASE);
	cpu_apic_send(apic_id, CPU_APIC_STARTUP(way.page.v));
	if (!answers_within(AFTER_STARTUP_US)) {
		cpu_apic_send(apic_id, CPU_APIC_STARTUP(way.page.v));
		if (!answers_within(ANSWER_US))
			return "it does not answer a startup IPI";
	}
	return starting.error;
}

/* L0's tables, and the first 2 MiB where they are, which nobody else needs. */
static u64 *make_tables(void)
{
	u64 *pml4 = cpu_alloc_pages(3), *pdpt = pml4 + 512, *pd = pdpt + 512;

	memcpy(pml4, hpa_to_ptr(HPA(cpu_ap_cr3)), PAGE_SIZE);
	pml4[0] = ptr_to_hpa(pdpt).v | PTE_TABLE;
	pdpt[0] = ptr_to_hpa(pd).v | PTE_TABLE;
	pd[0] = PTE_LARGE;
	return pml4;
}

void cpu_ap_open(hpa_t page)
{
	u8 *code = hpa_to_ptr(page);
	struct ap_args *args = (void *)(code + (cpu_ap_args - cpu_ap_code));

	way.page = page;
	way.saved = memcpy(cpu_alloc_pages(1), code, PAGE_SIZE);
	cpu_ap_cr3 = cpu_read_cr3();
	memcpy(code, cpu_ap_code, (size_t)(cpu_ap_code_end - cpu_ap_code));
	args->to_protected += (u32)page.v;
	args->to_long += (u32)page.v;
	args->gdt_base += (u32)page.v;
	args->tables = (u32)ptr_to_hpa(make_tables()).v;
}

void cpu_ap_close(void)
{
	memcpy(hpa_to_ptr(way.page), way.saved, PAGE_SIZE);
}
