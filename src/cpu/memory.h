/*
 * L0's view of physical memory: the direct map, which has all RAM and at
 * least the first 4 GiB, and the image, which lies in L0's home.
 */
#pragma once

#include "types.h"

#define CPU_DIRECT_MAP 0xffff800000000000ull
#define CPU_IMAGE_BASE 0xffffffff80000000ull

/* Set once, by boot/: where the direct map ends, and the physical address minus
 * (virtual address - CPU_IMAGE_BASE) of the image. */
extern hpa_t cpu_direct_map_end;
extern u64 cpu_image_offset;

static always_inline void *hpa_to_ptr(hpa_t a)
{
	return (void *)(CPU_DIRECT_MAP + a.v);
}

/* For pointers into the direct map and into the image. */
static always_inline hpa_t ptr_to_hpa(const void *p)
{
	u64 v = (u64)p;

	if (v >= CPU_IMAGE_BASE)
		return HPA(v - CPU_IMAGE_BASE + cpu_image_offset);
	return HPA(v - CPU_DIRECT_MAP);
}
