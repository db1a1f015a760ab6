/* A loading in progress: what the loaders of the formats share. Not for others. */
#pragma once

#include "vm/loader.h"
#include "vm/loader_plan.h"

#define LOADER_LOW_START 0x10000ull	/* below: interrupt vectors, BIOS data, real-mode stacks */
#define LOADER_LOW_END 0xa0000ull
#define LOADER_HIGH_START 0x100000ull
#define LOADER_HIGH_END 0xffffffffull	/* every boot protocol here has 32-bit addresses */

struct loader_job {
	u8 *mem;
	const struct boot_info *bi;
	struct loader_entry *out;
	struct loader_plan plan;
	u32 modules;			/* the first is the image */
	struct boot_module module[BOOT_MODULES_MAX];
};

/* Writes out->error; returns false, for the caller to return. */
bool loader_fail(struct loader_job *j, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline const u8 *loader_image(const struct loader_job *j)
{
	return j->mem + j->module[0].start;
}

static inline size_t loader_image_size(const struct loader_job *j)
{
	return j->module[0].end - j->module[0].start;
}

/* The image wants [start, end): it must be L1's memory. Modules may still be there. */
bool loader_claim(struct loader_job *j, u64 start, u64 end);

/* When all is claimed: moves modules out of the way, and to page boundaries. */
bool loader_make_room(struct loader_job *j);

/* A zeroed piece of low memory for boot structures; claimed. */
bool loader_boot_area(struct loader_job *j, u64 size, u64 *start);

/* Kilobytes from 0 up and from 1 MiB up without a hole, as the BIOS reports them. */
u32 loader_mem_lower(const struct loader_job *j);
u32 loader_mem_upper(const struct loader_job *j);

/* The formats. */
bool loader_bzimage(struct loader_job *j);
bool loader_vmlinux(struct loader_job *j);
bool loader_multiboot1(struct loader_job *j);
bool loader_multiboot2(struct loader_job *j);

/* Byte offset of the header in the image, or -1. */
long loader_mb1_header(const void *image, size_t len);
long loader_mb2_header(const void *image, size_t len);
