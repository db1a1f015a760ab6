/* boot/mb2.c: a good structure, then everything that can be wrong with one. */
#include "boot/mb2.h"
#include "unit.h"

/* A heap block of exactly the structure's size, so that ASan sees any overrun. */
struct builder {
	u8 *data;
	size_t len;
};

static void put(struct builder *b, const void *p, size_t n)
{
	b->data = realloc(b->data, b->len + n);
	memcpy(b->data + b->len, p, n);
	b->len += n;
}

static void put_tag(struct builder *b, u32 type, const void *body, size_t n)
{
	static const u8 zero[8];
	struct mb2_tag tag = { type, (u32)(sizeof(tag) + n) };

	put(b, &tag, sizeof(tag));
	put(b, body, n);
	put(b, zero, -n & 7);
}

static void start(struct builder *b)
{
	struct mb2_info info = { 0, 0 };

	*b = (struct builder){ NULL, 0 };
	put(b, &info, sizeof(info));
}

static void finish(struct builder *b)
{
	put_tag(b, MB2_TAG_END, "", 0);
	((struct mb2_info *)b->data)->total_size = (u32)b->len;
}

static void put_module(struct builder *b, u32 from, u32 to, const char *s, size_t n)
{
	u8 body[64];

	memcpy(body, &from, 4);
	memcpy(body + 4, &to, 4);
	memcpy(body + 8, s, n);
	put_tag(b, MB2_TAG_MODULE, body, 8 + n);
}

static void put_mmap(struct builder *b, u32 entry_size, const struct mb2_mmap_entry *e, size_t n)
{
	u8 body[512] = { 0 };
	u32 version = 0;

	memcpy(body, &entry_size, 4);
	memcpy(body + 4, &version, 4);
	for (size_t i = 0; i < n; i++)
		memcpy(body + 8 + i * entry_size, &e[i], MIN(sizeof(*e), (size_t)entry_size));
	put_tag(b, MB2_TAG_MMAP, body, 8 + n * entry_size);
}

static const struct mb2_mmap_entry machine[] = {
	{ 0x100000, 0x7f00000, 1, 0 },
	{ 0, 0x9f000, 1, 0 },
	{ 0x7ff0000, 0x20000, 3, 0 },
	{ 0xf0000, 0x10000, 2, 0 },
};

static void put_good(struct builder *b)
{
	struct mb2_tag_framebuffer fb = {
		.addr = 0xe0000000, .pitch = 4096, .width = 1024, .height = 768, .bpp = 32,
		.type = MB2_FB_RGB, .red_pos = 16,
	};

	start(b);
	put_tag(b, MB2_TAG_CMDLINE, "quiet", 6);
	put_tag(b, MB2_TAG_ELF_SECTIONS, "whatever", 8);
	put_module(b, 0x200000, 0x300000, "one two", 8);
	put_module(b, 0x300000, 0x300000, "", 1);
	put_mmap(b, 24, machine, ARRAY_SIZE(machine));
	put_tag(b, MB2_TAG_FRAMEBUFFER, &fb.addr, sizeof(fb) - sizeof(fb.tag));
	put_tag(b, MB2_TAG_ACPI_OLD, "RSD PTR 456789012345", 20);
	put_tag(b, MB2_TAG_ACPI_NEW, "RSD PTR 4567890123456789012345678901", 36);
	put_tag(b, MB2_TAG_LOADER_NAME, "GRUB 2.06", 10);
	put_tag(b, 99, "xyz", 3);
	finish(b);
}

static void good(void **state)
{
	struct builder b;
	struct boot_info bi;

	(void)state;
	put_good(&b);
	assert_null(boot_mb2_parse(b.data, b.len, &bi));
	assert_string_equal(bi.cmdline, "quiet");
	assert_string_equal(bi.loader_name, "GRUB 2.06");
	assert_int_equal(bi.modules, 2);
	assert_int_equal(bi.module[0].start, 0x200000);
	assert_int_equal(bi.module[0].end, 0x300000);
	assert_string_equal(bi.module[0].string, "one two");
	assert_string_equal(bi.module[1].string, "");
	assert_int_equal(bi.map.count, 4);
	/* Reserved and ACPI memory win over available memory that overlaps them. */
	assert_int_equal(bi.map.entry[2].end, 0x7ff0000);
	assert_int_equal(bi.map.entry[3].type, 3);
	assert_int_equal(bi.rsdp_size, 36);
	assert_true(bi.has_framebuffer);
	assert_int_equal(bi.framebuffer.width, 1024);
	assert_int_equal(bi.framebuffer.red_pos, 16);
	free(b.data);
}

