/* nested/state.c: every illegal combination is noticed, and no legal one. */
#include "nested_kit.h"

static struct kit k;

static void no_vmx_operation(void) { k.n.vmxon = false; }
static void in_l2_without_vmcs02(void) { k.n.in_l2 = true; }
static void current_outside_the_cache(void)
{
	static struct nested_vmcs elsewhere;

	k.n.current = &elsewhere;
}
static void current_is_a_free_slot(void) { k.n.current = &k.n.slot[7]; }
static void two_slots_of_one_region(void) { k.n.slot[5].gpa = k.n.current->gpa; }
static void region_not_aligned(void) { k.n.slot[5].gpa = GPA1(KIT_VMCS(3) + 8); }
static void region_too_wide(void) { k.n.slot[5].gpa = GPA1(1ull << 50); }
static void region_is_the_vmxon_region(void) { k.n.slot[5].gpa = GPA1(KIT_VMXON); }
static void used_in_the_future(void) { k.n.current->last_used = k.n.clock + 1; }
static void launched_but_not_ready(void) { k.n.current->launched02 = true; }
static void stale_before_it_ran(void) { field_set(&k.n.current->stale, VF_GUEST_DS_BASE); }

static void stale_and_dirty(void)
{
	k.n.current->ready02 = true;
	field_set(&k.n.current->stale, VF_GUEST_DS_BASE);
	field_set(&k.n.current->dirty, VF_GUEST_DS_BASE);
}

static void stale_but_not_cold(void)
{
	k.n.current->ready02 = true;
	k.n.current->dirty = (struct field_set){ { 0 } };
	field_set(&k.n.current->stale, VF_GUEST_RIP);
}

static void a_field_that_is_not_shadowed(void)
{
	field_set(&k.n.current->shadow_dirty, VF_EPT_POINTER);
}

static void a_value_too_wide(void) { k.n.current->v[VF_GUEST_CS_AR] = 1ull << 32; }
static void a_field_l1_does_not_have(void) { k.n.current->v[VF_GUEST_PERF_GLOBAL_CTRL] = 1; }

static const struct { const char *name; void (*make)(void); } illegal[] = {
#define I(f) { #f, f }
	I(no_vmx_operation), I(in_l2_without_vmcs02), I(current_outside_the_cache),
	I(current_is_a_free_slot), I(two_slots_of_one_region), I(region_not_aligned),
	I(region_too_wide), I(region_is_the_vmxon_region), I(used_in_the_future),
	I(launched_but_not_ready), I(stale_before_it_ran), I(stale_and_dirty),
	I(stale_but_not_cold), I(a_field_that_is_not_shadowed), I(a_value_too_wide),
	I(a_field_l1_does_not_have),
#undef I
};

static void illegal_states(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(illegal); i++) {
		kit_start(&k);
		kit_enter_root_with_vmcs(&k);
		assert_true(nested_invariant(&k.n));
		illegal[i].make();
		if (nested_invariant(&k.n))
			fail_msg("nobody noticed: %s", illegal[i].name);
		kit_end(&k);
	}
}

static void legal_states(void **state)
{
	static const struct nested_vcpu zero;

	(void)state;
	assert_true(nested_invariant(&zero));	/* zeroed is "not in VMX operation" */
	kit_start(&k);
	assert_true(nested_invariant(&k.n));
	kit_enter_root(&k);
	assert_true(nested_invariant(&k.n));
	assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)));
	k.n.current->ready02 = k.n.current->launched02 = k.n.in_l2 = true;
	assert_true(nested_invariant(&k.n));
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(illegal_states),
		cmocka_unit_test(legal_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
