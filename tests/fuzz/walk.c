/*
 * Walks of guest page tables, and reads and writes through them, against a
 * model that is told the SDM's rules one after the other and nothing else.
 */
#include "fuzz.h"

#include "engine_ops.h"
#include "mmu/guest_walk.h"
#include "unit.h"

#define RAM_SIZE 0x20000u
#define TABLE_PAGES 8u		/* from page 1 on: tables, and what else the input wants */
#define ADDRESS 0x000ffffffffff000ull

struct scene {
	struct vm vm;
	struct mmu_paging p;
	u64 gva;
	enum mmu_access access;
	u32 flags;
	bool wide, lng;		/* 8-byte entries; IA-32e */
	int top;
};

struct simple {
	bool ok;
	u32 error;
	u64 gpa;
	int shift, leaf;	/* of the page; level of the leaf */
	u64 at[6], entry[6];	/* by level */
};

static u8 ram[RAM_SIZE], before[RAM_SIZE];

static u64 get(u64 at, bool wide)
{
	u64 v = 0;

	if (at >= RAM_SIZE)
		return wide ? ~0ull : 0xffffffff;
	memcpy(&v, ram + at, wide ? 8 : 4);
	return v;
}

/* SDM 3A "Paging": bits that must be 0 in a present entry. */
static u64 must_be_zero(const struct scene *s, int level, bool leaf)
{
	u64 bits = 0;
	int b;

	if (!s->wide) {
		if (level == 2 && leaf)
			for (b = 13; b < 22; b++)
				if (b == 21 || b + 19 >= s->p.maxphyaddr)
					bits |= 1ull << b;
		return bits;
	}
	for (b = s->p.maxphyaddr; b < 52; b++)
		bits |= 1ull << b;
	if (!s->lng)
		bits |= 0x7ff0000000000000;
	if (!(s->p.efer & EFER_NXE))
		bits |= 1ull << 63;
	if (level >= 4 || (level == 3 && !s->p.pg_1g))
		bits |= 0x80;
	if (leaf && level == 2)
		bits |= 0x1fe000;
	if (leaf && level == 3)
		bits |= 0x3fffe000;
	return bits;
}

/* Error-code bits that tell the access. */
static u32 told(const struct scene *s)
{
	bool nx = (s->p.cr4 & CR4_PAE) && (s->p.efer & EFER_NXE);
	u32 e = 0;

	if (s->p.cpl == 3 && !(s->flags & MMU_IMPLICIT))
		e |= PF_U;
	if (s->access == MMU_WRITE)
		e |= PF_W;
	if (s->access == MMU_FETCH && (nx || (s->p.cr4 & CR4_SMEP)))
		e |= PF_I;
	return e;
}

/* SDM 3A "Determination of Access Rights"; 0: granted. */
static u32 refused(const struct scene *s, bool w, bool u, bool x, u32 key)
{
	bool user = s->p.cpl == 3 && !(s->flags & MMU_IMPLICIT);
	bool ac = (s->p.rflags & RFLAGS_AC) && !(s->flags & MMU_IMPLICIT);
	bool data = s->access != MMU_FETCH, no = false, by_key = false;

	if (user && !u)
		no = true;
	if (data && !user && u && (s->p.cr4 & CR4_SMAP) && !ac)
		no = true;
	if (s->access == MMU_WRITE && !w && (user || (s->p.cr0 & CR0_WP)))
		no = true;
	if (!data && !x)
		no = true;
	if (!data && !user && u && (s->p.cr4 & CR4_SMEP))
		no = true;
	if (data && s->lng && (s->p.cr4 & (u ? CR4_PKE : CR4_PKS))) {
		u32 k = (u ? s->p.pkru : s->p.pkrs) >> (2 * key) & 3;

		by_key = (k & 1) || ((k & 2) && s->access == MMU_WRITE &&
				     (user || (s->p.cr0 & CR0_WP)));
	}
	return no || by_key ? PF_P | (by_key ? PF_PK : 0) : 0;
}

