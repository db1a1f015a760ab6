/*
 * Linux by its 64-bit boot protocol: bzImage, and the plain vmlinux (which
 * needs no unpacking, and so boots much faster under an emulator). Both get a
 * zero page, a GDT and identity-mapped page tables. Kernel's documentation:
 * "The Linux/x86 Boot Protocol", "64-bit Boot Protocol", "Zero Page".
 */
#include <string.h>

#include "lib/str.h"
#include "linux_boot.h"
#include "vm/loader_elf.h"

#define INITRD_MAX_DEFAULT 0x7fffffffu
#define VMLINUX_ALIGN SZ_2M
#define SETUP_HEADER_FIXED 17u		/* its size, less what header_end says */

/* Boot structures, one after the other; the command line is last. */
struct boot_area {
	struct linux_boot_params params;
	u64 pml4[512], pdpt[512], pd[4][512];
	u64 gdt[8];
	u8 rsdp[64];
	u8 stack[PAGE_SIZE];
	char cmdline[];
};

#define PTE_TABLE 0x3ull
#define PTE_LARGE 0x83ull
#define GDT_CODE64 0x00af9b000000ffffull
#define GDT_DATA 0x00cf93000000ffffull

static void fill_tables(struct boot_area *a, u64 at)
{
	a->pml4[0] = (at + offsetof(struct boot_area, pdpt)) | PTE_TABLE;
	for (u64 i = 0; i < 4; i++) {
		a->pdpt[i] = (at + offsetof(struct boot_area, pd) + i * PAGE_SIZE) | PTE_TABLE;
		for (u64 k = 0; k < 512; k++)
			a->pd[i][k] = (i * SZ_1G + k * SZ_2M) | PTE_LARGE;
	}
	a->gdt[LINUX_BOOT_CS / 8] = GDT_CODE64;
	a->gdt[LINUX_BOOT_DS / 8] = GDT_DATA;
}

static void fill_screen(struct linux_screen_info *s, const struct boot_info *bi)
{
	const struct mb2_tag_framebuffer *f = &bi->framebuffer;

	if (!bi->has_framebuffer || f->type != MB2_FB_RGB) {
		s->orig_video_mode = 3;
		s->orig_video_cols = 80;
		s->orig_video_lines = 25;
		s->orig_video_is_vga = 1;
		s->orig_video_points = 16;
		return;
	}
	s->orig_video_is_vga = LINUX_VIDEO_VESA;
	s->lfb_width = (u16)f->width;
	s->lfb_height = (u16)f->height;
	s->lfb_depth = f->bpp;
	s->lfb_linelength = (u16)f->pitch;
	s->lfb_base = (u32)f->addr;
	s->ext_lfb_base = (u32)(f->addr >> 32);
	s->capabilities = f->addr >> 32 ? LINUX_VIDEO_64BIT_BASE : 0;
	/* In 64-KiB units with orig_video_is_vga == LINUX_VIDEO_VESA. */
	s->lfb_size = (u32)(ALIGN_UP((u64)f->pitch * f->height, 0x10000ull) >> 16);
	s->red_size = f->red_size;
	s->red_pos = f->red_pos;
	s->green_size = f->green_size;
	s->green_pos = f->green_pos;
	s->blue_size = f->blue_size;
	s->blue_pos = f->blue_pos;
}

static bool fill_e820(struct loader_job *j, struct linux_boot_params *p)
{
	const struct e820_map *m = &j->bi->l1_map;

	if (m->count > LINUX_E820_MAX)
		return loader_fail(j, "the memory map has more entries (%u) than Linux takes",
				   m->count);
	for (u32 i = 0; i < m->count; i++)
		p->e820[i] = (struct linux_e820_entry){
			m->entry[i].start, m->entry[i].end - m->entry[i].start, m->entry[i].type,
		};
	p->e820_entries = (u8)m->count;
	return true;
}

static bool fill_initrd(struct loader_job *j, struct linux_boot_params *p)
{
	if (j->modules < 2)
		return true;
	const struct boot_module *m = &j->module[1];
	u64 max = p->initrd_addr_max ? p->initrd_addr_max : INITRD_MAX_DEFAULT;

	if (m->end - 1 > max)
		return loader_fail(j, "L1's initramfs ends at %#lx, but this kernel reads it only below %#lx",
				   (unsigned long)m->end, (unsigned long)max);
	p->ramdisk_image = (u32)m->start;
	p->ramdisk_size = (u32)(m->end - m->start);
	return true;
}

static void fill_rsdp(struct loader_job *j, struct boot_area *a, u64 at)
{
	a->params.acpi_rsdp_addr = j->bi->rsdp_addr;
	if (!j->bi->rsdp_addr && j->bi->rsdp_size) {
		memcpy(a->rsdp, j->bi->rsdp, j->bi->rsdp_size);
		a->params.acpi_rsdp_addr = at + offsetof(struct boot_area, rsdp);
	}
}

