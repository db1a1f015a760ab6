/*
 * Pages that change places: what was a table becomes data, and data a table, of another kind or
 * level as it happens, while tables may go on leading to either. Nothing of before may be used
 * afterwards.
 */
#include "vmx_torture.h"

static void copy_table(unsigned int from, unsigned int to)
{
	for (unsigned int i = 0; i < USED_INDEXES; i++)
		put(to, used_index[i], get(from, used_index[i]));
}

/* Entries that have the one address get the other; large pages are not tables. */
static void relink(unsigned int from, unsigned int to)
{
	u64 old = page_address(from), new = page_address(to);

	for (unsigned int page = 0; page < PAGES; page++) {
		for (unsigned int i = 0; pages[page].class != DATA && i < USED_INDEXES; i++) {
			u64 entry = get(page, used_index[i]);

			if ((entry & ADDRESS) == old && !(entry & PTE_PS) && chance(80))
				put(page, used_index[i], entry ^ old ^ new);
		}
	}
}

void roles_change(void)
{
	unsigned int data = some_page(DATA), table;

	do
		table = some_page(chance(70) ? EPT_TABLE : GUEST_TABLE);
	while (pages[table].level == 4);
	put(data, 0, 0);
	for (unsigned int index = 1; index < 4; index++)
		put(data, index, 0);
	pages[data].class = pages[table].class;
	pages[data].level = pages[table].level;
	copy_table(table, data);
	relink(table, data);
	make_data(table);
	invalidate_all();
}
