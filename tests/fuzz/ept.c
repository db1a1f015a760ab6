/*
 * EPTs of L1 made of an input, changed with and without INVEPT, faults of L2 on
 * them, memory that L0 takes away or moves: ept02 is always what the simple model
 * of tests/unit/ept12_builder.h says, or was when L1 last told; L1's tables get
 * the flags that the SDM wants, and keep what else they hold.
 */
#include "fuzz.h"

#include "ept12_builder.h"

#define PAGES 12u		/* of L1's tables, from TABLES on; the first is the root */
#define POOL_PAGES 12u		/* for ept02: few, so that roots are recycled */
#define STEPS_MAX 300

struct scene {
	struct machine *m;
	struct l1 l;
	struct fuzz_input *in;
	u64 role;		/* of the moment; its address is always the same */
	bool told;		/* L1 executed INVEPT after its last change */
	u64 written[STEPS_MAX];	/* addresses of entries; all others are 0 */
	u32 count;
};

/* L1's entries for an address, from the top to where a walk ends. */
struct path {
	u64 at[5], entry[5];
	unsigned count;
};

static const u64 gpas[] = {
	0, 0x1000, 0x1ff000, SZ_2M, 7 * SZ_2M + 0x5000, SZ_1G, SZ_1G + 0x3456, 3 * SZ_1G + SZ_2M,
	BIT(39), BIT(39) + SZ_1G, BIT(48) - PAGE_SIZE, BIT(48), BIT(48) + SZ_1G,
	BIT(52) - PAGE_SIZE,
};

/* Some that four levels do not reach, where the processor has such addresses. */
static u64 read_gpa(struct scene *s)
{
	u8 which = fuzz_u8(s->in);
	u64 gpa = which < 0xc0 ? gpas[which % ARRAY_SIZE(gpas)] : fuzz_value(s->in);

	return gpa & (l1_wide(&s->l) ? BIT(52) - 1 : BIT(48) - 1);
}

/* Where L1's data is: as high as the machine goes. */
static u64 data_base(const struct scene *s)
{
	return DATA + (l1_wide(&s->l) ? HIGH : 0);
}

/* A page for an entry: a table, data mapped by ept01 in some way, or anything. */
static u64 read_page(struct scene *s)
{
	u8 how = fuzz_u8(s->in);

	if (how < 0x80)
		return TABLES + how % PAGES * PAGE_SIZE;
	if (how < 0xc0)
		return data_base(s) + (how & 7) * SZ_1G + (how >> 3 & 7) * SZ_2M;
	return fuzz_value(s->in);
}

static void write_entry(struct scene *s)
{
	u8 where = fuzz_u8(s->in);
	u64 gpa = read_gpa(s), page = read_page(s), bits = fuzz_bytes(s->in, 2);
	u32 index = ept_index(gpa, 1 + (where >> 4) % 5);
	u64 at = TABLES + where % PAGES * PAGE_SIZE + 8 * (u64)index;
	u64 entry = page | bits | (bits & BIT(11)) << 52;	/* ignored, and "suppress #VE" */

	l1_write(&s->l, at, entry);
	s->written[s->count++] = at;
	s->told = false;
}

/* What a processor holds for this address is at worst what L1 has not yet taken back. */
static void check_safe(const struct hw_walk *hw)
{
	assert_false(hw->hpa >= HOME && hw->hpa < HOME + (HOME_PAGES01 + HOME_PAGES02) * PAGE_SIZE);
	assert_false((hw->rights & EPT_W) && !(hw->rights & EPT_R));
}

static void check_mapping(struct scene *s, u64 gpa, const struct hw_walk *hw)
{
	struct l1_meaning means = l1_means(&s->l, s->role & ~EPT02_ROLE_MBEC, gpa);
	struct ept01_mapping map;
	u64 rights01;

	check_safe(hw);
	if (!s->told)
		return;
	assert_int_equal(means.what, MEANS_PAGE);
	map = ept01_lookup(&s->m->ept01, GPA1(means.gpa1));
	assert_true(map.present);
	rights01 = map.perms | (map.perms & EPT_X ? EPT_XU : 0ull);
	assert_int_equal(hw->hpa, map.hpa.v);
	assert_false(hw->rights & ~(means.rights & rights01));
	assert_int_equal(hw->leaf & (EPT_MT | EPT_IPAT), means.leaf & (EPT_MT | EPT_IPAT));
	if (s->l.ad) {
		assert_true(means.a_and);
		if (!(means.leaf & EPT_D))
			assert_false(hw->rights & EPT_W);
	}
}

