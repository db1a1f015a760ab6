/*
 * What Plastron is given at its start: Multiboot2 information, images of L1 of
 * every format, ACPI tables, its own options. Nothing of it may lead it outside
 * what it was given, nor put anything of L1's into L0's home or firmware's memory.
 */
#include "fuzz.h"

#include <sys/mman.h>

#include "acpi_tables.h"
#include "boot/mb2.h"
#include "boot/options.h"
#include "unit.h"
#include "vm/acpi.h"
#include "vm/e820.h"
#include "vm/loader.h"
#include "vm/loader_elf.h"
#include "vm/madt.h"

#define MEMORY (32ull << 20)
#define HOME (31ull << 20)
#define LOW_END 0x9f000ull
#define MODULES_AT (16ull << 20)

static size_t sum_of_strings;	/* so that they are read to their ends */

/*
 * A memory map, then the input as further tags; in a heap block of that very
 * size, so that the sanitizer sees any overrun.
 */
static void information(struct fuzz_input *in)
{
	static const struct mb2_mmap_entry map[] = {
		{ 0, LOW_END, 1, 0 }, { 0x100000, MEMORY - 0x100000, 1, 0 },
	};
	static const struct mb2_tag_mmap tag = {
		{ MB2_TAG_MMAP, sizeof(tag) + sizeof(map) }, sizeof(map[0]), 0,
	};
	u32 start = sizeof(struct mb2_info) + sizeof(tag) + sizeof(map);
	u32 size = start + (u32)in->left;
	u8 *data = malloc(size);
	struct boot_info bi;

	assert_non_null(data);
	memset(data, 0, sizeof(struct mb2_info));
	memcpy(data, &size, sizeof(size));
	memcpy(data + sizeof(struct mb2_info), &tag, sizeof(tag));
	memcpy(data + sizeof(struct mb2_info) + sizeof(tag), map, sizeof(map));
	if (in->left)
		memcpy(data + start, in->at, in->left);
	if (!boot_mb2_parse(data, size, &bi)) {
		assert_true(bi.modules <= BOOT_MODULES_MAX && bi.rsdp_size <= BOOT_RSDP_MAX);
		sum_of_strings += strlen(bi.cmdline) + strlen(bi.loader_name);
		for (u32 i = 0; i < bi.modules; i++)
			sum_of_strings += strlen(bi.module[i].string);
	}
	free(data);
}

/* L1's memory, with L0's home and firmware's closed. */
static u8 *machine(void)
{
	static u8 *mem;

	if (mem) {
		madvise(mem, MEMORY, MADV_DONTNEED);
		return mem;
	}
	mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(mem != MAP_FAILED);
	assert_int_equal(mprotect(mem + LOW_END, 0x100000 - LOW_END, PROT_READ), 0);
	assert_int_equal(mprotect(mem + HOME, MEMORY - HOME, PROT_NONE), 0);
	return mem;
}

static void put(u8 *at, u64 v, unsigned len)
{
	memcpy(at, &v, len);
}

/* A program header of a segment that can be loaded. */
static void put_segment(u8 *phdr, bool wide)
{
	put(phdr, 1, 4);
	put(phdr + (wide ? 8 : 4), 0x100, 4);
	put(phdr + (wide ? 24 : 12), 0x200000, 4);
	put(phdr + (wide ? 32 : 16), 0x800, 4);
	put(phdr + (wide ? 40 : 20), 0x1000, 4);
}