static struct simple simple_walk(const struct scene *s, u64 gva)
{
	struct simple r = { .error = told(s) };
	u64 table = s->p.cr3 & (s->wide ? ADDRESS : 0xfffff000), e = 0;
	int step = s->wide ? 9 : 10, level;
	bool w = true, u = true, x = true;

	if (!(s->p.cr0 & CR0_PG))
		return (struct simple){ .ok = true, .gpa = gva, .shift = 64 };
	if (s->wide && !s->lng) {
		e = s->p.pdpte[gva >> 30 & 3];
		if (!(e & 1))
			return r;
		table = e & ADDRESS;
	}
	for (level = s->top;; level--) {
		bool leaf;

		r.shift = 12 + step * (level - 1);
		r.at[level] = table + (gva >> r.shift & ((1u << step) - 1)) * (s->wide ? 8 : 4);
		e = r.entry[level] = get(r.at[level], s->wide);
		if (!(e & 1))
			return r;
		leaf = level == 1 ||
		       ((e & 0x80) && (s->wide ? level <= 3 : !!(s->p.cr4 & CR4_PSE)));
		if (e & must_be_zero(s, level, leaf)) {
			r.error |= PF_P | PF_RSVD;
			return r;
		}
		w = w && (e & 2);
		u = u && (e & 4);
		if ((e >> 63) && (s->p.efer & EFER_NXE))
			x = false;
		table = e & ADDRESS;
		if (leaf)
			break;
	}
	r.leaf = level;
	r.ok = !refused(s, w, u, x, e >> 59 & 15);
	if (!r.ok)
		r.error |= refused(s, w, u, x, e >> 59 & 15);
	r.gpa = (table >> r.shift << r.shift) | (gva & ((1ull << r.shift) - 1));
	if (!s->wide && level == 2)
		r.gpa |= (e >> 13 & 0xff) << 32;
	return r;
}

static void read_registers(struct fuzz_input *in, struct scene *s)
{
	u32 bits = (u32)fuzz_bytes(in, 3);
	int mode = bits & 3;

	s->lng = mode >= 2;
	s->wide = mode >= 1;
	s->top = mode == 3 ? 5 : mode == 2 ? 4 : 2;
	s->p.cr0 = CR0_PE | (bits & 1 << 2 ? CR0_WP : 0) | (bits & 1 << 3 ? 0 : CR0_PG);
	s->p.cr4 = (s->wide ? CR4_PAE : 0) | (mode == 3 ? CR4_LA57 : 0) |
		   (bits & 1 << 4 ? CR4_PSE : 0) | (bits & 1 << 5 ? CR4_SMEP : 0) |
		   (bits & 1 << 6 ? CR4_SMAP : 0) | (bits & 1 << 7 ? CR4_PKE : 0) |
		   (bits & 1 << 8 ? CR4_PKS : 0);
	s->p.efer = (s->lng ? EFER_LME | EFER_LMA : 0) | (bits & 1 << 9 ? EFER_NXE : 0);
	s->p.rflags = bits & 1 << 10 ? RFLAGS_AC : 0;
	s->p.cpl = bits & 1 << 11 ? 3 : 0;
	s->p.pg_1g = bits & 1 << 12;
	s->flags = bits & 1 << 13 ? MMU_IMPLICIT : 0;
	s->access = (enum mmu_access)((bits >> 14 & 3) % 3);
	s->p.maxphyaddr = (u8)(32 + (bits >> 16 & 15));
	s->p.pkru = (u32)fuzz_bytes(in, 4);
	s->p.pkrs = ~s->p.pkru;
	s->p.cr3 = PAGE_SIZE | (bits & 1 << 20 ? fuzz_value(in) & ~0xf000ull : 0);
	s->gva = fuzz_bytes(in, 8);
	if (!s->lng)
		s->gva &= 0xffffffff;
}

