/*
 * nested/link.c, shadow.c: VMCS shadowing that L1 uses for L2. Shadow VMCSs of
 * L1's, the link pointer, the bitmaps, and what L0 does for L2.
 */
#include "engine_fixture.h"

#include "nested/caps.h"
#include "nested/slots.h"

#define SHADOW FX_VMCS(1)
#define OTHER FX_VMCS(2)
#define READS FX_PAGE(40)
#define WRITES FX_PAGE(41)
#define INFO_RCX (BIT32(10) | GPR_RAX << 3 | (u32)GPR_RCX << 28)
#define ABSENT 0x2036u		/* ENCLV-exiting bitmap: no L1 has it */

static struct fx f;

static void poke32(u64 gpa1, u32 value)
{
	memcpy(fx_at(&f, gpa1), &value, sizeof(value));
}

static void allow(u64 bitmap, u32 encoding)
{
	u8 byte = (u8)(*fx_at(&f, bitmap + encoding / 8) & ~(1u << encoding % 8));

	fx_l1_writes(&f, bitmap + encoding / 8, &byte, 1);
}

/*
 * L1 has VMCS(0) current, and shadow VMCSs at SHADOW and OTHER; L2 may read RIP and ES, write RIP.
 */
static void start(void)
{
	fx_start(&f, B64, true);
	poke32(SHADOW, NESTED_REVISION | VMCS_SHADOW_INDICATOR);
	poke32(OTHER, NESTED_REVISION | VMCS_SHADOW_INDICATOR);
	memset(fx_at(&f, READS), 0xff, PAGE_SIZE);
	memset(fx_at(&f, WRITES), 0xff, PAGE_SIZE);
	allow(READS, VMCS_GUEST_RIP);
	allow(READS, VMCS_GUEST_ES_SELECTOR);
	allow(WRITES, VMCS_GUEST_RIP);
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) | PROC_SECONDARY);
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) | PROC2_SHADOW_VMCS);
	FX12_WRITE(&f, VMREAD_BITMAP, READS);
	FX12_WRITE(&f, VMWRITE_BITMAP, WRITES);
	FX12_WRITE(&f, VMCS_LINK_POINTER, SHADOW);
}

/* Would the processor let L2 do this without an exit? */
static bool passes(bool write, u32 encoding)
{
	u64 bitmap = write ? FX02(&f, VMWRITE_BITMAP) : FX02(&f, VMREAD_BITMAP);

	assert_true(FX02(&f, PROC2_CONTROLS) & PROC2_SHADOW_VMCS);
	return !(fx_page02(&f, bitmap)[encoding / 8] >> (encoding % 8) & 1);
}

/* The field as L2 would reach it, in the hardware's copy. */
static u64 *l2_field(unsigned index)
{
	return &hw_region_at(&f.hw, HPA(FX02(&f, VMCS_LINK_POINTER)))->v[index];
}

static void L2_uses_what_L1_lets_it(void **state)
{
	unsigned reads = 0, writes = 0;

	(void)state;
	start();
	fx_vmptrld(&f, SHADOW);
	FX12_WRITE(&f, GUEST_RIP, 0x1234);
	FX12_WRITE(&f, GUEST_ES_SELECTOR, 0x18);
	fx_vmptrld(&f, FX_VMCS(0));
	fx_enter(&f);
	for (u32 e = 0; e < 0x8000; e++) {
		reads += passes(false, e);
		writes += passes(true, e);
	}
	assert_int_equal(reads, 2);
	assert_int_equal(writes, 1);
	assert_true(passes(false, VMCS_GUEST_RIP) && passes(false, VMCS_GUEST_ES_SELECTOR));
	assert_true(passes(true, VMCS_GUEST_RIP));
	assert_int_equal(*l2_field(VF_GUEST_RIP), 0x1234);
	assert_int_equal(*l2_field(VF_GUEST_ES_SELECTOR), 0x18);
	*l2_field(VF_GUEST_RIP) = 0x5678;
	fx_exit_to_l1(&f);
	fx_vmptrld(&f, SHADOW);
	assert_int_equal(FX12_READ(&f, GUEST_RIP), 0x5678);
	fx_vmclear(&f, SHADOW);
	fx_vmptrld(&f, SHADOW);
	assert_int_equal(FX12_READ(&f, GUEST_RIP), 0x5678);
	assert_int_equal(FX12_READ(&f, GUEST_ES_SELECTOR), 0x18);
	fx_end(&f);
}