/* The beginnings of the formats, so that an input need not find their magic numbers. */
static void put_header(u8 *image, u8 format)
{
	switch (format % 6) {
	case 1:		/* a 64-bit ELF, which may be a vmlinux */
	case 2:		/* the same with 32 bits */
		put(image, 0x464c457f, 4);
		put(image + 4, format % 6 == 1 ? 0x010102 : 0x010101, 3);
		put(image + 16, 2, 2);
		put(image + 18, format % 6 == 1 ? 62 : 3, 2);
		put(image + (format % 6 == 1 ? 32 : 28), 64, 4);
		put(image + (format % 6 == 1 ? 54 : 42), format % 6 == 1 ? 56 : 32, 2);
		put(image + (format % 6 == 1 ? 56 : 44), 2, 2);
		put_segment(image + 64, format % 6 == 1);
		break;
	case 3:		/* a bzImage */
		put(image + 0x1f1, 4, 1);
		put(image + 0x1fe, 0xaa55, 2);
		put(image + 0x201, 0x6a, 1);
		put(image + 0x202, 0x53726448, 4);
		put(image + 0x206, 0x020f, 2);
		put(image + 0x211, 1, 1);
		put(image + 0x236, 3, 2);
		put(image + 0x260, 0x100000, 4);
		break;
	case 4:		/* Multiboot1 with addresses in its header */
		put(image + 0x40, 0x1badb002, 4);
		put(image + 0x44, 0x10003, 4);
		put(image + 0x48, -(0x1badb002ull + 0x10003), 4);
		break;
	case 5:		/* Multiboot2 */
		put(image + 0x40, 0xe85250d6, 4);
		put(image + 0x48, 0x60, 4);
		put(image + 0x4c, -(0xe85250d6ull + 0x60), 4);
		break;
	}
}

/* Changes of 1, 2, 4 or 8 bytes anywhere in the first pages. */
static void change(struct fuzz_input *in, u8 *at0, u32 size)
{
	while (in->left) {
		u8 how = fuzz_u8(in);
		u32 at = how & 0x40 ? fuzz_u8(in) * 4u : fuzz_below(in, 0x1000);
		u64 value = how & 0x80 ? fuzz_value(in) : fuzz_bytes(in, 1u << (how & 3));

		if (at + 8 <= size)
			put(at0 + at, value, 1u << (how & 3));
	}
}

/* A copy in a block of its very size: whatever is taken for headers or segments is in it. */
static void check_elf(const u8 *file, u32 size)
{
	struct loader_elf elf;
	u8 *copy = malloc(size);

	assert_non_null(copy);
	memcpy(copy, file, size);
	if (!loader_elf_parse(copy, size, &elf)) {
		assert_true(elf.segments && elf.segments <= LOADER_ELF_SEGMENTS);
		for (u32 i = 0; i < elf.segments; i++) {
			const struct loader_elf_segment *s = &elf.segment[i];

			assert_true(s->offset <= size && s->filesz <= size - s->offset);
			assert_true(s->filesz <= s->memsz && s->memsz <= ~s->paddr);
			assert_true(elf.low <= s->paddr && s->paddr + s->memsz <= elf.high);
		}
	}
	loader_elf_is_vmlinux(copy, size);
	free(copy);
}

static void image(struct fuzz_input *in)
{
	struct boot_info bi = { .cmdline = "", .loader_name = "" };
	struct loader_entry entry;
	u8 *mem = machine(), format = fuzz_u8(in);
	u32 size = 0x1000 + 0x1000 * (u32)(fuzz_u8(in) & 15) - fuzz_u8(in);
	u64 at = fuzz_flip(in) ? MODULES_AT : 0x100000 + fuzz_below(in, 0x10000);

	e820_set(&bi.map, 0, LOW_END, E820_AVAILABLE);
	e820_set(&bi.map, 0xf0000, 0x100000, E820_RESERVED);
	e820_set(&bi.map, 0x100000, MEMORY, E820_AVAILABLE);
	bi.l1_map = bi.map;
	e820_set(&bi.l1_map, HOME, MEMORY, E820_RESERVED);
	bi.modules = 1 + (format >> 6);
	bi.module[0] = (struct boot_module){ at, at + size, "one two" };
	for (u32 i = 1; i < bi.modules; i++)
		bi.module[i] = (struct boot_module){
			MODULES_AT + i * 0x100000 + 5, MODULES_AT + i * 0x100000 + 0x1234, "" };
	put_header(mem + at, format);
	change(in, mem + at, size);
	check_elf(mem + at, size);
	if (!loader_load(mem, &bi, &entry)) {
		assert_true(strlen(entry.error) > 0);
		return;
	}
	assert_true(entry.image_start < entry.image_end);
	assert_true(entry.image_end <= HOME);
	assert_true(entry.boot_start <= entry.boot_end && entry.boot_end <= HOME);
}

