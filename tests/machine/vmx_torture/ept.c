/*
 * Changes of L1's EPT tables, each followed by the invalidation that the SDM requires and no
 * more ("Operations that Invalidate Cached Mappings", "Guidelines for Use of the INVEPT
 * Instruction"): none when an entry was not present, or gets more rights, which costs the guest
 * one more violation at most.
 */
#include "vmx_torture.h"

#define SPARE	4u	/* a page that is nobody's root, until one moves there */

struct root roots[ROOTS];
static unsigned int spare;
static bool taken_from[PAGES];

unsigned int root_top(const struct root *r)
{
	return r->five ? PML5S + (unsigned int)(r - roots) : r->page;
}

u64 root_eptp(const struct root *r)
{
	return page_address(root_top(r)) | (r->five ? 4 : 3) << 3 | 6 | (r->ad ? EPTP_AD : 0);
}

/* The guest's own code is behind this entry: it has all rights, and its flag. */
static void link_root(const struct root *r)
{
	if (features.walk5)
		put(PML5S + (unsigned int)(r - roots), 0,
		    page_address(r->page) | EPT_RIGHTS | EPT_A);
}

u64 some_gpa(void)
{
	u32 gib = pick(5);

	return (gib < 3 ? BIT(39) + ((u64)gib << 30) : (u64)(gib + 5) << 30) |
	       (ARENA + ((u64)pick(REGIONS) << 21)) | slot_index[pick(SLOTS)] * PAGE_SIZE;
}

static u32 some_index(unsigned int page, unsigned int level)
{
	if (page == POINTERS)
		return 8 + pick(2);
	switch (level) {
	case 1:
		return slot_index[pick(SLOTS)];
	case 2:
		return (u32)(ARENA >> 21) + pick(REGIONS);
	case 3:
		return pick(3);
	}
	return 1;
}

static u64 some_rights(void)
{
	static const u8 few[] = { 1, 3, 4, 5, 5, 1, 0 };
	u64 user = chance(85) ? EPT_XU : 0;

	return user | (chance(90) ? EPT_RWX : few[pick(ARRAY_SIZE(few))]);
}

static u64 some_table(unsigned int level)
{
	unsigned int page;

	do
		page = some_page(EPT_TABLE);
	while (pages[page].level != level - 1 && chance(98));
	return page_address(page) | some_rights() | (chance(50) ? EPT_A : 0);
}

static u64 some_leaf(unsigned int level)
{
	static const u8 types[] = { 6, 6, 6, 6, 0, 1, 4, 5 };
	u64 to = page_address(chance(70) ? some_page(DATA) : pick(POINTERS));

	if (level > 1)
		to = (to & ~(BIT(3 + 9 * level) - 1)) | EPT_LARGE;
	return to | some_rights() | (u64)types[pick(ARRAY_SIZE(types))] << 3 |
	       (chance(50) ? EPT_A : 0) | (chance(30) ? EPT_D : 0) | (u64)pick(4) << 60;
}

/* Something that is wrong at this level, or at every one. */
static u64 spoiled(u64 entry, unsigned int level)
{
	switch (pick(5)) {
	case 0:
		return (entry & ~EPT_RIGHTS) | EPT_W | (chance(50) ? EPT_X : 0);
	case 1:
		return entry | BIT(features.width + pick(52 - features.width));
	case 2:
		return level == 1 ? (entry & ~0x38ull) | (2 + pick(2)) << 3 : entry | 8;
	case 3:
		return level == 1 ? entry | 0x38 : entry | EPT_LARGE | 7 << 3;
	}
	return level == 1 ? entry | 0x38 : entry | EPT_LARGE | BIT(13);
}

static u64 some_entry(unsigned int level)
{
	bool leaf = level == 1 || (level < 4 && chance(25));
	u64 entry = leaf ? some_leaf(level) : some_table(level);

	if (chance(6))
		return chance(50) ? 0 : entry & ~EPT_RIGHTS;
	return chance(3) ? spoiled(entry, level) : entry;
}

/*
 * Can a translation of this root have come by this page? seen: by level, pages that were looked
 * at.
 */
static bool reaches(unsigned int from, unsigned int level, unsigned int page, u64 *seen)
{
	if (from == page)
		return true;
	if (seen[level] >> from & 1)
		return false;
	seen[level] |= BIT(from);
	for (unsigned int i = 0; level > 1 && i < USED_INDEXES; i++) {
		u64 entry = get(from, used_index[i]);
		int below = entry & EPT_RIGHTS ? page_at(entry & ADDRESS) : -1;

		if (below >= 0 && reaches((unsigned int)below, level - 1, page, seen))
			return true;
	}
	return false;
}

static bool root_reaches(const struct root *r, unsigned int page)
{
	u64 seen[6] = { 0 };

	return reaches(root_top(r), r->five ? 5 : 4, page, seen);
}

