/* vm/loader_mb1.c, vm/loader_mb2.c and vm/loader_elf.c. */
#include "boot/mb2.h"
#include "loader_machine.h"
#include "multiboot1.h"

#define HEADER_AT 0x1008		/* in the body of the ELF file */
#define LOAD 0x100000
#define FILE_SIZE 0x2000
#define MEM_SIZE 0x5000

static void put_mb1(struct test_elf *e, size_t at, u32 flags)
{
	struct mb1_header *h = (void *)(e->data + at);

	h->magic = MB1_HEADER_MAGIC;
	h->flags = flags;
	h->checksum = -(MB1_HEADER_MAGIC + flags);
}

/* A header with the tags given, which must end with an end tag. */
static void put_mb2(struct test_elf *e, size_t at, const void *tags, u32 size)
{
	struct mb2_header *h = (void *)(e->data + at);

	h->magic = MB2_HEADER_MAGIC;
	h->architecture = 0;
	h->header_length = (u32)sizeof(*h) + size;
	h->checksum = -(MB2_HEADER_MAGIC + h->header_length);
	memcpy(h + 1, tags, size);
}

static const u32 mb2_end[] = { 0, 8 };

static void mb1_elf(void **state)
{
	struct machine m;
	struct test_elf e = elf_make(1, 0xc0100000, LOAD, FILE_SIZE, MEM_SIZE, 0xc0100020);

	(void)state;
	put_mb1(&e, HEADER_AT, MB1_HEADER_PAGE_ALIGN | MB1_HEADER_MEMORY_INFO);
	machine_init(&m);
	machine_module(&m, 0x101000, e.data, e.len, "arg");
	machine_module(&m, 0x110010, "module", 7, "m1 x");
	machine_module(&m, 0x120000, "another", 8, "m2");
	machine_load(&m);
	assert_int_equal(m.entry.format, LOADER_MULTIBOOT1);
	assert_int_equal(m.entry.kind, LOADER_ENTRY_PM32);
	assert_int_equal(m.entry.eax, 0x2badb002);
	assert_int_equal(m.entry.rip, LOAD + 0x20);	/* e_entry is virtual here */
	elf_check_body(m.mem + LOAD, 32, FILE_SIZE, MEM_SIZE);
	struct mb1_info *info = (void *)(m.mem + m.entry.ebx);
	struct mb1_module *mod = (void *)(m.mem + info->mods_addr);

	assert_int_equal(info->mem_lower, 0x9f000 / 1024);
	assert_int_equal(info->mem_upper, (MACHINE_HOME - 0x100000) / 1024);
	assert_string_equal((char *)m.mem + info->cmdline, "arg");
	assert_true(info->flags & MB1_INFO_LOADER_NAME);
	assert_string_equal((char *)m.mem + info->boot_loader_name, "GRUB 2.06");
	assert_int_equal(info->mods_count, 2);
	assert_string_equal((char *)m.mem + mod[0].string, "m1 x");
	assert_int_equal(mod[0].start % 4096, 0);	/* it was not, and has moved */
	assert_memory_equal(m.mem + mod[0].start, "module", 7);
	assert_int_equal(mod[0].end, mod[0].start + 7);
	assert_int_equal(mod[1].start, 0x120000);
	struct mb1_mmap_entry *map = (void *)(m.mem + info->mmap_addr);

	assert_int_equal(info->mmap_length / sizeof(*map), m.bi.l1_map.count);
	for (u32 i = 0; i < m.bi.l1_map.count; i++) {
		assert_int_equal(map[i].size, 20);
		assert_int_equal(map[i].addr, m.bi.l1_map.entry[i].start);
		assert_int_equal(map[i].addr + map[i].len, m.bi.l1_map.entry[i].end);
	}
	assert_true(m.entry.ebx >= 0x10000 && m.entry.boot_end <= 0x9f000);
	machine_free(&m);
	free(e.data);
}