static struct path path_of(struct scene *s, u64 gpa)
{
	u64 table = s->role & EPT_ADDR, rights = s->l.mbec ? 0x407 : 7;
	struct path p = { .count = 0 };

	int level = s->l.five ? 5 : 4;

	if (gpa >= (s->l.five ? BIT(57) : BIT(48)))
		return p;
	for (; level > 0; level--) {
		u64 at = table + (gpa >> (3 + 9 * level) & 511) * 8, e = l1_read(&s->l, at);

		p.at[p.count] = at;
		p.entry[p.count++] = e;
		if (!(e & rights) || l1_nonsense(&s->l, e, level) || (level < 4 && (e & 0x80)))
			break;
		table = e & EPT_ADDR;
	}
	return p;
}

/* The flags that an entry on the way to the page has after the access, by the SDM. */
static u64 flags_for(const struct path *p, unsigned i, bool write)
{
	return i == p->count - 1 && write ? EPT_A | EPT_D : EPT_A;
}

static bool lacks_flags(const struct path *p, bool write)
{
	for (unsigned i = 0; i < p->count; i++) {
		if (flags_for(p, i, write) & ~p->entry[i])
			return true;
	}
	return false;
}

/* Accessed and dirty flags as the access sets them, and nothing else of L1's tables changed. */
static void check_flags(struct scene *s, const u64 *before, const struct path *p, bool set,
			bool write)
{
	for (u32 i = 0; i < s->count; i++) {
		u64 flags = 0;

		for (unsigned k = 0; set && k < p->count; k++) {
			if (p->at[k] == s->written[i])
				flags |= flags_for(p, k, write);
		}
		assert_int_equal(l1_read(&s->l, s->written[i]), before[i] | flags);
	}
}

/* What L1 must have been told of an access that its tables do not allow. */
static void check_reflected(struct scene *s, u64 need, u64 q, const struct l1_meaning *means,
			    const struct path *p, const struct ept02_fault *out)
{
	u64 rights = means->what == MEANS_PAGE ? means->rights : 0;
	u64 exec = rights & (EPT_X | EPT_XU);
	bool fetch = s->l.mbec && (need & EPTQ_FETCH);
	bool told = s->m->set.caps_hw.adv_exit_info && (q & EPTQ_GLA_VALID) && (q & EPTQ_GLA_FINAL);

	assert_int_not_equal(means->what, MEANS_NONSENSE);
	if (means->what == MEANS_PAGE && !fetch)
		assert_true(need & ~rights);
	else if (means->what == MEANS_PAGE && told)
		assert_true((need & ~EPTQ_FETCH & ~rights) ||
			    !(exec & (q & EPTQ_GLA_USER ? EPT_XU : EPT_X)));
	else if (means->what == MEANS_PAGE)
		assert_true((need & ~EPTQ_FETCH & ~rights) || exec != (EPT_X | EPT_XU));
	assert_int_equal(out->qualification >> EPTQ_RIGHTS_SHIFT & EPT_RWX, rights & EPT_RWX);
	assert_int_equal(out->convertible, p->count && !(p->entry[p->count - 1] >> 63));
}

/* The verdict on an access that ept02 does not allow, by the model. */
static void check_verdict(struct scene *s, u64 need, u64 q, enum ept02_verdict verdict,
			  const struct l1_meaning *means, const struct path *p,
			  const struct ept02_fault *out)
{
	switch (verdict) {
	case EPT02_REFLECT_MISCONFIG:
		assert_int_equal(means->what, MEANS_NONSENSE);
		break;
	case EPT02_REFLECT_VIOLATION:
		check_reflected(s, need, q, means, p, out);
		break;
	case EPT02_L0:
		assert_int_equal(means->what, MEANS_PAGE);
		assert_int_equal(out->gpa1.v, means->gpa1);
		break;
	case EPT02_FILLED:
		assert_int_equal(means->what, MEANS_PAGE);
		break;
	case EPT02_LOG_FULL:
		assert_int_equal(means->what, MEANS_PAGE);
		assert_true(s->l.ad && lacks_flags(p, need & EPTQ_WRITE));
		break;
	}
}

