/*
 * The pool, and ept01 against a list of what was done to it, newest first.
 */
#include "mmu_machine.h"

static void pool_hands_out_each_page_once(void **state)
{
	struct machine m;
	hpa_t page[20], extra;
	struct mmu_chain chain = { 0 };
	u32 i, k;

	(void)state;
	machine_init(&m, 1, 21, 100);
	assert_int_equal(mmu_pool_available(&m.pool01), 19);
	for (i = 0; i < 19; i++) {
		assert_true(i % 2 ? mmu_pool_alloc(&m.pool01, &page[i])
				  : mmu_pool_chain_alloc(&m.pool01, &chain, &page[i]));
		memset(op_table(&m.vm, page[i]), 0xff, PAGE_SIZE);
		for (k = 0; k < i; k++)
			assert_true(page[i].v != page[k].v);
	}
	assert_false(mmu_pool_alloc(&m.pool01, &extra));
	mmu_pool_chain_free(&m.pool01, &chain);
	assert_int_equal(mmu_pool_available(&m.pool01), 10);
	mmu_pool_free(&m.pool01, page[1]);
	for (i = 0; i < 11; i++) {
		assert_true(mmu_pool_alloc(&m.pool01, &extra));
		for (k = 0; k < 512; k++)
			assert_int_equal(op_table(&m.vm, extra)[k], 0);
	}
	assert_false(mmu_pool_alloc(&m.pool01, &extra));
	machine_end(&m);
}

static void large_pages_where_alignment_allows(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, 1, 200, 100);
	assert_true(ept01_map(&m.ept01, GPA1(0), 4 * SZ_1G, HPA(0), EPT_RWX, MT_WB));
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(SZ_1G + 5)).shift, 30);
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(SZ_1G + 5)).hpa.v, SZ_1G + 5);
	assert_int_equal(mmu_pool_available(&m.pool01), 197);
	assert_false(m.ept01.stale);
	/* Offset by 2 MiB: no 1-GiB pages. */
	assert_true(ept01_map(&m.ept01, GPA1(8 * SZ_1G), SZ_1G, HPA(SZ_2M), EPT_RWX, MT_WB));
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(8 * SZ_1G)).shift, 21);
	assert_true(ept01_map(&m.ept01, GPA1(16 * SZ_1G), SZ_2M, HPA(PAGE_SIZE), EPT_RWX, MT_WB));
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(16 * SZ_1G)).shift, 12);
	assert_false(m.ept01.stale);
	/* Protecting one page splits, and changes nothing else. */
	assert_true(ept01_protect(&m.ept01, GPA1(SZ_1G + 7 * PAGE_SIZE), EPT_R | EPT_X));
	assert_true(m.ept01.stale);
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(SZ_1G + 7 * PAGE_SIZE)).perms, EPT_R | EPT_X);
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(SZ_1G + 8 * PAGE_SIZE)).perms, EPT_RWX);
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(2 * SZ_1G - 1)).hpa.v, 2 * SZ_1G - 1);
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(2 * SZ_1G - 1)).shift, 21);
	/* Giving rights back needs no INVEPT. */
	m.ept01.stale = false;
	assert_true(ept01_protect(&m.ept01, GPA1(SZ_1G + 7 * PAGE_SIZE), EPT_RWX));
	assert_false(m.ept01.stale);
	assert_false(ept01_lookup(&m.ept01, GPA1(1ull << 50)).present);
	/* All gone: every page but the root comes back. */
	assert_true(ept01_unmap(&m.ept01, GPA1(0), 1ull << 48));
	assert_true(m.ept01.stale);
	assert_int_equal(mmu_pool_available(&m.pool01), 198);
	machine_end(&m);
}

