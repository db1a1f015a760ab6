/*
 * L0's view of physical memory: the direct map, which has all RAM and at
 * least the first 4 GiB, and the image, which lies in L0's home.
 */
#pragma once

#include "types.h"

#define BOOT_DIRECT_MAP 0xffff800000000000ull
#define BOOT_IMAGE_BASE 0xffffffff80000000ull

/* Physical address minus (virtual address - BOOT_IMAGE_BASE) of the image. */
extern u64 boot_image_offset;

static always_inline void *hpa_to_ptr(hpa_t a)
{
	return (void *)(BOOT_DIRECT_MAP + a.v);
}

/* For pointers into the direct map and into the image. */
static always_inline hpa_t ptr_to_hpa(const void *p)
{
	u64 v = (u64)p;

	if (v >= BOOT_IMAGE_BASE)
		return HPA(v - BOOT_IMAGE_BASE + boot_image_offset);
	return HPA(v - BOOT_DIRECT_MAP);
}

/* The end of what the direct map covers. */
hpa_t boot_direct_map_end(void);
