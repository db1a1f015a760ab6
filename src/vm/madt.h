/* What L1 reads of the machine's CPUs: the MADT with only those it can have. */
#pragma once

#include "types.h"

/*
 * Takes "enabled" and "online capable" from every CPU of a valid MADT but those
 * with these n APIC IDs, and corrects the checksum. False: the table is in memory
 * that does not keep what is written.
 */
bool madt_keep_cpus(void *madt, const u32 *apic_id, u32 n);
