/*
 * May this access use this page? The rights of a finished guest walk judged
 * by SDM Vol. 3A "Determination of Access Rights" and "Protection Keys".
 * Values in, error code out; it reads no table.
 */
#pragma once

#include "mmu/guest_walk.h"

/* Entry bits shared by all paging modes. */
#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)
#define PTE_PKEY_SHIFT 59

struct mmu_rights {
	bool w, u, nx;		/* of all levels together */
	u32 pkey;
};

/* The bits of an error code that tell the access: W, U, I. */
u32 mmu_access_bits(const struct mmu_paging *p, enum mmu_access access, u32 flags);
/* 0: allowed; else the error code. */
u32 mmu_rights_fault(const struct mmu_paging *p, const struct mmu_rights *r,
		     enum mmu_access access, u32 flags);
