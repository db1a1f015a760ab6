/*
 * The CPUs that L1 does not get: at this stage all but one. They wait in VMX
 * root operation, where neither INIT nor SIPI reaches them, so that L1 cannot
 * run them beside L0; and the MADT that L1 reads does not have them.
 */
#pragma once

#include "boot_info.h"
#include "vm/acpi.h"
#include "vmx_caps.h"

/*
 * From the CPU that stays, in VMX operation, before cpu_free_pages(). A CPU
 * that cannot be kept from L1 ends L0 with a message.
 */
void vm_park_cpus(const struct boot_info *bi, const struct acpi_info *acpi,
		  const struct vmx_caps *caps);
