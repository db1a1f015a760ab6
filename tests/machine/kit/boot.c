/*
 * What the loader told, from Multiboot1 or Multiboot2 information, copied into `boot`; and the
 * order in which an image starts and ends. The loader's own memory is not used afterwards.
 */
#include "cpu.h"

#define MAGIC_MULTIBOOT1	0x2badb002
#define MAGIC_MULTIBOOT2	0x36d76289

struct boot_info boot;

void trap_init(void);
void kit_start(u32 magic, u32 address);

static void copy_text(char *to, const char *from, size_t size)
{
	size_t i;

	for (i = 0; i < size - 1 && from[i]; i++)
		to[i] = from[i];
	to[i] = 0;
}

static void add_range(u64 base, u64 size, u32 type)
{
	if (boot.ranges < ARRAY_SIZE(boot.range))
		boot.range[boot.ranges++] = (struct memory_range){ base, size, type };
}

static void add_module(u32 start, u32 end, const char *line)
{
	if (boot.modules++ == 0) {
		boot.module_start = start;
		boot.module_end = end;
		copy_text(boot.module_line, line, sizeof(boot.module_line));
	}
}

static void *at(u32 address)
{
	return (void *)(u64)address;
}

static void read_multiboot1(const u32 *info)
{
	const u32 *p, *end;

	if (info[0] & BIT(2))
		copy_text(boot.command_line, at(info[4]), sizeof(boot.command_line));
	if (info[0] & BIT(3)) {
		p = at(info[6]);
		for (u32 i = 0; i < info[5]; i++, p += 4)
			add_module(p[0], p[1], at(p[2]));
	}
	if (info[0] & BIT(6)) {
		p = at(info[12]);
		end = at(info[12] + info[11]);
		for (; p < end; p = (const u32 *)((const u8 *)p + p[0] + 4))
			add_range(p[1] | (u64)p[2] << 32, p[3] | (u64)p[4] << 32, p[5]);
	}
}

static void read_multiboot2(const u8 *info)
{
	const u8 *end = info + *(const u32 *)info;
	const u32 *tag, *p;

	for (info += 8; info < end; info += (tag[1] + 7) & ~7u) {
		tag = (const u32 *)info;
		switch (tag[0]) {
		case 0:
			return;
		case 1:
			copy_text(boot.command_line, (const char *)&tag[2],
				  sizeof(boot.command_line));
			break;
		case 3:
			add_module(tag[2], tag[3], (const char *)&tag[4]);
			break;
		case 6:
			for (p = &tag[4]; (const u8 *)p < info + tag[1]; p += tag[2] / 4)
				add_range(p[0] | (u64)p[1] << 32, p[2] | (u64)p[3] << 32, p[4]);
			break;
		case 14:
		case 15:
			boot.rsdp = (u64)&tag[2];
			break;
		}
	}
}

bool memory_is_available(u64 start, u64 end)
{
	for (unsigned int i = 0; i < boot.ranges; i++) {
		const struct memory_range *r = &boot.range[i];

		if (r->type == 1 && start >= r->base && end <= r->base + r->size)
			return true;
	}
	return false;
}

void kit_start(u32 magic, u32 address)
{
	trap_init();
	boot.magic = magic;
	if (magic == MAGIC_MULTIBOOT1)
		read_multiboot1(at(address));
	else if (magic == MAGIC_MULTIBOOT2)
		read_multiboot2(at(address));
	else
		die("no Multiboot loader: EAX was %#x at entry", magic);
	main();
	print("done\n");
	shut_down();
}
