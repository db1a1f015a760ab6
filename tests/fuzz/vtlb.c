/*
 * A guest of an input on shadow tables: its page tables, its changes to them, its
 * control registers and flushes, and memory that ept01 takes away, protects and
 * moves. After a flush each access ends as the guest's own tables say.
 */
#include "fuzz.h"

#include "vtlb_machine.h"

#define PAGES 8u	/* of tables in use, from page 1 on */
#define L1_PAGES 64u
#define STEPS_MAX 400

static const u64 gvas[] = {
	0, 0x1000, 0x1ff000, SZ_2M, 0x3ff000, 2 * SZ_2M, SZ_1G, SZ_1G + SZ_2M, 2 * SZ_1G,
	3 * SZ_1G + 0x1000, BIT(39), BIT(39) + SZ_1G,
};

static u64 read_gva(struct fuzz_input *in, const struct scene *s)
{
	u8 which = fuzz_u8(in);
	u64 gva = gvas[which % ARRAY_SIZE(gvas)] + (which >> 4) * 0x301;

	return s->p.efer & EFER_LMA ? gva : (u32)gva;
}

static u64 read_page(struct fuzz_input *in, u32 below)
{
	return fuzz_below(in, below) * PAGE_SIZE;
}

static void read_registers(struct fuzz_input *in, struct scene *s)
{
	u32 bits = (u32)fuzz_bytes(in, 2), mode = bits & 3;

	s->p = (struct mmu_paging){ .maxphyaddr = 40, .pg_1g = bits & 4, .cr0 = CR0_PE };
	if (mode)
		s->p.cr0 |= CR0_PG | (bits & 8 ? CR0_WP : 0);
	s->p.cr4 = (mode >= 2 ? CR4_PAE : 0) | (bits & 16 ? CR4_PSE : 0) |
		   (bits & 32 ? CR4_SMEP : 0);
	s->p.efer = (mode == 3 ? EFER_LME | EFER_LMA : 0) | (bits & 64 ? EFER_NXE : 0);
	s->p.cr3 = PAGE_SIZE + read_page(in, PAGES);
	for (u32 i = 0; i < 4; i++)
		s->p.pdpte[i] = bits >> (8 + i) & 1 ?
				PAGE_SIZE + (bits >> 12) % PAGES * PAGE_SIZE + PTE_P : 0;
}

/*
 * Where a walk of one of the addresses would look, in one of the tables. True: no
 * TLB can have anything of the entry as it was.
 */
static bool change_entry(struct fuzz_input *in, struct scene *s)
{
	u64 old = 0, at;

	u64 size = s->p.cr4 & CR4_PAE ? 8 : 4, step = size == 8 ? 9 : 10;
	u64 gva = read_gva(in, s), page = PAGE_SIZE + read_page(in, PAGES);
	u32 level = fuzz_u8(in) & 3;
	u16 bits = (u16)fuzz_bytes(in, 2);
	u64 entry = (bits & 0xff) | (u64)(bits >> 8 & 63) << 12;

	if (bits & 1 << 14)
		entry |= PTE_NX;
	if (bits & 1 << 15)
		entry ^= fuzz_value(in);
	at = page + (gva >> (12 + step * level) & (BIT(step) - 1)) * size;
	op_gpa1_read(&s->m.vm, GPA1(at), &old, size);
	op_gpa1_write(&s->m.vm, GPA1(at), &entry, size);
	return !(old & PTE_P);
}

static void change_ept01(struct fuzz_input *in, struct scene *s)
{
	gpa1_t page = GPA1((VTLB_TABLES + 1) * PAGE_SIZE +
			   read_page(in, L1_PAGES - VTLB_TABLES - 1));

	switch (fuzz_u8(in) & 3) {
	case 0:
		ept01_protect(&s->m.ept01, page, EPT_R | EPT_X);
		break;
	case 1:
		ept01_unmap(&s->m.ept01, page, PAGE_SIZE);
		break;
	default:
		ept01_map(&s->m.ept01, page, PAGE_SIZE, HPA(GPA1_SHIFT + read_page(in, L1_PAGES)),
			  EPT_RWX, MT_WB);
	}
	vtlb_drop(&s->v);
	s->root = vtlb_root(&s->v, &s->p);
}

static void step(struct fuzz_input *in, struct scene *s)
{
	static const u32 kinds[] = { 0, PF_W, PF_I, PF_U, PF_U | PF_W, PF_U | PF_I };
	u8 what = fuzz_u8(in);

	if (what < 0x60) {
		u64 gva = read_gva(in, s);

		vtlb_access(s, gva, kinds[what % ARRAY_SIZE(kinds)]);
		return;
	}
	if (what < 0xe0) {
		if (change_entry(in, s) && what >= 0xa0)
			return;
	} else if (what < 0xf0) {
		read_registers(in, s);
	} else if (what < 0xf8) {
		change_ept01(in, s);
	}
	s->root = vtlb_root(&s->v, &s->p);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct scene s;
	struct fuzz_input in = { data, size };

	if (!s.m.vm.memory.ram)		/* one machine for all inputs: its memory is large */
		machine_init(&s.m, 1, HOME_PAGES01, HOME_PAGES02);
	memset(s.m.vm.memory.ram + GPA1_SHIFT, 0, L1_PAGES * PAGE_SIZE);
	ept01_map(&s.m.ept01, GPA1(0), L1_PAGES * PAGE_SIZE, HPA(GPA1_SHIFT), EPT_RWX, MT_WB);
	assert_true(vtlb_init(&s.v, &s.m.vm, &s.m.ept01, HPA(HOME + HOME_PAGES01 * PAGE_SIZE),
			      VTLB_MIN_PAGES));
	read_registers(&in, &s);
	s.root = vtlb_root(&s.v, &s.p);
	for (u32 i = 0; i < STEPS_MAX && in.left; i++)
		step(&in, &s);
	check_links(&s);
	return 0;
}
