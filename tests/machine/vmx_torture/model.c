/*
 * What an access finds, by the SDM: the guest's four-level tables and EPT, walked in the pages'
 * expected content ("4-Level Paging", "The Extended Page Table Mechanism"). It executes nothing
 * and changes nothing, but for accessed and dirty flags that the emulator would set where the
 * SDM has an EPT violation.
 *
 * Always: a prediction that is not marked to be skipped is what every CPU must do.
 */
#include "vmx_torture.h"

#define EPT_SUPPRESS_VE	BIT(63)

struct walk {
	const struct access *a;
	struct prediction *p;
	const struct root *root;	/* NULL: no EPT */
	bool nx, writable, user;	/* of the guest's tables, all levels together */
};

static u64 read_entry(struct walk *w, u64 at)
{
	int page = page_at(at);

	if (page >= 0)
		return get((unsigned int)page, index_of(at << 9, 1));
	if (at < ARENA || at >= FIXED + FIXED_PAGES * PAGE_SIZE)
		w->p->skip = true;	/* the image, devices, or nothing */
	return w->p->skip ? 0 : *(u64 *)at;
}

static void note_flags(struct prediction *p, u64 at, u64 bits, bool may)
{
	if (p->flags == FLAGS_MAX)
		die("FLAGS_MAX is too small");
	p->flag[p->flags].at = at;
	p->flag[p->flags].bits = bits;
	p->flag[p->flags++].may = may;
}

static bool is_leaf(u64 entry, unsigned int level)
{
	return level == 1 || (level < 4 && entry & PTE_PS);
}

/*
 * Address bits that must be 0. Of bit 12 of large pages in EPT the emulator knows nothing; no
 * entry has it.
 */
static u64 reserved_address(u64 entry, unsigned int level)
{
	u64 bits = ADDRESS & ~(BIT(features.width) - 1);

	if (is_leaf(entry, level))
		bits |= (BIT(3 + 9 * level) - 1) & ADDRESS;
	return entry & bits;
}

/* SDM: EPT Misconfigurations. exec: the rights to execute that there are. */
static bool misconfigured(u64 entry, unsigned int level, u64 exec)
{
	u32 type = entry >> 3 & 7;

	if ((entry & 3) == EPT_W || (!(entry & EPT_R) && entry & exec && !features.exec_only))
		return true;
	if (reserved_address(entry, level))
		return true;
	if (!is_leaf(entry, level))
		return entry & 0xf8;
	if ((level == 2 && !features.large_2m) || (level == 3 && !features.large_1g))
		return true;
	return type == 2 || type == 3 || type == 7;
}

static bool ept_violation(struct walk *w, u64 gpa, u64 need, u64 rights, bool final)
{
	struct prediction *p = w->p;

	p->reason = REASON_EPT_VIOLATION;
	p->gpa = gpa;
	p->qualification = (need & EPT_XU ? EPT_X : need) | (rights & EPT_RWX) << 3 | BIT(7);
	p->mask = 0x1bf;
	if (w->root->mode_exec && need & (EPT_X | EPT_XU)) {	/* the emulator: of fetches alone */
		p->qualification |= rights & EPT_XU ? BIT(6) : 0;
		p->mask |= BIT(6);
	}
	/* Bit 0 is open for stores that read, too; for walks as writes the emulator lacks it. */
	if (need & EPT_W && (!final || w->a->how == ADD))
		p->mask &= ~BIT(0);
	if (final) {
		p->qualification |= BIT(8) | w->user * BIT(9) | w->writable * BIT(10) |
				    w->nx * BIT(11);
		p->mask |= features.advanced ? 7 << 9 : 0;
	}
	return false;
}

/* Flags of EPT that were noted for a walk that ended badly are not certain. */
static void ept_flags(struct walk *w, unsigned int first, bool certain, bool write, u64 gpa)
{
	struct prediction *p = w->p;

	if (!w->root->ad)
		p->flags = first;
	for (unsigned int i = first; i < p->flags; i++)
		p->flag[i].may = !certain;
	if (!certain || !write || p->flags == first)
		return;
	p->flag[p->flags - 1].bits |= EPT_D;
	p->flag[p->flags - 1].gpa = gpa;
}

/* A guest-physical address to a physical one, with these rights; *rights: those of all levels. */
static bool through_ept(struct walk *w, u64 gpa, u64 need, bool final, u64 *physical, u64 *rights)
{
	struct prediction *p = w->p;
	unsigned int level, first = p->flags;
	u64 table, entry, all = w->root && w->root->mode_exec ? EPT_RIGHTS : EPT_RWX;
	bool bad;

	*physical = gpa;
	*rights = all;
	if (!w->root)
		return true;
	table = page_address(root_top(w->root));
	for (level = w->root->five ? 5 : 4;; level--) {
		u64 at = table + 8 * index_of(gpa, level);

		entry = read_entry(w, at);
		*rights &= entry;
		bad = entry & all && misconfigured(entry, level, all & ~(u64)(EPT_R | EPT_W));
		if (!(entry & all) || bad)
			break;
		note_flags(p, at, EPT_A, false);
		table = entry & ADDRESS;
		if (is_leaf(entry, level))
			break;
	}
	*physical = table | (gpa & (BIT(3 + 9 * level) - 1));
	if (bad) {
		p->reason = REASON_EPT_MISCONFIG;
		p->gpa = gpa;
	} else if (need & ~*rights) {
		p->suppressed = entry & EPT_SUPPRESS_VE;
		ept_violation(w, gpa, need, entry & all ? *rights : 0, final);
	} else {
		ept_flags(w, first, true, need & EPT_W, gpa);
		return true;
	}
	ept_flags(w, first, false, false, gpa);
	return false;
}

