/*
 * How many CPUs the firmware lists, before L0 has a home: that is the larger the
 * more there are. Only a number: which ones, and whether they start, is vm/cpus.c's.
 */
#include <string.h>

#include "boot/init.h"
#include "cpu/memory.h"
#include "vm/acpi.h"

#define MAPPED (1ull << 32)		/* by the tables that L0 comes with */

static bool read_mapped(void *context, u64 addr, void *buf, size_t len)
{
	(void)context;
	if (addr >= MAPPED || len > MAPPED - addr)
		return false;
	memcpy(buf, hpa_to_ptr(HPA(addr)), len);
	return true;
}

u32 boot_count_cpus(const struct boot_info *bi)
{
	const struct acpi_reader reader = { read_mapped, NULL };
	u8 rsdp[BOOT_RSDP_MAX];
	struct acpi_info acpi;
	u64 addr;

	if (bi->rsdp_size) {
		acpi_parse(&reader, bi->rsdp, bi->rsdp_size, &acpi);
	} else {
		addr = acpi_find_rsdp(&reader);
		if (!addr || !read_mapped(NULL, addr, rsdp, sizeof(rsdp)))
			return 1;
		acpi_parse(&reader, rsdp, sizeof(rsdp), &acpi);
	}
	return MAX(acpi.cpus, 1u);
}
