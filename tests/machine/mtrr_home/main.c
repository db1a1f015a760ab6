/*
 * An L1 that makes all memory write-combining, and with it that of a hypervisor below, whose stores to its
 * own tables would come late and in any order. The VM ends, and not a line later.
 * SDM: Methods of Caching Available; Memory Type Range Registers (MTRRs).
 */
#include "cpu.h"

#define MTRR_VALID	BIT(11)
#define WRITE_COMBINING	1

int main(void)
{
	u32 base = 0x200 + 2 * ((rdmsr(MSR_MTRR_CAP) & 0xff) - 1);
	u64 width = BIT(cpuid(0x80000008, 0).eax & 0xff) - 1;

	/* Where no memory is, it may. */
	wrmsr(base, (BIT(32) - BIT(28)) | WRITE_COMBINING);
	wrmsr(base + 1, (width & ~(BIT(24) - 1)) | MTRR_VALID);
	print("elsewhere it goes on\n");
	print("done\n");
	wrmsr(base, WRITE_COMBINING);
	wrmsr(base + 1, (width & ~(BIT(32) - 1)) | MTRR_VALID);
	print("L0 goes on with memory that is write-combining\n");
	return 0;
}
