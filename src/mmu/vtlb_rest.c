/*
 * Entries of a vtlb that hardware has not used for some time: they rest. The
 * hardware finds nothing there, so that a flush need not look at them; what they
 * were made from stays beside them. A page fault wakes those on its way whose
 * guest's entries are what they were: that needs no walk of the guest's tables.
 *
 * Always: an entry at rest is not 0, and the hardware's address in it leads
 * nowhere.
 */
#include "mmu/vtlb_table.h"

#include "engine_ops.h"

#define REST (PTE_P | EPT_ADDR)		/* turned over while an entry rests */

bool vtlb_stays(u64 *entries, struct vtlb_table *t, u32 i)
{
	if (entries[i] & PTE_A) {
		entries[i] &= ~PTE_A;
		return true;
	}
	if (!(entries[i] & PTE_P))
		return false;
	entries[i] ^= REST;
	t->live[i / 64] &= ~BIT(i % 64);
	if (!t->live[i / 64])
		t->words &= (u16)~BIT32(i / 64);
	return false;
}

void vtlb_age(struct vtlb *v, struct vtlb_table *t)
{
	u64 *entries = vtlb_entries(v, t);

	for (u32 words = t->words; words; words &= words - 1) {
		u32 w = (u32)__builtin_ctz(words);

		for (u64 left = t->live[w]; left; left &= left - 1)
			vtlb_stays(entries, t, w * 64 + (u32)__builtin_ctzll(left));
	}
}

/* False: there is nothing at rest, or it is no longer what the guest has. */
static bool wake(struct vtlb *v, struct vtlb_table *t, u32 i, const struct mmu_paging *p)
{
	u64 entry = vtlb_entries(v, t)[i], seen = vtlb_seen(v, t)[i];
	const void *memory = entry ? vtlb_memory(v, t) : NULL;

	if (!memory || vtlb_guest_entry(t, memory, i) != seen)
		return false;
	entry = (entry ^ REST) | PTE_A;	/* which no entry at rest has */
	/* Behind it no TLB has anything from before. */
	if (vtlb_level(t) > 1 && !(entry & PTE_PS))
		vtlb_validate(v, vtlb_child(v, entry), p, ++v->clock,
			      vtlb_list_of(v, t));
	vtlb_put(v, t, i, entry, seen);
	return true;
}

/* Nothing in this entry speaks against the access: PF_W and PF_U are where PTE_W and PTE_U are. */
static bool allows(u64 entry, const struct mmu_paging *p, u32 error_code)
{
	if (error_code & (PF_W | PF_U) & ~(u32)entry)
		return false;
	if ((error_code & PF_I) && (entry & PTE_NX))
		return false;
	return (error_code & PF_U) || !(entry & PTE_U) || !(p->cr4 & (CR4_SMEP | CR4_SMAP));
}

bool vtlb_wake(struct vtlb *v, struct vtlb_table *root, const struct mmu_paging *p, u64 gva,
	       u32 error_code)
{
	struct vtlb_table *t = root;
	bool woken = false;

	vtlb_validate(v, root, p, v->epoch, NULL);
	for (;;) {
		u32 level = vtlb_level(t);
		u32 i = (u32)(gva >> vtlb_shift(level)) & (VTLB_ENTRIES - 1);
		u64 entry = vtlb_entries(v, t)[i];

		if (!(entry & PTE_P)) {
			if (t->role & (ROLE_ROOT | ROLE_DIRECT) || !wake(v, t, i, p))
				return false;
			woken = true;
			entry = vtlb_entries(v, t)[i];
		}
		if (level == 1 || (entry & PTE_PS))
			return woken && allows(entry, p, error_code);
		t = vtlb_child(v, entry);
	}
}
