/*
 * Guest page walks: tables are made from a description of each level, and the
 * outcome is told from the description, never from the tables.
 */
#include "mmu_machine.h"
#include "mmu/guest_walk.h"

enum fault_kind { NO_FAULT, NOT_PRESENT, RESERVED };

struct level {
	u64 at;			/* GPA1 of the entry */
	u64 entry;
	bool w, u, nx, a;
};

struct scene {
	struct mmu_paging p;
	u64 gva;
	enum mmu_access access;
	u32 flags;
	bool pae, lng;
	int top, leaf;		/* levels */
	struct level level[6];	/* by level */
	u64 page;		/* where the leaf's page is */
	enum fault_kind kind;	/* the first thing wrong from the top */
	u32 pkey;
	bool d;
};

static int shift_of(const struct scene *s, int level)
{
	return 12 + (s->pae ? 9 : 10) * (level - 1);
}

static bool flip(struct machine *m)
{
	return pick(m, 2);
}

static void random_registers(struct machine *m, struct scene *s)
{
	int mode = (int)pick(m, 4);

	s->lng = mode >= 2;
	s->pae = mode >= 1;
	s->top = mode == 3 ? 5 : mode == 2 ? 4 : 2;
	s->p.cr0 = CR0_PE | CR0_PG | (flip(m) ? CR0_WP : 0);
	s->p.cr4 = (s->pae ? CR4_PAE : 0) | (mode == 3 ? CR4_LA57 : 0) |
		   (flip(m) ? CR4_SMEP : 0) | (flip(m) ? CR4_SMAP : 0) |
		   (flip(m) ? CR4_PKE : 0) | (chance(m, 4) ? CR4_PKS : 0) |
		   (flip(m) || s->pae ? CR4_PSE : 0);
	s->p.efer = (s->lng ? EFER_LME | EFER_LMA : 0) | (flip(m) ? EFER_NXE : 0);
	s->p.rflags = flip(m) ? RFLAGS_AC : 0;
	s->p.pkru = (u32)unit_random(&m->random);
	s->p.pkrs = (u32)unit_random(&m->random);
	s->p.maxphyaddr = (u8)(36 + pick(m, 10));
	s->p.cpl = flip(m) ? 3 : 0;
	s->p.pg_1g = flip(m);
	s->access = (enum mmu_access)pick(m, 3);
	s->flags = chance(m, 4) ? MMU_IMPLICIT : 0;
	s->gva = unit_random(&m->random);
	if (!s->lng)
		s->gva &= 0xffffffff;
}

/* A bit that must be 0 in this entry; 0: there is none. */
static u64 reserved_bit(struct machine *m, const struct scene *s, int level, bool large)
{
	u64 some[4];
	int n = 0;

	if (!s->pae) {
		int bits = s->p.maxphyaddr < 40 ? s->p.maxphyaddr : 40;

		return large ? 1ull << (bits - 19 + (int)pick(m, (u64)(22 - (bits - 19)))) : 0;
	}
	some[n++] = 1ull << (s->p.maxphyaddr + (int)pick(m, (u64)(52 - s->p.maxphyaddr)));
	if (!s->lng)
		some[n++] = 1ull << (52 + pick(m, 11));
	if (level >= 4)
		some[n++] = 0x80;
	if (large)
		some[n++] = 1ull << (13 + (int)pick(m, (u64)(shift_of(s, level) - 13)));
	return some[pick(m, (u64)n)];
}

static u64 address_bits(const struct scene *s, u64 page, int level, bool large)
{
	if (s->pae || level == 1 || !large)
		return page;
	return (page & 0xffc00000) | (page >> 32 & 0xff) << 13;
}

