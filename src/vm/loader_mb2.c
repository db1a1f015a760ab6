/*
 * Multiboot2 images (Multiboot2 Specification 2.0): ELF, or any file with an
 * address tag in its header. As on a BIOS machine: no EFI services.
 */
#include <string.h>

#include "lib/str.h"
#include "multiboot2.h"
#include "vm/loader_elf.h"

#define TAG_SLACK 64u

/* What an image's header asks for. */
struct request {
	bool has_addresses, has_entry, relocatable;
	struct mb2_header_address addresses;
	u32 entry;
	size_t header;
};

long loader_mb2_header(const void *image, size_t len)
{
	size_t end = MIN(len, (size_t)MB2_HEADER_SEARCH);

	for (size_t at = 0; at + sizeof(struct mb2_header) <= end; at += MB2_HEADER_ALIGN) {
		struct mb2_header h;

		memcpy(&h, (const u8 *)image + at, sizeof(h));
		if (h.magic == MB2_HEADER_MAGIC && h.architecture == 0 &&
		    h.magic + h.architecture + h.header_length + h.checksum == 0)
			return (long)at;
	}
	return -1;
}

static bool take_tag(struct loader_job *j, const struct mb2_header_tag *tag, struct request *r)
{
	switch (tag->type) {
	case MB2_HTAG_ADDRESS:
		if (tag->size < sizeof(r->addresses))
			return loader_fail(j, "L1's Multiboot2 header has an address tag that is too short");
		memcpy(&r->addresses, tag, sizeof(r->addresses));
		r->has_addresses = true;
		return true;
	case MB2_HTAG_ENTRY:
		if (tag->size < sizeof(struct mb2_header_entry))
			return loader_fail(j, "L1's Multiboot2 header has an entry tag that is too short");
		r->entry = ((const struct mb2_header_entry *)tag)->entry_addr;
		r->has_entry = true;
		return true;
	case MB2_HTAG_RELOCATABLE:
		r->relocatable = true;
		return true;
	case MB2_HTAG_EFI_BS:
		if (!(tag->flags & MB2_HTAG_OPTIONAL))
			return loader_fail(j, "L1's Multiboot2 header demands EFI boot services, which there are none of here");
		return true;
	default:
		/* Up to 10 all are known, and those not listed here ask for nothing. */
		if (tag->type > MB2_HTAG_RELOCATABLE && !(tag->flags & MB2_HTAG_OPTIONAL))
			return loader_fail(j, "L1's Multiboot2 header demands feature %u, which is not known",
					   tag->type);
		return true;
	}
}

static bool read_header(struct loader_job *j, struct request *r)
{
	const u8 *image = loader_image(j);
	struct mb2_header h;
	u64 at, end;

	*r = (struct request){
		.header = (size_t)loader_mb2_header(image, loader_image_size(j)),
	};
	memcpy(&h, image + r->header, sizeof(h));
	at = r->header + sizeof(h);
	end = r->header + (u64)h.header_length;
	if (end > loader_image_size(j))
		return loader_fail(j, "L1's Multiboot2 header reaches beyond the end of the file");
	while (at + sizeof(struct mb2_header_tag) <= end) {
		const struct mb2_header_tag *tag = (const void *)(image + at);

		if (tag->type == MB2_HTAG_END)
			break;
		if (tag->size < sizeof(*tag) || tag->size > end - at)
			return loader_fail(j, "L1's Multiboot2 header has a tag that reaches beyond its end");
		if (!take_tag(j, tag, r))
			return false;
		at = ALIGN_UP(at + tag->size, (u64)MB2_TAG_ALIGN);
	}
	return true;
}

static bool load_by_addresses(struct loader_job *j, const struct request *r)
{
	const struct mb2_header_address *t = &r->addresses;
	u64 size = loader_image_size(j);
	bool whole_file = t->load_addr == UINT32_MAX;
	u64 load = whole_file ? t->header_addr - (u64)r->header : t->load_addr;
	u64 offset = r->header - (t->header_addr - load);
	u64 file = t->load_end_addr ? t->load_end_addr - load : size - offset;
	u64 end = t->bss_end_addr ? t->bss_end_addr : load + file;

	if (load > t->header_addr || offset > size || file > size - offset || end < load + file)
		return loader_fail(j, "L1's Multiboot2 address tag does not fit the file");
	if (!r->has_entry)
		return loader_fail(j, "L1's Multiboot2 header has an address tag but no entry tag");
	if (!loader_claim(j, load, end) || !loader_make_room(j))
		return false;
	memmove(j->mem + load, loader_image(j) + offset, file);
	memset(j->mem + load + file, 0, end - load - file);
	j->out->image_start = load;
	j->out->image_end = end;
	return true;
}

/* Boot information in the making. */
struct writer {
	u8 *base;
	size_t at;
};

