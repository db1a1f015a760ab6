/*
 * nested/slots.c: the bounded cache loses nothing, believes nothing it reads
 * from L1's page, and costs nothing when two VMCSs alternate.
 */
#include "nested_kit.h"

#include "nested/slots.h"

#define REGION_FORMAT_AT 8
#define REGION_LAUNCHED_AT 12

static u64 value_of(unsigned vmcs, unsigned field)
{
	u64 v = (u64)(vmcs + 1) * 0x0101010101010101 + field;

	return v & nested_field_bits[field];
}

static void load(struct kit *k, unsigned vmcs)
{
	assert_ok(kit_m64(k, EXIT_VMPTRLD, KIT_VMCS(vmcs)));
	assert_int_equal(k->n.current->gpa.v, KIT_VMCS(vmcs));
}

static void a_hundred_vmcss_in_turn(void **state)
{
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	for (unsigned i = 0; i < 100; i++) {
		assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(i)));
		load(&k, i);
		k.n.current->launched = i % 3 == 0;	/* as an entry would */
		for (unsigned f = 0; f < VF_COUNT; f++)
			if (field_test(&k.n.exists, f))
				assert_ok(kit_vmwrite(&k, nested_field_encoding[f],
						      value_of(i, f)));
	}
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 100; i++) {
			load(&k, i);
			assert_int_equal(k.n.current->launched, i % 3 == 0);
			for (unsigned f = 0; f < VF_COUNT; f++) {
				if (!field_test(&k.n.exists, f))
					continue;
				assert_ok(kit_vmread(&k, nested_field_encoding[f], &v));
				assert_int_equal(v, value_of(i, f));
			}
		}
	}
	assert_ok(kit_plain(&k, EXIT_VMXOFF));
	kit_enter_root(&k);
	load(&k, 99);
	assert_ok(kit_vmread(&k, VMCS_GUEST_RIP, &v));
	assert_int_equal(v, value_of(99, VF_GUEST_RIP));
	kit_end(&k);
}

static void the_least_recently_used_goes(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	for (unsigned i = 0; i < NESTED_SLOTS; i++)
		load(&k, i);
	load(&k, 0);
	load(&k, NESTED_SLOTS);
	assert_null(nested_slot_find(&k.n, GPA1(KIT_VMCS(1))));
	assert_non_null(nested_slot_find(&k.n, GPA1(KIT_VMCS(0))));
	assert_non_null(nested_slot_find(&k.n, GPA1(KIT_VMCS(2))));
	kit_end(&k);
}

static void the_current_one_stays(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	for (unsigned i = 0; i < NESTED_SLOTS; i++)
		load(&k, i);
	k.n.current = nested_slot_find(&k.n, GPA1(KIT_VMCS(0)));	/* the oldest */
	nested_slot_load(&k.n, GPA1(KIT_VMCS(50)), false);
	assert_int_equal(k.n.current->gpa.v, KIT_VMCS(0));
	assert_null(nested_slot_find(&k.n, GPA1(KIT_VMCS(1))));
	kit_end(&k);
}

static void alternating_costs_nothing(void **state)
{
	struct kit k;
	struct hw_counts was;
	u64 reads, writes;

	(void)state;
	kit_start(&k);
	kit_use_shadow(&k);
	kit_enter_root(&k);
	load(&k, 0);
	load(&k, 1);
	reads = k.vm.memory.reads;
	load(&k, 0);
	reads = k.vm.memory.reads - reads;	/* the operand: its walk and itself */
	for (unsigned i = 0; i < 10; i++) {
		u64 r = k.vm.memory.reads;

		writes = k.vm.memory.writes;
		was = k.hw.count;
		load(&k, !(i & 1));
		assert_int_equal(k.vm.memory.reads - r, reads);
		assert_int_equal(k.vm.memory.writes, writes);
		assert_int_equal(k.hw.count.loads, was.loads);
		assert_in_range(k.hw.count.writes - was.writes, 0, 4);
		assert_in_range(k.hw.count.reads - was.reads, 0, 12);
	}
	kit_end(&k);
}

