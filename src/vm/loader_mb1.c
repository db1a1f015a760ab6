/*
 * Multiboot images (Multiboot Specification 0.6.96): ELF, or any file with
 * load addresses in its header.
 */
#include <string.h>

#include "lib/str.h"
#include "multiboot1.h"
#include "vm/loader_elf.h"

#define HEADER_MIN 12

long loader_mb1_header(const void *image, size_t len)
{
	size_t end = MIN(len, (size_t)MB1_HEADER_SEARCH);

	for (size_t at = 0; at + HEADER_MIN <= end; at += 4) {
		struct mb1_header h;

		memcpy(&h, (const u8 *)image + at, HEADER_MIN);
		if (h.magic == MB1_HEADER_MAGIC && h.magic + h.flags + h.checksum == 0)
			return (long)at;
	}
	return -1;
}

/* An image that says itself where it goes ("The address fields of Multiboot header"). */
static bool load_by_addresses(struct loader_job *j, const struct mb1_header *h, size_t at)
{
	u64 size = loader_image_size(j);
	u64 offset = at - (u64)(h->header_addr - h->load_addr);
	u64 file = h->load_end_addr ? (u64)h->load_end_addr - h->load_addr : size - offset;
	u64 end = h->bss_end_addr ? h->bss_end_addr : h->load_addr + file;

	if (h->header_addr < h->load_addr || offset > size || file > size - offset ||
	    end < h->load_addr + file)
		return loader_fail(j, "L1's Multiboot header has load addresses that do not fit the file");
	if (!loader_claim(j, h->load_addr, end) || !loader_make_room(j))
		return false;
	u8 *to = j->mem + h->load_addr;

	memmove(to, loader_image(j) + offset, file);
	memset(to + file, 0, end - h->load_addr - file);
	j->out->image_start = h->load_addr;
	j->out->image_end = end;
	j->out->rip = h->entry_addr;
	return true;
}

/* Boot information in the making: at is the next free byte. */
struct area {
	struct loader_job *j;
	u64 at;
};

static void *take(struct area *a, size_t size)
{
	void *p = a->j->mem + a->at;

	a->at += ALIGN_UP(size, 8ull);
	return p;
}

static u32 address(const struct area *a, const void *p)
{
	return (u32)((const u8 *)p - a->j->mem);
}

static u32 put_string(struct area *a, const char *s)
{
	size_t len = lib_strlen(s) + 1;

	return address(a, memcpy(take(a, len), s, len));
}

static void put_modules(struct area *a, struct mb1_info *info)
{
	u32 n = a->j->modules - 1;
	struct mb1_module *m = take(a, n * sizeof(*m));

	info->mods_addr = address(a, m);
	info->mods_count = n;
	for (u32 i = 0; i < n; i++) {
		const struct boot_module *from = &a->j->module[i + 1];

		m[i].start = (u32)from->start;
		m[i].end = (u32)from->end;
		m[i].string = put_string(a, from->string);
	}
}

static void put_mmap(struct area *a, struct mb1_info *info)
{
	const struct e820_map *map = &a->j->bi->l1_map;
	struct mb1_mmap_entry *e = take(a, map->count * sizeof(*e));

	info->mmap_addr = address(a, e);
	info->mmap_length = (u32)(map->count * sizeof(*e));
	for (u32 i = 0; i < map->count; i++)
		e[i] = (struct mb1_mmap_entry){
			.size = sizeof(*e) - sizeof(e->size), .addr = map->entry[i].start,
			.len = map->entry[i].end - map->entry[i].start, .type = map->entry[i].type,
		};
}

static void put_framebuffer(const struct boot_info *bi, struct mb1_info *info)
{
	const struct mb2_tag_framebuffer *f = &bi->framebuffer;

	if (!bi->has_framebuffer || f->type == MB2_FB_INDEXED)
		return;
	info->flags |= MB1_INFO_FRAMEBUFFER;
	info->framebuffer_addr = f->addr;
	info->framebuffer_pitch = f->pitch;
	info->framebuffer_width = f->width;
	info->framebuffer_height = f->height;
	info->framebuffer_bpp = f->bpp;
	info->framebuffer_type = f->type;
	memcpy(info->framebuffer_colors, &f->red_pos, sizeof(info->framebuffer_colors));
}

static size_t info_size(const struct loader_job *j)
{
	size_t size = sizeof(struct mb1_info) + lib_strlen(j->bi->loader_name) +
		j->bi->l1_map.count * sizeof(struct mb1_mmap_entry) + 64;

	for (u32 i = 0; i < j->modules; i++)
		size += sizeof(struct mb1_module) + lib_strlen(j->module[i].string) + 16;
	return size;
}

static bool put_info(struct loader_job *j)
{
	struct area a = { .j = j };
	struct mb1_info *info;

	if (!loader_boot_area(j, info_size(j), &a.at))
		return false;
	info = take(&a, sizeof(*info));
	j->out->ebx = address(&a, info);
	info->flags = MB1_INFO_MEMORY | MB1_INFO_CMDLINE | MB1_INFO_MODULES |
		MB1_INFO_MMAP;
	info->mem_lower = loader_mem_lower(j);
	info->mem_upper = loader_mem_upper(j);
	info->cmdline = put_string(&a, j->module[0].string);
	if (*j->bi->loader_name) {
		info->flags |= MB1_INFO_LOADER_NAME;
		info->boot_loader_name = put_string(&a, j->bi->loader_name);
	}
	put_modules(&a, info);
	put_mmap(&a, info);
	put_framebuffer(j->bi, info);
	return true;
}

bool loader_multiboot1(struct loader_job *j)
{
	long at = loader_mb1_header(loader_image(j), loader_image_size(j));
	const u32 known = MB1_HEADER_PAGE_ALIGN | MB1_HEADER_MEMORY_INFO | MB1_HEADER_VIDEO;
	struct mb1_header h;
	u64 left = loader_image_size(j) - (u64)at;
	bool ok;

	memset(&h, 0, sizeof(h));
	memcpy(&h, loader_image(j) + at, MIN(left, (u64)sizeof(h)));
	if (h.flags & MB1_HEADER_REQUIRED & ~known)
		return loader_fail(j, "L1's Multiboot header demands features %#x, which are not known",
				   h.flags & MB1_HEADER_REQUIRED & ~known);
	if (h.flags & MB1_HEADER_ADDRESSES)
		ok = load_by_addresses(j, &h, (size_t)at);
	else
		ok = loader_elf_run(j);
	if (!ok || !put_info(j))
		return false;
	j->out->kind = LOADER_ENTRY_PM32;
	j->out->eax = MB1_BOOT_MAGIC;
	return true;
}
