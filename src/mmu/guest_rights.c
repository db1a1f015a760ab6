/*
 * Access rights of guest paging: user and supervisor, write protection,
 * execute disable, SMEP, SMAP, protection keys.
 */
#include "mmu/guest_rights.h"

static bool user_access(const struct mmu_paging *p, u32 flags)
{
	return p->cpl == 3 && !(flags & MMU_IMPLICIT);
}

static bool nx_enabled(const struct mmu_paging *p)
{
	return (p->cr4 & CR4_PAE) && (p->efer & EFER_NXE);
}

u32 mmu_access_bits(const struct mmu_paging *p, enum mmu_access access, u32 flags)
{
	u32 bits = user_access(p, flags) ? PF_U : 0;

	if (access == MMU_WRITE)
		bits |= PF_W;
	if (access == MMU_FETCH && (nx_enabled(p) || (p->cr4 & CR4_SMEP)))
		bits |= PF_I;
	return bits;
}

static bool pkey_denies(const struct mmu_paging *p, const struct mmu_rights *r,
			enum mmu_access access, bool user)
{
	u32 rights;

	if (access == MMU_FETCH || !(p->efer & EFER_LMA))
		return false;
	if (!(p->cr4 & (r->u ? CR4_PKE : CR4_PKS)))
		return false;
	rights = (r->u ? p->pkru : p->pkrs) >> (2 * r->pkey);
	if (rights & 1)
		return true;
	return (rights & 2) && access == MMU_WRITE && (user || (p->cr0 & CR0_WP));
}

static bool user_denied(const struct mmu_paging *p, const struct mmu_rights *r,
			enum mmu_access access)
{
	if (!r->u)
		return true;
	if (access == MMU_FETCH)
		return r->nx && nx_enabled(p);
	return access == MMU_WRITE && !r->w;
}

static bool supervisor_denied(const struct mmu_paging *p, const struct mmu_rights *r,
			      enum mmu_access access, u32 flags)
{
	if (access == MMU_FETCH)
		return (r->nx && nx_enabled(p)) || (r->u && (p->cr4 & CR4_SMEP));
	if (r->u && (p->cr4 & CR4_SMAP) && ((flags & MMU_IMPLICIT) || !(p->rflags & RFLAGS_AC)))
		return true;
	return access == MMU_WRITE && !r->w && (p->cr0 & CR0_WP);
}

u32 mmu_rights_fault(const struct mmu_paging *p, const struct mmu_rights *r,
		     enum mmu_access access, u32 flags)
{
	bool user = user_access(p, flags);
	bool keyed = pkey_denies(p, r, access, user);
	bool denied = user ? user_denied(p, r, access) : supervisor_denied(p, r, access, flags);

	if (!keyed && !denied)
		return 0;
	return PF_P | mmu_access_bits(p, access, flags) | (keyed ? PF_PK : 0);
}