static void hostile_pages(void **state)
{
	struct unit_random r = { 3 };
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	load(&k, 0);
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(0)));
	for (unsigned i = 0; i < 300; i++) {
		u8 *page = k.vm.memory.ram + KIT_VMCS(0);
		bool keep_format = i & 1;

		for (unsigned b = keep_format ? REGION_LAUNCHED_AT : REGION_FORMAT_AT;
		     b < PAGE_SIZE; b += 4)
			memcpy(page + b, &(u32){ (u32)unit_random(&r) }, 4);
		load(&k, 0);	/* nested_invariant() looks at every field */
		if (!keep_format) {
			assert_false(k.n.current->launched);
			for (unsigned f = 0; f < VF_COUNT; f++)
				assert_int_equal(k.n.current->v[f], 0);
		}
		assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(0)));
	}
	kit_end(&k);
}

static void a_page_never_cleared_reads_as_zero(void **state)
{
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	memset(k.vm.memory.ram + KIT_VMCS(0) + 4, 0xff, PAGE_SIZE - 4);
	load(&k, 0);
	assert_ok(kit_vmread(&k, VMCS_GUEST_CR0, &v));
	assert_int_equal(v, 0);
	/* The abort indicator is L1's to see. */
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(0)));
	assert_int_equal(kit_peek(&k, KIT_VMCS(0)) >> 32, 0xffffffff);
	assert_int_equal((u32)kit_peek(&k, KIT_VMCS(0)), NESTED_REVISION);
	kit_end(&k);
}

static void vmclear_of_what_is_not_active(void **state)
{
	struct kit k;
	u8 *before = malloc(PAGE_SIZE);

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	k.n.current->launched = true;
	for (unsigned i = 1; i <= NESTED_SLOTS; i++)
		load(&k, i);
	assert_null(nested_slot_find(&k.n, GPA1(KIT_VMCS(0))));
	assert_int_equal((u32)kit_peek(&k, KIT_VMCS(0) + REGION_LAUNCHED_AT), 1);
	memcpy(before, k.vm.memory.ram + KIT_VMCS(0), PAGE_SIZE);
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(0)));
	memset(before + REGION_LAUNCHED_AT, 0, 4);
	assert_memory_equal(before, k.vm.memory.ram + KIT_VMCS(0), PAGE_SIZE);
	load(&k, 0);
	assert_false(k.n.current->launched);
	free(before);
	kit_end(&k);
}

static void a_new_slot_is_all_dirty(void **state)
{
	struct nested_vmcs *s;
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_use_shadow(&k);
	kit_enter_root(&k);
	s = nested_slot_load(&k.n, GPA1(KIT_VMCS(0)), false);
	assert_memory_equal(&s->dirty, &k.n.exists, sizeof(s->dirty));
	assert_true(field_set_empty(&s->stale));
	for (unsigned g = GROUP_CTL; g <= GROUP_GUEST; g++)
		assert_true(s->unchecked & BIT32(g));
	assert_false(s->ready02 || s->launched02);
	assert_true(field_test(&s->shadow_dirty, VF_GUEST_RIP));
	assert_true(field_test(&s->shadow_dirty, VF_EXIT_REASON));
	assert_false(field_test(&s->shadow_dirty, VF_EPT_POINTER));
	kit_end(&k);
}

