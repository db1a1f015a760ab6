/*
 * See park.h. SDM 3C "Restrictions on VMX Operation": INIT is blocked in VMX
 * root operation, and a SIPI counts only after INIT. CPUs that the firmware
 * does not list are not looked for: it may have had its reasons.
 */
#include "vm/park.h"

#include "cpu/ap.h"
#include "cpu/apic.h"
#include "cpu/cpu.h"
#include "cpu/home.h"
#include "cpu/memory.h"
#include "cpu/pcpu.h"
#include "debug/console.h"
#include "debug/dump.h"
#include "vm/loader_plan.h"
#include "vm/madt.h"
#include "vmx/setup.h"

#define LOW_MEMORY_START PAGE_SIZE	/* not the vectors and BIOS data */
#define LOW_MEMORY_END 0xa0000

#define CPUID_1_EDX_HTT BIT32(28)

/* For the CPU on its way. */
static const struct vmx_caps *vmx_caps;
static hpa_t vmxon_region;

/* Runs on the CPU to be parked. */
static const char *enter_vmx(void)
{
	u64 control = cpu_rdmsr(MSR_IA32_FEATURE_CONTROL);

	if ((control & FEATURE_CONTROL_LOCK) && !(control & FEATURE_CONTROL_VMX))
		return "the firmware has switched VMX off there";
	return vmx_enable(vmx_caps, vmxon_region);
}

static void park_all(const u32 *id, u32 n)
{
	cpu_ap_init(id, n);
	for (u32 i = 0; i < n; i++) {
		const char *error;

		vmxon_region = ptr_to_hpa(cpu_alloc_pages(1));
		error = cpu_ap_start(id[i], enter_vmx);
		if (error)
			debug_refuse("the CPU with APIC ID %u cannot be kept from L1, which could run it beside Plastron with all of memory: %s. In the firmware's setup, switch VMX on, or that CPU off (number of cores, hyper-threading)",
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
		debug_refuse("the firmware does not list this machine's CPUs (ACPI has no valid MADT), so that others than this one cannot be kept from L1: switch ACPI on, or all CPUs but one off");
	for (u32 i = 0; i < acpi->cpus; i++)
		if (is_new(id, n, acpi->apic_id[i]))
			id[n++] = acpi->apic_id[i];
	if (acpi->more_cpus || n >= CPU_MAX)
		debug_refuse("this machine has more than %u CPUs, too many for Plastron to keep from L1: switch some off in the firmware's setup",
		     CPU_MAX);
	return n;
}

static void check_reach(const u32 *id, u32 n)
{
	if (!cpu_apic_usable())
		debug_refuse("this CPU's local APIC is switched off, so that the machine's other CPUs cannot be kept from L1: switch the APIC on in the firmware's setup");
	for (u32 i = 0; i < n; i++)
		if (!cpu_apic_can_name(id[i]))
			debug_refuse("the CPU with APIC ID %u can be reached only in x2APIC mode and so not be kept from L1: switch x2APIC on in the firmware's setup",
			     id[i]);
}

static hpa_t find_page(const struct boot_info *bi)
{
	struct loader_plan plan;
	u64 page;

	loader_plan_init(&plan, &bi->map);
	if (!loader_plan_high(&plan, PAGE_SIZE, PAGE_SIZE, LOW_MEMORY_START, LOW_MEMORY_END, &page))
		debug_refuse("there is no available memory below 640 KiB, which starting the machine's other CPUs needs: switch them off in the firmware's setup");
	return HPA(page);
}

/* So that L1 need not wait for CPUs that do not come. */
static void hide_all(const struct acpi_info *acpi)
{
	if (acpi->madt && !madt_keep_cpu(hpa_to_ptr(HPA(acpi->madt_address)), cpu_this()->apic_id))
		con_printf("ACPI: the MADT is in memory that cannot be written: L1 is told of CPUs that will not start\n");
}

void vm_park_cpus(const struct boot_info *bi, const struct acpi_info *acpi,
		  const struct vmx_caps *caps)
{
	u32 id[ACPI_CPUS_MAX], n = find_others(acpi, id);

	hide_all(acpi);
	if (!n)
		return;
	check_reach(id, n);
	vmx_caps = caps;
	cpu_ap_open(find_page(bi));
	park_all(id, n);
	cpu_ap_close();
	con_info("CPUs: 1 for L1, %u parked\n", n);
}
