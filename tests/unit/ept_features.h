/*
 * For tests of what L1's EPT has beyond mapping: an L2 with a small ept12 whose
 * pages are 4 KiB, and its violations.
 */
#pragma once

#include "engine_fixture.h"

#define PD (FX_EPT12 + 2 * PAGE_SIZE)
#define PT (FX_EPT12 + 3 * PAGE_SIZE)
#define FINAL (EPTQ_GLA_VALID | EPTQ_GLA_FINAL)

static struct fx f;

static inline void poke(u64 at, u64 value)
{
	memcpy(fx_at(&f, at), &value, sizeof(value));
}

/* L1's tables give all to everybody; its page n of the first 2 MiB is this entry. */
static inline void map12(unsigned n, u64 entry)
{
	u64 all = EPT_RWX | EPT_XU;

	poke(FX_EPT12, (FX_EPT12 + PAGE_SIZE) | all);
	poke(FX_EPT12 + PAGE_SIZE, PD | all);
	poke(PD, PT | all);
	poke(PT + 8 * n, entry);
}

static inline u64 page12(unsigned n, u64 rights)
{
	return n * PAGE_SIZE | MT_WB << EPT_MT_SHIFT | rights;
}

static inline void start(u32 proc2)
{
	fx_start(&f, B64, false);
	f.ept02s.caps_hw.mode_based_exec = f.ept02s.caps_hw.adv_exit_info = true;
	f.ept02s.caps12 = f.ept02s.caps_hw;
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) | proc2);
}

/* L1 is offered five levels; its tables of four with one above, where only GPA2 0 to 2^48 are. */
#define PML5 (FX_EPT12 + 4 * PAGE_SIZE)

static inline void offer_five_levels(void)
{
	f.n.always_ept5 = true;
	nested_caps_init(&f.n);
	poke(PML5, FX_EPT12 | EPT_RWX | EPT_XU);
}

static inline enum nested_verdict touch(u64 gpa2, u64 qualification)
{
	FX02(&f, IDT_VECTORING_INFO) = 0;
	FX02(&f, GUEST_PHYSICAL_ADDRESS) = gpa2;
	FX02(&f, GUEST_LINEAR_ADDRESS) = gpa2 + 0x1000;
	FX02(&f, EXIT_QUALIFICATION) = qualification;
	return fx_exit(&f, EXIT_EPT_VIOLATION);
}

static inline u64 peek(u64 at)
{
	u64 value;

	memcpy(&value, fx_at(&f, at), sizeof(value));
	return value;
}
