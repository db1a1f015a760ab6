/* See loader_plan.h. */
#include "vm/loader_plan.h"

void loader_plan_init(struct loader_plan *p, const struct e820_map *map)
{
	p->map = map;
	p->count = 0;
}

bool loader_plan_use(struct loader_plan *p, u64 start, u64 end)
{
	if (start >= end)
		return true;
	if (p->count == LOADER_USED_MAX)
		return false;
	p->used[p->count].start = start;
	p->used[p->count++].end = end;
	return true;
}

void loader_plan_release(struct loader_plan *p, u64 start, u64 end)
{
	for (u32 i = 0; i < p->count; i++)
		if (p->used[i].start == start && p->used[i].end == end) {
			p->used[i] = p->used[--p->count];
			return;
		}
}

/* The used range met first, or -1. */
static int meets(const struct loader_plan *p, u64 start, u64 end)
{
	for (u32 i = 0; i < p->count; i++)
		if (start < p->used[i].end && end > p->used[i].start)
			return (int)i;
	return -1;
}

bool loader_plan_used(const struct loader_plan *p, u64 start, u64 end)
{
	return meets(p, start, end) >= 0;
}

bool loader_plan_free(const struct loader_plan *p, u64 start, u64 end)
{
	return e820_all(p->map, start, end, E820_AVAILABLE) && !loader_plan_used(p, start, end);
}

/* The highest place in [low, high): steps below each used range that is in the way. */
static bool high_in(const struct loader_plan *p, u64 size, u64 align, u64 low, u64 high,
		    u64 *start)
{
	while (high >= size && high - size >= low) {
		u64 s = ALIGN_DOWN(high - size, align);
		int i;

		if (s < low)
			return false;
		i = meets(p, s, s + size);
		if (i < 0) {
			*start = s;
			return true;
		}
		high = p->used[i].start;
	}
	return false;
}

static bool low_in(const struct loader_plan *p, u64 size, u64 align, u64 low, u64 high,
		   u64 *start)
{
	while (low < high) {
		u64 s = ALIGN_UP(low, align);
		int i;

		if (s < low || s >= high || high - s < size)
			return false;
		i = meets(p, s, s + size);
		if (i < 0) {
			*start = s;
			return true;
		}
		low = p->used[i].end;
	}
	return false;
}

bool loader_plan_high(const struct loader_plan *p, u64 size, u64 align,
		      u64 min, u64 max, u64 *start)
{
	for (u32 i = p->map->count; i > 0; i--) {
		const struct e820_entry *e = &p->map->entry[i - 1];

		if (e->type == E820_AVAILABLE && size &&
		    high_in(p, size, align, MAX(e->start, min), MIN(e->end, max), start))
			return true;
	}
	return false;
}

bool loader_plan_low(const struct loader_plan *p, u64 size, u64 align,
		     u64 min, u64 max, u64 *start)
{
	for (u32 i = 0; i < p->map->count; i++) {
		const struct e820_entry *e = &p->map->entry[i];

		if (e->type == E820_AVAILABLE && size &&
		    low_in(p, size, align, MAX(e->start, min), MIN(e->end, max), start))
			return true;
	}
	return false;
}
