/*
 * Multiboot2 boot information to struct boot_info. Every tag is checked
 * against the structure's end before it is looked at; tags not known (EFI,
 * network, ELF sections) are passed over.
 */
#include "boot/mb2.h"

#include <string.h>

#include "lib/str.h"
#include "vm/e820.h"

/* A string that ends within its tag, or NULL. */
static const char *tag_string(const struct mb2_tag *tag, const char *s)
{
	size_t max = tag->size - (size_t)(s - (const char *)tag);

	return lib_strnlen(s, max) < max ? s : NULL;
}

static const char *parse_cmdline(const struct mb2_tag *tag, struct boot_info *bi)
{
	const char *s = tag_string(tag, ((const struct mb2_tag_string *)tag)->string);

	if (!s)
		return "the command line has no end";
	bi->cmdline = s;
	return NULL;
}

static const char *parse_loader_name(const struct mb2_tag *tag, struct boot_info *bi)
{
	const char *s = tag_string(tag, ((const struct mb2_tag_string *)tag)->string);

	if (!s)
		return "the boot loader's name has no end";
	bi->loader_name = s;
	return NULL;
}

static const char *parse_module(const struct mb2_tag *tag, struct boot_info *bi)
{
	const struct mb2_tag_module *m = (const struct mb2_tag_module *)tag;

	if (tag->size < sizeof(*m))
		return "a module tag is too short";
	const char *s = tag_string(tag, m->string);

	if (!s)
		return "a module's string has no end";
	if (m->end < m->start)
		return "a module ends before it starts";
	if (bi->modules == BOOT_MODULES_MAX)
		return "there are more than 16 modules";
	bi->module[bi->modules++] = (struct boot_module){ m->start, m->end, s };
	return NULL;
}

/* Two passes, so that where entries overlap the one that is not available wins. */
static const char *parse_mmap(const struct mb2_tag *tag, struct boot_info *bi)
{
	const struct mb2_tag_mmap *t = (const struct mb2_tag_mmap *)tag;

	if (tag->size < sizeof(*t) || t->entry_size < sizeof(struct mb2_mmap_entry))
		return "the memory map's entries are too short";
	size_t n = (tag->size - sizeof(*t)) / t->entry_size;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < n; i++) {
			const struct mb2_mmap_entry *e = (const void *)
				((const u8 *)t->entries + i * t->entry_size);
			u64 end = e->addr + e->len;
			bool available = e->type == E820_AVAILABLE;

			if (end < e->addr || available != (pass == 0))
				continue;
			if (!e820_set(&bi->map, e->addr, end, e->type))
				return "the memory map has too many entries";
		}
	return NULL;
}

static void parse_rsdp(const struct mb2_tag *tag, struct boot_info *bi)
{
	u32 size = tag->size - (u32)sizeof(*tag);

	if (size <= bi->rsdp_size)
		return;
	bi->rsdp_size = MIN(size, BOOT_RSDP_MAX);
	memcpy(bi->rsdp, tag + 1, bi->rsdp_size);
}

static void parse_framebuffer(const struct mb2_tag *tag, struct boot_info *bi)
{
	size_t need = offsetof(struct mb2_tag_framebuffer, red_pos);

	if (tag->size < need)
		return;
	memset(&bi->framebuffer, 0, sizeof(bi->framebuffer));
	memcpy(&bi->framebuffer, tag, MIN(tag->size, sizeof(bi->framebuffer)));
	bi->has_framebuffer = true;
}

static const char *parse_tag(const struct mb2_tag *tag, struct boot_info *bi)
{
	switch (tag->type) {
	case MB2_TAG_CMDLINE:
		return parse_cmdline(tag, bi);
	case MB2_TAG_LOADER_NAME:
		return parse_loader_name(tag, bi);
	case MB2_TAG_MODULE:
		return parse_module(tag, bi);
	case MB2_TAG_MMAP:
		return parse_mmap(tag, bi);
	case MB2_TAG_ACPI_OLD:
	case MB2_TAG_ACPI_NEW:
		parse_rsdp(tag, bi);
		return NULL;
	case MB2_TAG_FRAMEBUFFER:
		parse_framebuffer(tag, bi);
		return NULL;
	case MB2_TAG_VBE:
		bi->vbe = tag;
		return NULL;
	default:
		return NULL;
	}
}

const char *boot_mb2_parse(const void *mbi, size_t limit, struct boot_info *bi)
{
	const struct mb2_info *info = mbi;
	size_t at = sizeof(*info);

	*bi = (struct boot_info){ .cmdline = "", .loader_name = "" };
	if (limit < sizeof(*info) || info->total_size > limit)
		return "it is larger than can be";
	while (at + sizeof(struct mb2_tag) <= info->total_size) {
		const struct mb2_tag *tag = (const void *)((const u8 *)mbi + at);

		if (tag->size < sizeof(*tag) || tag->size > info->total_size - at)
			return "a tag reaches beyond the end";
		if (tag->type == MB2_TAG_END)
			break;
		const char *error = parse_tag(tag, bi);

		if (error)
			return error;
		at = ALIGN_UP(at + tag->size, MB2_TAG_ALIGN);
	}
	if (!e820_total(&bi->map, E820_AVAILABLE))
		return "it has no memory map";
	return NULL;
}
