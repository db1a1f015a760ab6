/*
 * Reads and writes of guest memory by linear address, page by page.
 */
#include "mmu/ept_format.h"
#include "mmu/guest_walk.h"
#include "engine_ops.h"

static size_t left_in_page(gva_t gva, size_t len)
{
	return MIN(len, (size_t)(PAGE_SIZE - (gva.v & ~PAGE_MASK)));
}

static bool locate(const struct mmu_paging *p, gva_t gva, enum mmu_access access,
		   struct mmu_translation *t, struct mmu_fault *fault)
{
	static const u64 told[] = {
		[MMU_READ] = EPTQ_READ, [MMU_WRITE] = EPTQ_WRITE, [MMU_FETCH] = EPTQ_FETCH,
	};

	fault->stage2 = true;
	return p->stage2->locate(p->stage2, gva, GPA2(t->gpa.v), told[access] | EPTQ_GLA_VALID |
				 EPTQ_GLA_FINAL | t->page_rights, &t->gpa);
}

/* The access may be, and t->gpa is where it goes in L1's memory. */
static always_inline bool reach(struct vm *vm, const struct mmu_paging *p, gva_t gva,
				enum mmu_access access, u32 flags, bool commit,
				struct mmu_translation *t, struct mmu_fault *fault)
{
	return mmu_walk(vm, p, gva, access, flags, commit, t, fault) &&
	       (likely(!p->stage2) || locate(p, gva, access, t, fault));
}

bool mmu_gva_check(struct vm *vm, const struct mmu_paging *p, gva_t gva, size_t len,
		   enum mmu_access access, u32 flags, struct mmu_fault *fault)
{
	size_t part;
	struct mmu_translation t;

	for (; len; len -= part, gva.v += part) {
		part = left_in_page(gva, len);
		if (!reach(vm, p, gva, access, flags, false, &t, fault))
			return false;
	}
	return true;
}

/* A range within one page is left to its own walk. */
static bool check_range(struct vm *vm, const struct mmu_paging *p, gva_t gva, size_t len,
			enum mmu_access access, u32 flags, struct mmu_fault *fault)
{
	return left_in_page(gva, len) == len ||
	       mmu_gva_check(vm, p, gva, len, access, flags, fault);
}

bool mmu_gva_read(struct vm *vm, const struct mmu_paging *p, gva_t gva, void *buf, size_t len,
		  u32 flags, struct mmu_fault *fault)
{
	enum mmu_access access = flags & MMU_AS_FETCH ? MMU_FETCH : MMU_READ;
	u8 *to = buf;
	size_t part;
	struct mmu_translation t;

	if (!check_range(vm, p, gva, len, access, flags, fault))
		return false;
	for (; len; len -= part, gva.v += part, to += part) {
		part = left_in_page(gva, len);
		if (!reach(vm, p, gva, access, flags, true, &t, fault))
			return false;
		if (!op_gpa1_read(vm, t.gpa, to, part))
			__builtin_memset(to, 0xff, part);
	}
	return true;
}

bool mmu_gva_write(struct vm *vm, const struct mmu_paging *p, gva_t gva, const void *buf,
		   size_t len, u32 flags, struct mmu_fault *fault)
{
	const u8 *from = buf;
	size_t part;
	struct mmu_translation t;

	if (!check_range(vm, p, gva, len, MMU_WRITE, flags, fault))
		return false;
	for (; len; len -= part, gva.v += part, from += part) {
		part = left_in_page(gva, len);
		if (!reach(vm, p, gva, MMU_WRITE, flags, true, &t, fault))
			return false;
		op_gpa1_write(vm, t.gpa, from, part);
	}
	return true;
}