/* Every field that L1 has, and no other, even if L1's bitmaps are all clear. */
static void L2_never_gets_fields_that_L1_has_not(void **state)
{
	(void)state;
	start();
	memset(fx_at(&f, READS), 0, PAGE_SIZE);
	memset(fx_at(&f, WRITES), 0, PAGE_SIZE);
	fx_enter(&f);
	for (u32 e = 0; e < 0x8000; e++) {
		assert_int_equal(passes(false, e), nested_field_of(&f.n, e) >= 0);
		assert_int_equal(passes(true, e), nested_field_of(&f.n, e) >= 0);
	}
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static void changed_bitmaps_count_at_the_next_entry(void **state)
{
	(void)state;
	start();
	fx_enter(&f);
	fx_exit_to_l1(&f);
	assert_false(passes(true, VMCS_GUEST_RSP));
	allow(WRITES, VMCS_GUEST_RSP);
	fx_enter(&f);
	assert_true(passes(true, VMCS_GUEST_RSP));
	assert_false(passes(false, VMCS_GUEST_RSP));
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, VMREAD_BITMAP, WRITES);
	fx_enter(&f);
	assert_true(passes(false, VMCS_GUEST_RSP));
	assert_false(passes(false, VMCS_GUEST_ES_SELECTOR));
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static void the_link_pointer_can_change(void **state)
{
	(void)state;
	start();
	fx_enter(&f);
	*l2_field(VF_GUEST_RIP) = 1;
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, VMCS_LINK_POINTER, OTHER);
	fx_enter(&f);
	assert_int_equal(*l2_field(VF_GUEST_RIP), 0);
	*l2_field(VF_GUEST_RIP) = 2;
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, VMCS_LINK_POINTER, ~0ull);
	fx_enter(&f);
	assert_true(FX02(&f, VMCS_LINK_POINTER) == ~0ull);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, VMCS_LINK_POINTER, SHADOW);
	fx_enter(&f);
	assert_int_equal(*l2_field(VF_GUEST_RIP), 1);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) & ~(u64)PROC2_SHADOW_VMCS);
	FX12_WRITE(&f, VMCS_LINK_POINTER, ~0ull);
	fx_enter(&f);
	assert_true(FX02(&f, VMCS_LINK_POINTER) == ~0ull);
	assert_false(FX02(&f, PROC2_CONTROLS) & PROC2_SHADOW_VMCS);
	fx_exit_to_l1(&f);
	fx_vmptrld(&f, OTHER);
	assert_int_equal(FX12_READ(&f, GUEST_RIP), 2);
	fx_end(&f);
}

/* What L2 wrote is kept when the slot goes to others, or L1 clears the VMCS. */
static void a_shadow_vmcs_may_be_evicted(void **state)
{
	(void)state;
	start();
	fx_enter(&f);
	*l2_field(VF_GUEST_RIP) = 0x77;
	fx_exit_to_l1(&f);
	for (unsigned i = 3; i < 3 + 2 * NESTED_SLOTS; i++)
		fx_vmptrld(&f, FX_VMCS(i));
	assert_null(nested_slot_find(&f.n, GPA1(SHADOW)));
	fx_vmptrld(&f, FX_VMCS(0));
	fx_enter(&f);
	assert_int_equal(*l2_field(VF_GUEST_RIP), 0x77);
	*l2_field(VF_GUEST_RIP) = 0x78;
	fx_exit_to_l1(&f);
	fx_vmclear(&f, SHADOW);
	fx_enter(&f);
	assert_int_equal(*l2_field(VF_GUEST_RIP), 0x78);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static void entry_fails(u64 qualification)
{
	struct outcome o = fx_launch(&f);

	assert_int_equal(o.kind, OUT_ENTRY_FAIL);
	assert_int_equal(o.error_code, EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE);
	assert_int_equal(o.value, qualification);
}

/* SDM 3C "Checks on Guest Non-Register State": the VMCS link pointer. */
static void link_pointers_are_checked(void **state)
{
	static const u64 bad[] = {
		FX_VMCS(3),			/* an ordinary VMCS */
		SHADOW + 8, 1ull << 45, FX_NOWHERE, FX_VMCS(0),
	};

	(void)state;
	start();
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		FX12_WRITE(&f, VMCS_LINK_POINTER, bad[i]);
		entry_fails(4);
		FX12_WRITE(&f, VMCS_LINK_POINTER, SHADOW);
		fx_enter(&f);
		fx_exit_to_l1(&f);
	}
	/* Without shadowing the same pointer is wrong, and an ordinary VMCS right. */
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) & ~(u64)PROC2_SHADOW_VMCS);
	entry_fails(4);
	FX12_WRITE(&f, VMCS_LINK_POINTER, FX_VMCS(3));
	fx_enter(&f);
	assert_true(FX02(&f, VMCS_LINK_POINTER) == ~0ull);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* The VMXON region may carry the indicator by now; it is no VMCS to read. */
