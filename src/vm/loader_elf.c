/* See loader_elf.h. Layouts from the System V ABI, "Object Files". */
#include "vm/loader_elf.h"

#include <string.h>

#define EHDR_MACHINE 18
#define CLASS_32 1
#define CLASS_64 2
#define DATA_LITTLE 1
#define MACHINE_386 3
#define MACHINE_X86_64 62
#define PT_LOAD 1
#define KERNEL_VIRTUAL 0xffffffff80000000ull

struct ehdr32 {
	u8 ident[16];
	u16 type, machine;
	u32 version, entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum;
} __attribute__((packed));

struct ehdr64 {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum;
} __attribute__((packed));

struct phdr32 {
	u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
} __attribute__((packed));

struct phdr64 {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
} __attribute__((packed));

static bool is_elf(const void *image, size_t len, u8 class, u16 machine)
{
	const u8 *b = image;

	return len >= sizeof(struct ehdr64) && !memcmp(b, "\177ELF", 4) && b[4] == class &&
	       b[5] == DATA_LITTLE && b[EHDR_MACHINE] == (u8)machine &&
	       b[EHDR_MACHINE + 1] == machine >> 8;
}

static const char *add_segment(struct loader_elf *elf, size_t len, struct loader_elf_segment s)
{
	if (s.memsz == 0)
		return NULL;
	if (s.filesz > len || s.offset > len - s.filesz)
		return "is cut off: a segment reaches beyond the end of the file";
	if (s.filesz > s.memsz || s.paddr + s.memsz < s.paddr)
		return "has a segment with impossible sizes";
	if (elf->segments == LOADER_ELF_SEGMENTS)
		return "has more than 32 segments";
	elf->segment[elf->segments++] = s;
	elf->low = MIN(elf->low, s.paddr);
	elf->high = MAX(elf->high, s.paddr + s.memsz);
	return NULL;
}

static const char *parse_phdr(const u8 *p, bool wide, size_t len, struct loader_elf *elf)
{
	struct phdr32 p32;
	struct phdr64 p64;

	if (wide) {
		memcpy(&p64, p, sizeof(p64));
	} else {
		memcpy(&p32, p, sizeof(p32));
		p64 = (struct phdr64){
			.type = p32.type, .offset = p32.offset, .vaddr = p32.vaddr,
			.paddr = p32.paddr, .filesz = p32.filesz, .memsz = p32.memsz,
		};
	}
	if (p64.type != PT_LOAD)
		return NULL;
	return add_segment(elf, len, (struct loader_elf_segment){
		.offset = p64.offset, .filesz = p64.filesz, .paddr = p64.paddr,
		.vaddr = p64.vaddr, .memsz = p64.memsz });
}

const char *loader_elf_parse(const void *image, size_t len, struct loader_elf *elf)
{
	bool wide = is_elf(image, len, CLASS_64, MACHINE_X86_64);
	u64 phoff, size = wide ? sizeof(struct phdr64) : sizeof(struct phdr32);
	u16 phnum, phentsize;

	if (!wide && !is_elf(image, len, CLASS_32, MACHINE_386))
		return "is no ELF file for x86";
	*elf = (struct loader_elf){ .low = UINT64_MAX };
	if (wide) {
		const struct ehdr64 *h = image;

		elf->entry = h->entry;
		phoff = h->phoff;
		phnum = h->phnum;
		phentsize = h->phentsize;
	} else {
		const struct ehdr32 *h = image;

		elf->entry = h->entry;
		phoff = h->phoff;
		phnum = h->phnum;
		phentsize = h->phentsize;
	}
	if (phentsize < size || phoff > len || (u64)phnum * phentsize > len - phoff)
		return "is cut off: its program headers reach beyond the end of the file";
	for (u32 i = 0; i < phnum; i++) {
		const u8 *p = (const u8 *)image + phoff + (u64)i * phentsize;
		const char *error = parse_phdr(p, wide, len, elf);

		if (error)
			return error;
	}
	return elf->segments ? NULL : "has nothing to load";
}

static bool entry_is_physical(const struct loader_elf *elf)
{
	for (u32 i = 0; i < elf->segments; i++)
		if (elf->entry - elf->segment[i].paddr < elf->segment[i].memsz)
			return true;
	return false;
}

bool loader_elf_is_vmlinux(const void *image, size_t len)
{
	struct loader_elf elf;

	return is_elf(image, len, CLASS_64, MACHINE_X86_64) &&
	       !loader_elf_parse(image, len, &elf) &&
	       elf.segment[0].vaddr >= KERNEL_VIRTUAL && entry_is_physical(&elf);
}

u64 loader_elf_entry(const struct loader_elf *elf)
{
	for (u32 i = 0; i < elf->segments; i++) {
		const struct loader_elf_segment *s = &elf->segment[i];

		if (elf->entry - s->vaddr < s->memsz)
			return elf->entry - s->vaddr + s->paddr;
	}
	return elf->entry;
}

bool loader_elf_load(struct loader_job *j, const struct loader_elf *elf, u64 delta)
{
	for (u32 i = 0; i < elf->segments; i++) {
		u64 start = elf->segment[i].paddr + delta;

		if (!loader_claim(j, start, start + elf->segment[i].memsz))
			return false;
	}
	if (!loader_make_room(j))
		return false;
	for (u32 i = 0; i < elf->segments; i++) {
		const struct loader_elf_segment *s = &elf->segment[i];
		u8 *to = j->mem + s->paddr + delta;

		memcpy(to, loader_image(j) + s->offset, s->filesz);
		memset(to + s->filesz, 0, s->memsz - s->filesz);
	}
	j->out->image_start = elf->low + delta;
	j->out->image_end = elf->high + delta;
	return true;
}

bool loader_elf_run(struct loader_job *j)
{
	struct loader_elf elf;
	const char *error = loader_elf_parse(loader_image(j), loader_image_size(j), &elf);

	if (error)
		return loader_fail(j, "L1's image %s", error);
	j->out->rip = loader_elf_entry(&elf);
	return loader_elf_load(j, &elf, 0);
}
