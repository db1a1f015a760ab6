/*
 * nested/shadow.c: cold fields in the shadow VMCS of a hypervisor that looks at
 * them all the time, and out of it for others.
 */
#include "engine_fixture.h"

static struct fx f;

static const unsigned cold[] = {
	VF_GUEST_ES_SELECTOR, VF_GUEST_LDTR_BASE, VF_GUEST_SYSENTER_EIP, VF_GUEST_DR7,
	VF_GUEST_PAT, VF_GUEST_GDTR_BASE, VF_GUEST_FS_BASE,
};
#define COLD ARRAY_SIZE(cold)

static u64 any_value(unsigned field)
{
	switch (field) {
	case VF_GUEST_ES_SELECTOR:
		return (u16)fx_random(&f) & ~7u;
	case VF_GUEST_DR7:
		return DR7_INIT | (fx_random(&f) & 0xff);
	case VF_GUEST_PAT:
		return fx_random(&f) & 0x0404040404040404;
	default:
		return fx_random(&f) & 0x7fffffffffff;
	}
}

/* A trip: L1 writes and reads some cold fields, L2 changes some, L1 finds all of them. */
static void trip(u64 *value, unsigned accesses, bool saves_pat)
{
	for (unsigned a = 0; a < accesses; a++) {
		unsigned i = (unsigned)fx_below(&f, COLD);

		if (fx_below(&f, 2)) {
			value[i] = any_value(cold[i]);
			fx_vmwrite(&f, cold[i], value[i]);
		} else {
			assert_int_equal(fx_vmread(&f, cold[i]), value[i]);
		}
	}
	fx_enter(&f);
	for (unsigned i = 0; i < COLD; i++) {
		assert_int_equal(*fx_vmcs02(&f, cold[i]), value[i]);
		if (fx_below(&f, 4))
			continue;
		*fx_vmcs02(&f, cold[i]) = any_value(cold[i]);
		if (cold[i] != VF_GUEST_PAT || saves_pat)
			value[i] = *fx_vmcs02(&f, cold[i]);
	}
	fx_exit_to_l1(&f);
}

static void start(u64 *value, bool shadow, bool saves_pat)
{
	fx_start(&f, B64, shadow);
	FX12_WRITE(&f, ENTRY_CONTROLS,
		   FX12_READ(&f, ENTRY_CONTROLS) | ENTRY_LOAD_PAT | ENTRY_LOAD_DEBUG);
	FX12_WRITE(&f, EXIT_CONTROLS, (FX12_READ(&f, EXIT_CONTROLS) & ~(u64)EXIT_SAVE_PAT) |
		   EXIT_SAVE_DEBUG | (saves_pat ? EXIT_SAVE_PAT : 0));
	for (unsigned i = 0; i < COLD; i++) {
		value[i] = any_value(cold[i]);
		fx_vmwrite(&f, cold[i], value[i]);
	}
}

static void a_busy_hypervisor(bool shadow, bool saves_pat)
{
	bool was_wide = false, was_narrow_again = false;
	u64 value[COLD];

	start(value, shadow, saves_pat);
	for (unsigned i = 0; i < 9000; i++) {
		trip(value, 4 + (unsigned)fx_below(&f, 4), saves_pat);
		was_narrow_again |= was_wide && !FX_SLOT(&f)->wide;
		was_wide |= FX_SLOT(&f)->wide;
		if (!fx_below(&f, 500)) {
			fx_vmclear(&f, FX_VMCS(0));
			fx_vmptrld(&f, FX_VMCS(0));
		}
		if (!fx_below(&f, 100)) {
			fx_vmptrld(&f, FX_VMCS(1));
			fx_vmptrld(&f, FX_VMCS(0));
		}
		if (i == 4000)		/* long enough to become narrow by itself */
			for (unsigned k = 0; k < 4200; k++)
				trip(value, 5, saves_pat);
	}
	assert_int_equal(was_wide, shadow);
	assert_int_equal(was_narrow_again, shadow);
	fx_end(&f);
}

static void busy_with_a_shadow(void **state)
{
	(void)state;
	a_busy_hypervisor(true, true);
	a_busy_hypervisor(true, false);
}

static void busy_without(void **state)
{
	(void)state;
	a_busy_hypervisor(false, true);
}

/* Two accesses for a trip, or many once in a while, are not worth it. */
static void a_quiet_hypervisor(void **state)
{
	u64 value[COLD];

	(void)state;
	start(value, true, true);
	for (unsigned i = 0; i < 1000; i++) {
		trip(value, i % 4 ? 2 : 20, true);
		assert_int_equal(FX_SLOT(&f)->wide, 0);
	}
	fx_end(&f);
}

/* Another VMCS has its own fields and bitmaps. */
static void bitmaps_follow_the_current_vmcs(void **state)
{
	u64 value[COLD];

	(void)state;
	start(value, true, true);
	f.n.vmread_bitmap = HPA(0x1000);
	f.n.wide_bitmap[0] = HPA(0x2000);
	f.n.linked_bitmap = 0x1000;
	for (unsigned i = 0; i < 10; i++)
		trip(value, 5, true);
	assert_true(FX_SLOT(&f)->wide);
	assert_int_equal(FX01(&f, VMREAD_BITMAP), 0x2000);
	fx_vmptrld(&f, FX_VMCS(1));
	assert_int_equal(FX01(&f, VMREAD_BITMAP), 0x1000);
	fx_vmptrld(&f, FX_VMCS(0));
	assert_int_equal(FX01(&f, VMREAD_BITMAP), 0x2000);
	trip(value, 5, true);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(busy_with_a_shadow),
		cmocka_unit_test(busy_without),
		cmocka_unit_test(a_quiet_hypervisor),
		cmocka_unit_test(bitmaps_follow_the_current_vmcs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
