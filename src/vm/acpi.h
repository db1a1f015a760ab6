/*
 * What L0 wants to know from the machine's ACPI tables: how L1 will switch
 * off or reset, and which CPUs there are. Only reads; what L1 gets to read
 * otherwise is madt.c's work.
 */
#pragma once

#include "types.h"

#define ACPI_CPUS_MAX 256

/* Physical memory, as the caller sees it. False: nothing there. */
struct acpi_reader {
	bool (*read)(void *context, u64 addr, void *buf, size_t len);
	void *context;
};

struct acpi_info {
	bool fadt, madt;		/* found and valid */
	u16 pm1a_cnt, pm1b_cnt;		/* I/O ports; 0: none */
	bool s5_known;
	u8 s5_typ_a, s5_typ_b;		/* SLP_TYP of \_S5 */
	bool has_reset;
	u8 reset_space;			/* enum acpi_space */
	u64 reset_address;
	u8 reset_value;
	u64 facs;
	u64 madt_address;
	bool more_cpus;			/* than ACPI_CPUS_MAX */
	u32 cpus;			/* enabled ones, in the table's order */
	u32 apic_id[ACPI_CPUS_MAX];
};

/*
 * Where the BIOS put the RSDP (its data area, or below 1 MiB); 0: not there.
 * ACPI "Finding the RSDP on IA-PC Systems".
 */
u64 acpi_find_rsdp(const struct acpi_reader *r);

/*
 * Fills *info from the tables below an RSDP, of which rsdp is a copy of size
 * bytes. NULL, or what is wrong; what was found before that is in *info.
 */
const char *acpi_parse(const struct acpi_reader *r, const void *rsdp, size_t size,
		       struct acpi_info *info);
