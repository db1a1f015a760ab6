/*
 * See ap.h. One CPU at a time: it comes through the page below 1 MiB
 * (ap_entry.S), answers in `starting`, and goes to park(), its last step.
 * Nothing is left of that page when all are parked.
 */
#include "boot/ap.h"

#include <string.h>

#include "boot/init.h"
#include "cpu/memory.h"
#include "cpu/apic.h"
#include "cpu/delay.h"
#include "cpu/pcpu.h"
#include "debug/console.h"
#include "vm/loader_plan.h"
#include "vmx/setup.h"

#define LOW_MEMORY_START PAGE_SIZE	/* not the vectors and BIOS data */
#define LOW_MEMORY_END 0xa0000

/* SDM 3A "MP Initialization Example"; the answer may take an emulator long. */
#define AFTER_INIT_US 10000
#define AFTER_STARTUP_US 200
#define ANSWER_US 1000000
#define POLL_US 100

#define CPUID_1_EDX_HTT BIT32(28)

#define PTE_TABLE 0x3ull
#define PTE_LARGE 0x83ull

#define MSR_MCG_STATUS 0x17au

/* At boot_ap_args. */
struct ap_args {
	u32 to_protected;
	u16 cs_protected;
	u32 to_long;
	u16 cs_long;
	u16 gdt_limit;
	u32 gdt_base;
	u32 tables;
} __attribute__((packed));

extern const u8 boot_ap_code[], boot_ap_code_end[], boot_ap_args[];
u64 boot_ap_cr3, boot_ap_stack;

/* The CPU on its way. */
static struct {
	struct pcpu *pcpu;
	const struct vmx_caps *caps;
	hpa_t vmxon_region;
	const char *error;
	bool answered;
} starting;

void boot_ap_main(void) __attribute__((noreturn));

/* Until an issue makes vcpus of them. NMIs and machine checks are counted, and forgotten. */
static void __attribute__((noreturn)) park(struct pcpu *p)
{
	for (;;) {
		asm volatile("cli; hlt" : : : "memory");
		if (p->mc_pending) {
			p->mc_pending = 0;
			cpu_wrmsr(MSR_MCG_STATUS, 0);	/* else the next one is a shutdown */
		}
	}
}

static const char *enter_vmx(void)
{
	u64 control = cpu_rdmsr(MSR_IA32_FEATURE_CONTROL);

	if ((control & FEATURE_CONTROL_LOCK) && !(control & FEATURE_CONTROL_VMX))
		return "the firmware has switched VMX off there";
	return vmx_enable(starting.caps, starting.vmxon_region);
}

void boot_ap_main(void)
{
	struct pcpu *p = starting.pcpu;

	cpu_enter(p);
	starting.error = enter_vmx();
	__atomic_store_n(&starting.answered, true, __ATOMIC_RELEASE);
	park(p);
}

static bool answers_within(u32 us)
{
	for (u32 waited = 0; waited < us; waited += POLL_US) {
		if (__atomic_load_n(&starting.answered, __ATOMIC_ACQUIRE))
			return true;
		cpu_delay_us(POLL_US);
	}
	return __atomic_load_n(&starting.answered, __ATOMIC_ACQUIRE);
}

/* INIT was sent some time ago. NULL, or what is wrong. */
static const char *start(u32 apic_id, u64 page)
{
	struct pcpu *p = cpu_alloc_pages(ALIGN_UP(sizeof(*p), PAGE_SIZE) / PAGE_SIZE);

	cpu_add(p, apic_id);
	starting.pcpu = p;
	starting.vmxon_region = ptr_to_hpa(cpu_alloc_pages(1));
	boot_ap_stack = p->stack_top;
	__atomic_store_n(&starting.answered, false, __ATOMIC_RELEASE);
	cpu_apic_send(apic_id, CPU_APIC_STARTUP(page));
	if (!answers_within(AFTER_STARTUP_US)) {
		cpu_apic_send(apic_id, CPU_APIC_STARTUP(page));
		if (!answers_within(ANSWER_US))
			return "it does not answer a startup IPI";
	}
	return starting.error;
}