/* An entry whose address is, mostly, one of the tables or a page of data. */
static u64 read_entry(struct fuzz_input *in)
{
	u16 low = (u16)fuzz_bytes(in, 2);
	u64 e = (low & 0xfff) | (u64)(low >> 12) << 12;

	if (low & 1 << 9)
		e |= (u64)fuzz_bytes(in, 2) << 48;
	if (low & 1 << 10)
		e |= fuzz_value(in);
	return e;
}

static void read_tables(struct fuzz_input *in, struct scene *s)
{
	int step = s->wide ? 9 : 10;

	for (unsigned i = 0; i < 4; i++)
		s->p.pdpte[i] = s->wide && !s->lng ? read_entry(in) : 0;
	memset(ram, 0, sizeof(ram));
	while (in->left) {
		u8 where = fuzz_u8(in);
		u64 page = PAGE_SIZE * (1 + where % TABLE_PAGES);
		int level = 1 + (where >> 3) % s->top;
		/* Where this walk or its neighbour would look. */
		u64 index = (s->gva >> (12 + step * (level - 1))) + (where >> 7);
		u64 e = read_entry(in);

		index &= (1u << step) - 1;
		memcpy(ram + page + index * (s->wide ? 8 : 4), &e, s->wide ? 8 : 4);
	}
}

/* Flags are set where the walk went, and nowhere else. */
static void check_flags(const struct scene *s, const struct simple *r, bool set)
{
	for (int level = s->top; set && r->shift < 64 && level >= r->leaf; level--) {
		u8 flags = level == r->leaf && s->access == MMU_WRITE ? 0x60 : 0x20;

		if (r->at[level] < RAM_SIZE)
			before[r->at[level]] |= flags;
	}
	assert_memory_equal(ram, before, RAM_SIZE);
}

static void one_walk(struct scene *s)
{
	struct simple want = simple_walk(s, s->gva);
	struct mmu_translation t;
	struct mmu_fault f;

	memcpy(before, ram, RAM_SIZE);
	for (int commit = 0; commit < 2; commit++) {
		bool ok = mmu_walk(&s->vm, &s->p, GVA(s->gva), s->access, s->flags, commit, &t, &f);

		assert_int_equal(ok, want.ok);
		check_flags(s, &want, ok && commit);
		if (ok) {
			assert_int_equal(t.gpa.v, want.gpa);
			assert_int_equal(t.shift, want.shift);
		} else {
			assert_int_equal(f.error_code, want.error);
			assert_int_equal(f.cr2, s->gva);
		}
	}
}

/* A write across pages: all of it, or nothing and the first fault. */
static void one_write(struct scene *s, size_t len)
{
	struct simple page[2];
	u64 next = (s->gva & PAGE_MASK) + PAGE_SIZE;
	struct mmu_fault f;
	bool two, ok;
	u8 text[16];

	s->access = MMU_WRITE;
	if (!s->lng)
		next &= 0xffffffff;
	two = (s->gva & ~PAGE_MASK) + len > PAGE_SIZE;
	page[0] = simple_walk(s, s->gva);
	page[1] = two ? simple_walk(s, next) : page[0];
	memset(text, 0xa5, sizeof(text));
	memcpy(before, ram, RAM_SIZE);
	ok = mmu_gva_write(&s->vm, &s->p, GVA(s->gva), text, len, s->flags, &f);
	if (page[0].ok && page[0].gpa < (1 + TABLE_PAGES) * PAGE_SIZE)
		return;		/* it may have changed its own tables */
	assert_int_equal(ok, page[0].ok && page[1].ok);
	if (ok)
		return;
	assert_memory_equal(ram, before, RAM_SIZE);
	assert_int_equal(f.cr2, page[0].ok ? next : s->gva);
	assert_int_equal(f.error_code, page[0].ok ? page[1].error : page[0].error);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct scene s = { 0 };
	size_t len;

	s.vm.memory = (struct host_memory){ .ram = ram, .ram_size = RAM_SIZE };
	read_registers(&in, &s);
	len = 1 + fuzz_below(&in, 16);
	read_tables(&in, &s);
	one_walk(&s);
	one_write(&s, len);
	return 0;
}
