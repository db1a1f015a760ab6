/*
 * A page fault of the hardware on a vtlb's tables: whose it is, and if it is
 * L0's, the entry that was missing.
 *
 * The tables above the last one allow everything; the last entry has the rights
 * of all levels. A page that the guest's tables do not call dirty is mapped
 * without the right to write, so that the first write sets the flag.
 */
#include "mmu/vtlb_table.h"

#include "engine_ops.h"

#define PTE_CACHE (BIT(3) | BIT(4))	/* PWT, PCD */
#define PTE_PAT BIT(7)
#define PTE_PAT_LARGE BIT(12)
#define LINK (PTE_P | PTE_W | PTE_U | PTE_A)

struct fill {
	struct vtlb *v;
	const struct mmu_paging *p;
	const struct mmu_path *path;
	u64 gva;
	bool write, user;
	struct ept01_mapping at;	/* the page itself */
	u32 mode;			/* of the role */
	u32 leaf;			/* level of the hardware's last entry */
	struct mmu_rights rights;	/* of the guest's levels so far */
};

/* The largest page that the guest, ept01 and the hardware all allow. */
static u32 leaf_level(const struct fill *f)
{
	u32 level = vtlb_mode(f->mode) == VTLB_LONG && f->p->pg_1g ? 3 : 2;

	while (vtlb_shift(level) > f->path->t.shift || vtlb_shift(level) > f->at.shift)
		level--;
	return level;
}

static bool is_mirrored(const struct fill *f, u32 level)
{
	return f->path->level && level >= f->path->level &&
	       !(vtlb_mode(f->mode) == VTLB_32BIT && level == 3);
}

/* The guest's entry at a level of the hardware's tables; 0: the guest has none there. */
static u64 guest_entry(struct fill *f, u32 level)
{
	u64 entry;

	if (!is_mirrored(f, level))
		return 0;
	if (vtlb_mode(f->mode) == VTLB_PAE && level == 3)
		return f->p->pdpte[f->gva >> 30 & 3];
	entry = f->path->entry[level];
	f->rights.w &= !!(entry & PTE_W);
	f->rights.u &= !!(entry & PTE_U);
	f->rights.nx |= !!(entry & PTE_NX);
	return entry;
}

static bool is_dirty(const struct fill *f)
{
	return f->write || !f->path->level || (f->path->entry[f->path->level] & PTE_D);
}

/* PWT, PCD and PAT of the guest's leaf, in bits 0 to 2. */
static u32 cache_bits(const struct fill *f)
{
	u64 leaf = f->path->level ? f->path->entry[f->path->level] : 0;
	u64 pat = f->path->level > 1 ? PTE_PAT_LARGE : PTE_PAT;

	return (u32)((leaf & PTE_CACHE) >> 3) | (leaf & pat ? 4u : 0);
}

static u32 role_of_rights(const struct fill *f)
{
	return (f->rights.w ? ROLE_W : 0) | (f->rights.u ? ROLE_U : 0) |
	       (f->rights.nx ? ROLE_NX : 0);
}

/* The next table: a shadow of one of the guest's, or a part of a page of its. */
static struct vtlb_table *child(struct fill *f, u32 level, u64 entry)
{
	u32 role = (f->mode & ROLE_OF_MODE) | (level - 1);
	u64 source;

	if (f->path->level && level - 1 >= f->path->level) {
		source = entry & EPT_ADDR;
		role |= role_of_rights(f);
		if (vtlb_mode(f->mode) == VTLB_32BIT) {
			if (level == 3)
				source = f->p->cr3 & 0xfffff000;
			role |= (u32)(f->gva >> (level == 3 ? 30 : 21) & (level == 3 ? 3 : 1))
				<< ROLE_QUADRANT_SHIFT;
		}
	} else {
		source = f->path->t.gpa.v & ~(BIT(vtlb_shift(level)) - 1);
		role |= ROLE_DIRECT | role_of_rights(f) | (is_dirty(f) ? ROLE_DIRTY : 0) |
			cache_bits(f) << ROLE_CACHE_SHIFT;
	}
	return vtlb_table_get(f->v, source, role);
}

static u64 leaf_entry(const struct fill *f)
{
	bool w = f->rights.w && is_dirty(f), u = f->rights.u, nx = f->rights.nx;
	u32 cache = cache_bits(f);
	u64 entry = PTE_P | PTE_A | PTE_D;

	/* CR0.WP is off: only the supervisor may write, until somebody else comes. */
	if (f->write && !f->user && !f->rights.w) {
		w = true;
		nx |= u && (f->p->cr4 & CR4_SMEP);
		u = false;
	}
	entry |= f->at.hpa.v & EPT_ADDR & ~(BIT(vtlb_shift(f->leaf)) - 1);
	if (w && (f->at.perms & EPT_W))
		entry |= PTE_W;
	if (u)
		entry |= PTE_U;
	if (nx)
		entry |= PTE_NX;
	entry |= (u64)(cache & 3) << 3;
	if (f->leaf > 1)
		return entry | PTE_PS | (cache & 4 ? PTE_PAT_LARGE : 0);
	return entry | (cache & 4 ? PTE_PAT : 0);
}

