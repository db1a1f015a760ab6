/*
 * Finding room in physical memory: a memory map and a list of ranges that are
 * spoken for. Knows nothing of what is put there.
 */
#pragma once

#include "vm/e820.h"

#define LOADER_USED_MAX 96

struct loader_plan {
	const struct e820_map *map;
	u32 count;
	struct { u64 start, end; } used[LOADER_USED_MAX];
};

void loader_plan_init(struct loader_plan *p, const struct e820_map *map);

/* Marks a range as used; ranges may overlap. False: too many. */
bool loader_plan_use(struct loader_plan *p, u64 start, u64 end);

/* Forgets a range that loader_plan_use() was told in the same words. */
void loader_plan_release(struct loader_plan *p, u64 start, u64 end);

/* Whether [start, end) meets a used range. */
bool loader_plan_used(const struct loader_plan *p, u64 start, u64 end);

/* Whether [start, end) is available memory and unused. */
bool loader_plan_free(const struct loader_plan *p, u64 start, u64 end);

/* The highest (lowest) free place within [min, max); does not mark it. */
bool loader_plan_high(const struct loader_plan *p, u64 size, u64 align,
		      u64 min, u64 max, u64 *start);
bool loader_plan_low(const struct loader_plan *p, u64 size, u64 align,
		     u64 min, u64 max, u64 *start);