/* Load addresses in the header take precedence over an ELF header, or replace one. */
static void mb1_addresses(void **state)
{
	struct machine m;
	struct test_elf e = elf_make(1, LOAD, LOAD, FILE_SIZE, MEM_SIZE, LOAD);
	struct mb1_header *h = (void *)(e.data + HEADER_AT);

	(void)state;
	put_mb1(&e, HEADER_AT, MB1_HEADER_ADDRESSES);
	e.data[0] = 0;			/* no ELF */
	h->header_addr = 0x200008;
	h->load_addr = 0x200000;	/* file offset 0x1000 */
	h->load_end_addr = 0x201000;
	h->bss_end_addr = 0x203000;
	h->entry_addr = 0x200040;
	machine_init(&m);
	machine_module(&m, 0x300000, e.data, e.len, "");
	machine_load(&m);
	assert_int_equal(m.entry.rip, 0x200040);
	elf_check_body(m.mem + 0x200000, 40, 0x1000, 0x3000);
	h = (void *)(m.mem + 0x300000 + HEADER_AT);
	h->load_end_addr = 0;		/* to the end of the file */
	h->bss_end_addr = 0;
	machine_load(&m);
	elf_check_body(m.mem + 0x200000, 40, FILE_SIZE, 0);
	h->load_addr = 0x200010;
	machine_refuse(&m, "do not fit the file");
	h->load_addr = 0x100000;	/* before the file's start */
	machine_refuse(&m, "do not fit the file");
	h->load_addr = 0x200000;
	h->load_end_addr = 0x900000;
	machine_refuse(&m, "do not fit the file");
	h->load_end_addr = 0x1ff000;
	machine_refuse(&m, "do not fit the file");
	h->load_end_addr = 0x201000;
	h->bss_end_addr = 0x200800;
	machine_refuse(&m, "do not fit the file");
	h->bss_end_addr = 0xfffff000;
	machine_refuse(&m, "not all free memory");
	machine_free(&m);
	free(e.data);
}

/* What the loader writes is what Plastron's own parser reads: it nests. */
static void mb2_elf(void **state)
{
	struct machine m;
	struct boot_info inner;
	struct test_elf e = elf_make(2, 0xffffffff80100000, LOAD, FILE_SIZE, MEM_SIZE,
				     0xffffffff80100030);

	(void)state;
	put_mb2(&e, HEADER_AT, mb2_end, sizeof(mb2_end));
	machine_init(&m);
	machine_module(&m, 0x400000, e.data, e.len, "label=L1");
	machine_module(&m, 0x500000, "module", 7, "m1 x");
	machine_module(&m, 0x600000, "", 0, "empty");
	memcpy(m.bi.rsdp, "RSD PTR ", 8);
	m.bi.rsdp_size = 20;
	m.bi.has_framebuffer = true;
	m.bi.framebuffer = (struct mb2_tag_framebuffer){
		.tag = { MB2_TAG_FRAMEBUFFER, 32 }, .addr = 0xb8000, .width = 80, .height = 25,
		.type = MB2_FB_TEXT,
	};
	machine_load(&m);
	assert_int_equal(m.entry.format, LOADER_MULTIBOOT2);
	assert_int_equal(m.entry.eax, 0x36d76289);
	assert_int_equal(m.entry.rip, LOAD + 0x30);
	elf_check_body(m.mem + LOAD, 32, FILE_SIZE, MEM_SIZE);
	assert_null(boot_mb2_parse(m.mem + m.entry.ebx, 0x10000, &inner));
	assert_string_equal(inner.cmdline, "label=L1");
	assert_string_equal(inner.loader_name, "GRUB 2.06");
	assert_int_equal(inner.modules, 2);
	assert_int_equal(inner.module[0].start, 0x500000);
	assert_string_equal(inner.module[0].string, "m1 x");
	assert_string_equal(inner.module[1].string, "empty");
	assert_int_equal(inner.rsdp_size, 20);
	assert_int_equal(inner.framebuffer.width, 80);
	assert_memory_equal(&inner.map, &m.bi.l1_map, sizeof(inner.map));
	machine_free(&m);
	free(e.data);
}

static void mb2_tags(void **state)
{
	struct machine m;
	struct test_elf e = elf_make(2, LOAD, LOAD, FILE_SIZE, MEM_SIZE, LOAD);
	u32 tags[] = {
		MB2_HTAG_ADDRESS, 24, 0x200008, 0x200000, 0x201000, 0x203000,
		MB2_HTAG_ENTRY, 12, 0x200060, 0,
		MB2_HTAG_RELOCATABLE, 24, 0, 0, 0, 0,
		0, 8,
	};

	(void)state;
	put_mb2(&e, HEADER_AT, tags, sizeof(tags));
	e.data[0] = 0;
	machine_init(&m);
	machine_module(&m, 0x300000, e.data, e.len, "");
	machine_load(&m);
	assert_int_equal(m.entry.rip, 0x200060);
	elf_check_body(m.mem + 0x200000, 96, 0x1000, 0x3000);
	u32 *at = (u32 *)(m.mem + 0x300000 + HEADER_AT + 16);

	at[3] = UINT32_MAX;		/* the file from its start */
	at[2] = 0x200000 + HEADER_AT;
	machine_load(&m);
	assert_int_equal(m.mem[0x200001], 'E');
	at[3] = 0x100000;
	machine_refuse(&m, "does not fit the file");
	at[3] = 0x300000;
	machine_refuse(&m, "does not fit the file");
	at[1] = 16;
	machine_refuse(&m, "too short");
	at[1] = 4;
	machine_refuse(&m, "beyond its end");
	at[1] = 4000;
	machine_refuse(&m, "beyond its end");
	at[0] = 77;
	at[1] = 24;
	machine_refuse(&m, "demands feature 77");
	at[0] = MB2_HTAG_EFI_BS;
	machine_refuse(&m, "EFI boot services");
	at[0] |= MB2_HTAG_OPTIONAL << 16;
	machine_refuse(&m, "no ELF file");
	machine_free(&m);
	free(e.data);
}

