/* See loader.h. Recognises formats, and makes room for what they ask. */
#include "vm/loader.h"

#include <stdarg.h>
#include <string.h>

#include "lib/format.h"
#include "linux_boot.h"
#include "vm/loader_elf.h"
#include "vm/loader_job.h"

bool loader_fail(struct loader_job *j, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	lib_vsnprintf(j->out->error, sizeof(j->out->error), fmt, args);
	va_end(args);
	return false;
}

static bool is_bzimage(const void *image, size_t len)
{
	const struct linux_boot_params *p = image;

	return len >= sizeof(*p) && p->boot_flag == LINUX_BOOT_FLAG &&
	       p->header == LINUX_HEADER_MAGIC;
}

enum loader_format loader_recognize(const void *image, size_t len)
{
	if (is_bzimage(image, len))
		return LOADER_BZIMAGE;
	if (loader_mb2_header(image, len) >= 0)
		return LOADER_MULTIBOOT2;
	if (loader_mb1_header(image, len) >= 0)
		return LOADER_MULTIBOOT1;
	if (loader_elf_is_vmlinux(image, len))
		return LOADER_VMLINUX;
	return LOADER_UNKNOWN;
}

const char *loader_format_name(enum loader_format f)
{
	static const char *const name[] = {
		[LOADER_UNKNOWN] = "unknown", [LOADER_BZIMAGE] = "Linux bzImage",
		[LOADER_VMLINUX] = "Linux vmlinux", [LOADER_MULTIBOOT1] = "Multiboot",
		[LOADER_MULTIBOOT2] = "Multiboot2",
	};

	return name[f];
}

bool loader_claim(struct loader_job *j, u64 start, u64 end)
{
	if (start == end)
		return true;
	if (end < start || end > LOADER_HIGH_END ||
	    !e820_all(&j->bi->l1_map, start, end, E820_AVAILABLE))
		return loader_fail(j, "L1's image must lie at %#lx-%#lx, which is not all free memory: give the machine more memory, or link the image elsewhere",
				   (unsigned long)start, (unsigned long)end);
	if (!loader_plan_use(&j->plan, start, end))
		return loader_fail(j, "L1's image has too many segments");
	return true;
}

static bool move_module(struct loader_job *j, struct boot_module *m)
{
	u64 size = m->end - m->start, to;

	if (!loader_plan_high(&j->plan, size, PAGE_SIZE, LOADER_HIGH_START,
			      LOADER_HIGH_END, &to))
		return loader_fail(j, "no room to move a module of %lu KiB out of the way of L1's image: give the machine more memory",
				   (unsigned long)(size >> 10));
	memmove(j->mem + to, j->mem + m->start, size);
	loader_plan_release(&j->plan, m->start, m->end);
	loader_plan_use(&j->plan, to, to + size);
	m->start = to;
	m->end = to + size;
	return true;
}

/* In the plan a module's own range is used too, so take it out to ask about others. */
static bool in_the_way(struct loader_job *j, const struct boot_module *m)
{
	bool used;

	loader_plan_release(&j->plan, m->start, m->end);
	used = loader_plan_used(&j->plan, m->start, m->end);
	loader_plan_use(&j->plan, m->start, m->end);
	return used;
}

bool loader_make_room(struct loader_job *j)
{
	for (u32 i = 0; i < j->modules; i++) {
		struct boot_module *m = &j->module[i];
		bool misaligned = i > 0 && (m->start & ~PAGE_MASK);

		if (m->start < m->end && (misaligned || in_the_way(j, m)) &&
		    !move_module(j, m))
			return false;
	}
	return true;
}

bool loader_boot_area(struct loader_job *j, u64 size, u64 *start)
{
	size = ALIGN_UP(size, PAGE_SIZE);
	if (!loader_plan_low(&j->plan, size, PAGE_SIZE, LOADER_LOW_START, LOADER_LOW_END, start) &&
	    !loader_plan_high(&j->plan, size, PAGE_SIZE, LOADER_HIGH_START, LOADER_HIGH_END, start))
		return loader_fail(j, "no room for L1's boot information of %lu KiB",
				   (unsigned long)(size >> 10));
	loader_plan_use(&j->plan, *start, *start + size);
	memset(j->mem + *start, 0, size);
	j->out->boot_start = *start;
	j->out->boot_end = *start + size;
	return true;
}

static u32 kib_from(const struct loader_job *j, u64 start, u64 limit)
{
	for (u32 i = 0; i < j->bi->l1_map.count; i++) {
		const struct e820_entry *e = &j->bi->l1_map.entry[i];

		if (e->type == E820_AVAILABLE && e->start <= start && start < e->end)
			return (u32)((MIN(e->end, limit) - start) >> 10);
	}
	return 0;
}

u32 loader_mem_lower(const struct loader_job *j)
{
	return kib_from(j, 0, LOADER_LOW_END);
}

u32 loader_mem_upper(const struct loader_job *j)
{
	return kib_from(j, LOADER_HIGH_START, LOADER_HIGH_END);
}

/* GRUB puts modules into available memory; anything else is not a module. */
static bool take_modules(struct loader_job *j)
{
	for (u32 i = 0; i < j->bi->modules; i++) {
		const struct boot_module *m = &j->bi->module[i];

		if (m->start < m->end &&
		    !e820_all(&j->bi->l1_map, m->start, m->end, E820_AVAILABLE))
			return loader_fail(j, "the boot loader's module %u (%#lx-%#lx) does not lie in L1's memory",
					   i, (unsigned long)m->start, (unsigned long)m->end);
		j->module[i] = *m;
		loader_plan_use(&j->plan, m->start, m->end);
	}
	j->modules = j->bi->modules;
	return true;
}

static bool load_format(struct loader_job *j)
{
	switch (j->out->format) {
	case LOADER_BZIMAGE:
		return loader_bzimage(j);
	case LOADER_VMLINUX:
		return loader_vmlinux(j);
	case LOADER_MULTIBOOT1:
		return loader_multiboot1(j);
	case LOADER_MULTIBOOT2:
		return loader_multiboot2(j);
	default:
		return loader_fail(j, "L1's image (the first module, %lu bytes) is neither a Linux bzImage or 64-bit vmlinux nor a Multiboot or Multiboot2 image",
				   (unsigned long)loader_image_size(j));
	}
}

bool loader_load(u8 *mem, const struct boot_info *bi, struct loader_entry *out)
{
	struct loader_job j = { .mem = mem, .bi = bi, .out = out };

	*out = (struct loader_entry){ .format = LOADER_UNKNOWN };
	loader_plan_init(&j.plan, &bi->l1_map);
	if (bi->modules == 0)
		return loader_fail(&j, "no module given: the boot loader must load L1's image as the first module (GRUB: module2 /boot/IMAGE ARGUMENTS)");
	if (!take_modules(&j))
		return false;
	out->format = loader_recognize(loader_image(&j), loader_image_size(&j));
	return load_format(&j);
}
