/*
 * Memory of exit vectors: the guest's pages, its page tables for every kind of
 * paging, EPT, bitmaps and lists of MSRs.
 */
#include "gen_exit.h"
#include "gen_state.h"

#define P BIT(0)
#define RW BIT(1)
#define US BIT(2)
#define AD (BIT(5) | BIT(6))
#define EPT_ALL (7 | BIT(10))	/* read, write, execute in either mode */

#define XPAGE(n) (PAGE_EXITS + (unsigned)XP_##n)
#define XPAGE_AT(n) (world->w[W_SCRATCH] + XPAGE(n) * (u64)GEN_PAGE_SIZE)
#define PAGE_AT(n) (world->w[W_SCRATCH] + (unsigned)(n) * (u64)GEN_PAGE_SIZE)

static const struct { u32 address; unsigned page; bool read_only; } pages[] = {
	{ XA_CODE, XPAGE(CODE), false }, { XA_DATA, XPAGE(DATA), false },
	{ XA_IDT, XPAGE(IDT), false }, { XA_GDT, XPAGE(GDT), false }, { XA_APIC, PAGE_APIC, false },
	{ XA_READ_ONLY, XPAGE(DATA), true },
};

static void entry64(u8 *area, unsigned page, unsigned index, u64 value)
{
	gen_put(area, page, index * 8, value, 8);
}

static void paging(const struct gen_world *world, u8 *area)
{
	u64 upper = P | RW | US | AD;

	entry64(area, XPAGE(PML4), 0, XPAGE_AT(PDPT) | upper);
	entry64(area, XPAGE(PDPT), 0, XPAGE_AT(PD) | upper);
	entry64(area, XPAGE(PAE), 0, XPAGE_AT(PD) | P);
	entry64(area, XPAGE(PD), 0, XPAGE_AT(PT) | upper);
	gen_put(area, XPAGE(PD32), 0, XPAGE_AT(PT32) | upper, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		u64 leaf = PAGE_AT(pages[i].page) | P | US | AD | (pages[i].read_only ? 0 : RW);

		entry64(area, XPAGE(PT), pages[i].address >> 12, leaf);
		gen_put(area, XPAGE(PT32), (pages[i].address >> 12) * 4, leaf, 4);
	}
	for (unsigned a = XA_MISCONFIGURED; a <= XA_ABSENT; a += GEN_PAGE_SIZE) {
		entry64(area, XPAGE(PT), a >> 12, a | upper);
		gen_put(area, XPAGE(PT32), (a >> 12) * 4, a | upper, 4);
	}
}

/* What has a linear address has it as guest-physical one, too; and so has all the area itself. */
static void ept(const struct gen_world *world, u8 *area)
{
	u64 last = world->w[W_SCRATCH] + PAGE_COUNT * GEN_PAGE_SIZE - 1;

	entry64(area, XPAGE(EPT), 0, XPAGE_AT(EPT_PDPT) | EPT_ALL);
	entry64(area, XPAGE(EPT_PDPT), 0, XPAGE_AT(EPT_PD) | EPT_ALL);
	for (u64 at = world->w[W_SCRATCH] >> 21; at <= last >> 21; at++)
		entry64(area, XPAGE(EPT_PD), (unsigned)at,
			at << 21 | BIT(7) | MT_WB << 3 | EPT_ALL);
	entry64(area, XPAGE(EPT_PD), 0, XPAGE_AT(EPT_PT) | EPT_ALL);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		entry64(area, XPAGE(EPT_PT), pages[i].address >> 12, PAGE_AT(pages[i].page) |
			MT_WB << 3 | (pages[i].read_only ? 1 : EPT_ALL));
	entry64(area, XPAGE(EPT_PT), XA_MISCONFIGURED >> 12, XPAGE_AT(DATA) | MT_WB << 3 | 2);
}

