/*
 * ept02: EPT on EPT. For each of L1's EPTs (ept12) a table of L0's that is
 * the composition of ept12 and ept01, filled when hardware faults on it.
 * It knows nothing of VMCSs and executes no INVEPT: stamps tell the caller
 * when to.
 *
 * Always:
 * - A translation in an ept02 is one that ept12 gave when it was read, with
 *   rights that both ept12 and ept01 give. Whoever takes something away from
 *   ept01 calls ept02_unmap_gpa1() before the next VM entry.
 * - INVEPT drops no table: it hides them all. The first fault that needs one
 *   compares L1's table with what it was when the entries were made, keeps
 *   those that are as they were, and opens it again (ept02_path.c).
 * - A table page belongs to one root and one place in it, and the roots' roles
 *   differ; it goes back to the pool only with all of its root's pages, and is
 *   zeroed before anything else uses it.
 * - Memory is bounded by the pool, which is the set's alone: roots recycle
 *   each other's pages, those of the least recently used first, and at last
 *   their own. That costs time and nothing else.
 * - Table pages of a root that was dropped may be in use again at once: other
 *   processors are stopped before (op_stop_others()), and look at the stamp before
 *   they go on. All else that changes in a root may change while they use it: a
 *   table is linked when it is finished, and an entry is one store.
 */
#pragma once

#include "mmu/ept01.h"
#include "mmu/ept_format.h"
#include "mmu/pool.h"

#define EPT02_ROOTS 32
#define EPT02_REGIONS 512u
/* Available in the pool: the root's, and for each table below it one more that tells its source. */
#define EPT02_MIN_PAGES (2 * EPT_LEVELS - 1)

/* A role is L1's EPTP, with this bit where L1 uses mode-based execute control. */
#define EPT02_ROLE_MBEC BIT(62)

struct ept02 {
	u64 role;		/* 0: the root is free */
	u32 bit;		/* its own in the set's live */
	u64 eptp;		/* for vmcs02 */
	u64 stamp;		/* changes when hardware may have cached what no longer holds */
	u64 last_used;
	u32 lost;		/* tables whose place a large page took */
	/*
	 * The table of small pages that was used last, if it is open still, and an address in it.
	 */
	u64 *near;
	struct mmu_note *near_note;
	gpa2_t near_gpa2;
	u64 mapped[EPT02_REGIONS / 64];	/* 2-MiB regions of GPA1 that it may map, hashed */
	struct mmu_chain pages;	/* its tables, the root's page apart */
};

struct ept02_set {
	struct vm *vm;
	struct mmu_pool *pool;
	const struct ept01 *ept01;
	struct ept_caps caps_hw;	/* the machine's */
	struct ept_caps caps12;		/* what L1 is told */
	u64 clock;
	u64 stamp;			/* the last one given; never given twice */
	u32 live;			/* a bit for each root that has tables not hidden */
	struct ept02 roots[EPT02_ROOTS];
};

enum ept02_verdict {
	EPT02_FILLED,			/* resume L2 */
	EPT02_REFLECT_VIOLATION,	/* L1 gets the violation with out->qualification */
	EPT02_REFLECT_MISCONFIG,	/* L1 gets the misconfiguration */
	EPT02_L0,			/* ept12 allows it, ept01 does not: out->gpa1 */
	EPT02_LOG_FULL,			/* a flag of ept12 cannot be set: ept02_fault_logged() */
};

struct ept02_fault {
	u64 qualification;
	gpa1_t gpa1;
	bool convertible;	/* a reflected violation: ept12 lets it be a #VE */
	bool dirtied;		/* a dirty flag of ept12 went from 0 to 1 */
};

/* false: the pool has less than EPT02_MIN_PAGES. */
bool ept02_set_init(struct ept02_set *set, struct vm *vm, struct mmu_pool *pool,
		    const struct ept01 *ept01, const struct ept_caps *caps_hw,
		    const struct ept_caps *caps12);
/*
 * The root for this role, found or made; returns the EPTP for vmcs02. The
 * caller may keep *out while (*out)->role is still the role it wants, and
 * executes INVEPT (single-context, the root's EPTP) before a VM entry with it
 * whenever (*out)->stamp is not the one of its last INVEPT.
 */
u64 ept02_root(struct ept02_set *set, u64 role, struct ept02 **out);
/* An EPT violation (or misconfiguration: qualification 0) of L2 at gpa2 on this root. */
enum ept02_verdict ept02_fault(struct ept02_set *set, struct ept02 *root, gpa2_t gpa2,
			       u64 hw_qualification, struct ept02_fault *out);
/*
 * The same for an L2 whose dirty pages are logged, where there is room for no
 * more: neither flags nor access (SDM 3C "Page-Modification Logging").
 */
enum ept02_verdict ept02_fault_logged(struct ept02_set *set, struct ept02 *root, gpa2_t gpa2,
				      u64 hw_qualification, bool full, struct ept02_fault *out);
/*
 * What L2 is going to touch, mapped if L1 maps it and no flag of ept12 must be
 * set for that. false: there was nothing to map.
 */
bool ept02_prefill(struct ept02_set *set, struct ept02 *root, gpa2_t gpa2);
/* L1's INVEPT: single-context (any role with this EPTP's address), all-context. */
void ept02_invalidate(struct ept02_set *set, u64 eptp12);
void ept02_invalidate_all(struct ept02_set *set);
/* ept01 lost rights in this range. */
void ept02_unmap_gpa1(struct ept02_set *set, gpa1_t gpa, u64 len);
