/*
 * Reads that find their page without a walk find what a walk would find, and
 * nothing where it would fault, whatever changed since: entries, registers,
 * where L1's memory is.
 */
#include "mmu_machine.h"

#include "mmu/guest_memo.h"

#define TABLES 0x10000u
#define TABLE_COUNT 6u		/* of all levels: each may be each */
#define DATA 0x40000u
#define DATA_COUNT 4u
#define STEPS 300000

struct scene {
	struct machine m;
	struct mmu_paging p;
	struct mmu_memo memo[MMU_MEMOS];
	unsigned found, walked, faults;
};

/* So few places in the tables that most changes matter to most reads. */
static u64 some_gva(struct machine *m)
{
	static const u64 top[] = { 0, 0xffff800000000000 };

	return top[pick(m, 2)] + pick(m, 2) * SZ_1G + pick(m, 2) * SZ_2M + pick(m, 2) * PAGE_SIZE +
	       pick(m, 8) * 0x1f8;
}

static void write_entry(struct scene *s)
{
	struct machine *m = &s->m;
	u64 shift = 12 + 9 * pick(m, 4), index = some_gva(m) >> shift & 511;
	u64 entry = chance(m, 3) ? DATA + pick(m, DATA_COUNT) * PAGE_SIZE :
				   TABLES + pick(m, TABLE_COUNT) * PAGE_SIZE;

	entry |= 3;
	if (chance(m, 3))
		entry |= BIT(2);
	if (chance(m, 4))
		entry |= BIT(5);
	if (chance(m, 8))
		entry |= pick(m, 4) << 59;
	if (chance(m, 8))
		entry ^= 1ull << pick(m, 64);
	op_gpa1_write(&m->vm, GPA1(TABLES + pick(m, TABLE_COUNT) * PAGE_SIZE + index * 8), &entry,
		      8);
}

static void change_registers(struct scene *s)
{
	struct machine *m = &s->m;

	switch (pick(m, 7)) {
	case 0:
		s->p.cr4 ^= CR4_SMAP;
		break;
	case 3:
		s->p.cr4 ^= chance(m, 4) ? CR4_PKE : chance(m, 4) ? CR4_PKS : 0;
		break;
	case 4:
		s->p.pkru = (u32)pick(m, 256);
		break;
	case 5:
		s->p.pkrs = (u32)pick(m, 256);
		break;
	case 1:
		s->p.cr4 = chance(m, 8) ? s->p.cr4 | CR4_LA57 : (s->p.cr4 ^ CR4_PGE) & ~CR4_LA57;
		break;
	case 2:
		s->p.efer ^= EFER_NXE;
		break;
	default:
		s->p.rflags ^= RFLAGS_AC;
	}
	s->p.cr3 = TABLES + pick(m, 2) * PAGE_SIZE;
}

/* A page of data, or of the tables, goes away, comes back, or is elsewhere. */
static void change_memory(struct scene *s)
{
	struct machine *m = &s->m;
	u64 page = chance(m, 2) ? DATA + pick(m, DATA_COUNT) * PAGE_SIZE :
				  TABLES + pick(m, TABLE_COUNT) * PAGE_SIZE;

	assert_true(ept01_map(&m->ept01, GPA1(page), PAGE_SIZE,
			      HPA(page + pick(m, 2) * SZ_2M), chance(m, 8) ? 0 : EPT_RWX, MT_WB));
}

/* Every entry on the way to gva has its accessed flag. */
static void check_flags(struct scene *s, u64 gva)
{
	int level = s->p.cr4 & CR4_LA57 ? 5 : 4;
	u64 table = s->p.cr3, entry = 0;

	for (; level; level--) {
		u64 at = (table & 0xffffffffff000) + (gva >> (3 + 9 * level) & 511) * 8;

		if (!op_gpa1_read(&s->m.vm, GPA1(at), &entry, 8))
			return;
		assert_true(entry & BIT(5));
		if (level < 4 && (entry & 0x80))
			return;
		table = entry;
	}
}

static const u8 *find(struct scene *s, const struct mmu_memo *memo, u64 gva, size_t len)
{
	if (memo->xd && !(s->p.efer & EFER_NXE))
		return NULL;
	return mmu_memo_find(&s->m.vm, memo, s->p.cr3, s->p.cr4, gva, len);
}

static void read_once(struct scene *s)
{
	struct machine *m = &s->m;
	u64 gva = some_gva(m), got, want;
	struct mmu_memo *memo = &s->memo[gva / PAGE_SIZE % MMU_MEMOS];
	struct mmu_translation t;
	struct mmu_fault f, f2;
	bool good = mmu_walk(&m->vm, &s->p, GVA(gva), MMU_READ, 0, false, &t, &f);
	const u8 *found = find(s, memo, gva, 8);
	gpa1_t gpa;

	if (found) {
		assert_true(good);
		assert_true(op_gpa1_read(&m->vm, t.gpa, &want, 8));
		memcpy(&got, found, 8);
		assert_int_equal(got, want);
		check_flags(s, gva);
		s->found++;
		return;
	}
	assert_int_equal(mmu_memo_walk(&m->vm, &s->p, GVA(gva), memo, &gpa, &f2), good);
	if (!good) {
		assert_int_equal(f.error_code, f2.error_code);
		assert_int_equal(f.cr2, f2.cr2);
		s->faults++;
		return;
	}
	assert_int_equal(gpa.v, t.gpa.v);
	check_flags(s, gva);
	s->walked++;
}