/* Four levels do not reach all of this processor's addresses. */
static void five_levels_where_they_are_needed(void **state)
{
	struct ept_caps caps = wide_caps;
	struct machine m;

	(void)state;
	machine_init_as(&m, 1, 200, 100, &wide_caps);
	assert_int_equal(m.ept01.eptp & 0xfff, 0x26);
	assert_true(ept01_map(&m.ept01, GPA1(BIT(48) - SZ_1G), 2 * SZ_1G, HPA(BIT(48) - SZ_1G),
			      EPT_RWX, MT_WB));
	assert_true(ept01_map(&m.ept01, GPA1(BIT(52) - SZ_2M), SZ_2M, HPA(SZ_2M), EPT_R, MT_UC));
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(BIT(48) + 5)).hpa.v, BIT(48) + 5);
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(BIT(48) - 5)).shift, 30);
	assert_int_equal(hw_walk(&m.vm, m.ept01.eptp, false, BIT(48) + 5).hpa, BIT(48) + 5);
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(BIT(52) - 1)).hpa.v, 2 * SZ_2M - 1);
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(BIT(50))).shift, 48);
	assert_false(ept01_lookup(&m.ept01, GPA1(BIT(50))).present);
	assert_false(ept01_lookup(&m.ept01, GPA1(BIT(57) + BIT(48))).present);
	assert_int_equal(mmu_pool_available(&m.pool01), 199 - 4 - 3 - 1);
	/* All gone, but for the tables of level 4: a root, and three below it. */
	assert_true(ept01_unmap(&m.ept01, GPA1(0), BIT(52)));
	assert_true(m.ept01.stale);
	assert_int_equal(mmu_pool_available(&m.pool01), 199 - 4);
	assert_false(ept01_lookup(&m.ept01, GPA1(BIT(48) - 5)).present);
	assert_true(ept01_map(&m.ept01, GPA1(0), SZ_1G, HPA(0), EPT_RWX, MT_WB));
	assert_true(hw_walk(&m.vm, m.ept01.eptp, false, 0).present);
	machine_end(&m);
	/* Addresses that four levels reach; and a processor that has no more. */
	caps.maxphyaddr = 48;
	machine_init_as(&m, 1, 200, 100, &caps);
	assert_int_equal(m.ept01.eptp & 0xfff, 0x1e);
	machine_end(&m);
	caps = (struct ept_caps){ .maxphyaddr = 52 };
	machine_init_as(&m, 1, 200, 100, &caps);
	assert_int_equal(m.ept01.eptp & 0xfff, 0x1e);
	assert_true(ept01_map(&m.ept01, GPA1(BIT(48)), SZ_2M, HPA(0), EPT_RWX, MT_WB));
	assert_false(ept01_lookup(&m.ept01, GPA1(BIT(48))).present);
	machine_end(&m);
}

enum op { OP_MAP, OP_UNMAP, OP_TYPE, OP_PROTECT, OP_KINDS };

struct step {
	enum op op;
	u64 start, len, hpa;
	u32 perms;
	u8 type;
};

#define STEPS 120
#define SPAN (6 * SZ_1G)
/* Of the addresses tried: in the middle, four levels end. */
#define WIDE_BASE (BIT(48) - 3 * SZ_1G)

static u64 span_base(const struct machine *m)
{
	return m->ept01.caps.walk5 ? WIDE_BASE : 0;
}

static struct ept01_mapping expected(const struct step *s, int count, u64 gpa)
{
	struct ept01_mapping m = { 0 };
	int i;

	for (i = 0; i < count; i++) {
		if (gpa - s[i].start >= s[i].len)
			continue;
		if (s[i].op == OP_MAP || (s[i].op == OP_PROTECT && m.present))
			m.perms = (u8)s[i].perms;
		if (s[i].op == OP_MAP)
			m.hpa = HPA(s[i].hpa + gpa - s[i].start);
		if (s[i].op == OP_MAP || s[i].op == OP_TYPE)
			m.memtype = s[i].type;
		m.present = s[i].op == OP_MAP || (s[i].op != OP_UNMAP && m.present);
	}
	return m;
}

static struct step random_step(struct machine *m)
{
	static const u32 perms[] = { EPT_RWX, EPT_R | EPT_X, EPT_R, EPT_R | EPT_W, EPT_X };
	static const u8 types[] = { MT_UC, MT_WC, MT_WT, MT_WP, MT_WB };
	static const u64 units[] = { PAGE_SIZE, SZ_2M, SZ_1G };
	u64 unit = units[pick(m, 3)], unit2 = units[pick(m, 3)];
	struct step s = {
		.op = (enum op)pick(m, OP_KINDS),
		.perms = perms[pick(m, 5)],
		.type = types[pick(m, 5)],
		.start = span_base(m) + ALIGN_DOWN(pick(m, SPAN), unit),
	};

	s.len = s.op == OP_PROTECT ? PAGE_SIZE : (pick(m, 4) + 1) * unit2;
	if (s.op == OP_PROTECT)
		s.start = ALIGN_DOWN(s.start, PAGE_SIZE);
	s.hpa = chance(m, 2) ? s.start : ALIGN_DOWN(pick(m, 1ull << 38), units[pick(m, 3)]);
	return s;
}

