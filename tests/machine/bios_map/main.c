/*
 * Where the BIOS says that memory is, against what the boot loader said: a guest may go by either.
 */
#include "kit.h"

#define REAL_MODE_CODE	0x8000
#define ANSWERS		0x9000
#define RESULT		0xa000

extern const u8 real_start[], real_end[];
void ask_bios(void);

struct answer {
	u64 base, size;
	u32 type, unused;
};

struct result {
	u16 answers, base_kib, below_16m, blocks, extended;
	u8 bad_refused, other_refused;
};

/* The loader may have merged or split ranges: what counts is available memory. */
static bool available(const struct answer *a, unsigned int n, u64 page)
{
	bool found = false;

	for (unsigned int i = 0; i < n; i++) {
		if (page + PAGE_SIZE <= a[i].base || page >= a[i].base + a[i].size)
			continue;
		if (a[i].type != 1)
			return false;
		found = true;
	}
	return found;
}

static u64 memory_end(void)
{
	u64 end = 0;

	for (unsigned int i = 0; i < boot.ranges; i++)
		if (boot.range[i].type == 1 && boot.range[i].base + boot.range[i].size > end)
			end = boot.range[i].base + boot.range[i].size;
	return end + (1 << 20);
}

static void compare_maps(const struct answer *a, unsigned int n)
{
	u64 differ = 0;

	for (u64 page = 0; page < memory_end(); page += PAGE_SIZE)
		if (available(a, n, page) != memory_is_available(page, page + PAGE_SIZE))
			differ++;
	print("E820h and the loader agree but for %u pages\n", (unsigned int)differ);
}

/* Some BIOSes count tables of their own at the end as memory: 4 KiB below 640 KiB, 64 KiB above. */
static const char *judge(u64 start, u64 end)
{
	return memory_is_available(start, end) ? "available" : "not memory";
}

static void compare_sizes(const struct result *r)
{
	print("INT 12h: %s\n", judge(0x1000, ((u64)r->base_kib << 10) - 0x1000));
	print("E801h, below 16 MiB: %s\n", r->below_16m == 15 * 1024 ? "all" : "not all");
	print("E801h, above: %s\n", judge(16 << 20, (16 << 20) + ((u64)r->blocks << 16) - 0x10000));
	print("88h: %s\n", judge(1 << 20, (1 << 20) + ((u64)r->extended << 10)));
}

int main(void)
{
	const struct answer *answers = (const void *)ANSWERS;
	const struct result *r = (const void *)RESULT;

	memcpy((void *)REAL_MODE_CODE, real_start, (size_t)(real_end - real_start));
	ask_bios();
	if (!r->answers || r->answers > (RESULT - ANSWERS) / sizeof(*answers))
		die("E820h: %u answers", r->answers);
	compare_maps(answers, r->answers);
	compare_sizes(r);
	print("E820h without its signature: %s\n", r->bad_refused ? "refused" : "done");
	print("C0h: %s\n", r->other_refused ? "refused" : "done");
	return 0;
}