/* ACPI tables at multiples of 100H; nothing is at 0. */
#define RSDT 0x100u
#define FADT 0x200u
#define MADT 0x400u
#define DSDT 0x600u
#define ACPI_END 0x800u

static bool read_acpi(void *context, u64 addr, void *buf, size_t len)
{
	const u8 *data = context;

	if (addr > ACPI_END || len > ACPI_END - addr)
		return false;
	memcpy(buf, data + addr, len);
	return true;
}

static void seal(u8 *p, size_t len, size_t at)
{
	u8 sum = 0;

	p[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (u8)(sum + p[i]);
	p[at] = (u8)-sum;
}

static void put_table(u8 *data, u32 at, const char *signature, u32 len)
{
	memcpy(data + at, signature, 4);
	put(data + at + 4, len, 4);
}

static void put_tables(u8 *data)
{
	static const u8 s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0x01, 0, 0 };
	static const u8 cpus[] = {
		0, 8, 0, 0, 1, 0, 0, 0, 0, 8, 1, 1, 1, 0, 0, 0,
		9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
	};
	const u32 tables[] = { FADT, MADT, DSDT };

	put_table(data, RSDT, "RSDT", sizeof(struct acpi_header) + sizeof(tables));
	memcpy(data + RSDT + sizeof(struct acpi_header), tables, sizeof(tables));
	put_table(data, FADT, "FACP", sizeof(struct acpi_fadt));
	put(data + FADT + offsetof(struct acpi_fadt, dsdt), DSDT, 4);
	put_table(data, MADT, "APIC", sizeof(struct acpi_madt) + sizeof(cpus));
	memcpy(data + MADT + sizeof(struct acpi_madt), cpus, sizeof(cpus));
	put_table(data, DSDT, "DSDT", 0x100);
	memcpy(data + DSDT + 0x40, s5, sizeof(s5));
}

/* Good checksums: rarely would an input have them. */
static void seal_tables(u8 *data)
{
	for (u32 at = RSDT; at < ACPI_END; at += 0x100) {
		u32 length;

		memcpy(&length, data + at + 4, sizeof(length));
		if (length >= sizeof(struct acpi_header) && length <= ACPI_END - at)
			seal(data + at, length, offsetof(struct acpi_header, checksum));
	}
}

static void tables(struct fuzz_input *in)
{
	struct acpi_rsdp rsdp = { .revision = fuzz_u8(in) & 2, .rsdt = RSDT,
				  .length = sizeof(rsdp), .xsdt = RSDT };
	u8 *data = calloc(1, ACPI_END);
	struct acpi_reader reader = { read_acpi, data };
	struct acpi_info info;

	assert_non_null(data);
	memcpy(rsdp.signature, ACPI_RSDP_SIGNATURE, 8);
	seal((u8 *)&rsdp, ACPI_RSDP_V1_SIZE, offsetof(struct acpi_rsdp, checksum));
	seal((u8 *)&rsdp, sizeof(rsdp), offsetof(struct acpi_rsdp, extended_checksum));
	put_tables(data);
	change(in, data, ACPI_END);
	seal_tables(data);
	acpi_parse(&reader, &rsdp, sizeof(rsdp), &info);
	assert_true(info.cpus <= ACPI_CPUS_MAX);
	if (info.madt)
		madt_keep_cpus(data + info.madt_address, (const u32[]){ 1 }, 1);
	acpi_find_rsdp(&reader);
	free(data);
}

static void options(struct fuzz_input *in)
{
	const char *complaint;
	size_t complaint_len;
	struct boot_options o;
	char *line = malloc(in->left + 1);

	assert_non_null(line);
	if (in->left)
		memcpy(line, in->at, in->left);
	line[in->left] = '\0';
	boot_options_parse(line, &o, &complaint, &complaint_len);
	assert_true(!complaint || (complaint >= line && complaint_len <= strlen(complaint)));
	assert_true(strnlen(o.label, sizeof(o.label)) < sizeof(o.label));
	free(line);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_input in = { data, size };

	switch (fuzz_below(&in, 8)) {
	case 0:
		information(&in);
		break;
	case 1:
		tables(&in);
		break;
	case 2:
		options(&in);
		break;
	default:
		image(&in);
	}
	return 0;
}