/* Vectors have interrupt gates or trap gates to VMCALLs, task gates, or none. */
static void descriptors(u8 *area)
{
	static const u64 gdt[] = {
		0, 0x00cf93000000ffff, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff,
		0x0000890000000067, 0x00008b0090000067, 0x0000820000000fff,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(gdt); i++)
		entry64(area, XPAGE(GDT), i, gdt[i]);
	for (unsigned i = 0; i < 256; i++) {
		u64 type = i % 8 == 7 ? 0 : i & 1 ? 0xef : 0xee;
		u64 gate = (XA_CODE + 0x100u) | type << 40;

		entry64(area, XPAGE(IDT), i,
			i % 8 == 4 ? 0xe5ull << 40 | 0x28 << 16 : gate | 0x10 << 16);
		entry64(area, XPAGE(IDT_LONG), 2 * i, gate | 0x20 << 16);
	}
}

void gen_fill_exits(const struct gen_world *world, u8 *area)
{
	paging(world, area);
	ept(world, area);
	descriptors(area);
	for (unsigned at = 0; at < GEN_PAGE_SIZE; at += 8) {
		gen_put(area, XPAGE(ONES), at, ~0ull, 8);
		gen_put(area, XPAGE(MIXED), at, 0xc3a5f00f96663cf1ull * (at + 1), 8);
	}
}

static void list(u8 *area, unsigned page, const u32 *msr, const u64 *value, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		gen_put(area, page, 16 * i, msr[i], 8);
		gen_put(area, page, 16 * i + 8, value[i], 8);
	}
}

static void lists(const struct gen_world *world, u8 *area)
{
	static const u32 stored[] = {
		MSR_EFER, MSR_IA32_PAT, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP,
		MSR_IA32_SYSENTER_EIP, MSR_FS_BASE, MSR_GS_BASE, GEN_MSR,
	};
	static const u32 loaded[] = {
		GEN_MSR, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_PAT,
		MSR_IA32_SYSENTER_EIP, GEN_MSR,
	};
	const u64 nothing[ARRAY_SIZE(stored)] = { 0 };
	const u64 entry[] = {
		0x11110000, 0x1234, 0xffff800000001000, world->w[W_PAT] ^ BIT(0),
		0x00007fffffff0000, 0x5555,
	};
	const u64 exit[] = {
		0x2222, 0x4321, 0x7000, world->w[W_PAT] ^ BIT(10), 0xffffffff80000000, 0x6666,
	};

	list(area, XPAGE(STORE_LIST), stored, nothing, ARRAY_SIZE(stored));
	list(area, XPAGE(ENTRY_LIST), loaded, entry, ARRAY_SIZE(loaded));
	list(area, XPAGE(LOAD_LIST), loaded, exit, ARRAY_SIZE(loaded));
}

void gen_exit_place(const struct gen_world *world, void *to, const struct exit_vector *x)
{
	static const u8 vmcall[] = { 0x0f, 0x01, 0xc1 };
	u8 *area = to, *code = area + XPAGE(CODE) * GEN_PAGE_SIZE;

	/* Handlers are at 100H, and at 200H in real mode. */
	for (unsigned i = 0; i < 0x300; i++)
		code[i] = vmcall[i % 0x100 % 3];
	for (unsigned i = 0; i < EXIT_CODE_BYTES; i++)
		code[i] = x->code[i];
	for (unsigned i = 0; i < GEN_PAGE_SIZE; i += 8) {
		gen_put(area, XPAGE(DATA), i, 0, 8);
		gen_put(area, PAGE_VAPIC, i, i == 0x80 ? GEN_VTPR : 0, 8);
	}
	lists(world, area);
}

uint64_t gen_exit_list_sum(const void *area)
{
	const u8 *at = (const u8 *)area + XPAGE(STORE_LIST) * GEN_PAGE_SIZE;
	u64 sum = 0;

	for (unsigned i = 0; i < 128; i++)
		sum = gen_mix(sum, at[i]);
	return sum;
}