/* A tag of that many bytes, header included; its fields follow. */
static void *put_tag(struct writer *w, u32 type, size_t size)
{
	struct mb2_tag *tag = (void *)(w->base + w->at);

	tag->type = type;
	tag->size = (u32)size;
	w->at += ALIGN_UP(size, (size_t)MB2_TAG_ALIGN);
	return tag;
}

static void put_string(struct writer *w, u32 type, const char *s)
{
	size_t len = lib_strlen(s) + 1;
	struct mb2_tag_string *t = put_tag(w, type, sizeof(*t) + len);

	memcpy(t->string, s, len);
}

static void put_modules(struct writer *w, const struct loader_job *j)
{
	for (u32 i = 1; i < j->modules; i++) {
		const struct boot_module *m = &j->module[i];
		size_t len = lib_strlen(m->string) + 1;
		struct mb2_tag_module *t = put_tag(w, MB2_TAG_MODULE, sizeof(*t) + len);

		t->start = (u32)m->start;
		t->end = (u32)m->end;
		memcpy(t->string, m->string, len);
	}
}

static void put_mmap(struct writer *w, const struct e820_map *map)
{
	struct mb2_tag_mmap *t = put_tag(w, MB2_TAG_MMAP,
					 sizeof(*t) + map->count * sizeof(t->entries[0]));

	t->entry_size = sizeof(t->entries[0]);
	for (u32 i = 0; i < map->count; i++)
		t->entries[i] = (struct mb2_mmap_entry){
			.addr = map->entry[i].start,
			.len = map->entry[i].end - map->entry[i].start,
			.type = map->entry[i].type,
		};
}

static void put_machine(struct writer *w, const struct loader_job *j)
{
	const struct boot_info *bi = j->bi;
	struct mb2_tag_meminfo *mem = put_tag(w, MB2_TAG_BASIC_MEMINFO, sizeof(*mem));

	mem->lower_kib = loader_mem_lower(j);
	mem->upper_kib = loader_mem_upper(j);
	put_mmap(w, &bi->l1_map);
	if (bi->has_framebuffer && bi->framebuffer.type != MB2_FB_INDEXED) {
		u32 size = MIN(bi->framebuffer.tag.size, (u32)sizeof(bi->framebuffer));
		struct mb2_tag_framebuffer *t = put_tag(w, MB2_TAG_FRAMEBUFFER, size);

		memcpy(&t->addr, &bi->framebuffer.addr, size - sizeof(t->tag));
	}
	if (bi->vbe)
		memcpy(put_tag(w, MB2_TAG_VBE, bi->vbe->size), bi->vbe, bi->vbe->size);
	if (bi->rsdp_size) {
		bool old = bi->rsdp_size < BOOT_RSDP_MAX;
		struct mb2_tag *t = put_tag(w, old ? MB2_TAG_ACPI_OLD : MB2_TAG_ACPI_NEW,
					    sizeof(*t) + bi->rsdp_size);

		memcpy(t + 1, bi->rsdp, bi->rsdp_size);
	}
}

static size_t info_size(const struct loader_job *j)
{
	size_t size = 1024 + lib_strlen(j->bi->loader_name) +
		j->bi->l1_map.count * sizeof(struct mb2_mmap_entry);

	if (j->bi->vbe)
		size += j->bi->vbe->size;
	for (u32 i = 0; i < j->modules; i++)
		size += lib_strlen(j->module[i].string) + TAG_SLACK;
	return size;
}

static bool put_info(struct loader_job *j, const struct request *r)
{
	struct writer w = { .at = sizeof(struct mb2_info) };
	u64 start;

	if (!loader_boot_area(j, info_size(j), &start))
		return false;
	w.base = j->mem + start;
	put_string(&w, MB2_TAG_CMDLINE, j->module[0].string);
	if (*j->bi->loader_name)
		put_string(&w, MB2_TAG_LOADER_NAME, j->bi->loader_name);
	put_modules(&w, j);
	put_machine(&w, j);
	if (r->relocatable) {
		u32 *t = put_tag(&w, MB2_TAG_LOAD_BASE, sizeof(struct mb2_tag) + sizeof(u32));

		t[2] = (u32)j->out->image_start;
	}
	put_tag(&w, MB2_TAG_END, sizeof(struct mb2_tag));
	((struct mb2_info *)(void *)w.base)->total_size = (u32)w.at;
	j->out->ebx = (u32)start;
	return true;
}

bool loader_multiboot2(struct loader_job *j)
{
	struct request r;

	if (!read_header(j, &r))
		return false;
	if (!(r.has_addresses ? load_by_addresses(j, &r) : loader_elf_run(j)))
		return false;
	if (r.has_entry)
		j->out->rip = r.entry;
	if (!put_info(j, &r))
		return false;
	j->out->kind = LOADER_ENTRY_PM32;
	j->out->eax = MB2_BOOT_MAGIC;
	return true;
}
