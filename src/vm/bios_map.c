/*
 * See bios_map.h; the handler itself is bios_int15.S. The page lies at the end of base memory,
 * whose size (INT 12h) shrinks by it, as for what the BIOS keeps there itself. L1 owns the page
 * like any other: by writing there it harms nobody else.
 */
#include "vm/bios_map.h"

#include <string.h>

#include "vm/e820.h"
#include "vm/loader_plan.h"

#define BDA_BASE_MEMORY 0x413u		/* KiB */
#define BASE_MEMORY_MIN 256u
#define BASE_MEMORY_MAX 640u
#define LOADER_MODULES_FROM 0x10000ull
#define INT15_VECTOR (4 * 0x15u)
#define END_OF_1M 0x100000ull
#define END_OF_16M 0x1000000ull
#define END_OF_64M 0x4000000ull
#define MAX_BLOCKS 0xffffull		/* of 64 KiB, in 16 bits */

/* As INT 15h, AX=E820h hands them out. */
struct answer {
	u64 start, length;
	u32 type;
} __attribute__((packed));

/* What follows the code (bios_int15.S). */
struct data {
	u32 next;			/* the handler before, segment:offset */
	u16 extended;			/* KiB from 1 MiB on, to 64 MiB */
	u16 below_16m, blocks;		/* KiB from 1 to 16 MiB; 64 KiB each above that */
	u16 answers;
	struct answer answer[];
} __attribute__((packed));

extern const u8 bios_int15[], bios_int15_data[];

static u16 read16(const u8 *mem, u64 at)
{
	u16 v;

	memcpy(&v, mem + at, sizeof(v));
	return v;
}

static u64 available_from(const struct e820_map *m, u64 start, u64 limit)
{
	for (u32 i = 0; i < m->count; i++) {
		const struct e820_entry *e = &m->entry[i];

		if (e->type == E820_AVAILABLE && e->start <= start && start < e->end)
			return MIN(e->end, limit) - start;
	}
	return 0;
}

static bool fill(struct data *d, size_t room, const struct e820_map *m)
{
	u64 high = available_from(m, END_OF_16M, ~0ull) >> 16;

	if (sizeof(*d) + m->count * sizeof(d->answer[0]) > room)
		return false;
	d->extended = (u16)(available_from(m, END_OF_1M, END_OF_64M) >> 10);
	d->below_16m = (u16)(available_from(m, END_OF_1M, END_OF_16M) >> 10);
	d->blocks = (u16)MIN(high, MAX_BLOCKS);
	d->answers = (u16)m->count;
	for (u32 i = 0; i < m->count; i++)
		d->answer[i] = (struct answer){ m->entry[i].start,
			m->entry[i].end - m->entry[i].start, m->entry[i].type };
	return true;
}

/* A page of base memory that nobody uses, as high as can be. */
static bool find_page(const u8 *mem, const struct boot_info *bi, u64 *page)
{
	struct loader_plan plan;

	loader_plan_init(&plan, &bi->l1_map);
	for (u32 i = 0; i < bi->modules; i++)
		loader_plan_use(&plan, bi->module[i].start, bi->module[i].end);
	return loader_plan_high(&plan, PAGE_SIZE, PAGE_SIZE, LOADER_MODULES_FROM,
				(u64)read16(mem, BDA_BASE_MEMORY) << 10, page);
}

static bool has_bios(const u8 *mem)
{
	u16 base = read16(mem, BDA_BASE_MEMORY);

	return base >= BASE_MEMORY_MIN && base <= BASE_MEMORY_MAX &&
	       (read16(mem, INT15_VECTOR) || read16(mem, INT15_VECTOR + 2));
}

bool bios_map_install(u8 *mem, struct boot_info *bi)
{
	size_t code = (size_t)(bios_int15_data - bios_int15);
	struct data *d;
	u16 kib, vector[2] = { 0 };
	u64 page;

	if (!has_bios(mem))
		return true;
	if (!find_page(mem, bi, &page) ||
	    !e820_set(&bi->l1_map, page, page + PAGE_SIZE, E820_RESERVED))
		return false;
	memset(mem + page, 0, PAGE_SIZE);
	memcpy(mem + page, bios_int15, code);
	d = (void *)(mem + page + code);
	if (!fill(d, PAGE_SIZE - code, &bi->l1_map))
		return false;
	memcpy(&d->next, mem + INT15_VECTOR, sizeof(d->next));
	vector[1] = (u16)(page >> 4);
	memcpy(mem + INT15_VECTOR, vector, sizeof(vector));
	kib = (u16)(page >> 10);
	memcpy(mem + BDA_BASE_MEMORY, &kib, sizeof(kib));
	return true;
}