static void cold_fields_are_fetched_before_they_leave(void **state)
{
	struct nested_vmcs *s;
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	s = k.n.current;
	s->ready02 = s->launched02 = true;
	s->dirty = (struct field_set){ { 0 } };
	hw_region_at(&k.hw, s->vmcs02)->v[VF_GUEST_DS_BASE] = 0xd5;
	hw_region_at(&k.hw, s->vmcs02)->v[VF_GUEST_ES_BASE] = 0xe5;
	field_set(&s->stale, VF_GUEST_DS_BASE);
	field_set(&s->stale, VF_GUEST_ES_BASE);
	/* A write replaces what was stale, and only that. */
	assert_ok(kit_vmwrite(&k, VMCS_GUEST_ES_BASE, 0xe6));
	assert_ok(kit_vmread(&k, VMCS_GUEST_DS_BASE, &v));
	assert_int_equal(v, 0xd5);
	assert_ok(kit_vmread(&k, VMCS_GUEST_ES_BASE, &v));
	assert_int_equal(v, 0xe6);
	hw_region_at(&k.hw, s->vmcs02)->v[VF_GUEST_DS_BASE] = 0xd6;
	field_set(&s->stale, VF_GUEST_DS_BASE);
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(0)));
	assert_true(hw_region_at(&k.hw, s->vmcs02)->clear);
	load(&k, 0);
	assert_ok(kit_vmread(&k, VMCS_GUEST_DS_BASE, &v));
	assert_int_equal(v, 0xd6);
	kit_end(&k);
}

static void a_write_of_the_same_value_dirties_nothing(void **state)
{
	struct nested_vmcs *s;
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	s = k.n.current;
	assert_ok(kit_vmwrite(&k, VMCS_HOST_RIP, 0x1000));
	s->dirty = (struct field_set){ { 0 } };
	s->unchecked = 0;
	assert_ok(kit_vmwrite(&k, VMCS_HOST_RIP, 0x1000));
	assert_true(field_set_empty(&s->dirty));
	assert_int_equal(s->unchecked, 0);
	assert_ok(kit_vmwrite(&k, VMCS_HOST_RIP, 0x2000));
	assert_true(field_test(&s->dirty, VF_HOST_RIP));
	assert_int_equal(s->unchecked, BIT32(GROUP_HOST));
	kit_end(&k);
}

/* The shadow VMCS that the hardware would use for L1 now, or NULL. */
static struct hw_region *linked(struct kit *k)
{
	u64 link = kit_get(k, VMCS_VMCS_LINK_POINTER);
	bool on = kit_get(k, VMCS_PROC2_CONTROLS) & PROC2_SHADOW_VMCS;

	assert_int_equal(on, link != ~0ull);
	return on ? hw_region_at(&k->hw, HPA(link)) : NULL;
}

static void the_shadow_follows_the_current_vmcs(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_use_shadow(&k);
	kit_enter_root(&k);
	assert_null(linked(&k));
	load(&k, 0);
	assert_int_equal(linked(&k)->at.v, k.n.current->shadow.v);
	assert_true(linked(&k)->shadow);
	load(&k, 1);
	assert_int_equal(linked(&k)->at.v, k.n.current->shadow.v);
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(0)));
	assert_int_equal(linked(&k)->at.v, k.n.current->shadow.v);
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(1)));
	assert_null(linked(&k));
	load(&k, 1);
	assert_ok(kit_plain(&k, EXIT_VMXOFF));
	assert_null(linked(&k));
	kit_end(&k);
}

static void what_l1_writes_in_the_shadow_counts(void **state)
{
	struct nested_vmcs *s;
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_use_shadow(&k);
	kit_enter_root_with_vmcs(&k);
	s = k.n.current;
	s->dirty = (struct field_set){ { 0 } };
	s->unchecked = 0;
	linked(&k)->v[VF_GUEST_RIP] = 0x1234;	/* L1's VMWRITE, without an exit */
	linked(&k)->v[VF_GUEST_CS_AR] = 0x9b;
	nested_shadow_pull(&k.n, s);
	assert_int_equal(s->v[VF_GUEST_RIP], 0x1234);
	assert_true(field_test(&s->dirty, VF_GUEST_RIP) && field_test(&s->dirty, VF_GUEST_CS_AR));
	assert_false(field_test(&s->dirty, VF_GUEST_RSP));
	assert_int_equal(s->unchecked, BIT32(GROUP_GUEST));
	/* A VMREAD that exits nevertheless sees it, and so does the next owner of the page. */
	linked(&k)->v[VF_GUEST_RSP] = 0x5678;
	assert_ok(kit_vmread(&k, VMCS_GUEST_RSP, &v));
	assert_int_equal(v, 0x5678);
	linked(&k)->v[VF_GUEST_RSP] = 0x9abc;
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(0)));
	load(&k, 0);
	assert_int_equal(linked(&k)->v[VF_GUEST_RSP], 0x9abc);
	kit_end(&k);
}

