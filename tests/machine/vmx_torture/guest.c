/*
 * Changes of the guest's own tables, by L1 with INVVPID and by the guest with INVLPG or MOV to
 * CR3. Entries hold guest-physical addresses: of the page as the identity map has it, or any
 * that EPT may lead there.
 */
#include "vmx_torture.h"

#define FIRST	17u	/* after the pages of ept.c */

bool guest_added;

u64 some_linear(void)
{
	return LINEAR_TORTURED | (u64)pick(2) << 30 | (ARENA + ((u64)pick(REGIONS) << 21)) |
	       slot_index[pick(SLOTS)] * PAGE_SIZE;
}

static u32 some_index(unsigned int level)
{
	switch (level) {
	case 1:
		return slot_index[pick(SLOTS)];
	case 2:
		return (u32)(ARENA >> 21) + pick(REGIONS);
	case 3:
		return pick(2);
	}
	return 1;
}

static unsigned int some_guest_table(void)
{
	return chance(12) ? TOP + pick(TOPS) : some_page(GUEST_TABLE);
}

/* An address that leads to this page by some root's tables, if one is found soon. */
static u64 address_of(unsigned int page)
{
	for (unsigned int i = 0; features.ept && i < 20; i++) {
		struct access a = { .root = (int)pick(ROOTS), .linear = LINEAR_WINDOW };
		struct prediction p;
		u64 gpa = some_gpa();

		a.linear += gpa ^ BIT(39);
		predict(&a, &p);
		if (p.reason == REASON_VMCALL && page_at(p.at) == (int)page)
			return gpa;
	}
	return page_address(page);
}

static u64 some_table(unsigned int level)
{
	unsigned int page;

	do
		page = some_page(GUEST_TABLE);
	while (pages[page].level != level - 1 && chance(98));
	return chance(15) ? address_of(page) : page_address(page);
}

static u64 some_leaf(unsigned int level)
{
	unsigned int page = chance(70) ? some_page(DATA) : pick(POINTERS);
	u64 to = chance(40) || !features.ept ? page_address(page) : some_gpa();

	return level > 1 ? (to & ~(BIT(3 + 9 * level) - 1)) | PTE_PS : to;
}

static u64 some_flags(void)
{
	u64 flags = chance(50) ? PTE_A : 0;

	flags |= chance(96) ? PTE_W : 0;
	flags |= chance(96) ? PTE_U : 0;
	flags |= chance(3) ? PTE_NX : 0;
	return PTE_P | flags | (chance(40) ? PTE_D : 0);
}

static u64 some_entry(unsigned int level)
{
	u64 entry = level == 1 || (level < 4 && chance(15)) ? some_leaf(level) : some_table(level);

	entry |= some_flags();
	if (chance(3))
		return entry & ~PTE_P;
	if (chance(2))
		return entry | (level == 1 || chance(50) ? BIT(features.width) : PTE_PS | BIT(13));
	return entry;
}

void guest_invalidate(void)
{
	guest_added = false;
	if (!features.vpid)
		return;
	if (chance(30)) {
		must(invvpid(2, 0, 0), "INVVPID");
		return;
	}
	for (u16 vpid = 1; vpid < VMS; vpid++)
		must(invvpid(chance(50) ? 1 : 3, vpid, 0), "INVVPID");	/* nothing is global here */
}

static bool only_adds(u64 old, u64 new)
{
	u64 taken = (old & ~new & (PTE_W | PTE_U)) | (new & ~old & PTE_NX);

	return !taken && !((old ^ new) & ~(PTE_W | PTE_U | PTE_NX));
}

static u64 changed(u64 old, unsigned int level)
{
	static const u64 rights[] = { PTE_W, PTE_U, PTE_NX };

	if (chance(3))
		return 0;
	if (old & PTE_P && chance(15))
		return old ^ rights[pick(ARRAY_SIZE(rights))];
	return some_entry(level);
}

void guest_change(void)
{
	unsigned int page = some_guest_table(), level = pages[page].level;
	u32 index = some_index(level);
	u64 old = get(page, index), new = changed(old, level);

	put(page, index, new);
	if (features.ept && ept_uses(page))	/* EPT may lead there as to tables of its own */
		ept_invalidate_users(page);
	if (!(old & PTE_P))
		return;
	if (only_adds(old, new) && chance(50))
		guest_added = true;
	else
		guest_invalidate();
}

/*
 * The guest writes the entry through the identity map and invalidates for itself; other VPIDs
 * are L1's affair.
 */
void guest_change_by_guest(void)
{
	struct access a = some_access();
	unsigned int page = some_page(GUEST_TABLE), level = pages[page].level;
	u32 index = some_index(level);
	u64 new = changed(get(page, index), level);

	if (ept_uses(page))
		return;
	a.user = false;
	a.how = READ;
	a.linear = some_linear();
	if (new & PTE_P)
		new |= PTE_A | PTE_D;
	pages[page].expected[index] = new;	/* memory follows when the guest has run */
	access_check_with(&a, chance(50) ? guest_store_cr3 : guest_store_invlpg, new,
			  page_address(page) + 8 * index);
	put(page, index, new);
	guest_invalidate();
}

void guest_make(void)
{
	static const u8 levels[] = { 3, 3, 2, 2, 1, 1, 1 };

	for (unsigned int i = 0; i < ARRAY_SIZE(levels); i++) {
		make_data(FIRST + i);
		put(FIRST + i, 0, 0);
		pages[FIRST + i].class = GUEST_TABLE;
		pages[FIRST + i].level = levels[i];
	}
	for (unsigned int page = FIRST + ARRAY_SIZE(levels); page < POINTERS; page++)
		make_data(page);
	for (unsigned int i = 0; i < ARRAY_SIZE(levels); i++)
		for (unsigned int n = 0; n < 24; n++)
			put(FIRST + i, some_index(levels[i]), some_entry(levels[i]));
	for (unsigned int top = TOP; top < PML5S; top++)
		put(top, 1, some_entry(4));
}
