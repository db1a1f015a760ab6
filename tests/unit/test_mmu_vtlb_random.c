/*
 * Shadow paging (mmu/vtlb.h) against the guest's own walk and ept01: whatever
 * the tables are, in every mode, a processor that walks the shadow finds what
 * it would find in the guest's tables after a flush. Tables are random entries
 * over few pages, so that they alias, form cycles and lead out of memory.
 */
#include "vtlb_machine.h"

#define L1_PAGES 1024u		/* GPA1 from 0; some are holes, some read-only */
#define TABLES VTLB_TABLES

static bool flip(struct scene *s)
{
	return pick(&s->m, 2);
}

static void random_ept01(struct scene *s)
{
	struct ept01 *e = &s->m.ept01;

	assert_true(ept01_map(e, GPA1(0), L1_PAGES * PAGE_SIZE, HPA(GPA1_SHIFT), EPT_RWX, MT_WB));
	for (u32 i = 0; i < 20; i++) {
		u64 page = TABLES + 1 + pick(&s->m, L1_PAGES - TABLES - 1);

		ept01_map(e, GPA1(page * PAGE_SIZE), PAGE_SIZE,
			  HPA(GPA1_SHIFT + pick(&s->m, L1_PAGES) * PAGE_SIZE),
			  flip(s) ? EPT_RWX : EPT_R | EPT_X, MT_WB);
	}
	ept01_unmap(e, GPA1(700 * PAGE_SIZE), 8 * PAGE_SIZE);
}

static u64 random_table(struct scene *s)
{
	return (1 + pick(&s->m, TABLES)) * PAGE_SIZE;
}

static u64 random_entry(struct scene *s, bool narrow)
{
	u64 e = chance(&s->m, 3) ? pick(&s->m, L1_PAGES + 8) * PAGE_SIZE : random_table(s);

	e |= pick(&s->m, 0x1000) & (PTE_W | PTE_U | PTE_A | PTE_D | BIT(3) | BIT(4));
	if (!chance(&s->m, 8))
		e |= PTE_P | PTE_W | PTE_U;
	if (chance(&s->m, 3)) {
		e |= PTE_PS;
		if (!chance(&s->m, 4))
			e &= ~((narrow ? BIT(22) : SZ_2M) - 1) | 0xfff;
	}
	if (chance(&s->m, 30))
		e |= narrow ? BIT(20) : BIT(45);
	if (!narrow && chance(&s->m, 4))
		e |= PTE_NX;
	return e;
}

static bool is_narrow(const struct scene *s)
{
	return !(s->p.cr4 & CR4_PAE);
}

static void change_entry(struct scene *s)
{
	u64 size = is_narrow(s) ? 4 : 8, entry = random_entry(s, size == 4);
	u64 at = random_table(s) + pick(&s->m, chance(&s->m, 2) ? 4 : PAGE_SIZE / size) * size;

	op_gpa1_write(&s->m.vm, GPA1(at), &entry, size);
}

static void load_pdptes(struct scene *s)
{
	for (u32 i = 0; i < 4; i++)
		s->p.pdpte[i] = flip(s) || flip(s) ? random_table(s) | PTE_P : 0;
}

static void random_registers(struct scene *s)
{
	u32 mode = (u32)pick(&s->m, 4);

	s->p = (struct mmu_paging){ .maxphyaddr = 40, .pg_1g = flip(s), .cr0 = CR0_PE };
	if (mode)
		s->p.cr0 |= CR0_PG | (flip(s) ? CR0_WP : 0);
	s->p.cr4 = (mode >= 2 ? CR4_PAE : 0) | (flip(s) ? CR4_PSE : 0) |
		   (flip(s) ? CR4_SMEP : 0);
	s->p.efer = (mode == 3 ? EFER_LME | EFER_LMA : 0) | (flip(s) ? EFER_NXE : 0);
	s->p.cr3 = random_table(s);
	load_pdptes(s);
}

static void start(struct scene *s, u64 seed, u32 pages)
{
	memset(s, 0, sizeof(*s));
	machine_init(&s->m, seed, HOME_PAGES01, HOME_PAGES02);
	random_ept01(s);
	assert_true(vtlb_init(&s->v, &s->m.vm, &s->m.ept01,
			      HPA(HOME + HOME_PAGES01 * PAGE_SIZE), pages));
	random_registers(s);
	for (u32 i = 0; i < TABLES * 100; i++)
		change_entry(s);
	s->root = vtlb_root(&s->v, &s->p);
}

static u64 random_gva(struct scene *s)
{
	static const u8 shift[] = { 12, 13, 21, 22, 30, 31, 39 };
	u64 gva = pick(&s->m, PAGE_SIZE);

	for (u32 i = 0; i < ARRAY_SIZE(shift); i++)
		gva += (chance(&s->m, 3) ? pick(&s->m, 3) : 0) << shift[i];
	if (!(s->p.cr0 & CR0_PG) && chance(&s->m, 2))
		return pick(&s->m, L1_PAGES * PAGE_SIZE);
	return s->p.efer & EFER_LMA ? gva : (u32)gva;
}

static u64 ends[3];

static void try_access(struct scene *s)
{
	static const u32 kinds[] = { 0, PF_W, PF_I, PF_U, PF_U | PF_W, PF_U | PF_I };
	u64 gva = random_gva(s);

	ends[vtlb_access(s, gva, kinds[pick(&s->m, ARRAY_SIZE(kinds))])]++;
}

static void run(u64 seed, u32 pages)
{
	struct scene s;

	start(&s, seed, pages);
	for (u32 round = 0; round < 300; round++) {
		switch (pick(&s.m, 8)) {
		case 0:
			s.p.cr3 = random_table(&s);
			load_pdptes(&s);
			break;
		case 1:
			if (chance(&s.m, 4))
				random_registers(&s);
			break;
		default:
			for (u64 n = pick(&s.m, 5); n; n--)
				change_entry(&s);
		}
		scene_flush(&s);
		for (u64 n = pick(&s.m, 60); n; n--)
			try_access(&s);
		check_links(&s);
	}
	machine_end(&s.m);
}

static void like_the_guests_tables(void **state)
{
	(void)state;
	memset(ends, 0, sizeof(ends));
	for (u64 seed = 1; seed <= 40; seed++)
		run(seed, HOME_PAGES02);
	assert_true(ends[ACCESS_DONE] > 50000 && ends[ACCESS_FAULT] > 5000 &&
		    ends[ACCESS_HOLE] > 100);
}

/* So few pages that tables go again and again. */
static void little_memory(void **state)
{
	(void)state;
	memset(ends, 0, sizeof(ends));
	for (u64 seed = 100; seed <= 115; seed++)
		run(seed, VTLB_MIN_PAGES);
	assert_true(ends[ACCESS_DONE] > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like_the_guests_tables),
		cmocka_unit_test(little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