static void apply(struct machine *m, const struct step *s)
{
	struct ept01 *e = &m->ept01;
	bool ok;

	switch (s->op) {
	case OP_MAP:
		ok = ept01_map(e, GPA1(s->start), s->len, HPA(s->hpa), s->perms, s->type);
		break;
	case OP_UNMAP:
		ok = ept01_unmap(e, GPA1(s->start), s->len);
		break;
	case OP_TYPE:
		ok = ept01_set_memtype(e, GPA1(s->start), s->len, s->type);
		break;
	default:
		ok = ept01_protect(e, GPA1(s->start), s->perms);
	}
	assert_true(ok);
}

static u64 interesting(struct machine *m, const struct step *s, int count)
{
	const struct step *one = &s[pick(m, (u64)count)];

	switch (pick(m, 5)) {
	case 0:
		return one->start;
	case 1:
		return one->start + one->len;
	case 2:
		return one->start ? one->start - 1 : 0;
	case 3:
		return one->start + pick(m, one->len);
	default:
		return span_base(m) + pick(m, SPAN);
	}
}

static bool took_away(const struct ept01_mapping *old, const struct ept01_mapping *new)
{
	if (!old->present)
		return false;
	return !new->present || (old->perms & ~new->perms) || old->hpa.v != new->hpa.v ||
	       old->memtype != new->memtype;
}

static void same(struct machine *m, u64 gpa, const struct ept01_mapping *want)
{
	struct ept01_mapping got = ept01_lookup(&m->ept01, GPA1(gpa));
	struct hw_walk hw = hw_walk(&m->vm, m->ept01.eptp, false, gpa);

	assert_int_equal(got.present, want->present);
	assert_int_equal(hw.present, want->present);
	assert_int_equal(got.shift, hw.shift);
	if (!want->present)
		return;
	assert_int_equal(got.hpa.v, want->hpa.v);
	assert_int_equal(got.perms, want->perms);
	assert_int_equal(got.memtype, want->memtype);
	assert_int_equal(hw.hpa, want->hpa.v);
	assert_int_equal(hw.rights, want->perms);
}

static void random_history(void **state)
{
	struct step s[STEPS];
	struct machine m;
	int seed, i, k;

	(void)state;
	for (seed = 0; seed < 40; seed++) {
		bool wide = seed % 2;

		machine_init_as(&m, (uint64_t)seed, HOME_PAGES01, 100,
				wide ? &wide_caps : &full_caps);
		for (i = 0; i < STEPS; i++) {
			u64 at[8];
			struct ept01_mapping before[8];

			s[i] = random_step(&m);
			for (k = 0; k < 8; k++) {
				at[k] = interesting(&m, s, i + 1);
				before[k] = expected(s, i, at[k]);
			}
			m.ept01.stale = false;
			apply(&m, &s[i]);
			for (k = 0; k < 8; k++) {
				struct ept01_mapping now = expected(s, i + 1, at[k]);

				same(&m, at[k], &now);
				if (took_away(&before[k], &now))
					assert_true(m.ept01.stale);
			}
		}
		for (k = 0; k < 500; k++) {
			u64 gpa = interesting(&m, s, STEPS);
			struct ept01_mapping want = expected(s, STEPS, gpa);

			same(&m, gpa, &want);
		}
		assert_true(ept01_unmap(&m.ept01, GPA1(0), BIT(52)));
		assert_int_equal(mmu_pool_available(&m.pool01), HOME_PAGES01 - 16 - (wide ? 3 : 1));
		machine_end(&m);
	}
}

static void out_of_pages_is_said(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, 1, 4, 100);	/* bookkeeping, root, two more */
	assert_true(ept01_map(&m.ept01, GPA1(0), SZ_1G, HPA(0), EPT_RWX, MT_WB));
	assert_false(ept01_protect(&m.ept01, GPA1(0), EPT_R));
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(0)).perms, EPT_RWX);
	assert_int_equal(ept01_lookup(&m.ept01, GPA1(SZ_1G - 1)).hpa.v, SZ_1G - 1);
	machine_end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_hands_out_each_page_once),
		cmocka_unit_test(large_pages_where_alignment_allows),
		cmocka_unit_test(five_levels_where_they_are_needed),
		cmocka_unit_test(random_history),
		cmocka_unit_test(out_of_pages_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
