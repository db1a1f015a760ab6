/*
 * What Plastron was started with, independent of who started it. Filled by
 * the parser of a boot protocol (boot/mb2.c); strings and modules stay where
 * that says they are.
 */
#pragma once

#include "memory_map.h"
#include "multiboot2.h"
#include "types.h"

#define BOOT_MODULES_MAX 16
#define BOOT_RSDP_MAX 36
#define BOOT_LABEL_MAX 16

/* Plastron's own options: the words of the multiboot2 line. */
struct boot_options {
	u32 outputs;			/* CON_* of debug/console.h */
	char label[BOOT_LABEL_MAX];
	bool quiet, explain;
	bool check_all;			/* all checks of VM entry in software */
	bool nested_ibpb;		/* IBPB between L2 and L1 */
	bool probe;			/* try what the capability MSRs promise */
	bool nested_shadow;		/* use hardware VMCS shadowing */
	bool nested_ept;		/* tell L1 of EPT */
	bool nested_ept5;		/* of five levels, also where the processor has four */
	u32 cpus;			/* for L1, at most */
};

struct boot_module {
	u64 start, end;			/* physical */
	const char *string;
};

struct boot_info {
	struct e820_map map;		/* the machine's */
	struct e820_map l1_map;		/* what L1 gets: L0's home is reserved */
	struct boot_options options;
	const char *cmdline;		/* never NULL */
	const char *loader_name;	/* who wrote the command lines, and in its way; never NULL */
	u32 modules;
	struct boot_module module[BOOT_MODULES_MAX];
	u8 rsdp[BOOT_RSDP_MAX];		/* a copy; ACPI 2.0's if there are two */
	u32 rsdp_size;			/* 0: not told */
	u64 rsdp_addr;			/* where the BIOS keeps it; 0: not there */
	bool has_framebuffer;
	struct mb2_tag_framebuffer framebuffer;
	const struct mb2_tag *vbe;	/* whole tag, or NULL */
};

/* Implemented by vm/: starts the root VM. Called on the CPU's own stack. */
void vm_start(const struct boot_info *bi) __attribute__((noreturn));
