/*
 * See cpus.h. SDM 3C "Restrictions on VMX Operation": INIT is blocked in VMX
 * root operation, and a SIPI counts only after INIT. CPUs that the firmware
 * does not list are not looked for: it may have had its reasons.
 */
#include "vm/cpus.h"

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
#include "vm/shared.h"
#include "vm/vcpu.h"
#include "vmx/insn.h"
#include "vmx/setup.h"

#define LOW_MEMORY_START PAGE_SIZE	/* not the vectors and BIOS data */
#define LOW_MEMORY_END 0xa0000

#define CPUID_1_EDX_HTT BIT32(28)

/* For the CPU on its way. */
static struct {
	struct vm *vm;
	const struct boot_options *options;
	hpa_t vmxon_region;
} way;

static bool released;

/* These run on the CPU that is started. */
static const char *enter_vmx(void)
{
	u64 control = cpu_rdmsr(MSR_IA32_FEATURE_CONTROL);

	if ((control & FEATURE_CONTROL_LOCK) && !(control & FEATURE_CONTROL_VMX))
		return "the firmware has switched VMX off there";
	return vmx_enable(&way.vm->hw, way.vmxon_region);
}

static const char *become_vcpu(void)
{
	const char *error = enter_vmx();

	if (!error)
		vcpu_create(way.vm, way.options);
	return error;
}

static void run_vcpu(void)
{
	struct vcpu *v = cpu_this()->vcpu;

	while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE))
		cpu_pause();
	vcpu_use_memory(v);
	v->waits_init = true;
	v->apic_off = !cpu_apic_usable();
	vm_enter_shared(v);
}

static void start_all(const u32 *id, u32 n, u32 for_l1)
{
	cpu_ap_init(id, n);
	for (u32 i = 0; i < n; i++) {
		bool vcpu = i < for_l1;
		const char *error;

		way.vmxon_region = ptr_to_hpa(cpu_alloc_pages(1));
		error = cpu_ap_start(id[i], vcpu ? become_vcpu : enter_vmx,
				     vcpu ? run_vcpu : cpu_ap_park);
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
static void hide(const struct acpi_info *acpi, const u32 *others, u32 for_l1)
{
	u32 id[VM_MAX_VCPUS] = { cpu_this()->apic_id };

	for (u32 i = 0; i < for_l1; i++)
		id[1 + i] = others[i];
	if (acpi->madt && !madt_keep_cpus(hpa_to_ptr(HPA(acpi->madt_address)), id, 1 + for_l1))
		con_printf("ACPI: the MADT is in memory that cannot be written: L1 is told of CPUs that will not start\n");
}

/* What several CPUs need beyond what one does. */
static const char *only_one(const struct vm *vm)
{
	const u32 nmis = PIN_NMI | PIN_VIRTUAL_NMI;

	if (vm->no_ept)
		return "EPT";
	if ((vm->hw.pin.may & nmis) != nmis || !(vm->hw.proc.may & PROC_NMI_WINDOW))
		return "virtual NMIs";
	if (!(vm->hw.misc & MISC_ACTIVITY_SIPI))
		return "the wait-for-SIPI state";
	return NULL;
}

u32 vm_count_cpus(const struct vm *vm, const struct boot_options *options)
{
	u32 id[ACPI_CPUS_MAX], others = find_others(&vm->acpi, id);
	u32 wanted = MIN(MIN(options->cpus, VM_MAX_VCPUS), 1 + others);
	const char *missing = wanted > 1 ? only_one(vm) : NULL;

	if (missing)
		con_printf("this processor's VMX lacks %s, without which L1 has one CPU\n", missing);
	return missing ? 1 : wanted;
}

void vm_start_cpus(struct vm *vm, const struct boot_info *bi, u32 vcpus)
{
	u32 id[ACPI_CPUS_MAX], n = find_others(&vm->acpi, id);

	hide(&vm->acpi, id, vcpus - 1);
	if (!n)
		return;
	check_reach(id, n);
	way.vm = vm;
	way.options = &bi->options;
	cpu_ap_open(find_page(bi));
	start_all(id, n, vcpus - 1);
	cpu_ap_close();
	con_info("CPUs: %u for L1, %u parked\n", vcpus, n + 1 - vcpus);
}

void vm_release_cpus(void)
{
	__atomic_store_n(&released, true, __ATOMIC_RELEASE);
}
