/*
 * EPT tables for a guest that shares the test's addresses: entries are made as asked for, larger
 * pages are split where a smaller one is wanted. Invalidation is the test's affair.
 * With the command line "ept=5" they have five levels: a root is what its PML5, the page before
 * it, leads to, so that the same test must print the same.
 */
#include "vmx.h"

#define ADDRESS	0x000ffffffffff000ull
#define DEVICES	0xc0000000ull	/* from here to 4 GiB: uncacheable */

static u32 memory_type(u64 address)
{
	return address >= DEVICES && address < BIT(32) ? 0 : EPT_WB;
}

static u64 *table_below(u64 *entry, u64 page)
{
	u64 *table, old = *entry;

	if (old & EPT_RWX && !(old & EPT_LARGE))
		return (u64 *)(old & ADDRESS);
	table = page_alloc();
	if (old & EPT_LARGE)
		for (u64 i = 0; i < 512; i++)
			table[i] = ((old & ~(page > PAGE_SIZE ? 0 : EPT_LARGE)) + i * page);
	*entry = (u64)table | EPT_RWX;
	return table;
}

u64 *ept_entry(u64 *root, u64 address, u64 page)
{
	u64 *table = root;

	for (u64 size = BIT(39); size > page; size >>= 9)
		table = table_below(&table[address / size % 512], size >> 9);
	return &table[address / page % 512];
}

void ept_map(u64 *root, u64 from, u64 to, u64 page, u32 rights)
{
	*ept_entry(root, from, page) = to | rights | memory_type(to) |
				       (page > PAGE_SIZE ? EPT_LARGE : 0);
}

void ept_identity(u64 *root, u64 end, u64 page)
{
	for (u64 address = 0; address < end; address += page)
		ept_map(root, address, address, page, EPT_RWX);
}

static bool five_levels(void)
{
	return !memcmp(boot.command_line, "ept=5", 6);
}

u64 *ept_new(void)
{
	u64 *pml5;

	if (!five_levels())
		return page_alloc();
	if (!(vmx_caps.ept_vpid & EPT_CAP_WALK5))
		die("there is no EPT of five levels");
	pml5 = pages_alloc(2);
	pml5[0] = (u64)(pml5 + 512) | EPT_RWX | EPT_XU | EPT_A;
	return pml5 + 512;
}

u64 ept_pointer(const u64 *root)
{
	return five_levels() ? (u64)(root - 512) | 4 << 3 | 6 : (u64)root | 3 << 3 | 6;
}

void vm_use_ept(u64 eptp)
{
	control_set(SECONDARY_CONTROLS, SEC_EPT);
	vmwrite(EPTP, eptp);
}