static void the_vmxon_region_is_no_shadow_vmcs(void **state)
{
	(void)state;
	start();
	poke32(FX_VMXON, NESTED_REVISION | VMCS_SHADOW_INDICATOR);
	FX12_WRITE(&f, VMCS_LINK_POINTER, FX_VMXON);
	fx_enter(&f);
	assert_true(FX02(&f, VMCS_LINK_POINTER) == ~0ull);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 3C "Basic VM-Entry Checks": with a shadow VMCS current, VMfailInvalid. */
static void a_shadow_vmcs_is_never_entered(void **state)
{
	struct outcome o;

	(void)state;
	start();
	fx_vmptrld(&f, SHADOW);
	FX01(&f, GUEST_INTERRUPTIBILITY) = BLOCKED_BY_MOV_SS;	/* comes later */
	o = fx_instruction(&f, EXIT_VMLAUNCH);
	assert_int_equal(o.kind, OUT_VMFAIL_INVALID);
	assert_true(FX01(&f, GUEST_RFLAGS) & RFLAGS_CF);
	o = fx_instruction(&f, EXIT_VMRESUME);
	assert_int_equal(o.kind, OUT_VMFAIL_INVALID);
	fx_end(&f);
}

/* L1 reads and writes all of it without an exit; instructions that exit see the same. */
static void L1_has_all_of_its_shadow_vmcs(void **state)
{
	(void)state;
	start();
	fx_vmptrld(&f, SHADOW);
	assert_int_equal(FX01(&f, VMREAD_BITMAP), f.n.fields_bitmap.v);
	assert_int_equal(FX01(&f, VMWRITE_BITMAP), f.n.fields_bitmap.v);
	for (unsigned i = 0; i < VF_COUNT; i++) {
		if (!field_test(&f.n.exists, i))
			continue;
		fx_vmwrite(&f, i, 0x1111111111111111ull * (i % 15 + 1));
		assert_int_equal(nested_field_read(&f.n, FX_SLOT(&f), i),
				 (0x1111111111111111ull * (i % 15 + 1)) & nested_field_bits[i]);
		nested_field_write(&f.n, FX_SLOT(&f), i, i);
		assert_int_equal(fx_vmread(&f, i), i);
	}
	fx_vmptrld(&f, FX_VMCS(0));
	assert_int_equal(FX01(&f, VMREAD_BITMAP), f.n.vmread_bitmap.v);
	assert_int_equal(FX01(&f, VMWRITE_BITMAP), f.n.vmwrite_bitmap.v);
	fx_vmclear(&f, SHADOW);
	fx_vmptrld(&f, SHADOW);
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (field_test(&f.n.exists, i))
			assert_int_equal(fx_vmread(&f, i), i);
	fx_end(&f);
}

static enum nested_verdict field_exit(u32 reason, u64 encoding)
{
	f.gpr[GPR_RCX] = encoding;
	FX02(&f, IDT_VECTORING_INFO) = 0;
	FX02(&f, EXIT_INSTR_INFO) = INFO_RCX;
	return fx_exit(&f, reason);
}

static void exits_of_L2_have_their_owner(void **state)
{
	(void)state;
	start();
	allow(READS, ABSENT);
	fx_enter(&f);
	assert_int_equal(field_exit(EXIT_VMREAD, VMCS_GUEST_RSP), NESTED_REFLECTED);
	assert_int_equal(FX12_READ(&f, EXIT_REASON), EXIT_VMREAD);
	assert_int_equal(FX12_READ(&f, EXIT_INSTR_INFO), INFO_RCX);
	fx_enter(&f);
	assert_int_equal(field_exit(EXIT_VMWRITE, ABSENT), NESTED_REFLECTED);
	fx_enter(&f);
	assert_int_equal(field_exit(EXIT_VMREAD, ABSENT | BIT(15)), NESTED_REFLECTED);
	fx_enter(&f);
	assert_int_equal(field_exit(EXIT_VMREAD, ABSENT | BIT(32)), NESTED_REFLECTED);
	fx_enter(&f);
	assert_int_equal(field_exit(EXIT_VMREAD, ABSENT), NESTED_L0);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

static struct outcome l2_vmread_absent(void)
{
	struct outcome o;

	allow(READS, ABSENT);
	fx_enter(&f);
	assert_int_equal(field_exit(EXIT_VMREAD, ABSENT), NESTED_L0);
	FX02(&f, GUEST_RFLAGS) = RFLAGS_FIXED | RFLAGS_CF | RFLAGS_OF;
	o = nested_vmx_instruction(&f.n, EXIT_VMREAD);
	nested_commit_flags(&f.n, o);
	assert_true(f.n.in_l2);
	assert_int_equal(f.hw.loaded->at.v, FX_SLOT(&f)->vmcs02.v);
	return o;
}

static void an_absent_field_fails_in_L2(void **state)
{
	struct outcome o;

	(void)state;
	start();
	o = l2_vmread_absent();
	assert_int_equal(o.kind, OUT_VMFAIL_VALID);
	assert_int_equal(FX02(&f, GUEST_RFLAGS), RFLAGS_FIXED | RFLAGS_ZF);
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, VM_INSTRUCTION_ERROR), VMERR_UNSUPPORTED_FIELD);
	FX12_WRITE(&f, VMCS_LINK_POINTER, ~0ull);
	o = l2_vmread_absent();
	assert_int_equal(o.kind, OUT_VMFAIL_INVALID);
	assert_int_equal(FX02(&f, GUEST_RFLAGS), RFLAGS_FIXED | RFLAGS_CF);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, VMCS_LINK_POINTER, SHADOW);
	allow(READS, ABSENT);
	fx_enter(&f);
	assert_int_equal(field_exit(EXIT_VMREAD, ABSENT), NESTED_L0);
	FX02(&f, GUEST_SS_AR) |= AR_DPL;
	o = nested_vmx_instruction(&f.n, EXIT_VMREAD);
	assert_int_equal(o.kind, OUT_FAULT);
	assert_int_equal(o.vector, X86_GP);
	FX02(&f, GUEST_SS_AR) &= ~(u64)AR_DPL;
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* The type of an active VMCS should not change. If it does, nothing worse than that happens. */
static void an_active_vmcs_changes_its_type(void **state)
{
	(void)state;
	start();
	fx_vmptrld(&f, FX_VMCS(3));
	fx_vmptrld(&f, FX_VMCS(0));
	poke32(FX_VMCS(3), NESTED_REVISION | VMCS_SHADOW_INDICATOR);
	FX12_WRITE(&f, VMCS_LINK_POINTER, FX_VMCS(3));
	fx_enter(&f);
	assert_true(nested_slot_find(&f.n, GPA1(FX_VMCS(3)))->is_shadow);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* Nothing is done for shadowing at an entry like the last one. */
static void it_costs_no_more_VMCS_accesses(void **state)
{
	struct hw_counts with, without;

	(void)state;
	start();
	for (unsigned i = 0; i < 3; i++) {
		hw_forget(&f.hw);
		fx_enter(&f);
		fx_exit_to_l1(&f);
	}
	with = f.hw.count;
	FX12_WRITE(&f, VMCS_LINK_POINTER, ~0ull);
	for (unsigned i = 0; i < 3; i++) {
		hw_forget(&f.hw);
		fx_enter(&f);
		fx_exit_to_l1(&f);
	}
	without = f.hw.count;
	assert_memory_equal(&with, &without, sizeof(with));
	assert_in_range(with.loads, 1, 4);
	fx_end(&f);
}

static void without_the_hardware_L1_has_none(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	assert_false(f.n.caps.proc2.may & PROC2_SHADOW_VMCS);
	assert_false(field_test(&f.n.exists, VF_VMREAD_BITMAP));
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(L2_uses_what_L1_lets_it),
		cmocka_unit_test(L2_never_gets_fields_that_L1_has_not),
		cmocka_unit_test(changed_bitmaps_count_at_the_next_entry),
		cmocka_unit_test(the_link_pointer_can_change),
		cmocka_unit_test(a_shadow_vmcs_may_be_evicted),
		cmocka_unit_test(link_pointers_are_checked),
		cmocka_unit_test(the_vmxon_region_is_no_shadow_vmcs),
		cmocka_unit_test(a_shadow_vmcs_is_never_entered),
		cmocka_unit_test(L1_has_all_of_its_shadow_vmcs),
		cmocka_unit_test(exits_of_L2_have_their_owner),
		cmocka_unit_test(an_absent_field_fails_in_L2),
		cmocka_unit_test(an_active_vmcs_changes_its_type),
		cmocka_unit_test(it_costs_no_more_VMCS_accesses),
		cmocka_unit_test(without_the_hardware_L1_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