static void what_the_engine_writes_reaches_the_shadow(void **state)
{
	struct nested_vmcs *s;
	struct kit k;
	u64 writes;

	(void)state;
	kit_start(&k);
	kit_use_shadow(&k);
	kit_enter_root_with_vmcs(&k);
	s = k.n.current;
	s->v[VF_EXIT_REASON] = EXIT_CPUID;
	s->v[VF_GUEST_RIP] = 0x4321;
	field_set(&s->shadow_dirty, VF_EXIT_REASON);
	field_set(&s->shadow_dirty, VF_GUEST_RIP);
	writes = k.hw.count.writes;
	nested_shadow_push(&k.n, s);
	assert_int_equal(k.hw.count.writes - writes, 2);
	assert_int_equal(linked(&k)->v[VF_EXIT_REASON], EXIT_CPUID);
	assert_int_equal(linked(&k)->v[VF_GUEST_RIP], 0x4321);
	assert_true(field_set_empty(&s->shadow_dirty));
	/* L1 may write exit information, by an exit; it must see it afterwards. */
	assert_ok(kit_vmwrite(&k, VMCS_EXIT_REASON, EXIT_HLT));
	assert_int_equal(linked(&k)->v[VF_EXIT_REASON], EXIT_HLT);
	/* v[] that was never pushed is not overwritten by the old shadow. */
	s->v[VF_GUEST_RIP] = 0x7777;
	field_set(&s->shadow_dirty, VF_GUEST_RIP);
	nested_shadow_pull(&k.n, s);
	assert_int_equal(s->v[VF_GUEST_RIP], 0x7777);
	kit_end(&k);
}

/* A processor without APIC virtualization has no GUEST_INTR_STATUS to shadow. */
static void fields_the_hardware_lacks_are_not_touched(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_use_shadow(&k);
	k.hw.caps.proc2.may &= ~(PROC2_VIRTUAL_INTR | PROC2_APIC_REGISTER);
	k.hw.caps.pin.may &= ~PIN_POSTED_INTERRUPTS;
	k.hw.exists[VF_GUEST_INTR_STATUS] = false;
	nested_caps_init(&k.n);
	kit_enter_root_with_vmcs(&k);
	nested_shadow_pull(&k.n, k.n.current);
	assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(0)));
	kit_end(&k);
}

static void without_shadowing_nothing_is_linked(void **state)
{
	struct kit k;
	u64 loads;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	loads = k.hw.count.loads;
	load(&k, 1);
	nested_shadow_pull(&k.n, k.n.current);
	nested_shadow_push(&k.n, k.n.current);
	assert_int_equal(k.hw.count.loads, loads);
	assert_null(linked(&k));
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundred_vmcss_in_turn),
		cmocka_unit_test(the_least_recently_used_goes),
		cmocka_unit_test(the_current_one_stays),
		cmocka_unit_test(alternating_costs_nothing),
		cmocka_unit_test(hostile_pages),
		cmocka_unit_test(a_page_never_cleared_reads_as_zero),
		cmocka_unit_test(vmclear_of_what_is_not_active),
		cmocka_unit_test(a_new_slot_is_all_dirty),
		cmocka_unit_test(cold_fields_are_fetched_before_they_leave),
		cmocka_unit_test(a_write_of_the_same_value_dirties_nothing),
		cmocka_unit_test(the_shadow_follows_the_current_vmcs),
		cmocka_unit_test(what_l1_writes_in_the_shadow_counts),
		cmocka_unit_test(what_the_engine_writes_reaches_the_shadow),
		cmocka_unit_test(fields_the_hardware_lacks_are_not_touched),
		cmocka_unit_test(without_shadowing_nothing_is_linked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
