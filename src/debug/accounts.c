/* See accounts.h. */
#include "debug/accounts.h"

#include "cpu/home.h"
#include "debug/console.h"

/* Tenths of a MiB, as "0.3". */
#define TENTHS(bytes) (bytes) >> 20, ((bytes) & ((1 << 20) - 1)) * 10 >> 20

extern const u8 image_start[], image_end[];

void debug_print_home(size_t pool_pages)
{
	u64 pool = pool_pages * PAGE_SIZE;
	u64 image = image_end - image_start, cpu = cpu_home.size - pool - image;

	con_info("memory: %lu MiB at %#lx: image %lu.%lu, cpu %lu.%lu, pool %lu.%lu\n",
		 cpu_home.size >> 20, cpu_home.base.v, TENTHS(image), TENTHS(cpu), TENTHS(pool));
}
