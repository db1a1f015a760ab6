/* nested/instr_invalidate.c: INVEPT and INVVPID, by type and descriptor. */
#include "instr_world.h"

#define GOOD_EPTP (0x5000 | EPTP_WALK_4 | MT_WB)

static const struct { u64 type, eptp, reserved; u32 error; } invepts[] = {
	{ 1, 0, 0, 28 },	/* before any that is right */
	{ 1, GOOD_EPTP, 0, 0 }, { 1, GOOD_EPTP | EPTP_AD, 0, 0 },
	{ 1, 0x5000 | EPTP_WALK_4 | MT_UC, 0, 0 }, { 1, GOOD_EPTP, 1, 0 },
	{ 2, 0, ~0ull, 0 }, { 2, ~0ull, 0, 0 },
	{ 0, GOOD_EPTP, 0, 28 }, { 3, GOOD_EPTP, 0, 28 }, { 1ull << 32 | 1, GOOD_EPTP, 0, 28 },
	{ 1, GOOD_EPTP | 1, 0, 28 }, { 1, 0x5000 | 4ull << 3 | MT_WB, 0, 28 },
	{ 1, GOOD_EPTP | 0x80, 0, 28 }, { 1, GOOD_EPTP | 0x800, 0, 28 },
	{ 1, GOOD_EPTP | 1ull << 40, 0, 28 },
};

static void invept(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	memset(&seen, 0, sizeof(seen));
	for (unsigned i = 0; i < ARRAY_SIZE(invepts); i++) {
		struct outcome o;

		kit_poke(&k, KIT_OPERAND, invepts[i].eptp);
		kit_poke(&k, KIT_OPERAND + 8, invepts[i].reserved);
		k.gpr[GPR_RDX] = invepts[i].type;
		o = kit_exit(&k, EXIT_INVEPT, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX), KIT_OPERAND);
		if (invepts[i].error)
			assert_vmfail(o, invepts[i].error);
		else
			assert_ok(o);
	}
	assert_int_equal(seen.invept_single, 4);
	assert_int_equal(seen.invept_all, 2);
	/* A type that does not exist fails before the descriptor can fault. */
	k.gpr[GPR_RDX] = 3;
	assert_vmfail(kit_exit(&k, EXIT_INVEPT, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX),
			       KIT_NOT_PRESENT), 28);
	k.n.caps.ept_vpid &= ~EPTCAP_INVEPT;
	assert_fault(run_for_nothing(&k, EXIT_INVEPT, KIT_OPERAND), X86_UD, 0);
	kit_end(&k);
}

static void invept_of_five_levels(void **state)
{
	const u32 info = KIT_INFO_MEM64 | KIT_REG2(GPR_RDX);
	struct kit k;

	(void)state;
	kit_start(&k);
	k.n.always_ept5 = true;
	nested_caps_init(&k.n);
	kit_enter_root_with_vmcs(&k);
	k.gpr[GPR_RDX] = 1;
	kit_poke(&k, KIT_OPERAND, 0x5000 | EPTP_WALK_5 | MT_WB);
	assert_ok(kit_exit(&k, EXIT_INVEPT, info, KIT_OPERAND));
	kit_poke(&k, KIT_OPERAND, 0x5000 | 5ull << 3 | MT_WB);
	assert_vmfail(kit_exit(&k, EXIT_INVEPT, info, KIT_OPERAND), 28);
	kit_end(&k);
}

static const struct { u64 type, low, address; u32 error; } invvpids[] = {
	{ 0, 7, 0x1000, 0 }, { 1, 7, 1ull << 63, 0 }, { 2, 0, 0, 0 }, { 2, 7, 1ull << 63, 0 },
	{ 3, 0xffff, 0, 0 },
	{ 4, 7, 0, 28 }, { 1ull << 32, 7, 0, 28 }, { 0, 0, 0, 28 }, { 1, 0, 0, 28 },
	{ 3, 0, 0, 28 }, { 0, 7, 1ull << 47, 28 }, { 0, 0x10007, 0, 28 }, { 2, 0x10000, 0, 28 },
	{ 1, 1ull << 63 | 7, 0, 28 },
};

static void invvpid(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(invvpids); i++) {
		struct outcome o;

		memset(&seen, 0, sizeof(seen));
		kit_poke(&k, KIT_OPERAND, invvpids[i].low);
		kit_poke(&k, KIT_OPERAND + 8, invvpids[i].address);
		k.gpr[GPR_RDX] = invvpids[i].type;
		o = kit_exit(&k, EXIT_INVVPID, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX), KIT_OPERAND);
		assert_int_equal(seen.invvpid, !invvpids[i].error);
		if (invvpids[i].error) {
			assert_vmfail(o, invvpids[i].error);
			continue;
		}
		assert_ok(o);
		assert_int_equal(seen.type, invvpids[i].type);
		assert_int_equal(seen.vpid, invvpids[i].low);
		assert_int_equal(seen.address, invvpids[i].address);
	}
	k.gpr[GPR_RDX] = 9;
	assert_vmfail(kit_exit(&k, EXIT_INVVPID, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX),
			       KIT_NOT_PRESENT), 28);
	k.n.caps.ept_vpid &= ~EPTCAP_INVVPID;
	assert_fault(run_for_nothing(&k, EXIT_INVVPID, KIT_OPERAND), X86_UD, 0);
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(invept),
		cmocka_unit_test(invept_of_five_levels),
		cmocka_unit_test(invvpid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
