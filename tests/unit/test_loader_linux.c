/* vm/loader_linux.c: bzImage and vmlinux. */
#include "linux_boot.h"
#include "loader_machine.h"

#define SETUP_SECTS 4
#define SETUP_SIZE ((SETUP_SECTS + 1) * 512)
#define CODE_SIZE 0x5000
#define BZIMAGE_SIZE (SETUP_SIZE + CODE_SIZE)
#define INIT_SIZE 0x300000
#define PREFERRED 0x1000000

static u8 bzimage[BZIMAGE_SIZE];

static struct linux_boot_params *header(void)
{
	return (void *)bzimage;
}

static void make_bzimage(void)
{
	struct linux_boot_params *h = header();

	memset(bzimage, 0, sizeof(bzimage));
	h->setup_sects = SETUP_SECTS;
	h->boot_flag = LINUX_BOOT_FLAG;
	h->jump = 0xeb;
	h->header_end = 0x6a;
	h->header = LINUX_HEADER_MAGIC;
	h->version = 0x20f;
	h->loadflags = 1;
	h->initrd_addr_max = 0x7fffffff;
	h->kernel_alignment = 0x200000;
	h->relocatable_kernel = 1;
	h->xloadflags = LINUX_XLF_KERNEL_64;
	h->cmdline_size = 2047;
	h->pref_address = PREFERRED;
	h->init_size = INIT_SIZE;
	for (int i = 0; i < CODE_SIZE; i++)
		bzimage[SETUP_SIZE + i] = (u8)(i * 5 + 3);
}

static struct linux_boot_params *zero_page(struct machine *m)
{
	return (void *)(m->mem + m->entry.rsi);
}

/* Follows the tables L1 is entered with. */
static u64 translate(struct machine *m, u64 v)
{
	u64 table = m->entry.cr3;

	for (int level = 4; level > 1; level--) {
		u64 e;

		memcpy(&e, m->mem + table + (v >> (12 + 9 * (level - 1)) & 511) * 8, 8);
		assert_true(e & 1);
		table = e & 0xffffffffff000;
		if (e & 0x80)
			return table + (v & ((1ull << (12 + 9 * (level - 1))) - 1));
	}
	fail();
	return 0;
}

static void check_state(struct machine *m)
{
	struct loader_entry *e = &m->entry;
	u64 gdt[4];

	assert_int_equal(e->kind, LOADER_ENTRY_LINUX64);
	assert_int_equal(e->cs, 0x10);
	assert_int_equal(e->ds, 0x18);
	memcpy(gdt, m->mem + e->gdt_base, sizeof(gdt));
	assert_int_equal(gdt[2], 0x00af9b000000ffff);
	assert_int_equal(gdt[3], 0x00cf93000000ffff);
	assert_true(e->gdt_limit >= 31);
	assert_true(e->rsp > e->boot_start && e->rsp <= e->boot_end);
	for (u64 v = 0; v < 1ull << 32; v += 0x12345678)
		assert_int_equal(translate(m, v), v);
	assert_int_equal(translate(m, 0xffffffff), 0xffffffff);
}

static void check_map(struct machine *m)
{
	struct linux_boot_params *p = zero_page(m);

	assert_int_equal(p->e820_entries, m->bi.l1_map.count);
	for (u32 i = 0; i < m->bi.l1_map.count; i++) {
		assert_int_equal(p->e820[i].addr, m->bi.l1_map.entry[i].start);
		assert_int_equal(p->e820[i].addr + p->e820[i].size, m->bi.l1_map.entry[i].end);
		assert_int_equal(p->e820[i].type, m->bi.l1_map.entry[i].type);
	}
}

static void check_code(struct machine *m, u64 at)
{
	for (int i = 0; i < CODE_SIZE; i++)
		assert_int_equal(m->mem[at + (u64)i], (u8)(i * 5 + 3));
}

