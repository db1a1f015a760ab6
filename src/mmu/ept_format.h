/*
 * The format of EPT entries, EPTPs and EPT-violation qualifications, with the
 * rules for what is misconfigured. Predicates on values only: nothing here
 * reads a table.
 * Source: SDM Vol. 3C "The Extended Page Table Mechanism (EPT)".
 */
#pragma once

#include "types.h"
#include "x86.h"

#define EPT_R BIT(0)
#define EPT_W BIT(1)
#define EPT_X BIT(2)	/* with mode-based execute control: supervisor-mode linear addresses */
#define EPT_RWX (EPT_R | EPT_W | EPT_X)
#define EPT_MT_SHIFT 3
#define EPT_MT (7ull << EPT_MT_SHIFT)
#define EPT_IPAT BIT(6)
#define EPT_LARGE BIT(7)
#define EPT_A BIT(8)
#define EPT_D BIT(9)
#define EPT_XU BIT(10)	/* mode-based execute control only: user-mode linear addresses */
#define EPT_SUPPRESS_VE BIT(63)	/* in a leaf, or in what is not present */
#define EPT_RIGHTS (EPT_RWX | EPT_XU)
#define EPT_ADDR 0x000ffffffffff000ull

#define EPT_ENTRIES 512u
#define EPT_LEVELS 5u		/* at most; tables of four levels begin with the PML4 */
#define EPT_GPA_BITS_4 48u	/* of the guest-physical addresses that four levels translate */
#define EPT_GPA_BITS_5 57u

#define EPTP_MT 7ull
#define EPTP_WALK_4 (3ull << 3)
#define EPTP_WALK_5 (4ull << 3)
#define EPTP_AD BIT(6)

/* SDM 3C "Exit Qualification for EPT Violations". */
#define EPTQ_READ BIT(0)
#define EPTQ_WRITE BIT(1)
#define EPTQ_FETCH BIT(2)
#define EPTQ_ACCESS (EPTQ_READ | EPTQ_WRITE | EPTQ_FETCH)
#define EPTQ_RIGHTS_SHIFT 3
#define EPTQ_MAY_X BIT(5)
#define EPTQ_MAY_XU BIT(6)
#define EPTQ_GLA_VALID BIT(7)
#define EPTQ_GLA_FINAL BIT(8)	/* clear with bit 7 set: access to a guest paging structure */
#define EPTQ_ADVANCED (7ull << 9)
#define EPTQ_GLA_USER BIT(9)
#define EPTQ_GLA_WRITABLE BIT(10)
#define EPTQ_GLA_NX BIT(11)
#define EPTQ_NMI_UNBLOCKED BIT(12)

/* What a processor's EPT can do: the machine's, or what L1 is told. */
struct ept_caps {
	bool exec_only;
	bool pg_2m;
	bool pg_1g;
	bool ad;
	bool mode_based_exec;
	bool adv_exit_info;
	bool walk5;
	u8 maxphyaddr;
};

/* Of an EPTP with one of the two page-walk lengths. */
static inline bool ept_five_levels(u64 eptp)
{
	return eptp & EPTP_WALK_5;
}

static inline u32 ept_levels(u64 eptp)
{
	return ept_five_levels(eptp) ? 5 : 4;
}

/* An address out of reach causes an EPT violation (SDM 3C "EPT Translation Mechanism"). */
static inline bool ept_reaches(u64 eptp, u64 gpa)
{
	return !(gpa >> (ept_five_levels(eptp) ? EPT_GPA_BITS_5 : EPT_GPA_BITS_4));
}

/* Has this processor addresses that four levels do not reach, and five to reach them? */
static inline bool ept_needs_five_levels(const struct ept_caps *caps)
{
	return caps->walk5 && caps->maxphyaddr > EPT_GPA_BITS_4;
}

/* Level 1 is the page table (4 KiB), level 4 the PML4, level 5 the PML5. */
static inline u8 ept_shift(u32 level)
{
	return (u8)(PAGE_SHIFT + 9 * (level - 1));
}

static inline u32 ept_index(u64 gpa, u32 level)
{
	return (u32)(gpa >> ept_shift(level)) & (EPT_ENTRIES - 1);
}

static inline u32 ept_level(u8 shift)
{
	return (u32)(shift - PAGE_SHIFT) / 9 + 1;
}

static inline u8 ept_memtype(u64 entry)
{
	return (u8)((entry & EPT_MT) >> EPT_MT_SHIFT);
}

/* The largest page that a table of this processor may hold, as a shift. */
static inline u8 ept_max_shift(const struct ept_caps *caps)
{
	if (!caps->pg_2m)
		return PAGE_SHIFT;
	return caps->pg_1g ? 30 : 21;
}

static inline bool ept_present(u64 entry, bool mode_based)
{
	return entry & (mode_based ? EPT_RIGHTS : EPT_RWX);
}

static inline bool ept_is_leaf(u64 entry, u32 level)
{
	return level == 1 || (level <= 3 && (entry & EPT_LARGE));
}

static inline bool ept_memtype_valid(u8 type)
{
	return type == MT_UC || type == MT_WC || type == MT_WT || type == MT_WP || type == MT_WB;
}

/* Bits of a present entry that must be 0 at its level. */
static inline u64 ept_reserved(u64 entry, u32 level, const struct ept_caps *caps)
{
	u64 reserved = EPT_ADDR & ~(BIT(caps->maxphyaddr) - 1);

	if (level == 1)
		return reserved;
	if (!ept_is_leaf(entry, level))
		return reserved | EPT_MT | EPT_IPAT | EPT_LARGE;
	if (ept_shift(level) > ept_max_shift(caps))
		return reserved | EPT_LARGE;
	return reserved | ((BIT(ept_shift(level)) - 1) & EPT_ADDR);
}

/* SDM 3C "EPT Misconfigurations", for a present entry. */
static inline bool ept_misconfigured(u64 entry, u32 level, const struct ept_caps *caps,
				     bool mode_based)
{
	u64 exec = mode_based ? EPT_X | EPT_XU : EPT_X;

	if (!(entry & EPT_R) && (entry & EPT_W))
		return true;
	if (!(entry & EPT_R) && (entry & exec) && !caps->exec_only)
		return true;
	if (entry & ept_reserved(entry, level, caps))
		return true;
	return ept_is_leaf(entry, level) && !ept_memtype_valid(ept_memtype(entry));
}
