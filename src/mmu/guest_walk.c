/*
 * The walk itself, for all paging modes: none, 32-bit, PAE, four and five
 * levels. Levels count from 1 (page table) upwards.
 */
#include "mmu/ept_format.h"
#include "mmu/guest_memo.h"
#include "mmu/guest_rights.h"
#include "engine_ops.h"

#define MAX_RESTARTS 16
#define ADDR_52 0x000ffffffffff000ull

enum mode { MODE_32BIT, MODE_PAE, MODE_LONG };
enum step { STEP_LEAF, STEP_TABLE, STEP_NOT_PRESENT, STEP_RESERVED, STEP_STAGE2 };

struct walk {
	struct vm *vm;
	const struct mmu_paging *p;
	enum mode mode;
	u64 gva;
	struct mmu_rights rights;
	u32 level;			/* of the entry read last */
	u32 top;
	u64 entry[MMU_LEVELS + 1];	/* by level */
	gpa1_t at[MMU_LEVELS + 1];	/* with a stage2: of L2 */
};

/* Where the guest's entry at *at is in L1's memory; false: it cannot be accessed. */
static bool locate_entry(const struct walk *w, u64 access, gpa1_t *at)
{
	struct mmu_stage2 *s = w->p->stage2;

	return likely(!s) ||
	       s->locate(s, GVA(w->gva), GPA2(at->v), access | EPTQ_GLA_VALID, at);
}

static always_inline u32 entry_size(enum mode mode)
{
	return mode == MODE_32BIT ? 4 : 8;
}

static always_inline u8 level_shift(enum mode mode, u32 level)
{
	return (u8)(PAGE_SHIFT + (mode == MODE_32BIT ? 10 : 9) * (level - 1));
}

