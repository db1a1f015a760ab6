/*
 * Reads and writes of guest memory by linear address, page by page.
 */
#include "mmu/guest_walk.h"
#include "engine_ops.h"

static size_t left_in_page(gva_t gva, size_t len)
{
	return MIN(len, (size_t)(PAGE_SIZE - (gva.v & ~PAGE_MASK)));
}

/* Would all of it be allowed? A range within one page is left to its own walk. */
static bool check_range(struct vm *vm, const struct mmu_paging *p, gva_t gva, size_t len,
			enum mmu_access access, u32 flags, struct mmu_fault *fault)
{
	struct mmu_translation t;
	size_t part;

	if (left_in_page(gva, len) == len)
		return true;
	for (; len; len -= part, gva.v += part) {
		part = left_in_page(gva, len);
		if (!mmu_walk(vm, p, gva, access, flags, false, &t, fault))
			return false;
	}
	return true;
}

bool mmu_gva_read(struct vm *vm, const struct mmu_paging *p, gva_t gva, void *buf, size_t len,
		  u32 flags, struct mmu_fault *fault)
{
	enum mmu_access access = flags & MMU_AS_FETCH ? MMU_FETCH : MMU_READ;
	struct mmu_translation t;
	u8 *to = buf;
	size_t part;

	if (!check_range(vm, p, gva, len, access, flags, fault))
		return false;
	for (; len; len -= part, gva.v += part, to += part) {
		part = left_in_page(gva, len);
		if (!mmu_walk(vm, p, gva, access, flags, true, &t, fault))
			return false;
		if (!op_gpa1_read(vm, t.gpa, to, part))
			__builtin_memset(to, 0xff, part);
	}
	return true;
}

bool mmu_gva_write(struct vm *vm, const struct mmu_paging *p, gva_t gva, const void *buf, size_t len,
		   u32 flags, struct mmu_fault *fault)
{
	struct mmu_translation t;
	const u8 *from = buf;
	size_t part;

	if (!check_range(vm, p, gva, len, MMU_WRITE, flags, fault))
		return false;
	for (; len; len -= part, gva.v += part, from += part) {
		part = left_in_page(gva, len);
		if (!mmu_walk(vm, p, gva, MMU_WRITE, flags, true, &t, fault))
			return false;
		op_gpa1_write(vm, t.gpa, from, part);
	}
	return true;
}