/* The table that a present link leads to, if the guest's entry is what it was; or NULL. */
static struct vtlb_table *linked(const struct fill *f, const struct vtlb_table *t, u32 i, u64 entry)
{
	u64 link = vtlb_entries(f->v, t)[i];

	/* A part of a page is not told by the entry alone, nor one of the parts of a table. */
	if (vtlb_mode(f->mode) != VTLB_LONG || vtlb_level(t) - 1 < f->path->level)
		return NULL;
	if ((link & (PTE_P | PTE_PS)) != PTE_P || vtlb_seen(f->v, t)[i] != entry)
		return NULL;
	return vtlb_child(f->v, link);
}

static bool leads_to(const struct vtlb *v, const struct vtlb_table *t, u32 i,
		     const struct vtlb_table *next)
{
	return (vtlb_entries(v, t)[i] & EPT_ADDR) == vtlb_page(v, next).v;
}

/* The next table, with a link to it; NULL: there is no memory for it. */
static struct vtlb_table *make_link(struct fill *f, struct vtlb_table *t, u32 i, u64 entry)
{
	struct vtlb_table *next = child(f, vtlb_level(t), entry);
	u64 rights = t->role & ROLE_ROOT ? PTE_P : LINK;

	if (!next)
		return NULL;
	/* Behind a new entry no TLB has anything from before. */
	vtlb_validate(f->v, next, f->p, leads_to(f->v, t, i, next) ? f->v->epoch : ++f->v->clock,
		      vtlb_list_of(f->v, t));
	vtlb_put(f->v, t, i, vtlb_page(f->v, next).v | rights, entry);
	return next;
}

/* NULL: there is no memory for the tables; else the root. */
static struct vtlb_table *install(struct fill *f)
{
	struct vtlb_table *root = vtlb_root_get(f->v, f->p), *t = root;

	f->rights = (struct mmu_rights){ .w = true, .u = true };
	if (!t)
		return NULL;
	f->mode = root->role;
	f->leaf = leaf_level(f);
	vtlb_validate(f->v, root, f->p, f->v->epoch, NULL);
	for (u32 level = vtlb_level(root);; level--) {
		u32 i = (u32)(f->gva >> vtlb_shift(level)) & (VTLB_ENTRIES - 1);
		u64 entry = guest_entry(f, level);
		struct vtlb_table *next;

		if (level == f->leaf) {
			vtlb_put(f->v, t, i, leaf_entry(f), entry);
			return root;
		}
		next = linked(f, t, i, entry);
		if (!next)
			next = make_link(f, t, i, entry);
		if (!next)
			return NULL;
		t = next;
	}
}

/* The page that the guest means, as far as ept01 has it. */
static bool find_page(struct fill *f)
{
	struct vm *vm = f->v->vm;
	gpa1_t gpa = f->path->t.gpa;

	f->at = ept01_lookup(f->v->ept01, gpa);
	if (f->at.present && (!f->write || (f->at.perms & EPT_W)))
		return true;
	if (!op_gpa1_fault(vm, gpa, f->write))
		return false;
	f->at = ept01_lookup(f->v->ept01, gpa);
	return f->at.present;
}

enum vtlb_verdict vtlb_fault(struct vtlb *v, const struct mmu_paging *p, gva_t gva, u32 error_code,
			     hpa_t *root, gpa1_t *gpa, struct mmu_fault *fault)
{
	struct mmu_path path;
	struct fill f = {
		.v = v, .p = p, .path = &path, .gva = gva.v,
		.write = error_code & PF_W, .user = error_code & PF_U,
	};
	enum mmu_access access = f.write ? MMU_WRITE : error_code & PF_I ? MMU_FETCH : MMU_READ;
	struct mmu_paging as = *p;
	struct vtlb_table *t;

	t = error_code & PF_P ? NULL : vtlb_root_get(v, p);
	if (t && vtlb_wake(v, t, p, gva.v, error_code)) {
		v->wakes++;
		*root = vtlb_page(v, t);
		return VTLB_FILLED;
	}
	/* The error code knows better than CPL who it was. */
	as.cpl = f.user ? 3 : 0;
	if (!mmu_walk_path(v->vm, &as, gva, access, !f.user && p->cpl == 3 ? MMU_IMPLICIT : 0,
			   &path, fault))
		return VTLB_GUEST;
	*gpa = path.t.gpa;
	if (!find_page(&f))
		return VTLB_L0;
	while (!(t = install(&f)))
		vtlb_recycle(v);
	v->fills++;
	*root = vtlb_page(v, t);
	return VTLB_FILLED;
}
