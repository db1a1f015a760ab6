/*
 * Multiboot2: header of an image and boot information, as the Multiboot2
 * specification lays them out. No code; usable from assembly.
 */
#pragma once

#define MB2_HEADER_MAGIC 0xe85250d6
#define MB2_HEADER_SEARCH 32768
#define MB2_HEADER_ALIGN 8
#define MB2_BOOT_MAGIC 0x36d76289

#define MB2_HTAG_END 0
#define MB2_HTAG_INFO_REQUEST 1
#define MB2_HTAG_ADDRESS 2
#define MB2_HTAG_ENTRY 3
#define MB2_HTAG_CONSOLE 4
#define MB2_HTAG_FRAMEBUFFER 5
#define MB2_HTAG_MODULE_ALIGN 6
#define MB2_HTAG_EFI_BS 7
#define MB2_HTAG_RELOCATABLE 10
#define MB2_HTAG_OPTIONAL 1

#define MB2_TAG_END 0
#define MB2_TAG_CMDLINE 1
#define MB2_TAG_LOADER_NAME 2
#define MB2_TAG_MODULE 3
#define MB2_TAG_BASIC_MEMINFO 4
#define MB2_TAG_BOOTDEV 5
#define MB2_TAG_MMAP 6
#define MB2_TAG_VBE 7
#define MB2_TAG_FRAMEBUFFER 8
#define MB2_TAG_ELF_SECTIONS 9
#define MB2_TAG_APM 10
#define MB2_TAG_ACPI_OLD 14
#define MB2_TAG_ACPI_NEW 15
#define MB2_TAG_LOAD_BASE 21

#define MB2_TAG_ALIGN 8

#ifndef __ASSEMBLER__
#include "types.h"

struct mb2_header {
	u32 magic, architecture, header_length, checksum;
} __attribute__((packed));

struct mb2_header_tag {
	u16 type, flags;
	u32 size;
} __attribute__((packed));

struct mb2_header_address {
	struct mb2_header_tag tag;
	u32 header_addr, load_addr, load_end_addr, bss_end_addr;
} __attribute__((packed));

struct mb2_header_entry {
	struct mb2_header_tag tag;
	u32 entry_addr;
} __attribute__((packed));

struct mb2_info {
	u32 total_size, reserved;
} __attribute__((packed));

struct mb2_tag {
	u32 type, size;
} __attribute__((packed));

struct mb2_tag_string {
	struct mb2_tag tag;
	char string[];
} __attribute__((packed));

struct mb2_tag_module {
	struct mb2_tag tag;
	u32 start, end;
	char string[];
} __attribute__((packed));

struct mb2_tag_meminfo {
	struct mb2_tag tag;
	u32 lower_kib, upper_kib;
} __attribute__((packed));

struct mb2_mmap_entry {
	u64 addr, len;
	u32 type, reserved;
} __attribute__((packed));

struct mb2_tag_mmap {
	struct mb2_tag tag;
	u32 entry_size, entry_version;
	struct mb2_mmap_entry entries[];
} __attribute__((packed));

#define MB2_FB_INDEXED 0
#define MB2_FB_RGB 1
#define MB2_FB_TEXT 2

struct mb2_tag_framebuffer {
	struct mb2_tag tag;
	u64 addr;
	u32 pitch, width, height;
	u8 bpp, type;
	u16 reserved;
	/* For MB2_FB_RGB. */
	u8 red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
} __attribute__((packed));
#endif
