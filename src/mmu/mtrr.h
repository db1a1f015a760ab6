/*
 * Memory types of physical ranges, from a copy of the MTRRs. It reads no MSR.
 * Source: SDM Vol. 3A "Memory Type Range Registers (MTRRs)".
 *
 * Always: an answer is a valid memory type; where the SDM leaves the type
 * undefined (reserved encodings, illegal overlaps) it is UC.
 */
#pragma once

#include "types.h"
#include "x86.h"

#define MTRR_FIXED_COUNT 11
#define MTRR_VARIABLE_MAX 32
#define MTRR_DEF_FIXED_ENABLE BIT(10)
#define MTRR_DEF_ENABLE BIT(11)
#define MTRR_MASK_VALID BIT(11)

struct mtrr_state {
	u64 def_type;				/* IA32_MTRR_DEF_TYPE */
	/* FIX64K_00000, FIX16K_80000, _A0000, FIX4K_C0000 ... _F8000 */
	u64 fixed[MTRR_FIXED_COUNT];
	struct { u64 base, mask; } variable[MTRR_VARIABLE_MAX];
	u8 variable_count;
	u8 maxphyaddr;
};

/* The type of the whole range in *type; false: it is mixed, *type is the first byte's. */
bool mtrr_type(const struct mtrr_state *s, hpa_t start, u64 len, u8 *type);
/* The first address above this one where the type may differ; UINT64_MAX: none. */
u64 mtrr_next_boundary(const struct mtrr_state *s, hpa_t addr);
