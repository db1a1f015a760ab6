/*
 * The machine's other CPUs. L1 gets one; the others wait in VMX root
 * operation, where neither INIT nor SIPI reaches them, so that L1 cannot run
 * them beside L0. Each has its struct pcpu, for when it becomes a vcpu's.
 */
#pragma once

#include "boot_info.h"
#include "vm/acpi.h"
#include "vmx_caps.h"

/*
 * Starts and parks every CPU of the MADT but the one that calls, which must be
 * in VMX operation. Before cpu_free_pages(). A CPU that cannot be parked
 * stops L0 with a message.
 */
void boot_park_cpus(const struct boot_info *bi, const struct acpi_info *acpi,
		    const struct vmx_caps *caps);
