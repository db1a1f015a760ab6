/*
 * Chooses L0's home and hands out its pages. The running image goes to its
 * start; what is allocated follows.
 */
#include "boot/home.h"

#include <string.h>

#include "boot/init.h"
#include "boot/memory.h"
#include "debug/dump.h"
#include "vm/loader_plan.h"

#define HOME_FIXED (8ull << 20)
#define HOME_SHARE 256			/* of RAM */
#define HOME_MIN_ADDRESS (1ull << 20)
#define HOME_MAX_ADDRESS (1ull << 32)

extern const u8 image_start[], image_end[];

static struct boot_home home;
static u64 cursor;			/* physical; everything below it is taken */

bool boot_home_choose(const struct boot_info *bi, const struct boot_range *avoid, size_t n)
{
	struct loader_plan plan;
	u64 ram = e820_total(&bi->map, E820_AVAILABLE);
	u64 size = ALIGN_UP(HOME_FIXED + ram / HOME_SHARE, SZ_2M), base;

	loader_plan_init(&plan, &bi->map);
	for (size_t i = 0; i < n; i++)
		loader_plan_use(&plan, avoid[i].start, avoid[i].end);
	for (u32 i = 0; i < bi->modules; i++)
		loader_plan_use(&plan, bi->module[i].start, bi->module[i].end);
	if (!loader_plan_high(&plan, size, SZ_2M, HOME_MIN_ADDRESS, HOME_MAX_ADDRESS, &base))
		return false;
	home = (struct boot_home){ HPA(base), size };
	cursor = base;
	return true;
}

const struct boot_home *boot_home(void)
{
	return &home;
}

void *boot_alloc_pages(size_t n)
{
	u64 at = cursor, left = home.base.v + home.size - cursor;

	if (n > left / PAGE_SIZE)
		debug_stop("L0's home of %lu MiB is full: give the machine more memory",
			   home.size >> 20);
	cursor += n * PAGE_SIZE;
	return memset(hpa_to_ptr(HPA(at)), 0, n * PAGE_SIZE);
}

/* Tenths of a MiB, as "0.3". */
#define TENTHS(bytes) (bytes) >> 20, ((bytes) & ((1 << 20) - 1)) * 10 >> 20

/* Where all of L0's memory went: everything that is not for the pool is here by now. */
static void print_accounts(u64 pool)
{
	u64 image = image_end - image_start, cpu = home.size - pool - image;

	con_info("memory: %lu MiB at %#lx: image %lu.%lu, cpu %lu.%lu, pool %lu.%lu\n",
		   home.size >> 20, home.base.v, TENTHS(image), TENTHS(cpu), TENTHS(pool));
}

size_t boot_free_pages(hpa_t *base)
{
	u64 end = home.base.v + home.size;
	size_t n = (end - cursor) / PAGE_SIZE;

	print_accounts(end - cursor);
	*base = HPA(cursor);
	cursor = end;
	return n;
}
