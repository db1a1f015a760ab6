/*
 * The bounded set of ept02 roots: finding, making, recycling, invalidating.
 */
#include "mmu/ept02_set.h"
#include "engine_ops.h"

static hpa_t root_page(const struct ept02 *root)
{
	return HPA(root->eptp & EPT_ADDR);
}

void ept02_stamp(struct ept02_set *set, struct ept02 *root)
{
	root->stamp = ++set->stamp;
}

void ept02_touch(struct ept02_set *set, struct ept02 *root)
{
	root->last_used = ++set->clock;
}

void ept02_drop(struct ept02_set *set, struct ept02 *root)
{
	if (!root->pages.count)
		return;
	__builtin_memset(op_table(set->vm, root_page(root)), 0, (root->top + 1) * sizeof(u64));
	__builtin_memset(root->mapped, 0, sizeof(root->mapped));
	root->top = 0;
	mmu_pool_chain_free(set->pool, &root->pages);
	ept02_stamp(set, root);
}

/* Gives back everything, the root's page included. */
static void release(struct ept02_set *set, struct ept02 *root)
{
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

bool ept02_page_alloc(struct ept02_set *set, struct ept02 *root, hpa_t *out)
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

u64 ept02_root(struct ept02_set *set, u64 role, struct ept02 **out)
{
	struct ept02 *root = find(set, role);
	hpa_t page;

	if (!root) {
		root = claim(set, &page);
		root->role = role;
		root->eptp = page.v | EPTP_WALK_4 | MT_WB;
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
	u32 i;

	for (i = 0; i < EPT02_ROOTS; i++) {
		struct ept02 *r = &set->roots[i];

		if (r->role && !((r->role ^ eptp12) & EPT_ADDR))
			ept02_drop(set, r);
	}
}

void ept02_invalidate_all(struct ept02_set *set)
{
	u32 i;

	for (i = 0; i < EPT02_ROOTS; i++)
		ept02_drop(set, &set->roots[i]);
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