/* The engine's part of an access that ept02 does not allow. */
static void handle(struct scene *s, struct ept02 *root, u64 gpa, u64 need, u64 q)
{
	struct l1_meaning means = l1_means(&s->l, s->role & ~EPT02_ROLE_MBEC, gpa);
	bool write = need & EPTQ_WRITE, full = !fuzz_below(s->in, 8), filled;
	bool fetch = s->l.mbec && (need & EPTQ_FETCH);
	struct path path = path_of(s, gpa);
	u64 before[STEPS_MAX];
	struct ept02_fault out;
	enum ept02_verdict verdict;
	struct hw_walk hw;

	for (u32 i = 0; i < s->count; i++)
		before[i] = l1_read(&s->l, s->written[i]);
	verdict = ept02_fault_logged(&s->m->set, root, GPA2(gpa), q, full, &out);
	filled = verdict == EPT02_FILLED;
	check_verdict(s, need, q, verdict, &means, &path, &out);
	check_flags(s, before, &path, filled && s->l.ad, write);
	assert_int_equal(out.dirtied, filled && s->l.ad && write && !(means.leaf & EPT_D));
	if (!filled)
		return;
	assert_false(full && s->l.ad && lacks_flags(&path, write));
	hw = hw_walk(&s->m->vm, root->eptp, s->l.mbec, gpa);
	assert_true(hw.present && !(need & ~(fetch ? EPTQ_FETCH : 0) & ~hw.rights));
	check_mapping(s, gpa, &hw);
}

/* One access by L2: through ept02 if that has it, else through the engine. */
static void access(struct scene *s)
{
	u64 gpa = read_gpa(s), q = fuzz_bytes(s->in, 2) & 0x1387, need;
	struct ept02 *root;
	struct hw_walk hw;

	q |= 1ull << fuzz_below(s->in, 3);
	if (!(q & EPTQ_GLA_VALID))
		q &= ~EPTQ_GLA_FINAL;
	ept02_root(&s->m->set, s->role, &root);
	hw = hw_walk(&s->m->vm, root->eptp, s->l.mbec, gpa);
	if (hw.present)
		check_mapping(s, gpa, &hw);
	q |= (hw.rights & EPT_RWX) << EPTQ_RIGHTS_SHIFT | (hw.rights & EPT_XU ? EPTQ_MAY_XU : 0);
	need = q & EPTQ_ACCESS;
	if (s->l.ad && (q & EPTQ_GLA_VALID) && !(q & EPTQ_GLA_FINAL))
		need |= EPTQ_READ | EPTQ_WRITE;
	if (!hw.present || (need & ~hw.rights))
		handle(s, root, gpa, need, q);
}

/* The same EPT with other flags, rights or levels: a role of its own, but INVEPT is for all. */
static void choose_role(struct scene *s, bool ad, bool mbec, bool five)
{
	s->l.ad = ad;
	s->l.mbec = mbec;
	s->l.five = five;
	s->role = TABLES | (five ? EPTP_WALK_5 : EPTP_WALK_4) | MT_WB | (ad ? EPTP_AD : 0) |
		  (mbec ? EPT02_ROLE_MBEC : 0);
}

static void access_as_sibling(struct scene *s)
{
	bool ad = s->l.ad, mbec = s->l.mbec, five = s->l.five;
	u8 how = fuzz_u8(s->in);

	choose_role(s, ad ^ (how & 1), mbec ^ (how >> 1 & 1), five ^ (how >> 2 & 1));
	access(s);
	choose_role(s, ad, mbec, five);
}

static void invept(struct scene *s)
{
	u8 how = fuzz_u8(s->in);

	if (how % 4 == 3) {	/* of another EPT: nothing to this one */
		ept02_invalidate(&s->m->set, TABLES + PAGE_SIZE * (1 + how / 4 % (PAGES - 1)));
		return;
	}
	if (how & 1)
		ept02_invalidate_all(&s->m->set);
	else
		ept02_invalidate(&s->m->set, s->role);
	s->told = true;
}

/* What L1 has as memory lies elsewhere in the machine from now on, in pages of some size. */
static void move_memory(struct scene *s)
{
	u64 size = fuzz_flip(s->in) ? SZ_2M : PAGE_SIZE, to = (12 + fuzz_below(s->in, 4)) * SZ_1G;
	u64 at = data_base(s) + fuzz_below(s->in, 5) * SZ_1G + fuzz_below(s->in, 4) * SZ_2M;

	assert_true(ept01_map(&s->m->ept01, GPA1(at), size, HPA(to), EPT_RWX, MT_WB));
	ept02_unmap_gpa1(&s->m->set, GPA1(at), size);
}

