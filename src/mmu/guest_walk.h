/*
 * Paging as a guest of L0 set it up: linear address to GPA1, and reads and
 * writes of guest memory through it. Canonicality and segmentation are the
 * caller's. A physical address where nothing is reads as ones and swallows
 * writes, as on a bus, so that a walk has two ends only: a translation or #PF.
 * Source: SDM Vol. 3A "Paging".
 *
 * Always: each entry is read once for each walk; a walk that faults changes
 * nothing; accessed and dirty flags are set by compare-and-exchange against
 * the very values that were judged.
 */
#pragma once

#include "types.h"
#include "x86.h"

struct vm;

/*
 * What lies between a guest's physical addresses and L1's: the EPT that L1 has
 * for L2. locate() judges an access, told as a processor tells a violation of it
 * (EPTQ_*), and says where it goes. false: it must not be; mmu_fault.stage2 is set,
 * and whoever made this knows what comes of it.
 */
struct mmu_stage2 {
	bool (*locate)(struct mmu_stage2 *s, gva_t gva, gpa2_t gpa, u64 access, gpa1_t *at);
};

struct mmu_paging {
	u64 cr0, cr3, cr4, efer, rflags;
	u64 pdpte[4];		/* PAE paging only: as the processor loaded them */
	u32 pkru, pkrs;
	u8 maxphyaddr;
	u8 cpl;
	bool pg_1g;
	struct mmu_stage2 *stage2;	/* NULL: physical addresses are L1's */
};

enum mmu_access { MMU_READ, MMU_WRITE, MMU_FETCH };

/* An access to a system structure (descriptor tables, TSS...) at any CPL. */
#define MMU_IMPLICIT 1u
/* mmu_gva_read(): read as an instruction fetch. */
#define MMU_AS_FETCH 2u

struct mmu_translation {
	gpa1_t gpa;		/* with a stage2: of L2 */
	u8 shift;		/* of the page, or MMU_UNPAGED */
	u64 page_rights;	/* with a stage2: EPTQ_ADVANCED bits of an access to the page */
};

#define MMU_UNPAGED 64u		/* paging is off */
#define MMU_LEVELS 5u

/* All of a walk that sets accessed and dirty flags. */
struct mmu_path {
	struct mmu_translation t;
	u8 level;			/* of the leaf; 0: paging is off */
	u64 entry[MMU_LEVELS + 1];	/* by level, as the walk left them */
};

struct mmu_fault {
	u32 error_code;
	u64 cr2;
	bool stage2;		/* no #PF: see struct mmu_stage2 */
};

/* true: *t; false: *fault. Sets accessed and dirty flags only with commit. */
bool mmu_walk(struct vm *vm, const struct mmu_paging *p, gva_t gva, enum mmu_access access,
	      u32 flags, bool commit, struct mmu_translation *t, struct mmu_fault *fault);

/* The same with commit, for who wants to know how the translation came about. */
bool mmu_walk_path(struct vm *vm, const struct mmu_paging *p, gva_t gva, enum mmu_access access,
		   u32 flags, struct mmu_path *path, struct mmu_fault *fault);

/* Would all of it be allowed? A stage2 may log it and set its flags. */
bool mmu_gva_check(struct vm *vm, const struct mmu_paging *p, gva_t gva, size_t len,
		   enum mmu_access access, u32 flags, struct mmu_fault *fault);
bool mmu_gva_read(struct vm *vm, const struct mmu_paging *p, gva_t gva, void *buf, size_t len,
		  u32 flags, struct mmu_fault *fault);
/* Nothing is written unless every page of the range may be. */
bool mmu_gva_write(struct vm *vm, const struct mmu_paging *p, gva_t gva, const void *buf,
		   size_t len, u32 flags, struct mmu_fault *fault);
