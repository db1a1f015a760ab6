/* ELF executables, 32 and 64 bits, as L1 images. */
#pragma once

#include "vm/loader_job.h"

#define LOADER_ELF_SEGMENTS 32

struct loader_elf {
	u64 entry;
	u32 segments;
	struct loader_elf_segment {
		u64 offset, filesz, paddr, vaddr, memsz;
	} segment[LOADER_ELF_SEGMENTS];
	u64 low, high;			/* physical, of all segments */
};

/* NULL, or what is wrong with the file. */
const char *loader_elf_parse(const void *image, size_t len, struct loader_elf *elf);

/* A 64-bit ELF kernel linked at -2 GiB whose entry is a physical address. */
bool loader_elf_is_vmlinux(const void *image, size_t len);

/* Claims and copies the segments, displaced by delta; the image may move meanwhile. */
bool loader_elf_load(struct loader_job *j, const struct loader_elf *elf, u64 delta);

/* The image is an ELF file whose place is where it is linked: loads it and enters it. */
bool loader_elf_run(struct loader_job *j);

/* The physical address of e_entry, which may be virtual. */
u64 loader_elf_entry(const struct loader_elf *elf);