static always_inline bool is_leaf(const struct walk *w, enum mode mode, u64 entry)
{
	if (w->level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	if (mode == MODE_32BIT)
		return w->p->cr4 & CR4_PSE;
	return w->level <= 3;
}

static u64 reserved_32bit(const struct walk *w, bool leaf)
{
	u32 bits = MIN(w->p->maxphyaddr, (u8)40);	/* PSE-36 reaches no further */

	if (w->level == 1 || !leaf)
		return 0;
	return (BIT(22) - 1) & ~(BIT(MAX(bits, 32u) - 19) - 1);
}

static always_inline u64 reserved(const struct walk *w, enum mode mode, bool leaf)
{
	u64 bits = ADDR_52 & ~(BIT(w->p->maxphyaddr) - 1);

	if (mode == MODE_32BIT)
		return reserved_32bit(w, leaf);
	if (!(w->p->efer & EFER_NXE))
		bits |= PTE_NX;
	if (mode == MODE_PAE)
		bits |= 0x7ffull << 52;
	if (w->level > 3 || (w->level == 3 && !w->p->pg_1g))
		bits |= PTE_PS;
	if (leaf && w->level > 1)
		bits |= (BIT(level_shift(mode, w->level)) - 1) & ~(BIT(13) - 1);
	return bits;
}

static always_inline enum step read_entry(struct walk *w, enum mode mode, gpa1_t table)
{
	u32 size = entry_size(mode);
	u32 per_table = (u32)(PAGE_SIZE / size);
	u32 index = (u32)(w->gva >> level_shift(mode, w->level)) & (per_table - 1);
	gpa1_t at = GPA1(table.v + index * size);
	u64 entry = 0;
	bool leaf;

	w->at[w->level] = at;
	if (!locate_entry(w, EPTQ_READ, &at))
		return STEP_STAGE2;
	if (!op_gpa1_read(w->vm, at, &entry, size))
		entry = size == 4 ? 0xffffffffull : ~0ull;
	w->entry[w->level] = entry;
	if (!(entry & PTE_P))
		return STEP_NOT_PRESENT;
	leaf = is_leaf(w, mode, entry);
	if (entry & reserved(w, mode, leaf))
		return STEP_RESERVED;
	w->rights.w &= !!(entry & PTE_W);
	w->rights.u &= !!(entry & PTE_U);
	w->rights.nx |= !!(entry & PTE_NX);
	if (!leaf)
		return STEP_TABLE;
	w->rights.pkey = entry >> PTE_PKEY_SHIFT & 15;
	return STEP_LEAF;
}

/* Where the walk starts; false: a PDPTE is not present. */
static bool walk_start(struct walk *w, gpa1_t *table)
{
	const struct mmu_paging *p = w->p;
	u64 pdpte;

	w->rights = (struct mmu_rights){ .w = true, .u = true };
	*table = GPA1(p->cr3 & ADDR_52);
	if (w->mode == MODE_LONG) {
		w->top = p->cr4 & CR4_LA57 ? 5 : 4;
		return true;
	}
	w->top = 2;
	if (w->mode == MODE_32BIT) {
		*table = GPA1(p->cr3 & 0xfffff000);
		return true;
	}
	pdpte = p->pdpte[w->gva >> 30 & 3];
	*table = GPA1(pdpte & ADDR_52);
	return pdpte & PTE_P;
}

/* mode is that of the walk: a constant, where that makes it quicker. */
static always_inline enum step walk_tables(struct walk *w, enum mode mode)
{
	enum step step;
	gpa1_t table;

	if (!walk_start(w, &table))
		return STEP_NOT_PRESENT;
	for (w->level = w->top;; w->level--) {
		step = read_entry(w, mode, table);
		if (step != STEP_TABLE)
			return step;
		table = GPA1(w->entry[w->level] & ADDR_52);
	}
}

/* SDM 3C "Exit Qualification for EPT Violations", advanced information. */
static u64 page_rights(const struct mmu_paging *p, const struct mmu_rights *r)
{
	bool nx = r->nx && (p->cr4 & CR4_PAE) && (p->efer & EFER_NXE);

	return (r->u ? EPTQ_GLA_USER : 0) | (r->w ? EPTQ_GLA_WRITABLE : 0) | (nx ? EPTQ_GLA_NX : 0);
}

static struct mmu_translation translation(const struct walk *w)
{
	u64 leaf = w->entry[w->level];
	u64 within = BIT(level_shift(w->mode, w->level)) - 1;
	u64 page = leaf & ADDR_52 & ~within;

	if (w->mode == MODE_32BIT && w->level == 2)
		page |= (leaf >> 13 & 0xff) << 32;
	return (struct mmu_translation){
		.gpa = GPA1(page | (w->gva & within)),
		.shift = level_shift(w->mode, w->level),
		.page_rights = unlikely(w->p->stage2) ? page_rights(w->p, &w->rights) : 0,
	};
}

/* STEP_LEAF: all is set. STEP_TABLE: an entry is no longer what was judged. */
static enum step set_flags(struct walk *w, enum mmu_access access)
{
	u32 level;

	for (level = w->top; level >= w->level; level--) {
		u64 judged = w->entry[level], now = judged, flags = PTE_A;
		gpa1_t at;

		if (level == w->level && access == MMU_WRITE)
			flags |= PTE_D;
		if ((judged & flags) == flags)
			continue;
		at = w->at[level];
		if (!locate_entry(w, EPTQ_WRITE, &at))
			return STEP_STAGE2;
		if (!op_gpa1_cmpxchg(w->vm, at, entry_size(w->mode), &now, judged | flags))
			continue;
		if (now != judged)
			return STEP_TABLE;
		w->entry[level] = judged | flags;
	}
	return STEP_LEAF;
}

static u32 walk_error(const struct walk *w, enum step step, enum mmu_access access, u32 flags)
{
	switch (step) {
	case STEP_LEAF:
		return mmu_rights_fault(w->p, &w->rights, access, flags);
	case STEP_RESERVED:
		return PF_P | PF_RSVD | mmu_access_bits(w->p, access, flags);
	default:
		return mmu_access_bits(w->p, access, flags);
	}
}

static enum mode paging_mode(const struct mmu_paging *p)
{
	if (p->efer & EFER_LMA)
		return MODE_LONG;
	return p->cr4 & CR4_PAE ? MODE_PAE : MODE_32BIT;
}

/* The walk, with its flags set if so wished; false: *fault. */
static bool run(struct walk *w, enum mmu_access access, u32 flags, bool commit,
		struct mmu_fault *fault)
{
	for (u32 tries = 0; tries < MAX_RESTARTS; tries++) {
		enum step step = likely(w->mode == MODE_LONG) ? walk_tables(w, MODE_LONG) :
								walk_tables(w, w->mode);
		u32 error = walk_error(w, step, access, flags);

		if (step == STEP_LEAF && !error && commit)
			step = set_flags(w, access);
		if (step == STEP_TABLE)
			continue;
		if (step == STEP_LEAF && !error)
			return true;
		*fault = (struct mmu_fault){
			.error_code = error, .cr2 = w->gva, .stage2 = step == STEP_STAGE2,
		};
		return false;
	}
	/* Somebody rewrites the tables faster than they can be walked: a spurious #PF. */
	*fault = (struct mmu_fault){
		.error_code = mmu_access_bits(w->p, access, flags), .cr2 = w->gva,
	};
	return false;
}

bool mmu_walk(struct vm *vm, const struct mmu_paging *p, gva_t gva, enum mmu_access access,
	      u32 flags, bool commit, struct mmu_translation *t, struct mmu_fault *fault)
{
	struct walk w = { .vm = vm, .p = p, .mode = paging_mode(p), .gva = gva.v };

	if (w.mode != MODE_LONG)
		w.gva &= 0xffffffff;
	if (!(p->cr0 & CR0_PG)) {
		*t = (struct mmu_translation){
			.gpa = GPA1(w.gva), .shift = MMU_UNPAGED,
			.page_rights = EPTQ_GLA_USER | EPTQ_GLA_WRITABLE,
		};
		return true;
	}
	if (!run(&w, access, flags, commit, fault))
		return false;
	*t = translation(&w);
	return true;
}

bool mmu_walk_path(struct vm *vm, const struct mmu_paging *p, gva_t gva, enum mmu_access access,
		   u32 flags, struct mmu_path *path, struct mmu_fault *fault)
{
	struct walk w = { .vm = vm, .p = p, .mode = paging_mode(p), .gva = gva.v };

	if (!(p->cr0 & CR0_PG)) {
		path->level = 0;
		path->t = (struct mmu_translation){ .gpa = GPA1((u32)gva.v), .shift = MMU_UNPAGED };
		return true;
	}
	if (w.mode != MODE_LONG)
		w.gva &= 0xffffffff;
	if (!run(&w, access, flags, true, fault))
		return false;
	path->t = translation(&w);
	path->level = (u8)w.level;
	__builtin_memcpy(path->entry, w.entry, sizeof(path->entry));
	return true;
}

/* Does more than the tables decide about reads: EFLAGS.AC, or a protection key's register? */
static bool depends_on_more(const struct walk *w)
{
	return w->p->cr4 & (w->rights.u ? CR4_SMAP | CR4_PKE : CR4_PKS);
}

/* What a finished walk read and where, for mmu_memo_find(). */
static void remember(const struct walk *w, gpa1_t page, struct mmu_memo *memo)
{
	u64 epoch = op_gpa1_epoch(w->vm);
	u32 level;

	memo->page = MMU_MEMO_EMPTY;
	memo->to = op_gpa1_ptr(w->vm, page, PAGE_SIZE);
	if (!memo->to || w->top > MMU_MEMO_LEVELS || depends_on_more(w))
		return;
	for (level = 1; level <= MMU_MEMO_LEVELS; level++) {
		memo->value[level - 1] = 0;
		memo->entry[level - 1] = &memo->value[level - 1];
		if (level < w->level)
			continue;
		memo->value[level - 1] = w->entry[level] | PTE_A;
		memo->entry[level - 1] = op_gpa1_ptr(w->vm, w->at[level], sizeof(u64));
		if (!memo->entry[level - 1])
			return;
	}
	memo->cr3 = w->p->cr3;
	memo->cr4 = w->p->cr4;
	memo->xd = w->rights.nx;
	memo->epoch = epoch;
	memo->page = w->gva & PAGE_MASK;
}

bool mmu_memo_walk(struct vm *vm, const struct mmu_paging *p, gva_t gva, struct mmu_memo *memo,
		   gpa1_t *gpa, struct mmu_fault *fault)
{
	struct walk w = { .vm = vm, .p = p, .mode = MODE_LONG, .gva = gva.v };

	if (!run(&w, MMU_READ, 0, true, fault))
		return false;
	*gpa = translation(&w).gpa;
	remember(&w, GPA1(gpa->v & PAGE_MASK), memo);
	return true;
}
