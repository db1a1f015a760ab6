/* nested/instr_field.c: VMREAD and VMWRITE, by encodings, widths and operands. */
#include "instr_world.h"

static void fields_that_do_not_exist(void **state)
{
	static const u64 bad[] = {
		0x6026, 0x0001, 0x4001, 0x6801, 0x0030, 0x1000, 0x8000, 0x10000, 1ull << 32,
		(1ull << 63) | VMCS_GUEST_RIP, ~0ull, VMCS_SPP_TABLE, VMCS_ENCLS_EXIT_BITMAP,
		VMCS_GUEST_PERF_GLOBAL_CTRL,
	};
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_enter_root(&k);
	assert_kind(kit_vmread(&k, VMCS_GUEST_RIP, &v), OUT_VMFAIL_INVALID);
	assert_kind(kit_vmwrite(&k, ~0ull, 1), OUT_VMFAIL_INVALID);
	/* VMfailInvalid comes before the operand, the operand of VMWRITE before the field. */
	assert_kind(run_for_nothing(&k, EXIT_VMWRITE, KIT_NOT_PRESENT), OUT_VMFAIL_INVALID);
	assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		k.gpr[GPR_RAX] = 0x1111;
		assert_vmfail(kit_vmread(&k, bad[i], &v), VMERR_UNSUPPORTED_FIELD);
		assert_int_equal(v, 0x1111);
		assert_vmfail(kit_vmwrite(&k, bad[i], 1), VMERR_UNSUPPORTED_FIELD);
		k.gpr[GPR_RDX] = bad[i];
		assert_vmfail(kit_exit(&k, EXIT_VMREAD, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX),
				       KIT_NOT_PRESENT), VMERR_UNSUPPORTED_FIELD);
		assert_fault(kit_exit(&k, EXIT_VMWRITE, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX),
				      KIT_NOT_PRESENT), X86_PF, 0);
	}
	/* Exit information may be written, since IA32_VMX_MISC says so. */
	assert_ok(kit_vmwrite(&k, VMCS_EXIT_REASON, 5));
	k.n.caps.misc &= ~MISC_VMWRITE_ANY;
	assert_vmfail(kit_vmwrite(&k, VMCS_EXIT_REASON, 6), VMERR_READ_ONLY_FIELD);
	kit_end(&k);
}

static void widths_of_fields(void **state)
{
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	for (unsigned f = 0; f < VF_COUNT; f++) {
		u32 e = nested_field_encoding[f];
		u64 mask = nested_field_bits[f];

		if (!field_test(&k.n.exists, f))
			continue;
		assert_ok(kit_vmwrite(&k, e, 0xfedcba9876543210));
		assert_ok(kit_vmread(&k, e, &v));
		assert_int_equal(v, 0xfedcba9876543210 & mask);
		if (VMCS_WIDTH(e) != VMCS_WIDTH_64)
			continue;
		assert_ok(kit_vmread(&k, e | VMCS_HIGH_ACCESS, &v));
		assert_int_equal(v, 0xfedcba98);
		assert_ok(kit_vmwrite(&k, e | VMCS_HIGH_ACCESS, 0x5555555511223344));
		assert_ok(kit_vmread(&k, e, &v));
		assert_int_equal(v, 0x1122334476543210);
	}
	kit_end(&k);
}

/* Operands of 32 bits: long fields are read in part and written with zeros above. */
static void fields_in_protected_mode(void **state)
{
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	assert_ok(kit_vmwrite(&k, VMCS_TSC_OFFSET, 0xfedcba9876543210));
	assert_ok(kit_vmwrite(&k, VMCS_HOST_RIP, 0xfedcba9876543210));
	kit_protected_mode(&k);
	k.gpr[GPR_RAX] = ~0ull;
	assert_ok(kit_vmread(&k, 0xabcdef0000000000 | VMCS_TSC_OFFSET, &v));
	assert_int_equal(v, 0x76543210);
	assert_ok(kit_vmread(&k, VMCS_TSC_OFFSET | VMCS_HIGH_ACCESS, &v));
	assert_int_equal(v, 0xfedcba98);
	assert_ok(kit_vmwrite(&k, VMCS_HOST_RIP, 0xaaaaaaaa11111111));
	kit_poke(&k, KIT_OPERAND, ~0ull);
	k.gpr[GPR_RDX] = VMCS_HOST_RIP;
	assert_ok(kit_exit(&k, EXIT_VMREAD, KIT_INFO_MEM32 | KIT_REG2(GPR_RDX), KIT_OPERAND));
	assert_int_equal(kit_peek(&k, KIT_OPERAND), 0xffffffff11111111);
	kit_poke(&k, KIT_OPERAND, 0x9999999922222222);
	assert_ok(kit_exit(&k, EXIT_VMWRITE, KIT_INFO_MEM32 | KIT_REG2(GPR_RDX), KIT_OPERAND));
	kit_long_mode(&k);
	assert_ok(kit_vmread(&k, VMCS_HOST_RIP, &v));
	assert_int_equal(v, 0x22222222);
	/* In 64-bit mode memory operands have 64 bits. */
	k.gpr[GPR_RDX] = VMCS_HOST_RIP;
	assert_ok(kit_exit(&k, EXIT_VMWRITE, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX), KIT_OPERAND));
	assert_ok(kit_vmread(&k, VMCS_HOST_RIP, &v));
	assert_int_equal(v, 0x9999999922222222);
	kit_end(&k);
}

static void rsp_is_an_operand_like_others(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	kit_set(&k, VMCS_GUEST_RSP, 0x1234);
	k.gpr[GPR_RDX] = VMCS_HOST_RSP;
	assert_ok(kit_exit(&k, EXIT_VMWRITE,
			   KIT_INFO_REG | KIT_REG1(GPR_RSP) | KIT_REG2(GPR_RDX), 0));
	kit_set(&k, VMCS_GUEST_RSP, 0);
	assert_ok(kit_exit(&k, EXIT_VMREAD,
			   KIT_INFO_REG | KIT_REG1(GPR_RSP) | KIT_REG2(GPR_RDX), 0));
	assert_int_equal(kit_get(&k, VMCS_GUEST_RSP), 0x1234);
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_that_do_not_exist),
		cmocka_unit_test(widths_of_fields),
		cmocka_unit_test(fields_in_protected_mode),
		cmocka_unit_test(rsp_is_an_operand_like_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
