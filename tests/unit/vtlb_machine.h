/*
 * A processor on shadow tables (mmu/vtlb.h), and what it must find there: for
 * the unit tests of vtlb and its fuzzer. The guest's tables are in the pages 1
 * to VTLB_TABLES of GPA1, and nowhere else.
 */
#pragma once

#include "mmu_machine.h"
#include "mmu/vtlb_table.h"

#define VTLB_TABLES 24u
#define GPA1_SHIFT (2 * SZ_2M)	/* GPA1 plus this is the HPA of most pages */

struct scene {
	struct machine m;
	struct vtlb v;
	struct mmu_paging p;
	hpa_t root;
};

/* The guest does what flushes its TLB. */
static inline void scene_flush(struct scene *s)
{
	s->root = vtlb_root(&s->v, &s->p);
}

/* What a processor does with the shadow: CR0.WP, NX and PAE are on in it. False: #PF. */
static inline bool hw_access(struct scene *s, u64 gva, u32 error, u64 *hpa)
{
	bool lng = s->p.efer & EFER_LMA, w = true, u = true, nx = false;
	u64 cr4 = vtlb_hw_cr4(s->p.cr0, s->p.cr4), table = s->root.v;

	for (u32 level = lng ? 4 : 3;; level--) {
		u32 shift = 12 + 9 * (level - 1);
		u64 index = gva >> shift & (level == 3 && !lng ? 3 : 511);
		u64 *entry = &op_table(&s->m.vm, HPA(table))[index];

		if (!(*entry & PTE_P))
			return false;
		table = *entry & EPT_ADDR;
		assert_true(table < RAM_SIZE);
		if (level == 3 && !lng) {
			assert_int_equal(*entry & ~EPT_ADDR, PTE_P);
			continue;
		}
		*entry |= PTE_A;
		w &= !!(*entry & PTE_W);
		u &= !!(*entry & PTE_U);
		nx |= !!(*entry & PTE_NX);
		if (level > 1 && !(*entry & PTE_PS))
			continue;
		*hpa = (table & ~(BIT(shift) - 1)) | (gva & (BIT(shift) - 1));
		break;
	}
	if ((error & PF_U) && !u)
		return false;
	if (error & PF_I)
		return !nx && ((error & PF_U) || !u || !(cr4 & CR4_SMEP));
	return !(error & PF_W) || w;
}

/* All that the walk of the guest's tables used has its flags. */
static inline void check_flags(struct scene *s, u64 gva, u32 error)
{
	struct mmu_path path;
	struct mmu_fault fault;
	u64 writes = s->m.vm.memory.writes;
	enum mmu_access access = error & PF_W ? MMU_WRITE : error & PF_I ? MMU_FETCH : MMU_READ;
	struct mmu_paging p = s->p;
	u8 *before = malloc(VTLB_TABLES * PAGE_SIZE);
	u8 *tables = s->m.vm.memory.ram + GPA1_SHIFT + PAGE_SIZE;

	p.cpl = error & PF_U ? 3 : 0;
	memcpy(before, tables, VTLB_TABLES * PAGE_SIZE);
	assert_true(mmu_walk_path(&s->m.vm, &p, GVA(gva), access, 0, &path, &fault));
	assert_memory_equal(before, tables, VTLB_TABLES * PAGE_SIZE);
	assert_int_equal(writes, s->m.vm.memory.writes);
	free(before);
}

/* No link to a table that is free, and nothing missing in the lists. */
static inline void check_links(struct scene *s)
{
	struct vtlb *v = &s->v;

	assert_true(vtlb_lists_invariant(v));
	for (u32 n = 0; n < v->used; n++) {
		const struct vtlb_table *t = vtlb_table_of(v, n);

		for (u32 i = 0; t->role && i < VTLB_ENTRIES && vtlb_level(t) > 1; i++) {
			u64 entry = vtlb_entries(v, t)[i];

			assert_int_equal(entry & PTE_P, t->live[i / 64] >> (i % 64) & 1);
			if ((entry & (PTE_P | PTE_PS)) != PTE_P)
				continue;
			assert_true(vtlb_child(v, entry)->role != 0);
		}
	}
}

enum vtlb_end { ACCESS_DONE, ACCESS_FAULT, ACCESS_HOLE };

/* One access of the guest, to its end: what its own tables and ept01 say. */
static inline enum vtlb_end vtlb_access(struct scene *s, u64 gva, u32 error)
{
	enum mmu_access access = error & PF_W ? MMU_WRITE : error & PF_I ? MMU_FETCH : MMU_READ;
	struct mmu_translation t;
	struct mmu_fault should, is;
	struct mmu_paging p = s->p;
	struct ept01_mapping at;
	gpa1_t gpa;
	u64 hpa = 0;
	bool ok;

	p.cpl = error & PF_U ? 3 : 0;
	ok = mmu_walk(&s->m.vm, &p, GVA(gva), access, 0, false, &t, &should);
	for (u32 tries = 0; !hw_access(s, gva, error, &hpa); tries++) {
		enum vtlb_verdict verdict;

		assert_true(tries < 2);
		at = ok ? ept01_lookup(&s->m.ept01, t.gpa) : (struct ept01_mapping){ 0 };
		verdict = vtlb_fault(&s->v, &p, GVA(gva), error, &s->root, &gpa, &is);
		if (verdict == VTLB_GUEST) {
			assert_false(ok);
			assert_int_equal(is.error_code, should.error_code);
			assert_int_equal(is.cr2, should.cr2);
			return ACCESS_FAULT;
		}
		assert_true(ok);
		if (verdict == VTLB_L0 || ((error & PF_W) && !(at.perms & EPT_W))) {
			assert_int_equal(s->m.vm.faulted.v, t.gpa.v);
			assert_true(!at.present || (error & PF_W));
			return ACCESS_HOLE;
		}
	}
	assert_true(ok);
	assert_int_equal(hpa, ept01_lookup(&s->m.ept01, t.gpa).hpa.v);
	check_flags(s, gva, error);
	return ACCESS_DONE;
}
