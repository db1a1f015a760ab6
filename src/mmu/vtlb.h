/*
 * Shadow paging, for a processor without EPT: the page tables that hardware
 * walks while a guest runs, made from the guest's own and from ept01. They are
 * a TLB in memory: filled by page faults, and what they hold is right until the
 * guest executes something that flushes a TLB. Then vtlb_root() compares what
 * the tables were made from with what the guest's tables say now, and keeps
 * what is still right. L1 and its guests (whose tables L1 wrote) share them.
 *
 * Not here: whose fault it is, and what a guest's control registers are.
 *
 * Always: the key of a table is its whole role (source, level, paging mode,
 * inherited rights); an entry is there only with the guest's entry that it was
 * made from beside it; nothing is mapped that ept01 does not map; accessed and
 * dirty flags are set in the guest's tables before hardware can use an entry.
 * What ept01 loses must be followed by vtlb_drop() before the next VM entry.
 * The memory is bounded; when it is used up, what the guest used least recently
 * goes.
 */
#pragma once

#include "mmu/ept01.h"
#include "mmu/guest_walk.h"
#include "vmx_caps.h"

#define VTLB_BUCKETS 512u
#define VTLB_TABLES_MAX 0xfffeu
#define VTLB_MIN_PAGES 64u

/*
 * Where a TSS of L0's is mapped while hardware runs a guest's real mode in
 * virtual-8086 mode: that reaches no address above 0x10ffef.
 */
#define VTLB_TSS 0xc0000000u

/* What hardware must have in CR0 and CR4 while these tables are walked, and what must exit. */
#define VTLB_CR0_SET (CR0_PE | CR0_NE | CR0_WP | CR0_PG)
#define VTLB_CR0_MASK VTLB_CR0_SET
#define VTLB_CR4_SET CR4_PAE
#define VTLB_CR4_MASK (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_UNSHADOWED)

#define VTLB_LISTS_MAX 32u

/* See vtlb_list.c. */
struct vtlb_list {
	u64 serial;			/* 0: it does not count */
	u64 epoch;			/* op_gpa1_epoch() of its addresses */
	u64 validated;			/* clock */
	u32 top, count, turns;		/* table; items; uses since it was made */
} __attribute__((aligned(64)));	/* which makes it quick to find */

struct vtlb {
	struct vm *vm;
	const struct ept01 *ept01;
	hpa_t descriptors, pages;	/* of tables; a table has two pages */
	hpa_t tss;			/* of tss_pages pages */
	u32 tss_pages;
	u32 capacity, used;		/* used: those ever taken, from number 0 on */
	u16 free;			/* given back: number plus 1 */
	u64 clock;			/* counts revalidations of a table and what is below */
	u64 epoch;			/* the clock at the last vtlb_root() */
	u64 fills, wakes, drops, recycled;
	u16 bucket[VTLB_BUCKETS];	/* table number plus 1 */
	hpa_t list_pages;
	u64 serial;			/* of the list begun last */
	u32 lists;
	struct vtlb_list list[VTLB_LISTS_MAX];
};

enum vtlb_verdict {
	VTLB_FILLED,	/* the guest goes on, with *root */
	VTLB_GUEST,	/* its own tables say so: *fault */
	VTLB_L0,	/* the guest's page *gpa has nothing behind it */
};

/* False: too few pages. */
bool vtlb_init(struct vtlb *v, struct vm *vm, const struct ept01 *ept01, hpa_t base, u32 pages);

/* The guest flushed its TLB, or another guest runs: CR3 for the hardware. */
hpa_t vtlb_root(struct vtlb *v, const struct mmu_paging *p);

/* Hardware reported a page fault with this error code. */
enum vtlb_verdict vtlb_fault(struct vtlb *v, const struct mmu_paging *p, gva_t gva, u32 error_code,
			     hpa_t *root, gpa1_t *gpa, struct mmu_fault *fault);

/* Forgets everything; no root is valid afterwards. */
void vtlb_drop(struct vtlb *v);

static inline u64 vtlb_hw_cr0(u64 cr0)
{
	return cr0 | VTLB_CR0_SET;
}

/* Without paging the guest has no user pages for SMEP and SMAP to keep it from. */
static inline u64 vtlb_hw_cr4(u64 cr0, u64 cr4)
{
	cr4 |= VTLB_CR4_SET;
	return cr0 & CR0_PG ? cr4 : cr4 & ~(CR4_SMEP | CR4_SMAP);
}
