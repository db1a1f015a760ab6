/*
 * Faults on an ept02: judge by L1's tables, then map what both levels give.
 */
#include "mmu/ept02_fill.h"
#include "engine_ops.h"

/* As often as L1 may change its tables under a walk before L2 just tries again. */
#define MAX_RESTARTS 8

/* What the access needs of L1's EPT. */
static u64 access_of(const struct ept02 *root, u64 q)
{
	u64 access = q & EPTQ_ACCESS;

	/* SDM 3C "Accessed and Dirty Flags for EPT": page walks count as writes. */
	if ((root->role & EPTP_AD) && (q & EPTQ_GLA_VALID) && !(q & EPTQ_GLA_FINAL))
		access |= EPTQ_READ | EPTQ_WRITE;
	return access;
}

/*
 * With mode-based execute control a fetch needs one of two rights. Where the
 * machine does not tell which, ept02 does: if it gave just what L1 gives, the
 * fetch was of the other kind.
 */
static bool fetch_allowed(const struct ept02_set *set, u64 rights, u64 q)
{
	u64 exec = rights & (EPT_X | EPT_XU), had = 0;

	if (!exec || exec == (EPT_X | EPT_XU))
		return exec;
	if (set->caps_hw.adv_exit_info && (q & EPTQ_GLA_VALID) && (q & EPTQ_GLA_FINAL))
		return exec & (q & EPTQ_GLA_USER ? EPT_XU : EPT_X);
	if (q & EPTQ_MAY_X)
		had |= EPT_X;
	if (q & EPTQ_MAY_XU)
		had |= EPT_XU;
	return had != exec;
}

/* Access bits and rights bits have the same places. */
static bool allowed12(const struct ept02_set *set, u64 role, u64 rights, u64 access, u64 q)
{
	if (ept12_mode_based(role) && (access & EPTQ_FETCH)) {
		if (!fetch_allowed(set, rights, q))
			return false;
		access &= ~EPTQ_FETCH;
	}
	return !(access & ~rights);
}

/*
 * SDM 3C "Exit Qualification for EPT Violations". The access is told as the
 * machine tells it: its accessed and dirty flags are on where L1's are.
 */
static u64 qualification12(const struct ept02_set *set, u64 role, u64 rights, u64 q)
{
	u64 final = EPTQ_GLA_VALID | EPTQ_GLA_FINAL;
	u64 result = q & (EPTQ_ACCESS | final | EPTQ_NMI_UNBLOCKED);

	if (set->caps12.adv_exit_info && (q & final) == final)
		result |= q & EPTQ_ADVANCED;
	result |= (rights & EPT_RWX) << EPTQ_RIGHTS_SHIFT;
	if (ept12_mode_based(role) && (rights & EPT_XU))
		result |= EPTQ_MAY_XU;
	return result;
}

enum ept02_verdict ept02_fault(struct ept02_set *set, struct ept02 *root, gpa2_t gpa2,
			       u64 hw_qualification, struct ept02_fault *out)
{
	return ept02_fault_logged(set, root, gpa2, hw_qualification, false, out);
}

enum ept02_verdict ept02_fault_logged(struct ept02_set *set, struct ept02 *root, gpa2_t gpa2,
				      u64 hw_qualification, bool full, struct ept02_fault *out)
{
	u64 q = hw_qualification, access = access_of(root, q);
	struct ept02_fill fill;
	enum ept12_result result;
	u64 changes;
	u32 tries;

	*out = (struct ept02_fault){ 0 };
	fill.set = set;
	fill.root = root;
	fill.gpa2 = gpa2;
	ept02_touch(set, root);
	for (tries = 0; tries < MAX_RESTARTS; tries++) {
		changes = set->ept01->changes;
		result = ept12_walk(set->vm, root->role, &set->caps12, gpa2, &fill.walk);
		if (result == EPT12_MISCONFIGURED)
			return EPT02_REFLECT_MISCONFIG;
		if (result == EPT12_NOT_PRESENT ||
		    !allowed12(set, root->role, fill.walk.rights, access, q)) {
			out->qualification = qualification12(set, root->role, fill.walk.rights, q);
			out->convertible = !(fill.walk.entry[fill.walk.level] & EPT_SUPPRESS_VE);
			return EPT02_REFLECT_VIOLATION;
		}
		out->gpa1 = fill.walk.gpa1;
		fill.map = ept01_lookup(set->ept01, out->gpa1);
		if (!fill.map.present || (access & ~(u64)fill.map.perms))
			return EPT02_L0;
		if (unlikely(full) && ept12_lacks_flags(&fill.walk, access & EPTQ_WRITE))
			return EPT02_LOG_FULL;
		if (!ept12_set_flags(set->vm, &fill.walk, access & EPTQ_WRITE, &out->dirtied) ||
		    changes != set->ept01->changes)
			continue;
		ept02_fill(&fill);
		break;
	}
	return EPT02_FILLED;
}

bool ept02_prefill(struct ept02_set *set, struct ept02 *root, gpa2_t gpa2)
{
	u64 changes = set->ept01->changes;
	struct ept02_fill fill;

	if (ept12_walk(set->vm, root->role, &set->caps12, gpa2, &fill.walk) != EPT12_MAPPED ||
	    ept12_lacks_flags(&fill.walk, false))
		return false;
	fill.map = ept01_lookup(set->ept01, fill.walk.gpa1);
	if (!fill.map.present || changes != set->ept01->changes)
		return false;
	fill.set = set;
	fill.root = root;
	fill.gpa2 = gpa2;
	ept02_fill(&fill);
	return true;
}
