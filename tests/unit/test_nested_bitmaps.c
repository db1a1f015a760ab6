/*
 * nested/bitmaps.c: merged MSR and I/O bitmaps, and that no vmcs12 lets L2 reach
 * what L0 intercepts. Source: SDM 3C "MSR-Bitmap Address", "I/O-Bitmap Addresses".
 */
#include "engine_fixture.h"

#define MSR_PAGE FX_PAGE(2)
#define IO_PAGE(i) FX_PAGE(i)
#define MSR_WRITE 0x4000u
#define MSR_HIGH 0x2000u

static struct fx f;

static void use_bitmaps(u64 controls)
{
	FX12_WRITE(&f, MSR_BITMAP, MSR_PAGE);
	FX12_WRITE(&f, IO_BITMAP_A, IO_PAGE(0));
	FX12_WRITE(&f, IO_BITMAP_B, IO_PAGE(1));
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) | controls);
}

static void start(u64 controls)
{
	fx_start(&f, B64, false);
	use_bitmaps(controls);
}

static void round_trip(void)
{
	fx_enter(&f);
	fx_exit_to_l1(&f);
}

static void randomise(u8 *page, unsigned density)
{
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		page[i] = fx_below(&f, density) ? 0 : (u8)fx_random(&f);
}

static u8 *own_page(unsigned which)
{
	hpa_t page = which == 2 ? f.n.msr_bitmap01 : f.n.io_bitmap01[which];

	return fx_page02(&f, page.v);
}

static const u16 address_field[3] = { VF_IO_BITMAP_A, VF_IO_BITMAP_B, VF_MSR_BITMAP };

static void a_merged_page_is_both(void **state)
{
	(void)state;
	start(PROC_MSR_BITMAPS | PROC_IO_BITMAPS);
	for (unsigned round = 0; round < 50; round++) {
		u8 mine[PAGE_SIZE];

		for (unsigned b = 0; b < 3; b++)
			randomise(own_page(b), 2 + round % 7);
		for (unsigned b = 0; b < 3; b++) {
			randomise(mine, 2 + round % 5);
			fx_l1_writes(&f, FX_PAGE(b), mine, sizeof(mine));
		}
		fx_enter(&f);
		for (unsigned b = 0; b < 3; b++) {
			const u8 *merged = fx_page02(&f, *fx_vmcs02(&f, address_field[b]));

			for (unsigned i = 0; i < PAGE_SIZE; i++)
				assert_int_equal(merged[i],
						 fx_at(&f, FX_PAGE(b))[i] | own_page(b)[i]);
		}
		fx_exit_to_l1(&f);
	}
	fx_end(&f);
}

/* The reads of L1's memory in one entry tell how often a page was merged. */
static u64 reads_of_an_entry(void)
{
	u64 before;

	f.vm.memory.reads = 0;
	fx_enter(&f);
	before = f.vm.memory.reads;
	fx_exit_to_l1(&f);
	return before;
}

static void a_page_is_merged_again_only_when_it_must(void **state)
{
	u8 byte = 0x55;

	(void)state;
	start(PROC_MSR_BITMAPS | PROC_IO_BITMAPS);
	assert_int_equal(reads_of_an_entry(), 3);
	assert_int_equal(reads_of_an_entry(), 0);
	/* Another field of the same controls changes nothing. */
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) ^ PROC_HLT);
	assert_int_equal(reads_of_an_entry(), 0);
	/* A write that was seen. */
	fx_l1_writes(&f, MSR_PAGE + 17, &byte, 1);
	assert_int_equal(reads_of_an_entry(), 1);
	assert_int_equal(reads_of_an_entry(), 0);
	assert_int_equal(fx_page02(&f, FX_SLOT(&f)->msr_bitmap.page.v)[17], 0x55);
	fx_l1_writes(&f, IO_PAGE(1) + 4095, &byte, 1);
	assert_int_equal(reads_of_an_entry(), 1);
	/* A write elsewhere. */
	fx_l1_writes(&f, FX_PAGE(9), &byte, 1);
	assert_int_equal(reads_of_an_entry(), 0);
	/* Another page, and back. */
	FX12_WRITE(&f, MSR_BITMAP, FX_PAGE(5));
	assert_int_equal(reads_of_an_entry(), 1);
	FX12_WRITE(&f, MSR_BITMAP, MSR_PAGE);
	assert_int_equal(reads_of_an_entry(), 1);
	/* Bitmaps off and on: the page is still right. */
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) & ~(u64)PROC_MSR_BITMAPS);
	assert_int_equal(reads_of_an_entry(), 0);
	use_bitmaps(PROC_MSR_BITMAPS);
	assert_int_equal(reads_of_an_entry(), 0);
	fx_end(&f);
}

