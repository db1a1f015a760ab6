/*
 * ept01: where L1's physical memory is on the machine (GPA1 to HPA). It is
 * the truth about what L1 may touch: whatever L0 maps for L1 or its guests
 * goes through here. It decides nothing about policy; vm/ says what to map.
 *
 * It has five levels where the processor's addresses need them, else four.
 *
 * Always: an entry is either not present or well-formed for this processor,
 * so that hardware never reports a misconfiguration. When something that a
 * processor may have cached was taken away, stale is set; the caller clears
 * it after INVEPT (and after ept02_unmap_gpa1()), before the next VM entry.
 *
 * A function that returns false ran out of pool pages; part of the range may
 * have been changed, the rest is as it was.
 */
#pragma once

#include "mmu/ept_format.h"
#include "mmu/pool.h"

struct ept01 {
	struct vm *vm;
	struct mmu_pool *pool;
	u64 eptp;	/* for the VMCS: write-back tables, no accessed and dirty flags */
	hpa_t low;	/* the PML4 of the first 2^48 bytes; of four levels, the root */
	struct ept_caps caps;
	bool stale;
	u64 changes;	/* counts calls that may have changed something */
};

struct ept01_mapping {
	bool present;
	u8 shift;	/* of the page that maps it; when absent, of the hole's entry */
	u8 perms;	/* EPT_R | EPT_W | EPT_X */
	u8 memtype;
	hpa_t hpa;	/* of the very address asked for */
};

bool ept01_init(struct ept01 *e, struct vm *vm, struct mmu_pool *pool,
		const struct ept_caps *caps);

/* Addresses and lengths are multiples of 4 KiB; perms 0 takes the range away. */
bool ept01_map(struct ept01 *e, gpa1_t gpa, u64 len, hpa_t hpa, u32 perms, u8 memtype);
bool ept01_unmap(struct ept01 *e, gpa1_t gpa, u64 len);
/* These two change what is mapped in the range and leave holes alone; perms 0 makes a hole. */
bool ept01_set_memtype(struct ept01 *e, gpa1_t gpa, u64 len, u8 memtype);
bool ept01_protect(struct ept01 *e, gpa1_t page, u32 perms);
struct ept01_mapping ept01_lookup(const struct ept01 *e, gpa1_t gpa);