static void random_level(struct machine *m, struct scene *s, int level, u64 next)
{
	struct level *l = &s->level[level];
	bool large = level == s->leaf && level > 1;
	enum fault_kind kind = chance(m, 25) ? NOT_PRESENT : chance(m, 25) ? RESERVED : NO_FAULT;

	l->w = pick(m, 4);
	l->u = pick(m, 4);
	l->nx = s->pae && chance(m, 5);
	l->a = flip(m);
	l->entry = address_bits(s, next, level, large) | 1 | l->w << 1 | l->u << 2 | l->a << 5 |
		   (u64)l->nx << 63 | (large ? 0x80 : 0);
	if (level == s->leaf) {
		s->d = flip(m);
		s->pkey = (u32)pick(m, 16);
		l->entry |= s->d << 6;
		if (s->lng)
			l->entry |= (u64)s->pkey << 59;
	} else if (!s->pae && !(s->p.cr4 & CR4_PSE) && flip(m)) {
		l->entry |= 0x80;	/* means nothing */
	}
	if (kind == NOT_PRESENT)
		l->entry &= ~1ull;
	if (kind == RESERVED) {
		u64 bit = reserved_bit(m, s, level, large);

		l->entry |= bit;
		if (!bit)
			kind = NO_FAULT;
	}
	if (kind == NO_FAULT && l->nx && !(s->p.efer & EFER_NXE))
		kind = RESERVED;
	if (kind == NO_FAULT && large && level == 3 && !s->p.pg_1g)
		kind = RESERVED;
	if (s->kind == NO_FAULT)
		s->kind = kind;
}

static u64 index_of(const struct scene *s, int level)
{
	return s->gva >> shift_of(s, level) & (s->pae ? 511 : 1023);
}

static u64 random_page(struct machine *m, const struct scene *s)
{
	int bits = s->p.maxphyaddr;

	if (!s->pae)
		bits = s->leaf == 2 && bits >= 40 ? 40 : s->leaf == 2 ? bits : 32;
	return ALIGN_DOWN(pick(m, 1ull << bits), 1ull << shift_of(s, s->leaf));
}

static void random_scene(struct machine *m, struct scene *s)
{
	u64 next, table = SZ_2M;
	int level;

	memset(s, 0, sizeof(*s));
	random_registers(m, s);
	s->leaf = 1 + (int)pick(m, 3);
	if (s->leaf > s->top || (s->leaf == 3 && !s->lng))
		s->leaf = 1;
	if (s->leaf == 2 && !s->pae && !(s->p.cr4 & CR4_PSE))
		s->leaf = 1;
	s->page = random_page(m, s);
	for (level = s->top; level >= s->leaf; level--, table += PAGE_SIZE) {
		next = level == s->leaf ? s->page : table + PAGE_SIZE;
		random_level(m, s, level, next);
		s->level[level].at = table + index_of(s, level) * (s->pae ? 8 : 4);
		op_gpa1_write(&m->vm, GPA1(s->level[level].at), &s->level[level].entry,
			      s->pae ? 8 : 4);
	}
	s->p.cr3 = SZ_2M | (flip(m) ? 0x18 : 0);
	if (s->pae && !s->lng) {
		bool absent = chance(m, 20);

		s->p.cr3 = 0;
		s->p.pdpte[s->gva >> 30] = SZ_2M | !absent;
		if (absent)
			s->kind = NOT_PRESENT;
	}
}

/* Every reason to deny the access, one after the other. */
static u32 denied(const struct scene *s)
{
	bool w = true, u = true, nx = false, user = s->p.cpl == 3 && !s->flags, deny = false,
	     pk = false;
	bool data = s->access != MMU_FETCH, write = s->access == MMU_WRITE;
	bool wp = s->p.cr0 & CR0_WP;
	u32 key;
	int level;

	for (level = s->leaf; level <= s->top; level++) {
		w = w && s->level[level].w;
		u = u && s->level[level].u;
		nx = nx || s->level[level].nx;
	}
	deny |= user && !u;
	deny |= write && !w && (user || wp);
	deny |= !data && nx;
	deny |= !data && !user && u && (s->p.cr4 & CR4_SMEP);
	deny |= data && !user && u && (s->p.cr4 & CR4_SMAP) &&
		!((s->p.rflags & RFLAGS_AC) && !s->flags);
	key = (u ? s->p.pkru : s->p.pkrs) >> (2 * s->pkey) & 3;
	if (s->lng && data && (s->p.cr4 & (u ? CR4_PKE : CR4_PKS)))
		pk = (key & 1) || (key == 2 && write && (user || wp));
	return deny || pk ? PF_P | (pk ? PF_PK : 0) : 0;
}