static bool page_fault(struct walk *w, u32 error)
{
	const struct access *a = w->a;
	struct prediction *p = w->p;

	p->reason = REASON_EXCEPTION;
	p->qualification = a->linear;
	p->mask = ~0ull;
	p->error = error | (a->user ? PF_U : 0) | (a->how == WRITE || a->how == ADD ? PF_W : 0) |
		   (a->how == FETCH ? PF_I : 0);
	return false;
}

static bool denied(const struct walk *w)
{
	const struct access *a = w->a;

	if (a->user && !w->user)
		return true;
	if (a->how == FETCH)
		return w->nx;
	return (a->how == WRITE || a->how == ADD) && !w->writable;
}

/*
 * Flags of the guest's that an entry lacks. Where EPT's own flags are off and EPT makes the
 * table read-only, the emulator sets them all the same, so they are set beforehand.
 */
static void lacks_flags(struct walk *w, u64 at, u64 *entry, bool leaf, u64 rights)
{
	int page = page_at(at);
	bool write = w->a->how == WRITE || w->a->how == ADD;
	u64 bits = ~*entry & (leaf && write ? PTE_A | PTE_D : PTE_A);

	if (!bits)
		return;
	if (page < 0 || pages[page].class != GUEST_TABLE || ept_uses((unsigned int)page)) {
		w->p->skip = true;
	} else if (!(rights & EPT_W)) {
		*entry |= bits;
		put((unsigned int)page, index_of(at << 9, 1), *entry);
	} else {
		note_flags(w->p, at, bits, false);
	}
}

static bool reserved_by_guest(u64 entry, unsigned int level)
{
	u64 pat = level > 1 && is_leaf(entry, level) ? BIT(12) : 0;

	if (entry & PTE_PS && (level == 4 || (level == 3 && !features.large_1g_guest)))
		return true;
	return reserved_address(entry, level) & ~pat;
}

/* The flags noted for the guest's entries are certain only if the access succeeds. */
static void guest_flags(struct prediction *p, bool certain)
{
	for (unsigned int i = 0; i < p->flags; i++)
		if (p->flag[i].bits & (PTE_A | PTE_D))
			p->flag[i].may = !certain;
}

static bool through_guest(struct walk *w, u64 *gpa)
{
	u64 need = w->root && w->root->ad ? EPT_R | EPT_W : EPT_R;
	u64 table = page_address(TOP + w->a->top);
	u64 linear = w->a->linear, at, rights, entry;
	unsigned int level;

	w->writable = w->user = true;
	for (level = 4;; level--) {
		if (!through_ept(w, table + 8 * index_of(linear, level), need, false, &at, &rights))
			return false;
		entry = read_entry(w, at);
		if (!(entry & PTE_P))
			return page_fault(w, 0);
		if (reserved_by_guest(entry, level))
			return page_fault(w, PF_P | PF_RSVD);
		if (page_at(at) >= 0 && pages[page_at(at)].class == EPT_TABLE)
			w->p->skip = true;	/* changes are not told to the guest's caches */
		lacks_flags(w, at, &entry, is_leaf(entry, level), rights);
		w->writable &= entry >> 1;
		w->user &= entry >> 2;
		w->nx |= entry >> 63;
		table = entry & ADDRESS;
		if (is_leaf(entry, level))
			break;
	}
	*gpa = (table & ~(BIT(3 + 9 * level) - 1)) | (linear & (BIT(3 + 9 * level) - 1));
	return denied(w) ? page_fault(w, PF_P) : true;
}

/* Stores and fetches reach data; loads reach any live page, whose content is known. */
static void judge_target(struct walk *w)
{
	struct prediction *p = w->p;
	int page = page_at(p->at);

	if (page < 0 || (w->a->how != READ && pages[page].class != DATA))
		p->skip = true;
}

void predict(const struct access *a, struct prediction *p)
{
	struct walk w = { .a = a, .p = p, .root = a->root >= 0 ? &roots[a->root] : NULL };
	u64 gpa, rights, need = a->how == READ ? EPT_R : EPT_W;
	bool ok;

	*p = (struct prediction){ .reason = REASON_VMCALL };
	ok = through_guest(&w, &gpa);
	if (a->how == FETCH)
		need = w.root && w.root->mode_exec && w.user ? EPT_XU : EPT_X;
	ok = ok && through_ept(&w, gpa, need, true, &p->at, &rights);
	guest_flags(p, ok);
	if (ok && !p->skip)
		judge_target(&w);
}