static void refuse(struct builder *b, const char *why)
{
	struct boot_info bi;

	finish(b);
	assert_string_equal(boot_mb2_parse(b->data, b->len, &bi), why);
	free(b->data);
}

static void bad(void **state)
{
	struct mb2_mmap_entry many[ARRAY_SIZE(machine)];
	struct builder b;

	(void)state;
	start(&b);
	refuse(&b, "it has no memory map");
	start(&b);
	put_tag(&b, MB2_TAG_CMDLINE, "noend", 5);
	refuse(&b, "the command line has no end");
	start(&b);
	put_tag(&b, MB2_TAG_CMDLINE, "", 0);
	refuse(&b, "the command line has no end");
	start(&b);
	put_module(&b, 0, 0, "noend", 5);
	refuse(&b, "a module's string has no end");
	start(&b);
	put_tag(&b, MB2_TAG_MODULE, "1234567", 7);
	refuse(&b, "a module tag is too short");
	start(&b);
	put_module(&b, 2, 1, "", 1);
	refuse(&b, "a module ends before it starts");
	start(&b);
	for (int i = 0; i < 17; i++)
		put_module(&b, 1, 2, "", 1);
	refuse(&b, "there are more than 16 modules");
	start(&b);
	put_mmap(&b, 20, machine, 1);
	refuse(&b, "the memory map's entries are too short");
	start(&b);
	put_mmap(&b, 0, machine, 1);
	refuse(&b, "the memory map's entries are too short");
	start(&b);
	put_tag(&b, MB2_TAG_MMAP, "123", 3);
	refuse(&b, "the memory map's entries are too short");
	/* An entry that wraps around is no memory. */
	start(&b);
	memcpy(many, machine, sizeof(many));
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i].len = UINT64_MAX - (many[i].addr ? 0 : 1);
	many[1].addr = 1;
	many[1].len = UINT64_MAX;
	put_mmap(&b, 24, many, ARRAY_SIZE(many));
	refuse(&b, "it has no memory map");
}

/* Entries longer than ours are the specification's way to grow. */
static void long_entries(void **state)
{
	struct builder b;
	struct boot_info bi;

	(void)state;
	start(&b);
	put_mmap(&b, 40, machine, 3);
	finish(&b);
	assert_null(boot_mb2_parse(b.data, b.len, &bi));
	assert_int_equal(bi.map.count, 3);
	free(b.data);
}

static void truncated(void **state)
{
	struct builder b;
	struct boot_info bi;

	(void)state;
	put_good(&b);
	for (size_t n = 0; n < b.len; n++) {
		u8 *cut = malloc(n ? n : 1);

		memcpy(cut, b.data, n);
		assert_non_null(boot_mb2_parse(cut, n, &bi));
		if (n >= 4) {		/* believes its own size */
			u32 size = (u32)n;

			memcpy(cut, &size, 4);
			boot_mb2_parse(cut, n, &bi);
		}
		free(cut);
	}
	free(b.data);
}

/* Any bytes: no crash, nothing read outside, and what comes out is usable. */
static void hostile(void **state)
{
	struct unit_random r = { 3 };
	struct boot_info bi;
	struct builder b;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		put_good(&b);
		for (u64 n = 1 + unit_random(&r) % 8; n > 0; n--) {
			size_t at = 8 + unit_random(&r) % (b.len - 8);

			b.data[at] = (u8)(unit_random(&r) % 4 ? unit_random(&r) % 32 :
							      unit_random(&r));
		}
		if (!boot_mb2_parse(b.data, b.len, &bi)) {
			assert_true(strlen(bi.cmdline) < b.len);
			assert_true(bi.modules <= BOOT_MODULES_MAX &&
				    bi.rsdp_size <= BOOT_RSDP_MAX);
			for (u32 m = 0; m < bi.modules; m++)
				assert_true(strlen(bi.module[m].string) < b.len);
		}
		free(b.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good), cmocka_unit_test(bad), cmocka_unit_test(long_entries),
		cmocka_unit_test(truncated), cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
