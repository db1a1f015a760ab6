/*
 * A small machine for loader tests: 64 MiB of memory, L0's home at its top,
 * and modules put where the test says. Guard bytes around what L1 may not
 * touch are checked after each load.
 */
#pragma once

#include "unit.h"
#include "vm/e820.h"
#include "vm/loader.h"

#define MACHINE_MEMORY (64ull << 20)
#define MACHINE_HOME (60ull << 20)
#define MACHINE_GUARD 0xc3

struct machine {
	u8 *mem;
	struct boot_info bi;
	struct loader_entry entry;
};

static inline void machine_init(struct machine *m)
{
	struct boot_info *bi = &m->bi;

	*m = (struct machine){ .mem = malloc(MACHINE_MEMORY) };
	assert_non_null(m->mem);
	memset(m->mem, 0xee, MACHINE_MEMORY);
	bi->cmdline = "";
	bi->loader_name = "GRUB 2.06";
	e820_set(&bi->map, 0, 0x9f000, E820_AVAILABLE);
	e820_set(&bi->map, 0xf0000, 0x100000, E820_RESERVED);
	e820_set(&bi->map, 0x100000, MACHINE_MEMORY, E820_AVAILABLE);
	bi->l1_map = bi->map;
	e820_set(&bi->l1_map, MACHINE_HOME, MACHINE_MEMORY, E820_RESERVED);
	memset(m->mem + MACHINE_HOME, MACHINE_GUARD, MACHINE_MEMORY - MACHINE_HOME);
	memset(m->mem + 0x9f000, MACHINE_GUARD, 0x100000 - 0x9f000);
	memset(m->mem, MACHINE_GUARD, 0x10000);
}

static inline void machine_free(struct machine *m)
{
	free(m->mem);
}

static inline void machine_module(struct machine *m, u64 at, const void *data, size_t len,
				  const char *string)
{
	memcpy(m->mem + at, data, len);
	m->bi.module[m->bi.modules++] = (struct boot_module){ at, at + len, string };
}

static inline void machine_check_guard(const struct machine *m, u64 start, u64 end)
{
	for (u64 a = start; a < end; a++)
		assert_int_equal(m->mem[a], MACHINE_GUARD);
}

static inline void machine_load(struct machine *m)
{
	bool ok = loader_load(m->mem, &m->bi, &m->entry);

	if (!ok)
		fail_msg("%s", m->entry.error);
	machine_check_guard(m, MACHINE_HOME, MACHINE_MEMORY);
	machine_check_guard(m, 0x9f000, 0x100000);
	machine_check_guard(m, 0, 0x10000);
}

static inline void machine_refuse(struct machine *m, const char *part_of_message)
{
	assert_false(loader_load(m->mem, &m->bi, &m->entry));
	if (!strstr(m->entry.error, part_of_message))
		fail_msg("\"%s\" does not say \"%s\"", m->entry.error, part_of_message);
}

/* An ELF file with one segment, its body at 0x1000; class 1 (32 bits) or 2 (64). */
struct test_elf {
	u8 *data;
	size_t len;
};

static inline void elf_put(u8 *p, u64 v, int bytes)
{
	memcpy(p, &v, (size_t)bytes);
}

static inline struct test_elf elf_make(int class, u64 vaddr, u64 paddr, u64 filesz, u64 memsz,
				       u64 entry)
{
	struct test_elf e = { calloc(1, 0x1000 + filesz), 0x1000 + filesz };
	bool wide = class == 2;
	u8 *ph = e.data + (wide ? 64 : 52);

	memcpy(e.data, "\177ELF", 4);
	e.data[4] = (u8)class;
	e.data[5] = e.data[6] = 1;
	elf_put(e.data + 16, 2, 2);
	elf_put(e.data + 18, wide ? 62 : 3, 2);
	elf_put(e.data + 24, entry, wide ? 8 : 4);
	elf_put(e.data + (wide ? 32 : 28), wide ? 64 : 52, wide ? 8 : 4);
	elf_put(e.data + (wide ? 54 : 42), wide ? 56 : 32, 2);
	elf_put(e.data + (wide ? 56 : 44), 1, 2);
	elf_put(ph, 1, 4);
	if (wide) {
		elf_put(ph + 8, 0x1000, 8);
		elf_put(ph + 16, vaddr, 8);
		elf_put(ph + 24, paddr, 8);
		elf_put(ph + 32, filesz, 8);
		elf_put(ph + 40, memsz, 8);
	} else {
		elf_put(ph + 4, 0x1000, 4);
		elf_put(ph + 8, vaddr, 4);
		elf_put(ph + 12, paddr, 4);
		elf_put(ph + 16, filesz, 4);
		elf_put(ph + 20, memsz, 4);
	}
	for (u64 i = 0; i < filesz; i++)
		e.data[0x1000 + i] = (u8)(i * 7 + 1);
	return e;
}

static inline void elf_check_body(const u8 *at, u64 from, u64 filesz, u64 memsz)
{
	for (u64 i = from; i < filesz; i++)
		assert_int_equal(at[i], (u8)(i * 7 + 1));
	for (u64 i = filesz; i < memsz; i++)
		assert_int_equal(at[i], 0);
}
