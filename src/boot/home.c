/*
 * Chooses L0's home: high, where no guest kernel is linked to, but below
 * 4 GiB, where a boot loader's 32-bit world reaches.
 */
#include "boot/init.h"
#include "vm/loader_plan.h"
#include "vm/vm.h"

#define HOME_FIXED (8ull << 20)
#define HOME_SHARE 256			/* of RAM */
#define HOME_CPU (64ull << 10)		/* for each but the first, struct pcpu */
#define HOME_VCPU (1ull << 20)		/* vcpu_create() */
#define HOME_MIN_ADDRESS (1ull << 20)
#define HOME_MAX_ADDRESS (1ull << 32)

bool boot_home_choose(const struct boot_info *bi, u32 cpus, const struct boot_range *avoid,
		      size_t n)
{
	struct loader_plan plan;
	u64 ram = e820_total(&bi->map, E820_AVAILABLE);
	u64 others = cpus - 1, vcpus = MIN(others, MIN(bi->options.cpus, VM_MAX_VCPUS) - 1u);
	u64 size = ALIGN_UP(HOME_FIXED + ram / HOME_SHARE + others * HOME_CPU + vcpus * HOME_VCPU,
			    SZ_2M), base;

	loader_plan_init(&plan, &bi->map);
	for (size_t i = 0; i < n; i++)
		loader_plan_use(&plan, avoid[i].start, avoid[i].end);
	for (u32 i = 0; i < bi->modules; i++)
		loader_plan_use(&plan, bi->module[i].start, bi->module[i].end);
	if (!loader_plan_high(&plan, size, SZ_2M, HOME_MIN_ADDRESS, HOME_MAX_ADDRESS, &base))
		return false;
	cpu_home_init(HPA(base), size);
	return true;
}
