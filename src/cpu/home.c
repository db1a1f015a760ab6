/* See home.h. */
#include "cpu/home.h"

#include <string.h>

#include "cpu/memory.h"
#include "cpu/pcpu.h"

struct cpu_home cpu_home;
hpa_t cpu_direct_map_end;
u64 cpu_image_offset;

static u64 cursor;			/* physical; everything below it is taken */

static u64 end(void)
{
	return cpu_home.base.v + cpu_home.size;
}

void cpu_home_init(hpa_t base, u64 size)
{
	cpu_home = (struct cpu_home){ base, size };
	cursor = base.v;
}

void *cpu_alloc_pages(size_t n)
{
	u64 at = cursor;

	if (n > (end() - at) / PAGE_SIZE)
		cpu_give_up("L0's home is full: give the machine more memory");
	cursor += n * PAGE_SIZE;
	return memset(hpa_to_ptr(HPA(at)), 0, n * PAGE_SIZE);
}

size_t cpu_free_pages(hpa_t *base)
{
	size_t n = (end() - cursor) / PAGE_SIZE;

	*base = HPA(cursor);
	cursor = end();
	return n;
}
