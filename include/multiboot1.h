/*
 * Multiboot (1): header of an image and boot information, as the Multiboot
 * specification lays them out. No code.
 */
#pragma once

#include "types.h"

#define MB1_HEADER_MAGIC 0x1badb002u
#define MB1_HEADER_SEARCH 8192
#define MB1_BOOT_MAGIC 0x2badb002u

#define MB1_HEADER_PAGE_ALIGN BIT32(0)
#define MB1_HEADER_MEMORY_INFO BIT32(1)
#define MB1_HEADER_VIDEO BIT32(2)
#define MB1_HEADER_ADDRESSES BIT32(16)
#define MB1_HEADER_REQUIRED 0xffffu

struct mb1_header {
	u32 magic, flags, checksum;
	/* With MB1_HEADER_ADDRESSES. */
	u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
} __attribute__((packed));

#define MB1_INFO_MEMORY BIT32(0)
#define MB1_INFO_CMDLINE BIT32(2)
#define MB1_INFO_MODULES BIT32(3)
#define MB1_INFO_MMAP BIT32(6)
#define MB1_INFO_LOADER_NAME BIT32(9)
#define MB1_INFO_FRAMEBUFFER BIT32(12)

struct mb1_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline;
	u32 mods_count, mods_addr;
	u32 syms[4];
	u32 mmap_length, mmap_addr, drives_length, drives_addr;
	u32 config_table, boot_loader_name, apm_table;
	u32 vbe_control_info, vbe_mode_info;
	u16 vbe_mode, vbe_interface_seg, vbe_interface_off, vbe_interface_len;
	u64 framebuffer_addr;
	u32 framebuffer_pitch, framebuffer_width, framebuffer_height;
	u8 framebuffer_bpp, framebuffer_type, framebuffer_colors[6];
} __attribute__((packed));

struct mb1_module {
	u32 start, end, string, reserved;
} __attribute__((packed));

struct mb1_mmap_entry {
	u32 size;			/* of what follows */
	u64 addr, len;
	u32 type;
} __attribute__((packed));
