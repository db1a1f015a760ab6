/*
 * Walks of L1's EPT.
 */
#include "mmu/ept12.h"
#include "engine_ops.h"

enum ept12_result ept12_walk(struct vm *vm, u64 role, const struct ept_caps *caps, gpa2_t gpa2,
			     struct ept12_walk *w)
{
	u64 table = role & EPT_ADDR, entry, within;
	bool mode_based = ept12_mode_based(role);
	const u64 *at;

	w->role = role;
	w->rights = ept12_rights_mask(role);
	for (w->level = EPT_LEVELS;; w->level--) {
		u32 index = ept_index(gpa2.v, w->level);

		w->at[w->level] = GPA1(table + index * sizeof(entry));
		at = op_gpa1_ptr(vm, w->at[w->level], sizeof(entry));
		entry = likely(at) ? READ_ONCE(*at) : ~0ull;
		w->table[w->level] = at ? at - index : NULL;
		w->entry[w->level] = entry;
		if (!ept_present(entry, mode_based)) {
			w->rights = 0;
			return EPT12_NOT_PRESENT;
		}
		if (ept_misconfigured(entry, w->level, caps, mode_based))
			return EPT12_MISCONFIGURED;
		w->rights &= entry;
		table = entry & EPT_ADDR;
		if (ept_is_leaf(entry, w->level))
			break;
	}
	within = BIT(ept_shift(w->level)) - 1;
	w->gpa1 = GPA1((table & ~within) | (gpa2.v & within));
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

	for (u32 level = EPT_LEVELS; level >= w->level; level--)
		lacking |= flags_of(w, level, write) & ~w->entry[level];
	return (w->role & EPTP_AD) && lacking;
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
		if (op_gpa1_cmpxchg(vm, w->at[level], sizeof(now), &now, judged | flags) &&
		    now != judged)
			return false;
		*dirtied |= flags & ~judged & EPT_D;
		w->entry[level] = judged | flags;
	}
	return true;
}
