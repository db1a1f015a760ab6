/*
 * Which entry of an MSR-load list fails, by the SDM alone: for tests of VM
 * entries and exits that have such lists. L1's memory must not change meanwhile.
 * Source: SDM 3C "Loading MSRs".
 */
#pragma once

#include "engine_fixture.h"

#include "x86.h"

static inline bool msr_is_address(u64 msr)
{
	return msr == MSR_IA32_SYSENTER_ESP || msr == MSR_IA32_SYSENTER_EIP;
}

/* Would WRMSR of it be #GP, or is it one that lists may not have? */
static inline bool msr_entry_is_bad(struct fx *f, const u64 *entry, bool paging, bool long_mode)
{
	u64 msr = entry[0], value = entry[1], was;

	if (msr >> 32 || msr == MSR_FS_BASE || msr == MSR_GS_BASE || (msr & ~0xffull) == 0x800 ||
	    msr == MSR_IA32_SMM_MONITOR_CTL)
		return true;
	if (msr == MSR_EFER && paging && !(value & EFER_LME) != !long_mode)
		return true;		/* LME cannot change */
	if (msr == MSR_EFER)
		return value & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
	for (unsigned i = 0; i < 64 && msr == MSR_IA32_PAT; i += 8)
		if ((value >> i & 0xff) > 7 || (value >> i & 0xfe) == 2)
			return true;
	if (msr_is_address(msr))
		return value >> 47 && value >> 47 != 0x1ffff;
	if (msr == MSR_IA32_DEBUGCTL)
		return value & DEBUGCTL_RESERVED;
	return msr != MSR_IA32_PAT && msr != MSR_IA32_SYSENTER_CS &&
	       !hw_msr_read(&f->hw, (u32)msr, &was);
}

/* 0, or its number, from 1 on. Where there is no memory, entries are all ones. */
static inline u64 msr_list_bad(struct fx *f, u64 list, u64 count, bool paging, bool long_mode)
{
	for (u64 i = 0; i < count; i++) {
		u64 at = list + 16 * i, entry[2] = { ~0ull, ~0ull };

		if (at < FX_L1_RAM)
			memcpy(entry, fx_at(f, at), sizeof(entry));
		if (msr_entry_is_bad(f, entry, paging, long_mode) || i >= 4096)
			return i + 1;
	}
	return 0;
}
