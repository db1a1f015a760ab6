/* What L1 reads of the machine's CPUs: the MADT with only those it can have. */
#pragma once

#include "types.h"

/*
 * Takes "enabled" and "online capable" from every CPU of a valid MADT but the
 * one with that APIC ID, and corrects the checksum. False: the table is in
 * memory that does not keep what is written.
 */
bool madt_keep_cpu(void *madt, u32 apic_id);