static u32 expected_error(const struct scene *s, bool *fault)
{
	u32 error = s->kind == NOT_PRESENT ? 0 : s->kind == RESERVED ? PF_P | PF_RSVD : denied(s);

	*fault = s->kind != NO_FAULT || error;
	if (s->p.cpl == 3 && !s->flags)
		error |= PF_U;
	if (s->access == MMU_WRITE)
		error |= PF_W;
	if (s->access == MMU_FETCH && ((s->pae && (s->p.efer & EFER_NXE)) || (s->p.cr4 & CR4_SMEP)))
		error |= PF_I;
	return error;
}

static void check_flags(struct machine *m, const struct scene *s, bool set)
{
	int level;

	for (level = s->top; level >= s->leaf; level--) {
		u64 now = 0, want = s->level[level].entry;

		if (set)
			want |= level == s->leaf && s->access == MMU_WRITE ? 0x60 : 0x20;
		op_gpa1_read(&m->vm, GPA1(s->level[level].at), &now, s->pae ? 8 : 4);
		assert_int_equal(now, s->pae ? want : want & 0xffffffff);
	}
}

static void random_scenes(void **state)
{
	struct mmu_translation t;
	struct mmu_fault f;
	unsigned good = 0, bad = 0;
	struct machine m;
	struct scene s;
	int i;

	(void)state;
	machine_init(&m, 7, 100, 100);
	assert_true(ept01_map(&m.ept01, GPA1(0), HOME, HPA(0), EPT_RWX, MT_WB));
	for (i = 0; i < 200000; i++) {
		bool fault, ok;
		u32 error;
		u64 reads;

		random_scene(&m, &s);
		error = expected_error(&s, &fault);
		reads = m.vm.memory.reads;
		ok = mmu_walk(&m.vm, &s.p, GVA(s.gva), s.access, s.flags, false, &t, &f);
		assert_true(m.vm.memory.reads - reads <= (u64)(s.top - s.leaf + 1));
		check_flags(&m, &s, false);
		assert_int_equal(ok, !fault);
		assert_int_equal(mmu_walk(&m.vm, &s.p, GVA(s.gva), s.access, s.flags, true, &t, &f),
				 ok);
		check_flags(&m, &s, ok);
		if (ok) {
			u64 within = (1ull << shift_of(&s, s.leaf)) - 1;

			assert_int_equal(t.gpa.v, s.page | (s.gva & within));
			assert_int_equal(t.shift, shift_of(&s, s.leaf));
			good++;
		} else {
			assert_int_equal(f.error_code, error);
			assert_int_equal(f.cr2, s.gva);
			bad++;
		}
	}
	assert_true(good > 20000 && bad > 20000);
	machine_end(&m);
}

static struct mmu_paging two_pages(struct machine *m, u64 second)
{
	struct mmu_paging p = {
		.cr0 = CR0_PE | CR0_PG | CR0_WP, .cr3 = 0x1000, .efer = 0, .maxphyaddr = 40,
	};
	u32 pde = 0x2003, pte = 0x5003, pte2 = (u32)second;

	op_gpa1_write(&m->vm, GPA1(0x1000), &pde, 4);
	op_gpa1_write(&m->vm, GPA1(0x2000), &pte, 4);
	op_gpa1_write(&m->vm, GPA1(0x2004), &pte2, 4);
	return p;
}

static void crossing_pages(void **state)
{
	char text[] = "across the edge", back[sizeof(text)] = "";
	u64 gva = 0x1000 - 7;
	struct mmu_fault f;
	struct mmu_paging p;
	struct machine m;

	(void)state;
	machine_init(&m, 7, 100, 100);
	assert_true(ept01_map(&m.ept01, GPA1(0), HOME, HPA(0), EPT_RWX, MT_WB));
	p = two_pages(&m, 0x9003);
	assert_true(mmu_gva_write(&m.vm, &p, GVA(gva), text, sizeof(text), 0, &f));
	assert_memory_equal(m.vm.memory.ram + 0x5ff9, text, 7);
	assert_memory_equal(m.vm.memory.ram + 0x9000, text + 7, sizeof(text) - 7);
	assert_true(mmu_gva_read(&m.vm, &p, GVA(gva), back, sizeof(text), 0, &f));
	assert_memory_equal(back, text, sizeof(text));
	/* The second page is read-only: nothing is written, no dirty flag set. */
	p = two_pages(&m, 0x9001);
	assert_false(mmu_gva_write(&m.vm, &p, GVA(gva), "xxxxxxxxxxxxxxx", 15, 0, &f));
	assert_int_equal(f.cr2, 0x1000);
	assert_int_equal(f.error_code, PF_P | PF_W);
	assert_memory_equal(m.vm.memory.ram + 0x5ff9, text, 7);
	assert_int_equal(m.vm.memory.ram[0x2000], 0x03);
	machine_end(&m);
}

