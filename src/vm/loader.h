/*
 * Puts L1 into memory the way its boot protocol wants it, and says how to
 * enter it. The first module is L1's image, its string L1's command line, the
 * others its modules. Pure functions on memory: vm/ makes guest state of the
 * result.
 */
#pragma once

#include "boot_info.h"

enum loader_format {
	LOADER_UNKNOWN, LOADER_BZIMAGE, LOADER_VMLINUX, LOADER_MULTIBOOT1, LOADER_MULTIBOOT2,
};

enum loader_entry_kind {
	LOADER_ENTRY_LINUX64,	/* long mode, paging on, flat segments of a GDT in L1's memory */
	LOADER_ENTRY_PM32,	/* 32-bit protected mode, paging off, flat segments, no GDT */
};

struct loader_entry {
	enum loader_format format;
	enum loader_entry_kind kind;
	u64 rip;
	u64 rsp, rsi, cr3;		/* LINUX64 */
	u64 gdt_base;			/* LINUX64 */
	u16 gdt_limit, cs, ds;		/* LINUX64 */
	u32 eax, ebx;			/* PM32 */
	u64 boot_start, boot_end;	/* boot structures, for L1 to reuse when it has read them */
	u64 image_start, image_end;	/* where L1's image was put, from end to end */
	char error[200];		/* when loader_load() returns false */
};

enum loader_format loader_recognize(const void *image, size_t len);
const char *loader_format_name(enum loader_format f);

/*
 * mem is physical address 0 of the machine, as far as bi->l1_map says there
 * is memory (and modules). bi is not changed; it may not lie in L1's memory.
 */
bool loader_load(u8 *mem, const struct boot_info *bi, struct loader_entry *out);
