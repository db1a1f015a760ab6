/*
 * ACPI tables as the ACPI specification lays them out ("Root System
 * Description Pointer", "System Description Table Header", "Fixed ACPI
 * Description Table", "Multiple APIC Description Table"). No code.
 */
#pragma once

#include "types.h"

#define ACPI_RSDP_SIGNATURE "RSD PTR "
#define ACPI_RSDP_V1_SIZE 20

struct acpi_rsdp {
	char signature[8];
	u8 checksum;
	char oem_id[6];
	u8 revision;
	u32 rsdt;
	/* From revision 2 on. */
	u32 length;
	u64 xsdt;
	u8 extended_checksum, reserved[3];
} __attribute__((packed));

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem_id[6], oem_table_id[8];
	u32 oem_revision, creator_id, creator_revision;
} __attribute__((packed));

enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI = 2 };

struct acpi_address {
	u8 space, width, offset, access;
	u64 address;
} __attribute__((packed));

struct acpi_fadt {
	struct acpi_header header;
	u32 facs, dsdt;
	u8 reserved0, profile;
	u16 sci_irq;
	u32 smi_cmd;
	u8 acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	u32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	u8 pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	u8 gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	u16 c2_latency, c3_latency, flush_size, flush_stride;
	u8 duty_offset, duty_width, day_alarm, month_alarm, century;
	u16 boot_arch;
	u8 reserved1;
	u32 flags;
	struct acpi_address reset_reg;
	u8 reset_value;
	u16 arm_boot_arch;
	u8 minor_revision;
	u64 x_facs, x_dsdt;
	struct acpi_address x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt;
} __attribute__((packed));

#define ACPI_FADT_RESET_REG BIT32(10)	/* in flags */

struct acpi_madt {
	struct acpi_header header;
	u32 lapic_address, flags;
} __attribute__((packed));

struct acpi_madt_entry {
	u8 type, length;
} __attribute__((packed));

#define ACPI_MADT_LAPIC 0
#define ACPI_MADT_X2APIC 9
#define ACPI_MADT_ENABLED BIT32(0)
#define ACPI_MADT_ONLINE_CAPABLE BIT32(1)

struct acpi_madt_lapic {
	struct acpi_madt_entry entry;
	u8 processor_uid, apic_id;
	u32 flags;
} __attribute__((packed));

struct acpi_madt_x2apic {
	struct acpi_madt_entry entry;
	u16 reserved;
	u32 apic_id, flags, processor_uid;
} __attribute__((packed));

/* PM1 control register ("PM1 Control Registers"). */
#define ACPI_SLP_EN BIT32(13)
#define ACPI_SLP_TYP_SHIFT 10
#define ACPI_SLP_TYP_MASK 7u
