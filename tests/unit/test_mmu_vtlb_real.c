/*
 * Shadow paging (mmu/vtlb.h) for a guest in real mode that hardware runs in virtual-8086 mode: there,
 * and nowhere else, it has the TSS of L0's.
 */
#include "vtlb_machine.h"

#define L1_PAGES 1024u
#define TSS_PAGES 3u
#define TSS HPA(HOME)		/* any pages of L0's */

static void start(struct scene *s, u32 pages)
{
	memset(s, 0, sizeof(*s));
	machine_init(&s->m, 1, HOME_PAGES01, HOME_PAGES02);
	ept01_map(&s->m.ept01, GPA1(0), L1_PAGES * PAGE_SIZE, HPA(GPA1_SHIFT), EPT_RWX, MT_WB);
	assert_true(vtlb_init(&s->v, &s->m.vm, &s->m.ept01,
			      HPA(HOME + HOME_PAGES01 * PAGE_SIZE), pages));
	s->v.tss = TSS;
	s->v.tss_pages = TSS_PAGES;
	s->p = (struct mmu_paging){ .rflags = RFLAGS_VM, .maxphyaddr = 40, .cpl = 3 };
	scene_flush(s);
}

static void assert_tss(struct scene *s, bool there)
{
	u64 hpa;

	for (u32 i = 0; i < TSS_PAGES; i++) {
		u64 at = VTLB_TSS + i * PAGE_SIZE + 0x123;

		assert_int_equal(hw_access(s, at, 0, &hpa), there);
		if (there)
			assert_int_equal(hpa, TSS.v + i * PAGE_SIZE + 0x123);
		assert_false(hw_access(s, at, PF_W, &hpa));
		assert_false(hw_access(s, at, PF_U, &hpa));
	}
	assert_false(hw_access(s, VTLB_TSS + TSS_PAGES * PAGE_SIZE, 0, &hpa));
}

static void only_in_virtual_8086_mode(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOME_PAGES02);
	assert_tss(&s, true);
	assert_int_equal(vtlb_access(&s, 0x10ffef, PF_U | PF_W), ACCESS_DONE);
	s.p.rflags = 0;			/* another form of real mode */
	scene_flush(&s);
	assert_tss(&s, false);
	assert_int_equal(vtlb_access(&s, 0x10ffef, PF_U | PF_W), ACCESS_DONE);
	assert_int_equal(vtlb_access(&s, VTLB_TSS, PF_U), ACCESS_HOLE);
	s.p.rflags = RFLAGS_VM;		/* the guest's own virtual-8086 mode */
	s.p.cr0 = CR0_PE;
	scene_flush(&s);
	assert_tss(&s, false);
	s.p.cr0 = 0;
	scene_flush(&s);
	assert_tss(&s, true);
	check_links(&s);
	machine_end(&s.m);
}

/* Whatever else needs the memory. */
static void comes_back(void **state)
{
	struct scene s;

	(void)state;
	start(&s, VTLB_MIN_PAGES);
	for (u32 i = 0; i < 100; i++) {
		s.p = (struct mmu_paging){
			.cr0 = CR0_PE | CR0_PG, .cr3 = (200 + i) * PAGE_SIZE, .cr4 = CR4_PAE,
			.efer = EFER_LME | EFER_LMA, .maxphyaddr = 40,
		};
		scene_flush(&s);
		s.p = (struct mmu_paging){ .rflags = RFLAGS_VM, .maxphyaddr = 40, .cpl = 3 };
		if (i % 8)
			continue;
		scene_flush(&s);
		assert_tss(&s, true);
		check_links(&s);
	}
	assert_true(s.v.recycled > 20);
	vtlb_drop(&s.v);
	scene_flush(&s);
	assert_tss(&s, true);
	machine_end(&s.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_in_virtual_8086_mode), cmocka_unit_test(comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
