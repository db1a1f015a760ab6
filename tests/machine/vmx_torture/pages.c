/*
 * The live pages and what they should hold; the tables that never change; random numbers.
 *
 * Always: a live page and its copy are equal, but for accessed and dirty flags and guest's
 * stores that access.c accounts for at once.
 */
#include "vmx_torture.h"

struct page pages[PAGES];
const u16 slot_index[SLOTS] = { 0, 1, 2, 3, 5, 8, 13, 511 };
const u16 used_index[USED_INDEXES] = { 0, 1, 2, 3, 5, 8, 9, 13, 32, 33, 34, 35, 511 };

static u64 state;

void random_seed(u64 seed)
{
	state = seed * 0x9e3779b97f4a7c15 + 1;
}

u32 pick(u32 below)
{
	state = state * 6364136223846793005 + 1442695040888963407;
	return (u32)((state >> 33) % below);
}

bool chance(u32 percent)
{
	return pick(100) < percent;
}

u64 page_address(unsigned int page)
{
	if (page >= POINTERS)
		return FIXED + (page - POINTERS) * PAGE_SIZE;
	return ARENA + ((u64)(page / SLOTS) << 21) + slot_index[page % SLOTS] * PAGE_SIZE;
}

int page_at(u64 address)
{
	u64 index = address >> 12 & 511;

	if (address >= FIXED && address < FIXED + (PAGES - POINTERS) * PAGE_SIZE)
		return (int)(POINTERS + (address - FIXED) / PAGE_SIZE);
	if (address < ARENA || address >= FIXED)
		return -1;
	for (unsigned int slot = 0; slot < SLOTS; slot++)
		if (slot_index[slot] == index)
			return (int)((address - ARENA) >> 21) * (int)SLOTS + (int)slot;
	return -1;
}

void put(unsigned int page, unsigned int index, u64 value)
{
	pages[page].expected[index] = value;
	((volatile u64 *)page_address(page))[index] = value;
}

unsigned int some_page(enum page_class class)
{
	for (;;) {
		unsigned int page = pick(POINTERS);

		if (pages[page].class == class)
			return page;
	}
}

static void zero(unsigned int page)
{
	memset((void *)page_address(page), 0, PAGE_SIZE);
	memset(pages[page].expected, 0, PAGE_SIZE);
}

/* Its first word is "mov $word, %ebx; vmcall"; as an entry of a table it is nonsense. */
void make_data(unsigned int page)
{
	zero(page);
	pages[page].class = DATA;
	pages[page].word = (pages[page].word + 0x100) & 0xffff00;
	pages[page].word |= page;
	put(page, 0, 0xc1010f00000000bb | (u64)pages[page].word << 8);
}

bool page_is_right(unsigned int page)
{
	const u64 *now = (const u64 *)page_address(page), *expected = pages[page].expected;
	u64 differ = 0;

	for (unsigned int i = 0; i < 512; i++)
		differ |= now[i] ^ expected[i];
	return !differ;
}

u32 index_of(u64 address, unsigned int level)
{
	return (u32)(address >> (3 + 9 * level)) & 511;
}

static u64 *fixed_page(void)
{
	static u64 next = FIXED + (PAGES - POINTERS) * PAGE_SIZE;
	u64 *page = (u64 *)next;

	next += PAGE_SIZE;
	if (next > FIXED + FIXED_PAGES * PAGE_SIZE)
		die("FIXED_PAGES is too small");
	memset(page, 0, PAGE_SIZE);
	return page;
}

/* A window to 512 GiB of guest-physical memory, as far as some_gpa() goes. */
static u64 window(u64 base, u32 first, u32 end)
{
	u64 *pointers = fixed_page();

	for (u64 gib = first; gib < end; gib++) {
		u64 *directory = fixed_page();

		for (u64 i = 0; i < 512; i++)
			directory[i] = (base + (gib << 30) + (i << 21)) | 0xe7;
		pointers[gib] = (u64)directory | 0x27;
	}
	return (u64)pointers | 0x27;
}

/* The identity map of EPT, flags set already, and the windows of the guest's linear memory. */
void make_fixed(void)
{
	u64 low, high;

	for (unsigned int page = POINTERS; page < PAGES; page++)
		zero(page);
	for (u64 gib = 0; gib < 4; gib++) {
		u64 *directory = fixed_page();

		for (u64 i = 0; i < 512; i++)
			directory[i] = (gib << 30) + (i << 21) + (gib < 3 ? EPT_WB : 0) +
				       (EPT_RIGHTS | EPT_A | EPT_D | EPT_LARGE);
		put(POINTERS, (unsigned int)gib, (u64)directory | EPT_RIGHTS | EPT_A);
	}
	high = window(BIT(39), 0, 3);
	low = window(0, 8, 10);
	for (unsigned int top = TOP; top < PML5S; top++) {
		put(top, 0, (u64)pdpt | 0x27);
		put(top, 2, high);
		put(top, 3, low);
		pages[top].class = GUEST_TABLE;
		pages[top].level = 4;
	}
	pages[POINTERS].class = EPT_TABLE;
	pages[POINTERS].level = 3;
	for (unsigned int page = PML5S; page < PAGES; page++) {
		pages[page].class = EPT_TABLE;
		pages[page].level = 5;
	}
}
