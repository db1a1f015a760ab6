/*
 * Translations that were made before, for reads of L1's operands: found again
 * without a walk as long as all that the walk depended on is as it was. Only
 * for supervisor reads in IA-32e mode with four levels; whatever is not found
 * here is walked for, and only there are faults raised and flags set.
 *
 * Always: every entry of L1's tables is read again, once, each time; what it
 * must equal has its accessed flag set. Nothing depends on what L1 told.
 */
#pragma once

#include "engine_ops.h"
#include "mmu/guest_walk.h"

#define MMU_MEMO_LEVELS 4u
#define MMU_MEMO_EMPTY 1ull
#define MMU_MEMOS 8u

struct mmu_memo {
	u64 page;			/* linear; MMU_MEMO_EMPTY: none */
	u64 cr3, cr4;
	u64 epoch;			/* of the pointers */
	const u64 *entry[MMU_MEMO_LEVELS];	/* below the leaf: the value itself */
	u64 value[MMU_MEMO_LEVELS];
	const u8 *to;
	bool xd;			/* in an entry: good while EFER.NXE is 1 */
} __attribute__((aligned(128)));	/* which makes it quick to find */

/*
 * Whoever asks is in IA-32e mode, and has EFER.NXE set if memo->xd says so. Zeroed state
 * finds nothing: CR4.PAE is set in that mode.
 */
static always_inline const void *mmu_memo_find(struct vm *vm, const struct mmu_memo *memo, u64 cr3,
					       u64 cr4, u64 gva, size_t len)
{
	u64 other = memo->page ^ (gva & PAGE_MASK);
	u32 i;

	other |= (memo->cr3 ^ cr3) | (memo->cr4 ^ cr4);
	other |= memo->epoch ^ op_gpa1_epoch(vm);
	if (other || (gva & ~PAGE_MASK) > PAGE_SIZE - len)
		return NULL;
#pragma GCC unroll 4
	for (i = 0; i < MMU_MEMO_LEVELS; i++) {
		if (READ_ONCE(*memo->entry[i]) != memo->value[i])
			return NULL;
	}
	return memo->to + (gva & ~PAGE_MASK);
}

/* The walk for a read: false: *fault. What it found is in *memo then, or nothing. */
bool mmu_memo_walk(struct vm *vm, const struct mmu_paging *p, gva_t gva, struct mmu_memo *memo,
		   gpa1_t *gpa, struct mmu_fault *fault);
