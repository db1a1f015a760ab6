/*
 * From the boot loader's information to a running L0: chooses L0's home,
 * moves there, sets up the first CPU and starts the root VM. The boot loader's
 * memory is not relied on after that, except for the modules.
 */
#include <string.h>

#include "boot/init.h"
#include "boot/mb2.h"
#include "boot/options.h"
#include "cpu/apic.h"
#include "cpu/idt.h"
#include "cpu/memory.h"
#include "debug/console.h"
#include "debug/dump.h"
#include "vm/acpi.h"
#include "vm/bios_map.h"
#include "vm/e820.h"

#define VERSION "0.1"

#define MBI_MAX (1u << 20)

extern const u8 image_start[], image_end[];
extern const u8 boot_entry32[];

static struct boot_info info;

void boot_main(u32 mbi);

static const struct mb2_info *mbi_at(u32 mbi)
{
	return hpa_to_ptr(HPA(mbi));
}

static void parse(const void *mbi)
{
	const char *error = boot_mb2_parse(mbi, MBI_MAX, &info), *complaint;
	size_t len = 0;

	boot_options_parse(info.cmdline, &info.options, &complaint, &len);
	con_init(info.options.outputs, info.options.label);
	con_set_quiet(info.options.quiet);
	con_info("Plastron " VERSION "\n");
	if (error)
		debug_refuse("the boot loader's Multiboot2 information is unusable: %s", error);
	if (complaint)
		con_printf("option \"%.*s\" is not known and ignored (known are: %s)\n", (int)len,
			   complaint, boot_options_known);
}

static void move_home(u32 mbi)
{
	u64 image = (u64)image_start - CPU_IMAGE_BASE, size = image_end - image_start;
	struct boot_range avoid[] = {
		{ (u64)boot_entry32 & PAGE_MASK, image + size },
		{ mbi, mbi + mbi_at(mbi)->total_size },
	};
	u64 cr3;

	if (!boot_home_choose(&info, boot_count_cpus(&info), avoid, ARRAY_SIZE(avoid)))
		debug_refuse("no room for Plastron in this machine's memory below 4 GiB (%lu MiB available): give it more memory or smaller modules",
			  e820_total(&info.map, E820_AVAILABLE) >> 20);
	void *home = cpu_alloc_pages(size / PAGE_SIZE);

	cr3 = boot_paging_make(ptr_to_hpa(home), e820_end_of_memory(&info.map));
	boot_move_image(home, image_start, size, cr3);
}

/* The strings in the boot information are used until L1 is loaded over it. */
static void keep_information(u32 mbi)
{
	size_t size = mbi_at(mbi)->total_size;
	void *copy = cpu_alloc_pages(ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
	struct boot_options options = info.options;

	memcpy(copy, mbi_at(mbi), size);
	boot_mb2_parse(copy, size, &info);
	info.options = options;
	info.l1_map = info.map;
	if (!e820_set(&info.l1_map, cpu_home.base.v, cpu_home.base.v + cpu_home.size,
		      E820_RESERVED))
		debug_refuse("the firmware's memory map has too many entries");
}

static void start_cpu(void)
{
	size_t pages = ALIGN_UP(sizeof(struct pcpu), PAGE_SIZE) / PAGE_SIZE;
	struct pcpu *p = cpu_alloc_pages(pages);

	cpu_idt_init();
	cpu_unexpected = debug_exception;
	cpu_stopped = debug_stopped;
	cpu_add(p, cpu_apic_id());
	cpu_enter(p);
}

static bool read_memory(void *context, u64 addr, void *buf, size_t len)
{
	(void)context;
	memcpy(buf, hpa_to_ptr(HPA(addr)), len);
	return true;
}

/* A BIOS has it below 1 MiB, where L1 looks too; others tell the boot loader. */
static void find_rsdp(void)
{
	const struct acpi_reader reader = { read_memory, NULL };

	info.rsdp_addr = acpi_find_rsdp(&reader);
	if (info.rsdp_addr && !info.rsdp_size) {
		info.rsdp_size = BOOT_RSDP_MAX;
		memcpy(info.rsdp, hpa_to_ptr(HPA(info.rsdp_addr)), BOOT_RSDP_MAX);
	}
}

static void start_vm(const void *bi)
{
	vm_start(bi);
}

void boot_main(u32 mbi)
{
	con_init(CON_DEFAULT, "L0");
	parse(mbi_at(mbi));
	move_home(mbi);
	start_cpu();
	boot_check_vmx();
	keep_information(mbi);
	find_rsdp();
	if (!bios_map_install(hpa_to_ptr(HPA(0)), &info))
		con_printf("BIOS: no room to answer for it where memory is; a guest that asks it will find L0's home there\n");
	boot_call_on_stack(&info, start_vm, cpu_this()->stack_top);
}
