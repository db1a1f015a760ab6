/*
 * Walks of L1's EPT.
 */
#include "mmu/ept12.h"
#include "engine_ops.h"

/* Between the levels of a walk only: it goes on. */
#define TABLE ((enum ept12_result)(EPT12_MISCONFIGURED + 1))

static gpa1_t entry_at(const struct ept12_walk *w, u32 level)
{
	u64 table = level == EPT_LEVELS ? w->role : w->entry[level + 1];

	return GPA1((table & EPT_ADDR) + ept_index(w->gpa2.v, level) * sizeof(u64));
}

/* What is unusual about an entry that is no plain one. */
static enum ept12_result judge(struct ept12_walk *w, const struct ept_caps *caps, u32 level)
{
	bool mode_based = ept12_mode_based(w->role);
	u64 entry = w->entry[level];

	if (!ept_present(entry, mode_based)) {
		w->rights = 0;
		return EPT12_NOT_PRESENT;
	}
	if (ept_misconfigured(entry, level, caps, mode_based))
		return EPT12_MISCONFIGURED;
	w->rights &= entry;
	return ept_is_leaf(entry, level) ? EPT12_MAPPED : TABLE;
}

/* Reads the entry of this level. wide: address bits beyond the physical width. */
static always_inline enum ept12_result step(struct vm *vm, struct ept12_walk *w,
					    const struct ept_caps *caps, u64 wide, u32 level)
{
	const u64 *entry = op_gpa1_ptr(vm, entry_at(w, level), sizeof(u64));
	u64 value = likely(entry) ? READ_ONCE(*entry) : ~0ull;
	/* Most entries are readable tables, or write-back pages, and nothing else. */
	u64 bits = wide | EPT_R | EPT_MT | (level > 1 ? EPT_IPAT | EPT_LARGE : 0);
	u64 plain = level > 1 ? EPT_R : EPT_R | MT_WB << EPT_MT_SHIFT;

	w->level = level;
	w->table[level] = entry ? entry - ept_index(w->gpa2.v, level) : NULL;
	w->entry[level] = value;
	if (unlikely((value & bits) != plain))
		return judge(w, caps, level);
	w->rights &= value;
	return level > 1 ? TABLE : EPT12_MAPPED;
}

/* Where there is a PML5E; and an address that is out of reach, for which no entry is used. */
static __attribute__((noinline)) enum ept12_result step_5(struct vm *vm, struct ept12_walk *w,
							  const struct ept_caps *caps, u64 wide)
{
	if (ept_reaches(w->role, w->gpa2.v))
		return step(vm, w, caps, wide, 5);
	w->rights = 0;
	w->level = EPT_LEVELS;
	w->entry[EPT_LEVELS] = EPT_SUPPRESS_VE;
	return EPT12_NOT_PRESENT;
}

enum ept12_result ept12_walk(struct vm *vm, u64 role, const struct ept_caps *caps, gpa2_t gpa2,
			     struct ept12_walk *w)
{
	u64 within, wide = EPT_ADDR & ~(BIT(caps->maxphyaddr) - 1);
	enum ept12_result result = TABLE;

	w->role = role;
	w->gpa2 = gpa2;
	w->rights = ept12_rights_mask(role);
	w->entry[EPT_LEVELS] = (role & EPT_ADDR) | EPT_RIGHTS | EPT_A;
	if (unlikely(ept_five_levels(role) || gpa2.v >> EPT_GPA_BITS_4))
		result = step_5(vm, w, caps, wide);
	if (result == TABLE)
		result = step(vm, w, caps, wide, 4);
	if (result == TABLE)
		result = step(vm, w, caps, wide, 3);
	if (result == TABLE)
		result = step(vm, w, caps, wide, 2);
	if (result == TABLE)
		result = step(vm, w, caps, wide, 1);
	if (result != EPT12_MAPPED)
		return result;
	within = BIT(ept_shift(w->level)) - 1;
	w->gpa1 = GPA1((w->entry[w->level] & EPT_ADDR & ~within) | (gpa2.v & within));
	return EPT12_MAPPED;
}

/* The flags that an access sets in the entry of this level. */
static u64 flags_of(const struct ept12_walk *w, u32 level, bool write)
{
	return level == w->level && write ? EPT_A | EPT_D : EPT_A;
}

bool ept12_lacks_flags(const struct ept12_walk *w, bool write)
{
	u64 lacking = 0;

	if (!(w->role & EPTP_AD))
		return false;
	for (u32 level = EPT_LEVELS; level >= w->level; level--)
		lacking |= flags_of(w, level, write) & ~w->entry[level];
	return lacking;
}

bool ept12_set_flags(struct vm *vm, struct ept12_walk *w, bool write, bool *dirtied)
{
	u32 level;

	if (!(w->role & EPTP_AD))
		return true;
	for (level = EPT_LEVELS; level >= w->level; level--) {
		u64 judged = w->entry[level], now = judged, flags = flags_of(w, level, write);

		if ((judged & flags) == flags)
			continue;
		if (op_gpa1_cmpxchg(vm, entry_at(w, level), sizeof(now), &now, judged | flags) &&
		    now != judged)
			return false;
		*dirtied |= flags & ~judged & EPT_D;
		w->entry[level] = judged | flags;
	}
	return true;
}