static void memos_are_walks(void **state)
{
	static struct scene s;
	struct machine *m = &s.m;
	u64 at;

	(void)state;
	machine_init(m, 11, HOME_PAGES01, 100);
	assert_true(ept01_map(&m->ept01, GPA1(0), SZ_2M, HPA(0), EPT_RWX, MT_WB));
	for (at = 0; at < 2 * SZ_2M; at += 8)
		memcpy(m->vm.memory.ram + at, &at, at >= TABLES && at < TABLES + 0x8000 ? 0 : 8);
	s.p = (struct mmu_paging){
		.cr0 = CR0_PE | CR0_PG | CR0_WP, .cr3 = TABLES, .cr4 = CR4_PAE,
		.efer = EFER_LMA | EFER_LME | EFER_NXE, .maxphyaddr = 40, .pg_1g = true,
	};
	for (unsigned i = 0; i < STEPS; i++) {
		u64 what = pick(m, 64);

		if (what < 4)
			write_entry(&s);
		else if (what == 4)
			change_registers(&s);
		else if (what == 5 && chance(m, 4))
			change_memory(&s);
		else
			read_once(&s);
	}
	assert_true(s.found > 5000 && s.walked > 5000 && s.faults > 10000);
	machine_end(m);
}

/* Another page, the end of the page, another walk: nothing is found. */
static void what_is_not_found(void **state)
{
	static struct scene s;
	struct machine *m = &s.m;
	u64 gva = 0x5000, entry;
	struct mmu_fault f;
	gpa1_t gpa;

	(void)state;
	machine_init(m, 11, HOME_PAGES01, 100);
	assert_true(ept01_map(&m->ept01, GPA1(0), SZ_2M, HPA(0), EPT_RWX, MT_WB));
	s.p = (struct mmu_paging){ .cr0 = CR0_PE | CR0_PG, .cr3 = TABLES, .cr4 = CR4_PAE,
				   .efer = EFER_LMA | EFER_LME, .maxphyaddr = 40 };
	for (u64 i = 0; i < 4; i++) {
		entry = (i < 3 ? TABLES + (i + 1) * PAGE_SIZE : DATA) | 3;
		op_gpa1_write(&m->vm, GPA1(TABLES + i * PAGE_SIZE + (i == 3 ? 5 * 8 : 0)), &entry,
			      8);
	}
#define FIND(cr3, cr4, gva, len) mmu_memo_find(&m->vm, &s.memo[0], cr3, cr4, gva, len)
	assert_null(FIND(s.p.cr3, s.p.cr4, gva, 8));
	assert_true(mmu_memo_walk(&m->vm, &s.p, GVA(gva), &s.memo[0], &gpa, &f));
	assert_ptr_equal(FIND(s.p.cr3, s.p.cr4, gva, 8), m->vm.memory.ram + DATA);
	assert_non_null(FIND(s.p.cr3, s.p.cr4, gva + 0xff0, 16));
	assert_null(FIND(s.p.cr3, s.p.cr4, gva + 0xff1, 16));
	assert_null(FIND(s.p.cr3, s.p.cr4, gva + PAGE_SIZE, 8));
	assert_null(FIND(s.p.cr3, s.p.cr4, gva | 1ull << 63, 8));
	assert_null(FIND(s.p.cr3 + PAGE_SIZE, s.p.cr4, gva, 8));
	assert_null(FIND(s.p.cr3, s.p.cr4 | CR4_SMAP, gva, 8));
	assert_false(s.memo[0].xd);
	entry = DATA | 0x23;
	op_gpa1_write(&m->vm, GPA1(TABLES + 3 * PAGE_SIZE + 5 * 8), &entry, 8);
	assert_non_null(FIND(s.p.cr3, s.p.cr4, gva, 8));
	entry = DATA | 0x23 | BIT(63);
	op_gpa1_write(&m->vm, GPA1(TABLES + 3 * PAGE_SIZE + 5 * 8), &entry, 8);
	assert_null(FIND(s.p.cr3, s.p.cr4, gva, 8));
	s.p.efer |= EFER_NXE;
	assert_true(mmu_memo_walk(&m->vm, &s.p, GVA(gva), &s.memo[0], &gpa, &f));
	assert_true(s.memo[0].xd);
	entry = DATA | 3;	/* less its accessed flag */
	op_gpa1_write(&m->vm, GPA1(TABLES + 3 * PAGE_SIZE + 5 * 8), &entry, 8);
	assert_null(FIND(s.p.cr3, s.p.cr4, gva, 8));
	machine_end(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memos_are_walks),
		cmocka_unit_test(what_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