/* Of a page written while it was not in use, the copy must not survive. */
static void a_write_counts_also_while_bitmaps_are_off(void **state)
{
	u8 byte = 0x80;

	(void)state;
	start(PROC_MSR_BITMAPS);
	round_trip();
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) & ~(u64)PROC_MSR_BITMAPS);
	round_trip();
	fx_l1_writes(&f, MSR_PAGE, &byte, 1);
	use_bitmaps(PROC_MSR_BITMAPS);
	fx_enter(&f);
	assert_int_equal(fx_page02(&f, FX02(&f, MSR_BITMAP))[0], 0x80);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static void what_cannot_be_watched_is_merged_every_time(void **state)
{
	(void)state;
	start(PROC_MSR_BITMAPS);
	f.vm.cannot_watch = true;
	assert_int_equal(reads_of_an_entry(), 1);
	assert_int_equal(reads_of_an_entry(), 1);
	*fx_at(&f, MSR_PAGE) = 4;	/* nobody tells the engine */
	fx_enter(&f);
	assert_int_equal(fx_page02(&f, FX02(&f, MSR_BITMAP))[0], 4);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static void an_unreadable_page_intercepts_all(void **state)
{
	(void)state;
	start(PROC_MSR_BITMAPS | PROC_IO_BITMAPS);
	for (unsigned b = 0; b < 3; b++)
		fx_vmwrite(&f, address_field[b], FX_NOWHERE + b * PAGE_SIZE);
	fx_enter(&f);
	for (unsigned b = 0; b < 3; b++)
		for (unsigned i = 0; i < PAGE_SIZE; i++)
			assert_int_equal(fx_page02(&f, *fx_vmcs02(&f, address_field[b]))[i], 0xff);
	f.gpr[GPR_RCX] = 0x10;
	assert_int_equal(fx_exit(&f, EXIT_MSR_READ), NESTED_REFLECTED);
	fx_end(&f);
}

/* Two VMCSs name one page, as one page serves as two bitmaps. */
static void a_page_shared_by_two_slots(void **state)
{
	u8 byte = 0x11;

	(void)state;
	start(PROC_MSR_BITMAPS | PROC_IO_BITMAPS);
	round_trip();
	fx_vmptrld(&f, FX_VMCS(1));
	fx_load_state(&f, B64);
	use_bitmaps(PROC_MSR_BITMAPS | PROC_IO_BITMAPS);
	FX12_WRITE(&f, IO_BITMAP_A, MSR_PAGE);
	round_trip();
	fx_l1_writes(&f, MSR_PAGE + 5, &byte, 1);
	for (unsigned i = 0; i < 2; i++) {
		fx_vmptrld(&f, FX_VMCS(i));
		fx_enter(&f);
		assert_int_equal(fx_page02(&f, FX02(&f, MSR_BITMAP))[5], 0x11);
		if (i)
			assert_int_equal(fx_page02(&f, FX02(&f, IO_BITMAP_A))[5], 0x11);
		fx_exit_to_l1(&f);
	}
	fx_end(&f);
}

/* More VMCSs than slots, each with a page of its own. */
static void slots_change_hands(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	for (unsigned round = 0; round < 400; round++) {
		unsigned i = (unsigned)fx_below(&f, NESTED_SLOTS * 2);
		u64 page = FX_PAGE(16 + i % 24);
		u8 byte = (u8)fx_random(&f);

		fx_vmptrld(&f, FX_VMCS(i));
		fx_load_state(&f, B64);
		use_bitmaps(PROC_MSR_BITMAPS);
		FX12_WRITE(&f, MSR_BITMAP, page);
		if (fx_below(&f, 2))
			fx_l1_writes(&f, page + fx_below(&f, PAGE_SIZE), &byte, 1);
		fx_enter(&f);
		assert_memory_equal(fx_page02(&f, FX02(&f, MSR_BITMAP)), fx_at(&f, page),
				    PAGE_SIZE);
		fx_exit_to_l1(&f);
		if (!fx_below(&f, 4))
			fx_vmclear(&f, FX_VMCS(fx_below(&f, NESTED_SLOTS * 2)));
		if (!f.n.current)
			fx_vmptrld(&f, FX_VMCS(i));
	}
	fx_end(&f);
}

static bool bit_of(const u8 *page, u32 bit)
{
	return page[bit / 8] >> (bit % 8) & 1;
}

/* What a processor does with RDMSR or WRMSR of L2 (SDM 3C "Instructions That Cause VM
 * Exits Conditionally"), by the bitmap at *page. */
static bool msr_exits(u64 proc, const u8 *page, u32 msr, bool write)
{
	u32 bit = (msr & 0x1fff) + (msr >= 0xc0000000 ? MSR_HIGH : 0) + (write ? MSR_WRITE : 0);

	if (!(proc & PROC_MSR_BITMAPS))
		return true;
	if (msr > 0x1fff && (msr < 0xc0000000 || msr > 0xc0001fff))
		return true;
	return bit_of(page, bit);
}

static bool io_exits(u64 proc, const u8 *a, const u8 *b, u32 port, u32 size)
{
	if (!(proc & PROC_IO_BITMAPS))
		return proc & PROC_UNCOND_IO;
	if (port + size > 0x10000)
		return true;
	for (u32 p = port; p < port + size; p++)
		if (bit_of(p < 0x8000 ? a : b, p & 0x7fff))
			return true;
	return false;
}

static u32 some_msr(void)
{
	static const u32 edges[] = {
		0, 0x1fff, 0x2000, 0xbfffffff, 0xc0000000, 0xc0001fff, 0xc0002000, ~0u,
	};

	switch (fx_below(&f, 4)) {
	case 0: return edges[fx_below(&f, ARRAY_SIZE(edges))];
	case 1: return 0xc0000000 + (u32)fx_below(&f, 0x2000);
	default: return (u32)fx_below(&f, 0x2000);
	}
}

/* Owner of an exit: L1 if it asked, else L0 if it asked. Else there was none. */
static void try_msr(bool l0[2])
{
	u64 proc12 = FX_SLOT(&f)->v[VF_PROC_CONTROLS];
	u32 msr = some_msr();
	bool write = fx_below(&f, 2);
	bool l1_wants = msr_exits(proc12, fx_at(&f, FX_SLOT(&f)->v[VF_MSR_BITMAP]), msr, write);
	bool l0_wants = msr_exits(PROC_MSR_BITMAPS, own_page(2), msr, write);
	bool exits = msr_exits(FX02(&f, PROC_CONTROLS), FX02(&f, PROC_CONTROLS) & PROC_MSR_BITMAPS ?
			       fx_page02(&f, FX02(&f, MSR_BITMAP)) : NULL, msr, write);

	assert_int_equal(exits, l1_wants || l0_wants);
	if (!exits)
		return;
	f.gpr[GPR_RCX] = msr | fx_random(&f) << 32;
	assert_int_equal(fx_exit(&f, write ? EXIT_MSR_WRITE : EXIT_MSR_READ),
			 l1_wants ? NESTED_REFLECTED : NESTED_L0);
	l0[0] |= !l1_wants;
}

static void try_port(bool l0[2])
{
	static const u32 sizes[] = { 1, 2, 4 };
	const u64 *v = FX_SLOT(&f)->v;
	u32 port = fx_below(&f, 4) ? (u32)fx_below(&f, 0x10000) : 0xfffc + (u32)fx_below(&f, 4);
	u32 size = sizes[fx_below(&f, 3)];
	bool l1_wants = io_exits(v[VF_PROC_CONTROLS], fx_at(&f, v[VF_IO_BITMAP_A]),
				 fx_at(&f, v[VF_IO_BITMAP_B]), port, size);
	bool l0_wants = io_exits(PROC_IO_BITMAPS, own_page(0), own_page(1), port, size);
	bool exits = io_exits(FX02(&f, PROC_CONTROLS), fx_page02(&f, FX02(&f, IO_BITMAP_A)),
			      fx_page02(&f, FX02(&f, IO_BITMAP_B)), port, size);

	assert_int_equal(exits, l1_wants || l0_wants);
	if (!exits)
		return;
	FX02(&f, EXIT_QUALIFICATION) = (u64)port << 16 | (size - 1);
	assert_int_equal(fx_exit(&f, EXIT_IO), l1_wants ? NESTED_REFLECTED : NESTED_L0);
	l0[1] |= !l1_wants;
}

static void disturb_vmcs12(void)
{
	u32 modes = PROC_MSR_BITMAPS | PROC_IO_BITMAPS | PROC_UNCOND_IO;
	u8 mine[64];

	FX12_WRITE(&f, PROC_CONTROLS, (FX12_READ(&f, PROC_CONTROLS) & ~(u64)modes) |
				      ((u32)fx_random(&f) & modes));
	for (unsigned b = 0; b < 3; b++)
		if (!fx_below(&f, 3))
			fx_vmwrite(&f, address_field[b], FX_PAGE(fx_below(&f, 8)));
	for (unsigned i = 0; i < sizeof(mine); i++)
		mine[i] = fx_below(&f, 3) ? 0 : (u8)fx_random(&f);
	fx_l1_writes(&f, FX_PAGE(fx_below(&f, 8)) + fx_below(&f, 64) * 64, mine, sizeof(mine));
}

/* The property: vmcs02 exits where L0 or L1 asked, and nowhere else; whatever L1 writes. */
static void nothing_that_L0_intercepts_is_reached(void **state)
{
	bool l0[2] = { false, false };

	(void)state;
	start(0);
	for (unsigned b = 0; b < 3; b++)
		randomise(own_page(b), 5);
	for (unsigned round = 0; round < 20000; round++) {
		if (!f.n.in_l2) {
			disturb_vmcs12();
			fx_enter(&f);
		}
		try_msr(l0);
		if (f.n.in_l2)
			try_port(l0);
	}
	assert_true(l0[0] && l0[1]);
	if (f.n.in_l2)
		fx_exit_to_l1(&f);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_merged_page_is_both),
		cmocka_unit_test(a_page_is_merged_again_only_when_it_must),
		cmocka_unit_test(a_write_counts_also_while_bitmaps_are_off),
		cmocka_unit_test(what_cannot_be_watched_is_merged_every_time),
		cmocka_unit_test(an_unreadable_page_intercepts_all),
		cmocka_unit_test(a_page_shared_by_two_slots),
		cmocka_unit_test(slots_change_hands),
		cmocka_unit_test(nothing_that_L0_intercepts_is_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