/* L0 write-protects a page of L1, or takes it away. */
static void take_away(struct scene *s)
{
	static const u32 rights[] = { 0, EPT_R, EPT_R | EPT_X, EPT_RWX };
	u64 page = data_base(s) + fuzz_below(s->in, 5) * SZ_1G +
		   fuzz_below(s->in, 4) * (SZ_2M + PAGE_SIZE);

	assert_true(ept01_protect(&s->m->ept01, GPA1(page), rights[fuzz_below(s->in, 4)]));
	ept02_unmap_gpa1(&s->m->set, GPA1(page), PAGE_SIZE);
}

/* Another EPT of L1's: its role recycles the pages of this one. */
static void other_root(struct scene *s)
{
	struct ept02_fault out;
	struct ept02 *root;
	u64 role = (TABLES + fuzz_below(s->in, PAGES) * PAGE_SIZE) | MT_WB |
		   (s->l.five ? EPTP_WALK_5 : EPTP_WALK_4);

	if ((role ^ s->role) & EPT_ADDR) {
		ept02_root(&s->m->set, role, &root);
		ept02_fault(&s->m->set, root, GPA2(read_gpa(s)), EPTQ_READ, &out);
	}
}

/* L1's memory: its tables one to one, data in pages of all sizes, some with less rights. */
static void map_memory(struct machine *m, u64 data)
{
	static const u32 rights[] = { EPT_RWX, EPT_RWX, EPT_R | EPT_X, EPT_R };
	struct ept01 *e = &m->ept01;

	assert_true(ept01_map(e, GPA1(0), TABLES_END, HPA(0), EPT_RWX, MT_WB));
	for (unsigned i = 0; i < 4; i++)
		assert_true(ept01_map(e, GPA1(data + i * SZ_1G), SZ_1G, HPA((4 + i) * SZ_1G),
				      rights[i], MT_WB));
	assert_true(ept01_map(e, GPA1(data + 4 * SZ_1G), 2 * SZ_2M, HPA(SZ_1G), EPT_RWX, MT_WB));
}

/* A machine, and what it was like after its start. */
struct kept {
	struct machine live, start;
	u8 *tables01;
};

/* As it was then; only what may have been written since is put back. */
static struct machine *machine_again(bool wide)
{
	static struct kept both[2];
	struct kept *k = &both[wide];
	size_t len = k->start.pool01.fresh * PAGE_SIZE;

	if (!k->tables01) {
		machine_init_as(&k->live, 1, HOME_PAGES01, POOL_PAGES,
				wide ? &wide_caps : &full_caps);
		map_memory(&k->live, wide ? HIGH + DATA : DATA);
		k->start = k->live;
		len = k->start.pool01.fresh * PAGE_SIZE;
		k->tables01 = malloc(len);
		assert_non_null(k->tables01);
		memcpy(k->tables01, k->live.vm.memory.ram + HOME, len);
		return &k->live;
	}
	memcpy(k->live.vm.memory.ram + HOME, k->tables01, len);
	memset(k->live.vm.memory.ram + TABLES, 0, PAGES * PAGE_SIZE);
	k->live = k->start;
	return &k->live;
}

static void choose_machine(struct scene *s, u8 how)
{
	struct ept02_set *set = &s->m->set;

	s->l.m = s->m;
	set->caps12.exec_only = !(how & 4);
	set->caps12.pg_1g = !(how & 8);
	set->caps12.adv_exit_info = how & 16;
	set->caps_hw.adv_exit_info = how & 32;
	choose_role(s, how & 1, how & 2, how & 64);
}

static void step(struct scene *s)
{
	switch (fuzz_below(s->in, 16)) {
	case 0:
		invept(s);
		break;
	case 1:
		take_away(s);
		break;
	case 2:
		other_root(s);
		break;
	case 3:
		write_entry(s);
		invept(s);
		break;
	case 4:
		move_memory(s);
		break;
	case 5:
		access_as_sibling(s);
		break;
	case 6: case 7: case 8:
		write_entry(s);
		break;
	default:
		access(s);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_input in = { data, size };
	u8 how = fuzz_u8(&in);
	struct scene s = { .m = machine_again(how & 128), .in = &in, .told = true };

	choose_machine(&s, how);
	for (unsigned i = 0; i < STEPS_MAX && in.left; i++)
		step(&s);
	return 0;
}
