/* The spaces' tables: 32-bit, PAE, and four levels, each for CPL 0 alone and for everybody. */
#include "spaces.h"

static struct space {
	u32 cr3;
	void *entry[4];
	u64 made[4];		/* the entries as they were made */
} spaces[3][2];
static u8 *pages[2];

static struct space *space_of(const struct mode *m)
{
	return &spaces[m->format][m->user];
}

static void make_flat(struct space *s, u32 user)
{
	u32 *directory = page_alloc();

	for (u32 i = 0; i < 1024; i++)
		directory[i] = i << 22 | 0x83 | user;
	s->cr3 = (u32)(u64)directory;
	s->entry[2] = s->entry[3] = &directory[WINDOW >> 22];
}

static void make_wide(struct space *s, u32 user, bool four_levels)
{
	u64 *pointers = page_alloc(), *directory = pages_alloc(4), *root;

	for (u64 i = 0; i < 2048; i++)
		directory[i] = i << 21 | 0x83 | user;
	for (u64 i = 0; i < 4; i++)
		pointers[i] = (u64)&directory[512 * i] | (four_levels ? 7 : 1);
	s->cr3 = (u32)(u64)pointers;
	s->entry[2] = &directory[WINDOW >> 21];
	s->entry[3] = &pointers[WINDOW >> 30];
	s->made[3] = pointers[WINDOW >> 30];
	if (four_levels) {
		root = page_alloc();
		root[0] = (u64)pointers | 7;
		s->cr3 = (u32)(u64)root;
	}
}

static void make_window(struct space *s, unsigned int format, u64 user)
{
	u8 *table = page_alloc();

	for (unsigned int i = 0; i < 2; i++) {
		s->entry[i] = table + i * (format == FLAT ? 4 : 8);
		s->made[i] = (u64)pages[i] | PTE_P | PTE_W | user;
	}
	s->made[2] = (u64)table | PTE_P | PTE_W | PTE_U;
}

void spaces_init(void)
{
	pages[0] = page_alloc();
	page_alloc();
	pages[1] = page_alloc();
	for (unsigned int format = FLAT; format <= LONG; format++) {
		for (unsigned int user = 0; user < 2; user++) {
			struct space *s = &spaces[format][user];
			u32 u = user ? (u32)PTE_U : 0;

			if (format == FLAT)
				make_flat(s, u);
			else
				make_wide(s, u, format == LONG);
			make_window(s, format, u);
		}
	}
}

static void write_entry(const struct mode *m, unsigned int index, u64 value)
{
	if (m->format == FLAT)
		*(volatile u32 *)space_of(m)->entry[index] = (u32)value;
	else
		*(volatile u64 *)space_of(m)->entry[index] = value;
}

u64 space_entry(const struct mode *m, unsigned int index)
{
	const void *at = space_of(m)->entry[index];

	return m->format == FLAT ? *(const volatile u32 *)at : *(const volatile u64 *)at;
}

void space_change(const struct mode *m, unsigned int index, u64 clear, u64 set)
{
	write_entry(m, index, (space_entry(m, index) & ~clear) | set);
}

void space_reset(const struct mode *m)
{
	for (unsigned int i = m->format == FLAT ? 2 : 3; i < 4; i--)
		write_entry(m, i, space_of(m)->made[i]);
}

u32 space_entry_address(const struct mode *m, unsigned int index)
{
	return (u32)(u64)space_of(m)->entry[index];
}

u32 space_cr3(const struct mode *m)
{
	return space_of(m)->cr3;
}

u8 *window_byte(u64 offset)
{
	return pages[offset / PAGE_SIZE] + offset % PAGE_SIZE;
}
