/* See e820.h. */
#include "vm/e820.h"

struct builder {
	struct e820_map map;
	bool full;
};

static void append(struct builder *b, u64 start, u64 end, u32 type)
{
	struct e820_map *m = &b->map;
	struct e820_entry *last = m->count ? &m->entry[m->count - 1] : NULL;

	if (start >= end)
		return;
	if (last && last->end == start && last->type == type)
		last->end = end;
	else if (m->count == E820_MAX)
		b->full = true;
	else
		m->entry[m->count++] = (struct e820_entry){ start, end, type };
}

bool e820_set(struct e820_map *m, u64 start, u64 end, u32 type)
{
	struct builder b = { .full = false };
	bool placed = false;

	if (start >= end)
		return true;
	for (u32 i = 0; i < m->count; i++) {
		const struct e820_entry *e = &m->entry[i];

		append(&b, e->start, MIN(e->end, start), e->type);
		if (!placed && e->end > start) {
			append(&b, start, end, type);
			placed = true;
		}
		append(&b, MAX(e->start, end), e->end, e->type);
	}
	if (!placed)
		append(&b, start, end, type);
	if (b.full)
		return false;
	*m = b.map;
	return true;
}

u32 e820_type_at(const struct e820_map *m, u64 addr)
{
	for (u32 i = 0; i < m->count; i++)
		if (addr >= m->entry[i].start && addr < m->entry[i].end)
			return m->entry[i].type;
	return 0;
}

bool e820_all(const struct e820_map *m, u64 start, u64 end, u32 type)
{
	for (u32 i = 0; i < m->count; i++) {
		const struct e820_entry *e = &m->entry[i];

		if (e->type == type && start >= e->start && end <= e->end)
			return start < end;
	}
	return false;
}

u64 e820_total(const struct e820_map *m, u32 type)
{
	u64 total = 0;

	for (u32 i = 0; i < m->count; i++)
		if (m->entry[i].type == type)
			total += m->entry[i].end - m->entry[i].start;
	return total;
}

u64 e820_end_of_memory(const struct e820_map *m)
{
	u64 end = 0;

	for (u32 i = 0; i < m->count; i++) {
		const struct e820_entry *e = &m->entry[i];

		if (e->type == E820_AVAILABLE || e->type == E820_ACPI || e->type == E820_NVS)
			end = MAX(end, e->end);
	}
	return end;
}