/* The zero page (its setup header is there already) and the state to enter with. */
static bool finish(struct loader_job *j, struct boot_area *a, u64 at, u64 entry)
{
	struct linux_boot_params *p = &a->params;
	struct loader_entry *e = j->out;

	fill_tables(a, at);
	fill_screen(&p->screen_info, j->bi);
	fill_rsdp(j, a, at);
	memcpy(a->cmdline, j->module[0].string, lib_strlen(j->module[0].string) + 1);
	p->cmd_line_ptr = (u32)(at + offsetof(struct boot_area, cmdline));
	p->type_of_loader = LINUX_LOADER_UNDEFINED;
	p->vid_mode = LINUX_VID_MODE_NORMAL;
	p->loadflags |= LINUX_LOADED_HIGH;
	if (!fill_e820(j, p) || !fill_initrd(j, p))
		return false;
	e->kind = LOADER_ENTRY_LINUX64;
	e->rip = entry;
	e->rsi = at;
	e->rsp = at + offsetof(struct boot_area, stack) + sizeof(a->stack);
	e->cr3 = at + offsetof(struct boot_area, pml4);
	e->gdt_base = at + offsetof(struct boot_area, gdt);
	e->gdt_limit = sizeof(a->gdt) - 1;
	e->cs = LINUX_BOOT_CS;
	e->ds = LINUX_BOOT_DS;
	return true;
}

static bool make_area(struct loader_job *j, struct boot_area **a, u64 *at)
{
	size_t len = lib_strlen(j->module[0].string) + 1;

	if (!loader_boot_area(j, sizeof(**a) + len, at))
		return false;
	*a = (struct boot_area *)(j->mem + *at);
	return true;
}

static bool check_header(struct loader_job *j, const struct linux_boot_params *h, u64 setup)
{
	size_t cmdline = lib_strlen(j->module[0].string);

	if (h->version < LINUX_PROTOCOL_64BIT || !(h->xloadflags & LINUX_XLF_KERNEL_64))
		return loader_fail(j, "this bzImage has no 64-bit entry (boot protocol %u.%02u): use a 64-bit kernel, 3.8 or later",
				   h->version >> 8, h->version & 0xff);
	if (setup + LINUX_ENTRY64 >= loader_image_size(j) ||
	    LINUX_SETUP_HEADER + SETUP_HEADER_FIXED + h->header_end > setup)
		return loader_fail(j, "L1's bzImage is cut off");
	if (cmdline > h->cmdline_size)
		return loader_fail(j, "L1's command line has %lu characters, but this kernel takes only %u",
				   (unsigned long)cmdline, h->cmdline_size);
	return true;
}

/*
 * A relocatable kernel goes to the first place from its preferred address up
 * where nothing is, so that nothing has to move; else to its own address.
 */
static u64 bzimage_place(struct loader_job *j, const struct linux_boot_params *h, u64 size)
{
	u64 align = h->kernel_alignment, start;
	bool power = align && !(align & (align - 1));

	if (h->relocatable_kernel && power &&
	    loader_plan_low(&j->plan, size, align, h->pref_address, LOADER_HIGH_END, &start))
		return start;
	return h->pref_address;
}

bool loader_bzimage(struct loader_job *j)
{
	struct linux_boot_params h;
	struct boot_area *a;
	u64 at;

	memcpy(&h, loader_image(j), sizeof(h));
	u64 setup = ((h.setup_sects ? h.setup_sects : 4) + 1u) * LINUX_SECTOR;

	if (!check_header(j, &h, setup))
		return false;
	u64 code = loader_image_size(j) - setup;
	u64 size = MAX((u64)h.init_size, code);
	u64 start = bzimage_place(j, &h, size);

	if (!loader_claim(j, start, start + size) || !loader_make_room(j) ||
	    !make_area(j, &a, &at))
		return false;
	memcpy(j->mem + start, loader_image(j) + setup, code);
	memcpy((u8 *)&a->params + LINUX_SETUP_HEADER, (const u8 *)&h + LINUX_SETUP_HEADER,
	       SETUP_HEADER_FIXED + h.header_end);
	a->params.code32_start = (u32)start;
	j->out->image_start = start;
	j->out->image_end = start + size;
	return finish(j, a, at, start + LINUX_ENTRY64);
}

/*
 * A vmlinux runs at any physical address that differs from its own by whole
 * 2-MiB pages: it finds out where it is. Used where staying would cost moving
 * large modules.
 */
static u64 vmlinux_delta(struct loader_job *j, const struct loader_elf *elf)
{
	u64 size = elf->high - elf->low, start;

	if (loader_plan_free(&j->plan, elf->low, elf->high) || (elf->low & (VMLINUX_ALIGN - 1)) ||
	    !loader_plan_low(&j->plan, size, VMLINUX_ALIGN, elf->low, LOADER_HIGH_END, &start))
		return 0;
	return start - elf->low;
}

bool loader_vmlinux(struct loader_job *j)
{
	struct loader_elf elf;
	struct boot_area *a;
	const char *error = loader_elf_parse(loader_image(j), loader_image_size(j), &elf);
	u64 at;

	if (error)
		return loader_fail(j, "L1's image %s", error);
	u64 delta = vmlinux_delta(j, &elf);

	if (!loader_elf_load(j, &elf, delta) || !make_area(j, &a, &at))
		return false;
	/* What a bzImage's header would have said. */
	a->params.boot_flag = LINUX_BOOT_FLAG;
	a->params.header = LINUX_HEADER_MAGIC;
	a->params.version = LINUX_PROTOCOL_64BIT;
	a->params.xloadflags = LINUX_XLF_KERNEL_64;
	a->params.initrd_addr_max = INITRD_MAX_DEFAULT;
	a->params.kernel_alignment = VMLINUX_ALIGN;
	return finish(j, a, at, elf.entry + delta);
}