bool ept_uses(unsigned int page)
{
	for (unsigned int i = 0; i < ROOTS; i++)
		if (root_reaches(&roots[i], page))
			return true;
	return false;
}

static void invalidate_root(struct root *r)
{
	must(invept(1, root_eptp(r)), "INVEPT");
	r->added = false;
}

static void invalidate_roots(void)
{
	must(invept(2, 0), "INVEPT");
	for (unsigned int i = 0; i < ROOTS; i++)
		roots[i].added = false;
}

void invalidate_all(void)
{
	if (features.ept)
		invalidate_roots();
	guest_invalidate();
}

/* After the change; what leads to the page is the same as before. */
void ept_invalidate_users(unsigned int page)
{
	if (chance(30)) {
		invalidate_roots();
		return;
	}
	for (unsigned int i = 0; i < ROOTS; i++)
		if (root_reaches(&roots[i], page))
			invalidate_root(&roots[i]);
}

static void change(unsigned int page, u32 index, u64 new)
{
	u64 old = get(page, index);

	put(page, index, new);
	if (!(old & EPT_RIGHTS) || (old & 3) == EPT_W)	/* cached nowhere */
		return;
	if (!((old ^ new) & ~EPT_RIGHTS) && !(old & ~new) && chance(50)) {
		for (unsigned int i = 0; i < ROOTS; i++)
			roots[i].added |= root_reaches(&roots[i], page);
		return;
	}
	ept_invalidate_users(page);
}

void ept_change(void)
{
	unsigned int page = chance(6) ? POINTERS : some_page(EPT_TABLE), level = pages[page].level;
	u32 index;
	u64 old;

	if (level < 4 && page != POINTERS && chance(5))
		level = 1 + pick(4);
	index = some_index(page, level);
	old = get(page, index);
	if (old & EPT_RIGHTS && chance(40))
		change(page, index, (old & ~EPT_RIGHTS) | some_rights());
	else
		change(page, index, chance(6) ? 0 : some_entry(level));
}

/* All accessed and dirty flags of a table, but those of what the guest's code needs. */
void ept_clear_flags(void)
{
	unsigned int page = some_page(EPT_TABLE);

	for (unsigned int i = 1; i < USED_INDEXES; i++)
		put(page, used_index[i], get(page, used_index[i]) & ~(EPT_A | EPT_D));
	ept_invalidate_users(page);
}

/*
 * The root's page is copied elsewhere. What was cached for that page long ago must go before it
 * is used.
 */
void ept_move_root(void)
{
	struct root *r = &roots[pick(ROOTS)];
	unsigned int old = r->page;

	for (unsigned int i = 0; i < USED_INDEXES; i++)
		put(spare, used_index[i], get(old, used_index[i]));
	ept_invalidate_users(spare);	/* it may be in use as some other table */
	r->page = spare;
	spare = old;
	link_root(r);
	invalidate_root(r);
}

/* What does not name a root for the caches, so that they must be told. */
void ept_toggle_mode(void)
{
	struct root *r = &roots[pick(ROOTS)];

	if (chance(50))
		r->ad = features.ad && !r->ad;
	else
		r->mode_exec = features.mode_exec && !r->mode_exec;
	invalidate_root(r);
}

/* The other EPTP names another page, for which old things may be cached. */
void ept_toggle_levels(void)
{
	struct root *r = &roots[pick(ROOTS)];

	r->five = !r->five;
	invalidate_root(r);
}

/* false: there was nothing to take away. */
bool ept_take_away(void)
{
	unsigned int page = some_page(EPT_TABLE);
	u32 index = some_index(page, pages[page].level);

	if (!(get(page, index) & EPT_RIGHTS))
		return false;
	for (unsigned int i = 0; i < ROOTS; i++)
		taken_from[i] = root_reaches(&roots[i], page);
	put(page, index, chance(50) ? 0 : some_entry(pages[page].level));
	return true;
}

void ept_invalidate_taken(void)
{
	for (unsigned int i = 0; i < ROOTS; i++)
		if (taken_from[i])
			invalidate_root(&roots[i]);
}

/* The first pages of the arena; every one with a random table of its level. */
void ept_make(void)
{
	static const u8 levels[] = { 4, 4, 4, 4, 4, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 1 };

	for (unsigned int page = 0; page < ARRAY_SIZE(levels); page++) {
		make_data(page);
		put(page, 0, 0);
		pages[page].class = EPT_TABLE;
		pages[page].level = levels[page];
	}
	for (unsigned int page = 0; page < ARRAY_SIZE(levels); page++) {
		for (unsigned int i = 0; i < 24; i++)
			put(page, some_index(page, levels[page]), some_entry(levels[page]));
		if (page <= SPARE)
			put(page, 0, page_address(POINTERS) | EPT_RIGHTS | EPT_A);
	}
	for (unsigned int i = 0; i < ROOTS; i++) {
		roots[i].page = i;
		link_root(&roots[i]);
	}
	spare = SPARE;
}