static void simple(void **state)
{
	struct machine m;
	static const char initrd[] = "an initramfs";

	(void)state;
	machine_init(&m);
	make_bzimage();
	machine_module(&m, 0x200000, bzimage, sizeof(bzimage), "console=ttyS0 quiet");
	machine_module(&m, 0x300000, initrd, sizeof(initrd), "");
	m.bi.rsdp_addr = 0xfa370;
	machine_load(&m);
	assert_int_equal(m.entry.format, LOADER_BZIMAGE);
	assert_int_equal(m.entry.rip, PREFERRED + 0x200);
	check_code(&m, PREFERRED);
	check_state(&m);
	check_map(&m);
	struct linux_boot_params *p = zero_page(&m);

	assert_string_equal((char *)m.mem + p->cmd_line_ptr, "console=ttyS0 quiet");
	assert_int_equal(p->ramdisk_image, 0x300000);
	assert_int_equal(p->ramdisk_size, sizeof(initrd));
	assert_string_equal((char *)m.mem + p->ramdisk_image, initrd);
	assert_int_equal(p->type_of_loader, 0xff);
	assert_int_equal(p->acpi_rsdp_addr, 0xfa370);
	assert_int_equal(p->header, LINUX_HEADER_MAGIC);
	assert_int_equal(p->init_size, INIT_SIZE);
	assert_int_equal(p->screen_info.orig_video_is_vga, 1);
	machine_free(&m);
}

/* Something lies at the preferred address: the kernel goes above it, nothing moves. */
static void relocates(void **state)
{
	struct machine m;
	static u8 big[0x500000];

	(void)state;
	machine_init(&m);
	make_bzimage();
	machine_module(&m, PREFERRED + 0x1000, bzimage, sizeof(bzimage), "");
	memset(big, 0x77, sizeof(big));
	machine_module(&m, PREFERRED + 0x10000, big, sizeof(big), "");
	machine_load(&m);
	assert_int_equal(m.entry.rip, PREFERRED + 0x600000 + 0x200);
	check_code(&m, PREFERRED + 0x600000);
	assert_int_equal(zero_page(&m)->ramdisk_image, PREFERRED + 0x10000);
	assert_memory_equal(m.mem + PREFERRED + 0x10000, big, sizeof(big));
	machine_free(&m);
}

/* It cannot: what lies there moves, even the image itself. */
static void evicts(void **state)
{
	struct machine m;
	static u8 big[0x500000];

	(void)state;
	machine_init(&m);
	make_bzimage();
	header()->relocatable_kernel = 0;
	machine_module(&m, PREFERRED - 0x1000, bzimage, sizeof(bzimage), "");
	memset(big, 0x77, sizeof(big));
	machine_module(&m, PREFERRED + 0x10010, big, sizeof(big), "");
	machine_load(&m);
	assert_int_equal(m.entry.rip, PREFERRED + 0x200);
	check_code(&m, PREFERRED);
	u64 at = zero_page(&m)->ramdisk_image;

	assert_true(at + sizeof(big) <= PREFERRED || at >= PREFERRED + INIT_SIZE);
	assert_int_equal(at % 4096, 0);
	assert_memory_equal(m.mem + at, big, sizeof(big));
	machine_free(&m);
}