static void elf_errors(void **state)
{
	struct machine m;
	struct test_elf e = elf_make(2, LOAD, LOAD, FILE_SIZE, MEM_SIZE, LOAD);
	const u64 image = 0x300000;

	(void)state;
	put_mb2(&e, HEADER_AT, mb2_end, sizeof(mb2_end));
	machine_init(&m);
	machine_module(&m, image, e.data, e.len, "");
	u8 *ph = m.mem + image + 64;

	elf_put(ph + 32, e.len, 8);
	machine_refuse(&m, "is cut off: a segment");
	elf_put(ph + 8, UINT64_MAX, 8);
	machine_refuse(&m, "is cut off: a segment");
	elf_put(ph + 8, 0x1000, 8);
	elf_put(ph + 32, FILE_SIZE, 8);
	elf_put(ph + 40, FILE_SIZE - 1, 8);
	machine_refuse(&m, "impossible sizes");
	elf_put(ph + 40, UINT64_MAX, 8);
	machine_refuse(&m, "impossible sizes");
	elf_put(ph + 40, MACHINE_HOME - LOAD + 1, 8);
	machine_refuse(&m, "not all free memory");
	elf_put(ph + 40, MEM_SIZE, 8);
	elf_put(ph + 24, 0x9e000, 8);
	machine_refuse(&m, "not all free memory");
	elf_put(ph, 2, 4);
	machine_refuse(&m, "nothing to load");
	elf_put(m.mem + image + 56, 0xffff, 2);
	machine_refuse(&m, "program headers");
	elf_put(m.mem + image + 32, UINT64_MAX - 10, 8);
	machine_refuse(&m, "program headers");
	elf_put(m.mem + image + 54, 55, 2);
	machine_refuse(&m, "program headers");
	machine_free(&m);
	free(e.data);
}

static void recognition(void **state)
{
	static u8 file[MB2_HEADER_SEARCH + 64];
	struct test_elf e = { file, sizeof(file) };

	(void)state;
	assert_int_equal(loader_recognize(file, sizeof(file)), LOADER_UNKNOWN);
	assert_int_equal(loader_recognize(file, 0), LOADER_UNKNOWN);
	put_mb1(&e, 8180, 0);
	assert_int_equal(loader_recognize(file, sizeof(file)), LOADER_MULTIBOOT1);
	assert_int_equal(loader_recognize(file, 8191), LOADER_UNKNOWN);
	put_mb2(&e, MB2_HEADER_SEARCH - 16, mb2_end, sizeof(mb2_end));
	assert_int_equal(loader_recognize(file, sizeof(file)), LOADER_MULTIBOOT2);
	put_mb2(&e, MB2_HEADER_SEARCH - 12, mb2_end, sizeof(mb2_end));
	assert_int_equal(loader_recognize(file, sizeof(file)), LOADER_MULTIBOOT1);
	file[8188]++;
	assert_int_equal(loader_recognize(file, sizeof(file)), LOADER_UNKNOWN);
}

/* Any damage to an image: it loads or is refused, and L0's memory stays whole. */
static void hostile(void **state)
{
	struct unit_random r = { 7 };
	struct test_elf e = elf_make(2, LOAD, LOAD, FILE_SIZE, MEM_SIZE, LOAD);
	struct machine m;

	(void)state;
	machine_init(&m);
	for (int i = 0; i < 3000; i++) {
		m.bi.modules = 0;
		if (i % 2)
			put_mb1(&e, HEADER_AT, MB1_HEADER_ADDRESSES * (u32)(i / 2 % 2));
		else
			put_mb2(&e, HEADER_AT, mb2_end, sizeof(mb2_end));
		machine_module(&m, 0x2fff000, e.data, e.len, "");
		u8 *image = m.mem + 0x2fff000;

		for (int n = 0; n < 3; n++)
			image[unit_random(&r) % 120] = (u8)unit_random(&r);
		image[HEADER_AT + 12 + unit_random(&r) % 40] = (u8)unit_random(&r);
		loader_load(m.mem, &m.bi, &m.entry);
	}
	machine_check_guard(&m, MACHINE_HOME, MACHINE_MEMORY);
	machine_check_guard(&m, 0x9f000, 0x100000);
	machine_free(&m);
	free(e.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mb1_elf), cmocka_unit_test(mb1_addresses),
		cmocka_unit_test(mb2_elf), cmocka_unit_test(mb2_tags),
		cmocka_unit_test(elf_errors), cmocka_unit_test(recognition),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
