/*
 * Memory types that change while L0's tables for L1's memory are full: L1 looks for devices all
 * over the physical address space, as on a CPU without 1-GiB pages costs L0 a table for each GiB,
 * and writes MTRRs, for which L0 must split pages.
 */
#include "cpu.h"

#define WINDOW	0xbfe00000ull	/* 2 MiB of linear addresses that nobody needs */
/* With 256 MiB L0's tables have about 580 pages: they are full while the types change. */
#define DEVICES	500u
#define REGIONS	112u		/* of 2 MiB, above 16 MiB, of which the test uses a page */
#define UC_PAGE	(5 * PAGE_SIZE)

static volatile u64 *window(u64 physical)
{
	pd[WINDOW >> 21] = (physical & ~((2ull << 20) - 1)) | 0x83;
	invlpg(WINDOW);
	return (volatile u64 *)(WINDOW + (physical & ((2ull << 20) - 1)));
}

int main(void)
{
	u32 msr = 0x200 + 2 * ((rdmsr(MSR_MTRR_CAP) & 0xff) - 1),
	    bits = cpuid(0x80000008, 0).eax & 0xff;
	u64 width = BIT(bits) - 1, old_base = rdmsr(msr), old_mask = rdmsr(msr + 1), i;
	u32 ones = 0, kept = 0;

	for (i = 0; i < DEVICES; i++)
		ones += *window((5 + i) << 30) == ~0ull;
	wrmsr(msr + 1, (width & ~(PAGE_SIZE - 1)) | BIT(11));
	for (i = 0; i < REGIONS; i++) {
		u64 page = (16ull << 20) + (i << 21) + UC_PAGE;
		volatile u64 *word = window(page);

		wrmsr(msr, page);
		*word = page;
		kept += *word == page;
	}
	wrmsr(msr + 1, old_mask);
	wrmsr(msr, old_base);
	for (i = 0; i < DEVICES; i++)
		ones += *window((5 + i) << 30) == ~0ull;
	print("%u reads without memory gave ones; %u pages kept their word\n", ones, kept);
	return 0;
}