static void refuses(void **state)
{
	static char cmdline[300];
	struct machine m;

	(void)state;
	machine_init(&m);
	machine_refuse(&m, "no module given");
	make_bzimage();
	machine_module(&m, 0x200000, bzimage, sizeof(bzimage), "");
	struct linux_boot_params *h = (void *)(m.mem + 0x200000);

	h->xloadflags = 0;
	machine_refuse(&m, "no 64-bit entry");
	h->xloadflags = LINUX_XLF_KERNEL_64;
	h->version = 0x20a;
	machine_refuse(&m, "boot protocol 2.10");
	h->version = 0x20f;
	h->setup_sects = 200;
	machine_refuse(&m, "cut off");
	h->setup_sects = SETUP_SECTS;
	h->init_size = 0x7fffffff;
	machine_refuse(&m, "not all free memory");
	h->init_size = INIT_SIZE;
	h->relocatable_kernel = 0;
	h->pref_address = MACHINE_HOME - 0x1000;
	machine_refuse(&m, "not all free memory");
	h->pref_address = UINT64_MAX - 0x1000;
	machine_refuse(&m, "not all free memory");
	h->pref_address = PREFERRED;
	h->cmdline_size = 255;
	memset(cmdline, 'a', 256);
	m.bi.module[0].string = cmdline;
	machine_refuse(&m, "256 characters, but this kernel takes only 255");
	m.bi.module[0].string = "";
	machine_module(&m, 0x2000000, "x", 1, "");
	h->initrd_addr_max = 0x1ffffff;
	machine_refuse(&m, "reads it only below");
	h->header = 0;
	machine_refuse(&m, "neither a Linux bzImage");
	m.bi.module[0].end = MACHINE_HOME + 1;
	machine_refuse(&m, "does not lie in L1's memory");
	machine_free(&m);
}

static void framebuffer(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m);
	make_bzimage();
	machine_module(&m, 0x200000, bzimage, sizeof(bzimage), "");
	m.bi.has_framebuffer = true;
	m.bi.framebuffer = (struct mb2_tag_framebuffer){
		.addr = 0x10e0000000, .pitch = 4096, .width = 1024, .height = 768, .bpp = 32,
		.type = MB2_FB_RGB, .red_size = 8, .red_pos = 16,
	};
	memcpy(m.bi.rsdp, "RSD PTR ", 8);
	m.bi.rsdp_size = 20;
	machine_load(&m);
	struct linux_screen_info *s = &zero_page(&m)->screen_info;

	assert_int_equal(s->orig_video_is_vga, LINUX_VIDEO_VESA);
	assert_int_equal(s->lfb_width, 1024);
	assert_int_equal(s->lfb_base, 0xe0000000);
	assert_int_equal(s->ext_lfb_base, 0x10);
	assert_int_equal(s->lfb_size, 48);
	assert_int_equal(s->red_pos, 16);
	/* The BIOS keeps no RSDP: L1 gets a copy. */
	assert_memory_equal(m.mem + zero_page(&m)->acpi_rsdp_addr, "RSD PTR ", 8);
	machine_free(&m);
}

static void vmlinux(void **state)
{
	struct machine m;
	struct test_elf e = elf_make(2, 0xffffffff81000000, 0x1000000, 0x5000, 0x9000, 0x1000010);

	(void)state;
	machine_init(&m);
	machine_module(&m, 0x200000, e.data, e.len, "a b");
	machine_module(&m, 0x300000, "xyz", 3, "");
	machine_load(&m);
	assert_int_equal(m.entry.format, LOADER_VMLINUX);
	assert_int_equal(m.entry.rip, 0x1000010);
	elf_check_body(m.mem + 0x1000000, 0, 0x5000, 0x9000);
	check_state(&m);
	check_map(&m);
	assert_string_equal((char *)m.mem + zero_page(&m)->cmd_line_ptr, "a b");
	assert_int_equal(zero_page(&m)->ramdisk_image, 0x300000);
	assert_int_equal(zero_page(&m)->type_of_loader, 0xff);
	machine_free(&m);

	machine_init(&m);
	machine_module(&m, 0xffe000, e.data, e.len, "");
	machine_load(&m);
	assert_int_equal(m.entry.rip, 0x1200010);
	elf_check_body(m.mem + 0x1200000, 0, 0x5000, 0x9000);
	machine_free(&m);
	free(e.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(simple), cmocka_unit_test(relocates), cmocka_unit_test(evicts),
		cmocka_unit_test(refuses), cmocka_unit_test(framebuffer), cmocka_unit_test(vmlinux),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
