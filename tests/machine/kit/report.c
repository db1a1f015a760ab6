/*
 * Whether what the loader told makes sense, as lines that are the same on every machine.
 */
#include "cpu.h"

static const char *yes(bool b)
{
	return b ? "yes" : "no";
}

static bool ranges_overlap(void)
{
	for (unsigned int i = 0; i < boot.ranges; i++)
		for (unsigned int j = 0; j < i; j++)
			if (boot.range[i].base < boot.range[j].base + boot.range[j].size &&
			    boot.range[j].base < boot.range[i].base + boot.range[i].size)
				return true;
	return false;
}

/* Every page of available memory must keep what is written to it; looks at one in 16. */
static bool memory_works(void)
{
	for (unsigned int i = 0; i < boot.ranges; i++) {
		const struct memory_range *r = &boot.range[i];
		u64 page = (r->base + 4095) & ~4095ull;

		if (r->type != 1 || r->base < 0x100000 || r->base >= BIT(32))
			continue;
		for (; page + 4096 <= r->base + r->size; page += 65536) {
			volatile u64 *p = (u64 *)page;
			u64 old = *p;

			*p = ~page;
			if (*p != ~page)
				return false;
			*p = old;
		}
	}
	return true;
}

static bool valid_rsdp(const char *p)
{
	u8 sum = 0;

	for (unsigned int i = 0; i < 20; i++)
		sum = (u8)(sum + (u8)p[i]);
	return !memcmp(p, "RSD PTR ", 8) && !sum;
}

static bool find_rsdp(void)
{
	if (boot.rsdp)
		return valid_rsdp((const char *)boot.rsdp);
	for (u64 address = 0xe0000; address < 0x100000; address += 16)
		if (valid_rsdp((const char *)address))
			return true;
	return false;
}

void report_boot(void)
{
	u64 available = 0;

	for (unsigned int i = 0; i < boot.ranges; i++)
		if (boot.range[i].type == 1)
			available += boot.range[i].size;
	print("loader magic %x\n", boot.magic);
	print("command line \"%s\"\n", boot.command_line);
	print("memory: more than 64 MiB %s, overlaps %s, keeps what is written %s\n",
	      yes(available > 64 << 20), yes(ranges_overlap()), yes(memory_works()));
	print("image in available memory: %s\n",
	      yes(memory_is_available((u64)image_start, (u64)image_end)));
	figure("memory_kib", available >> 10);
	print("modules: %u\n", boot.modules);
	if (boot.modules)
		print("module: %u bytes, in available memory %s, \"%s\"\n",
		      boot.module_end - boot.module_start,
		      yes(memory_is_available(boot.module_start, boot.module_end)),
		      boot.module_line);
	print("RSDP found: %s\n", yes(find_rsdp()));
}