/* L0's tables, and the first 2 MiB where they are, which nobody else needs. */
static u64 *make_tables(void)
{
	u64 *pml4 = cpu_alloc_pages(3), *pdpt = pml4 + 512, *pd = pdpt + 512;

	memcpy(pml4, hpa_to_ptr(HPA(boot_ap_cr3)), PAGE_SIZE);
	pml4[0] = ptr_to_hpa(pdpt).v | PTE_TABLE;
	pdpt[0] = ptr_to_hpa(pd).v | PTE_TABLE;
	pd[0] = PTE_LARGE;
	return pml4;
}

static void write_page(u64 page, const u64 *tables)
{
	struct ap_args *args = hpa_to_ptr(HPA(page + (u64)(boot_ap_args - boot_ap_code)));

	memcpy(hpa_to_ptr(HPA(page)), boot_ap_code, (size_t)(boot_ap_code_end - boot_ap_code));
	args->to_protected += (u32)page;
	args->to_long += (u32)page;
	args->gdt_base += (u32)page;
	args->tables = (u32)ptr_to_hpa(tables).v;
}

static void start_all(const u32 *id, u32 n, u64 page)
{
	for (u32 i = 0; i < n; i++)
		cpu_apic_send(id[i], CPU_APIC_INIT);
	cpu_delay_us(AFTER_INIT_US);
	for (u32 i = 0; i < n; i++) {
		const char *error = start(id[i], page);

		if (error)
			boot_fail("the CPU with APIC ID %u cannot be kept from L1, which could run it beside Plastron with all of memory: %s. In the firmware's setup, switch VMX on, or that CPU off (number of cores, hyper-threading)",
				  id[i], error);
	}
}

static bool is_new(const u32 *id, u32 n, u32 one)
{
	for (u32 i = 0; i < n; i++)
		if (id[i] == one)
			return false;
	return one != cpu_this()->apic_id;
}

/* Firmware may list a CPU twice, once for each kind of APIC. */
static u32 find_others(const struct acpi_info *acpi, u32 *id)
{
	u32 n = 0;

	if (!acpi->madt && (cpu_cpuid(1, 0).edx & CPUID_1_EDX_HTT))
		boot_fail("the firmware does not list this machine's CPUs (ACPI has no valid MADT), so that others than this one cannot be kept from L1: switch ACPI on, or all CPUs but one off");
	if (acpi->more_cpus)
		boot_fail("this machine has more CPUs than Plastron can keep from L1 (%u): switch some off in the firmware's setup",
			  ACPI_CPUS_MAX);
	for (u32 i = 0; i < acpi->cpus; i++)
		if (is_new(id, n, acpi->apic_id[i]))
			id[n++] = acpi->apic_id[i];
	return n;
}

static void check_reach(const u32 *id, u32 n)
{
	if (!cpu_apic_usable())
		boot_fail("this CPU's local APIC is switched off, so that Plastron cannot keep the machine's other CPUs from L1: switch the APIC on in the firmware's setup");
	for (u32 i = 0; i < n; i++)
		if (!cpu_apic_can_name(id[i]))
			boot_fail("the CPU with APIC ID %u can be reached only in x2APIC mode, so that Plastron cannot keep it from L1: switch x2APIC on in the firmware's setup",
				  id[i]);
}

static u64 find_page(const struct boot_info *bi)
{
	struct loader_plan plan;
	u64 page;

	loader_plan_init(&plan, &bi->map);
	if (!loader_plan_high(&plan, PAGE_SIZE, PAGE_SIZE, LOW_MEMORY_START, LOW_MEMORY_END, &page))
		boot_fail("there is no available memory below 640 KiB to start the machine's other CPUs in: switch them off in the firmware's setup");
	return page;
}

void boot_park_cpus(const struct boot_info *bi, const struct acpi_info *acpi,
		    const struct vmx_caps *caps)
{
	u32 id[ACPI_CPUS_MAX], n = find_others(acpi, id);
	u64 page;
	void *saved;

	if (!n)
		return;
	check_reach(id, n);
	page = find_page(bi);
	saved = memcpy(cpu_alloc_pages(1), hpa_to_ptr(HPA(page)), PAGE_SIZE);
	boot_ap_cr3 = cpu_read_cr3();
	starting.caps = caps;
	write_page(page, make_tables());
	start_all(id, n, page);
	memcpy(hpa_to_ptr(HPA(page)), saved, PAGE_SIZE);
	con_info("CPUs: 1 for L1, %u parked\n", n);
}
