/*
 * nested/breakpoint.c: breakpoints on what L0 accesses for L1 and L2, against a model
 * that looks at each byte of each.
 */
#include "engine_fixture.h"
#include "nested_kit.h"

#include "nested/operand.h"

#define ROUNDS 20000

enum { ON_FETCH, ON_WRITE, ON_PORT, ON_ACCESS };

static struct unit_random r = { 21 };

static u64 below(u64 n)
{
	return unit_random(&r) % n;
}

static bool watches(u64 dr, u64 dr7, unsigned i, u64 byte)
{
	static const u64 len[] = { 1, 2, 8, 4 };
	u64 l = len[dr7 >> (18 + 4 * i) & 3];

	return byte / l == dr / l;
}

/* SDM 3B "Debug Status Register (DR6)", for breakpoints that are enabled. */
static u64 model(const u64 *dr, u64 dr7, u64 at, u64 len, bool write, bool port)
{
	u64 met = 0;

	for (unsigned i = 0; i < 4; i++) {
		u64 on = dr7 >> (16 + 4 * i) & 3;

		if (!(dr7 >> (2 * i) & 3) || on == ON_FETCH || (on == ON_PORT) != port ||
		    (on == ON_WRITE && !write))
			continue;
		for (u64 b = at; b < at + len; b++)
			if (watches(dr[i], dr7, i, b))
				met |= BIT(i) | BIT(12);
	}
	return met;
}

static void random_breakpoints(u64 *dr, u64 near)
{
	for (unsigned i = 0; i < 4; i++)
		dr[i] = near - 16 + below(48);
}

static u64 pending(struct kit *k)
{
	u64 now = kit_get(k, VMCS_GUEST_PENDING_DEBUG);

	kit_set(k, VMCS_GUEST_PENDING_DEBUG, 0);
	return now;
}

static void operands_of_L1(void **state)
{
	static const struct { u16 reason; u8 len; bool write; } insn[] = {
		{ EXIT_VMPTRST, 8, true }, { EXIT_VMPTRLD, 8, false }, { EXIT_INVEPT, 16, false },
		{ EXIT_VMREAD, 8, true }, { EXIT_VMWRITE, 8, false },
	};
	unsigned met = 0;
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	nested_use_breakpoints(&k.n);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned i = (unsigned)below(ARRAY_SIZE(insn));
		u64 at = KIT_OPERAND + below(64), dr7 = unit_random(&r) & 0xffff00ff, want;

		random_breakpoints(k.hw.dr, at);
		kit_set(&k, VMCS_GUEST_DR7, dr7);
		kit_poke(&k, at, KIT_VMCS(below(3)));
		k.gpr[GPR_RDX] = insn[i].reason == EXIT_INVEPT ? 1 : VMCS_GUEST_ES_SELECTOR;
		want = model(k.hw.dr, dr7, at, insn[i].len, insn[i].write, false);
		kit_exit(&k, insn[i].reason, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX), at);
		assert_int_equal(pending(&k), want);
		met += want != 0;
	}
	assert_in_range(met, ROUNDS / 8, ROUNDS - ROUNDS / 8);
	kit_end(&k);
}

/* An operand that was found without a walk before L1 used breakpoints meets them, too. */
static void the_first_breakpoint(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_enter_root_with_vmcs(&k);
	for (unsigned i = 0; i < 3; i++)
		assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)));
	k.hw.dr[2] = KIT_OPERAND;
	kit_set(&k, VMCS_GUEST_DR7, DR7_INIT | 3ull << 24 | BIT(4));
	kit_set(&k, VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_BS);
	nested_use_breakpoints(&k.n);
	for (unsigned i = 0; i < 3; i++) {
		assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)));
		assert_int_equal(pending(&k), BIT(12) | BIT(2) | (i ? 0 : PENDING_DEBUG_BS));
	}
	/* A fault is no access; a VMfail is one. */
	kit_set(&k, VMCS_GUEST_SS_AR, 0xc0f3);
	assert_fault(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0)), X86_GP, 0);
	assert_int_equal(pending(&k), 0);
	kit_set(&k, VMCS_GUEST_SS_AR, 0xc093);
	assert_vmfail(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(0) + 1), VMERR_VMPTRLD_ADDRESS);
	assert_int_equal(pending(&k), BIT(12) | BIT(2));
	kit_end(&k);
}

static void ports(void **state)
{
	unsigned met = 0;
	struct kit k;

	(void)state;
	kit_start(&k);
	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 port = 16 + below(256), size = BIT(below(3)), want = 0;
		u64 dr7 = unit_random(&r) & 0xffff00ff;
		bool de = below(8);

		random_breakpoints(k.hw.dr, port);
		kit_set(&k, VMCS_GUEST_DR7, dr7);
		kit_set(&k, VMCS_GUEST_CR4, KIT_CR4 | (de ? CR4_DE : 0));
		if (de)
			want = model(k.hw.dr, dr7, port, size, true, true);
		nested_breakpoint_port(&k.n, (u16)port, (u32)size);
		assert_int_equal(pending(&k), want);
		met += want != 0;
	}
	assert_in_range(met, ROUNDS / 16, ROUNDS / 2);
	kit_end(&k);
}

/* L2 may enable breakpoints without an exit: they count always. */
static void operands_of_L2(void **state)
{
	static struct fx f;
	struct nested_string s;
	struct outcome fault;
	u32 value = 0;

	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	f.hw.dr[1] = FX_PAGE(30) + 3;
	f.gpr[GPR_RDI] = f.gpr[GPR_RSI] = FX_PAGE(30);
	FX02(&f, GUEST_CR0) &= ~(u64)CR0_PG;
	FX02(&f, GUEST_EFER) = 0;
	FX02(&f, ENTRY_CONTROLS) &= ~(u64)ENTRY_IA32E;
	FX02(&f, GUEST_DR7) = DR7_INIT | BIT(2) | 1ull << 20;	/* writes, one byte */
	FX02(&f, GUEST_CS_AR) = 0xc09b;
	for (unsigned seg = SEG_SS; seg <= SEG_DS; seg++)
		*fx_vmcs02(&f, VF_GUEST_ES_AR + seg) = 0xc093;
	FX02(&f, GUEST_ES_AR) = 0xc093;
	FX02(&f, EXIT_INSTR_INFO) = 1u << 7 | SEG_DS << 15;
	nested_string_decode(&f.n, false, &s);
	assert_true(nested_string_read(&s, &value, 4, &fault));
	assert_int_equal(FX02(&f, GUEST_PENDING_DEBUG), 0);
	nested_string_decode(&f.n, true, &s);
	assert_true(nested_string_check(&s, 4, &fault));
	assert_int_equal(FX02(&f, GUEST_PENDING_DEBUG), 0);
	assert_true(nested_string_write(&s, &value, 4, &fault));
	assert_int_equal(FX02(&f, GUEST_PENDING_DEBUG), BIT(12) | BIT(1));
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, GUEST_PENDING_DEBUG), BIT(12) | BIT(1));
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operands_of_L1),
		cmocka_unit_test(the_first_breakpoint),
		cmocka_unit_test(ports),
		cmocka_unit_test(operands_of_L2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