static void paging_off_and_absent_memory(void **state)
{
	struct mmu_paging p = { .maxphyaddr = 40 };
	u64 value = 5;
	struct mmu_fault f;
	struct machine m;

	(void)state;
	machine_init(&m, 7, 100, 100);
	assert_true(ept01_map(&m.ept01, GPA1(0), HOME, HPA(0), EPT_RWX, MT_WB));
	assert_true(mmu_gva_write(&m.vm, &p, GVA(0x100003000), &value, 8, 0, &f));
	assert_int_equal(m.vm.memory.ram[0x3000], 5);	/* 32 bits of address */
	assert_true(mmu_gva_read(&m.vm, &p, GVA(0xf0000000), &value, 8, 0, &f));
	assert_int_equal(value, ~0ull);
	/* Tables where nothing is read as ones: reserved bits. */
	p = (struct mmu_paging){ .cr0 = CR0_PE | CR0_PG, .cr3 = 0xf0000000, .cr4 = CR4_PAE,
				 .efer = EFER_LMA | EFER_LME | EFER_NXE, .maxphyaddr = 40 };
	assert_false(mmu_gva_read(&m.vm, &p, GVA(0x1000), &value, 8, 0, &f));
	assert_int_equal(f.error_code, PF_P | PF_RSVD);
	machine_end(&m);
}

/* Another processor rewrites the entry between reading and setting its flags. */
static void rewrite_page_table(struct vm *vm, gpa1_t a, size_t len)
{
	u32 *pte = (u32 *)(void *)(vm->memory.ram + 0x2000);
	u32 *left = vm->memory.hook_data;

	(void)len;
	if (a.v == 0x1000 && *left) {
		--*left;
		*pte = 0x6003 + (*left % 2) * 0x1000;
	}
}

static void replace_after_read(struct vm *vm, gpa1_t a, size_t len)
{
	u32 *left = vm->memory.hook_data;

	/* The leaf is judged with U clear, then the directory changes under it. */
	(void)len;
	if (a.v == 0x2000 && *left) {
		--*left;
		*(u32 *)(void *)(vm->memory.ram + 0x1000) = 0x2003 | (*left % 2) << 9;
	}
}

static void tables_that_change(void **state)
{
	u32 value, left = 5;
	struct mmu_fault f;
	struct mmu_paging p;
	struct machine m;

	(void)state;
	machine_init(&m, 7, 100, 100);
	assert_true(ept01_map(&m.ept01, GPA1(0), HOME, HPA(0), EPT_RWX, MT_WB));
	p = two_pages(&m, 0);
	m.vm.memory.hook_data = &left;
	m.vm.memory.before_read = rewrite_page_table;
	assert_true(mmu_gva_read(&m.vm, &p, GVA(0), &value, 4, 0, &f));
	left = 5;
	m.vm.memory.before_read = replace_after_read;
	assert_true(mmu_gva_read(&m.vm, &p, GVA(0), &value, 4, 0, &f));
	left = 1000;
	*(u32 *)(void *)(m.vm.memory.ram + 0x1000) = 0x2003;
	assert_false(mmu_gva_read(&m.vm, &p, GVA(0), &value, 4, 0, &f));
	assert_int_equal(f.error_code, 0);
	machine_end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_scenes),
		cmocka_unit_test(crossing_pages),
		cmocka_unit_test(paging_off_and_absent_memory),
		cmocka_unit_test(tables_that_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
