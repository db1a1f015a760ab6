/*
 * The Linux/x86 boot protocol, as the kernel's documentation describes it
 * ("The Linux/x86 Boot Protocol", "Zero Page"): the fields Plastron uses, at
 * their offsets in the zero page, which are those of the setup header in a
 * bzImage too. No code.
 */
#pragma once

#include "types.h"

#define LINUX_BOOT_PARAMS_SIZE 4096
#define LINUX_BOOT_FLAG 0xaa55
#define LINUX_HEADER_MAGIC 0x53726448	/* "HdrS" */
#define LINUX_PROTOCOL_64BIT 0x020c
#define LINUX_SETUP_HEADER 0x1f1
#define LINUX_ENTRY64 0x200		/* from the protected-mode kernel's start */
#define LINUX_SECTOR 512

#define LINUX_LOADER_UNDEFINED 0xff
#define LINUX_XLF_KERNEL_64 BIT32(0)
#define LINUX_LOADED_HIGH BIT32(0)
#define LINUX_VID_MODE_NORMAL 0xffff
#define LINUX_E820_MAX 128

#define LINUX_BOOT_CS 0x10
#define LINUX_BOOT_DS 0x18

struct linux_screen_info {
	u8 orig_x, orig_y;
	u16 ext_mem_k, orig_video_page;
	u8 orig_video_mode, orig_video_cols, flags, unused2;
	u16 orig_video_ega_bx, unused3;
	u8 orig_video_lines, orig_video_is_vga;
	u16 orig_video_points, lfb_width, lfb_height, lfb_depth;
	u32 lfb_base, lfb_size;
	u16 cl_magic, cl_offset, lfb_linelength;
	u8 red_size, red_pos, green_size, green_pos, blue_size, blue_pos, rsvd_size, rsvd_pos;
	u16 vesapm_seg, vesapm_off, pages, vesa_attributes;
	u32 capabilities, ext_lfb_base;
	u8 reserved[2];
} __attribute__((packed));

#define LINUX_VIDEO_VGA_TEXT 0x22
#define LINUX_VIDEO_VESA 0x23
#define LINUX_VIDEO_64BIT_BASE BIT32(1)	/* in capabilities */

struct linux_e820_entry {
	u64 addr, size;
	u32 type;
} __attribute__((packed));

struct linux_boot_params {
	struct linux_screen_info screen_info;		/* 000 */
	u8 pad0[0x070 - 0x040];
	u64 acpi_rsdp_addr;				/* 070 */
	u8 pad1[0x0c0 - 0x078];
	u32 ext_ramdisk_image, ext_ramdisk_size;	/* 0c0 */
	u32 ext_cmd_line_ptr;				/* 0c8 */
	u8 pad2[0x1e8 - 0x0cc];
	u8 e820_entries;				/* 1e8 */
	u8 pad3[0x1f1 - 0x1e9];
	u8 setup_sects;					/* 1f1: the setup header */
	u16 root_flags;
	u32 syssize;
	u16 ram_size, vid_mode, root_dev, boot_flag;
	u8 jump, header_end;				/* 200; end at 202 + header_end */
	u32 header;
	u16 version;
	u32 realmode_switch;
	u16 start_sys_seg, kernel_version;
	u8 type_of_loader, loadflags;			/* 210 */
	u16 setup_move_size;
	u32 code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
	u16 heap_end_ptr;
	u8 ext_loader_ver, ext_loader_type;
	u32 cmd_line_ptr, initrd_addr_max;		/* 228 */
	u32 kernel_alignment;				/* 230 */
	u8 relocatable_kernel, min_alignment;
	u16 xloadflags;
	u32 cmdline_size;				/* 238 */
	u32 hardware_subarch;
	u64 hardware_subarch_data;
	u32 payload_offset, payload_length;		/* 248 */
	u64 setup_data, pref_address;			/* 250 */
	u32 init_size, handover_offset;			/* 260 */
	u8 pad4[0x2d0 - 0x268];
	struct linux_e820_entry e820[LINUX_E820_MAX];	/* 2d0 */
	u8 pad5[0x1000 - 0xcd0];
} __attribute__((packed));

_Static_assert(sizeof(struct linux_screen_info) == 0x40, "screen_info");
_Static_assert(offsetof(struct linux_boot_params, boot_flag) == 0x1fe, "boot_flag");
_Static_assert(offsetof(struct linux_boot_params, type_of_loader) == 0x210, "type_of_loader");
_Static_assert(offsetof(struct linux_boot_params, pref_address) == 0x258, "pref_address");
_Static_assert(sizeof(struct linux_boot_params) == LINUX_BOOT_PARAMS_SIZE, "zero page");
