/*
 * Torture of guest memory: EPT tables and the guest's own tables are changed at random (always
 * the same way for a seed) with exactly the invalidations that the SDM requires, tables are
 * shared, moved, linked in circles and reused, and every access must do what a model of the
 * tables says. One digest for each thousand steps; the first difference from the model is shown
 * in full and ends the test.
 *
 * Command line: steps=1000000 seed=7. There is no file of expected lines: the order in which a
 * compiler has expressions draw random numbers is its own affair.
 */
#include "vmx_torture.h"

#define STEPS	5000u

struct features features;
u64 step;

static u64 option(const char *name, u64 value)
{
	for (const char *p = boot.command_line; *p; p++) {
		size_t length = 0;

		while (name[length] && p[length] == name[length])
			length++;
		if (name[length])
			continue;
		for (value = 0, p += length; *p >= '0' && *p <= '9'; p++)
			value = 10 * value + (u64)(*p - '0');
		return value;
	}
	return value;
}

static void read_features(void)
{
	features.ept = control_can(SECONDARY_CONTROLS, SEC_EPT);
	features.vpid = control_can(SECONDARY_CONTROLS, SEC_VPID);
	features.vmfunc = features.ept && control_can(SECONDARY_CONTROLS, SEC_VMFUNC);
	features.mode_exec = features.ept && control_can(SECONDARY_CONTROLS, SEC_MODE_EXEC);
	features.exec_only = vmx_caps.ept_vpid & BIT(0);
	features.walk5 = vmx_caps.ept_vpid & EPT_CAP_WALK5;
	features.large_2m = vmx_caps.ept_vpid & BIT(16);
	features.large_1g = vmx_caps.ept_vpid & BIT(17);
	features.ad = vmx_caps.ept_vpid & BIT(21);
	features.advanced = vmx_caps.ept_vpid & BIT(22);
	features.pml = features.ad && control_can(SECONDARY_CONTROLS, SEC_PML);
	features.ve = features.ept && control_can(SECONDARY_CONTROLS, SEC_VE);
	features.large_1g_guest = cpuid(0x80000001, 0).edx & BIT(26);
	features.width = cpuid(0x80000008, 0).eax & 0xff;
}

/* Something is missing from tables and caches may still have it, until they are told. */
static void take_away(void)
{
	if (!ept_take_away())
		return;
	for (u32 n = pick(4); n > 0; n--)
		access_stale();
	ept_invalidate_taken();
}

static void change_ept(void)
{
	switch (pick(16)) {
	case 0 ... 2:
		ept_clear_flags();
		break;
	case 3:
		ept_move_root();
		break;
	case 4:
		if (features.walk5 && chance(50))
			ept_toggle_levels();
		else
			ept_toggle_mode();
		break;
	case 5:
		take_away();
		break;
	default:
		ept_change();
	}
}

static void one_step(void)
{
	u32 what = pick(100);

	if (what < 18 && features.ept)
		change_ept();
	else if (what < 30)
		guest_change();
	else if (what < 34)
		guest_change_by_guest();
	else if (what < 37)
		access_switched();
	else if (what < 38)
		roles_change();
	for (u32 n = pick(4); n > 0; n--) {
		struct access a = some_access();

		access_check(&a);
	}
}

static void check_all(void)
{
	for (unsigned int page = 0; page < PAGES; page++)
		if (!page_is_right(page))
			die("page %lx changed without a reason, before step %lu",
			    page_address(page), step);
}

int main(void)
{
	u64 steps = option("steps=", STEPS), seed = option("seed=", 1);

	if (!memory_is_available(ARENA, FIXED + FIXED_PAGES * PAGE_SIZE))
		die("there is no memory at %llx", ARENA);
	vmx_on();
	read_features();
	random_seed(seed);
	make_fixed();
	ept_make();
	guest_make();
	access_init();
	invalidate_all();
	for (step = 1; step <= steps; step++) {
		one_step();
		if (step % 1000 && step != steps)
			continue;
		check_all();
		print("%lu: %08x\n", step, digest());
	}
	access_summary();
	vmx_off();
	return 0;
}
