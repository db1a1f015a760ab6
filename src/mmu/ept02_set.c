/*
 * The bounded set of ept02 roots: finding, making, recycling, invalidating.
 */
#include "mmu/ept02_set.h"
#include "engine_ops.h"

/* Tables without a place that a root may have before INVEPT drops it after all. */
#define LOST_MAX 16u

static hpa_t root_page(const struct ept02 *root)
{
	return HPA(root->eptp & EPT_ADDR);
}

void ept02_stamp(struct ept02_set *set, struct ept02 *root)
{
	root->stamp = ++set->stamp;
	root->near = NULL;
}

void ept02_touch(struct ept02_set *set, struct ept02 *root)
{
	root->last_used = ++set->clock;
}

void ept02_drop(struct ept02_set *set, struct ept02 *root)
{
	struct mmu_note *note;

	if (!root->pages.count)
		return;
	op_stop_others(set->vm);
	note = mmu_pool_note(set->pool, root_page(root));
	__builtin_memset(op_table(set->vm, root_page(root)), 0, (note->top + 1u) * sizeof(u64));
	__builtin_memset(root->mapped, 0, sizeof(root->mapped));
	note->top = 0;
	root->lost = 0;
	set->live &= ~root->bit;
	mmu_pool_chain_free(set->pool, &root->pages);
	ept02_stamp(set, root);
}

/* Nothing of a live root may be used before it was compared with L1's tables. */
static void hide(struct ept02_set *set, struct ept02 *root)
{
	u64 *table = op_table(set->vm, root_page(root));
	u32 top = mmu_pool_note(set->pool, root_page(root))->top;

	if (unlikely(root->lost > LOST_MAX)) {
		ept02_drop(set, root);
		return;
	}
	for (u32 i = 0; i <= top; i++)
		table[i] = ept02_hide(table[i]);
	ept02_stamp(set, root);
}

/* Gives back everything, the root's page included. */
static void release(struct ept02_set *set, struct ept02 *root)
{
	op_stop_others(set->vm);
	set->live &= ~root->bit;
	mmu_pool_chain_free(set->pool, &root->pages);
	mmu_pool_free(set->pool, root_page(root));
	*root = (struct ept02){ 0 };
}

static struct ept02 *oldest(struct ept02_set *set, const struct ept02 *except)
{
	struct ept02 *found = NULL;
	u32 i;

	for (i = 0; i < EPT02_ROOTS; i++) {
		struct ept02 *r = &set->roots[i];

		if (r->role && r != except && (!found || r->last_used < found->last_used))
			found = r;
	}
	return found;
}

static bool page_alloc(struct ept02_set *set, struct ept02 *root, hpa_t *out)
{
	struct ept02 *victim;

	while (!mmu_pool_chain_alloc(set->pool, &root->pages, out)) {
		victim = oldest(set, root);
		if (!victim)
			return false;
		release(set, victim);
	}
	return true;
}

bool ept02_table_alloc(struct ept02_set *set, struct ept02 *root, hpa_t *out)
{
	hpa_t twin;

	if (!page_alloc(set, root, &twin) || !page_alloc(set, root, out))
		return false;
	mmu_pool_note(set->pool, *out)->twin = twin;
	return true;
}

static struct ept02 *find(struct ept02_set *set, u64 role)
{
	u32 i;

	for (i = 0; i < EPT02_ROOTS; i++) {
		if (set->roots[i].role == role)
			return &set->roots[i];
	}
	return NULL;
}

/* An entry of the set that is free, with a zeroed page for it. */
static struct ept02 *claim(struct ept02_set *set, hpa_t *page)
{
	for (;;) {
		struct ept02 *free = find(set, 0);

		if (free && mmu_pool_alloc(set->pool, page))
			return free;
		release(set, oldest(set, NULL));
	}
}

/* Where no address has more than 48 bits, four levels hold what five of L1's say. */
static u64 walk_length(const struct ept02_set *set, u64 role)
{
	return ept_five_levels(role) && ept_needs_five_levels(&set->caps_hw) ? EPTP_WALK_5 :
									       EPTP_WALK_4;
}

u64 ept02_root(struct ept02_set *set, u64 role, struct ept02 **out)
{
	struct ept02 *root = find(set, role);
	hpa_t page;

	if (!root) {
		root = claim(set, &page);
		root->role = role;
		root->bit = BIT32(root - set->roots);
		root->eptp = page.v | walk_length(set, role) | MT_WB;
		if (set->caps_hw.ad)
			root->eptp |= role & EPTP_AD;
		ept02_stamp(set, root);
	}
	ept02_touch(set, root);
	*out = root;
	return root->eptp;
}

bool ept02_set_init(struct ept02_set *set, struct vm *vm, struct mmu_pool *pool,
		    const struct ept01 *ept01, const struct ept_caps *caps_hw,
		    const struct ept_caps *caps12)
{
	*set = (struct ept02_set){
		.vm = vm, .pool = pool, .ept01 = ept01, .caps_hw = *caps_hw, .caps12 = *caps12,
	};
	return mmu_pool_available(pool) >= EPT02_MIN_PAGES;
}

void ept02_invalidate(struct ept02_set *set, u64 eptp12)
{
	for (u32 left = set->live; left; left &= left - 1) {
		struct ept02 *r = &set->roots[__builtin_ctz(left)];

		if ((r->role ^ eptp12) & EPT_ADDR)
			continue;
		set->live &= ~(left & -left);
		hide(set, r);
	}
}

void ept02_invalidate_all(struct ept02_set *set)
{
	for (u32 left = set->live; left; left &= left - 1)
		hide(set, &set->roots[__builtin_ctz(left)]);
	set->live = 0;
}

static bool may_map(const struct ept02 *root, u64 first, u64 last)
{
	u64 gpa;

	if (last - first >= EPT02_REGIONS * SZ_2M)
		return true;
	for (gpa = ALIGN_DOWN(first, SZ_2M); gpa <= last; gpa += SZ_2M) {
		if (root->mapped[ept02_region(gpa) / 64] >> (ept02_region(gpa) % 64) & 1)
			return true;
	}
	return false;
}

void ept02_unmap_gpa1(struct ept02_set *set, gpa1_t gpa, u64 len)
{
	u32 i;

	for (i = 0; i < EPT02_ROOTS; i++) {
		if (may_map(&set->roots[i], gpa.v, gpa.v + len - 1))
			ept02_drop(set, &set->roots[i]);
	}
}
