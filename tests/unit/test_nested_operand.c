/*
 * nested/operand.c: effective addresses, segments, paging faults. VMPTRST is
 * the instruction that writes and VMCLEAR the one that reads.
 */
#include "nested_kit.h"

#include "nested/operand.h"

#define INFO(scale, size, seg, index, base) \
	((u32)(scale) | (u32)(size) << 7 | (u32)(seg) << 15 | \
	 ((index) < 0 ? 1u << 22 : (u32)(index) << 18) | \
	 ((base) < 0 ? 1u << 27 : (u32)(base) << 23))

static struct nested_insn insn(struct kit *k, u32 info, bool mode64)
{
	return (struct nested_insn){ .n = &k->n, .name = "test", .info = info, .mode64 = mode64 };
}

/* Reads eight bytes; they are found at this address, or faults. */
static struct outcome read_at(struct kit *k, u32 info, u64 disp, bool mode64, u64 *value)
{
	struct outcome fault = OUTCOME_OK;
	struct nested_insn in = insn(k, info, mode64);

	kit_set(k, VMCS_EXIT_QUALIFICATION, disp);
	nested_operand_read(&in, value, sizeof(*value), &fault);
	return fault;
}

static struct outcome write_at(struct kit *k, u32 info, u64 disp, bool mode64, u64 value)
{
	struct outcome fault = OUTCOME_OK;
	struct nested_insn in = insn(k, info, mode64);

	kit_set(k, VMCS_EXIT_QUALIFICATION, disp);
	nested_operand_write(&in, &value, sizeof(value), &fault);
	return fault;
}

static const struct {
	u32 info;
	u64 disp, index, base;	/* RCX, RBX */
	u64 expect;
} addresses[] = {
	{ INFO(0, 2, SEG_DS, -1, -1), 0x8000, 0, 0, 0x8000 },
	{ INFO(0, 2, SEG_DS, -1, GPR_RBX), 0x10, 0, 0x8000, 0x8010 },
	{ INFO(0, 2, SEG_DS, -1, GPR_RBX), ~0ull - 15, 0, 0x8010, 0x8000 },
	{ INFO(3, 2, SEG_DS, GPR_RCX, GPR_RBX), 8, 0x20, 0x8000, 0x8108 },
	{ INFO(1, 2, SEG_DS, GPR_RCX, -1), 0, 0x4000, 0, 0x8000 },
	{ INFO(0, 2, SEG_DS, -1, GPR_RSP), 0x18, 0, 0, 0x9018 },
	/* Address size 32 and 16: the sum is cut, registers' upper parts are ignored. */
	{ INFO(0, 1, SEG_DS, -1, GPR_RBX), 0, 0, 0xabcd00008000, 0x8000 },
	{ INFO(0, 1, SEG_DS, -1, GPR_RBX), 0xffffffff00000010, 0, 0xfffffffffffffff0, 0 },
	{ INFO(2, 1, SEG_DS, GPR_RCX, GPR_RBX), 0, 0x40000010, 0x8000, 0x8040 },
	{ INFO(0, 0, SEG_DS, GPR_RCX, GPR_RBX), 0x12340000, 0xf000, 0x9000, 0x8000 },
	/* Only FS and GS have a base in 64-bit mode. */
	{ INFO(0, 2, SEG_FS, -1, -1), 0x100, 0, 0, 0x8100 },
	{ INFO(0, 2, SEG_GS, -1, -1), 0x100, 0, 0, 0x9100 },
	{ INFO(0, 2, SEG_SS, -1, -1), 0x8100, 0, 0, 0x8100 },
	{ INFO(0, 1, SEG_FS, -1, -1), 0xffffff00, 0, 0, 0x100007f00 },
};

static void effective_addresses_in_64_bit_mode(void **state)
{
	struct kit k;

	(void)state;
	kit_start(&k);
	kit_set(&k, VMCS_GUEST_RSP, 0x9000);
	kit_set(&k, VMCS_GUEST_FS_BASE, 0x8000);
	kit_set(&k, VMCS_GUEST_GS_BASE, 0x9000);
	kit_set(&k, VMCS_GUEST_DS_BASE, 0x777000);
	kit_set(&k, VMCS_GUEST_DS_LIMIT, 0);
	kit_set(&k, VMCS_GUEST_SS_BASE, 0x777000);
	for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
		u64 at = addresses[i].expect, got = 0;
		struct outcome o;

		k.gpr[GPR_RCX] = addresses[i].index;
		k.gpr[GPR_RBX] = addresses[i].base;
		if (at >= KIT_RAM) {	/* not mapped: the fault tells the address */
			o = read_at(&k, addresses[i].info, addresses[i].disp, true, &got);
			assert_fault(o, X86_PF, 0);
			assert_int_equal(o.value, at);
			continue;
		}
		kit_poke(&k, at, 0x1122334455667788 + i);
		assert_ok(read_at(&k, addresses[i].info, addresses[i].disp, true, &got));
		assert_int_equal(got, 0x1122334455667788 + i);
	}
	kit_end(&k);
}

static void canonical_form(void **state)
{
	const u64 top = 1ull << 47;
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	assert_fault(read_at(&k, INFO(0, 2, SEG_DS, -1, -1), top, true, &v), X86_GP, 0);
	assert_fault(read_at(&k, INFO(0, 2, SEG_SS, -1, -1), top, true, &v), X86_SS, 0);
	assert_fault(read_at(&k, INFO(0, 2, SEG_DS, -1, -1), top - 4, true, &v), X86_GP, 0);
	assert_fault(read_at(&k, INFO(0, 2, SEG_DS, -1, -1), top - 8, true, &v), X86_PF, 0);
	assert_fault(read_at(&k, INFO(0, 2, SEG_DS, -1, -1), -top - 1, true, &v), X86_GP, 0);
	assert_fault(read_at(&k, INFO(0, 2, SEG_DS, -1, -1), -top, true, &v), X86_PF, 0);
	kit_set(&k, VMCS_GUEST_FS_BASE, top - 0x10);
	assert_fault(read_at(&k, INFO(0, 2, SEG_FS, -1, -1), 0x10, true, &v), X86_GP, 0);
	assert_true(nested_is_canonical(top, CR4_LA57) && !nested_is_canonical(top, 0));
	assert_false(nested_is_canonical(1ull << 56, CR4_LA57));
	kit_end(&k);
}

#define AR_DATA_RW 0xc093u
#define AR_DATA_RO 0xc091u
#define AR_DATA_DOWN32 0xc097u
#define AR_DATA_DOWN16 0x8097u
#define AR_CODE_RX 0xc09bu
#define AR_CODE_X 0xc099u

static const struct {
	u32 ar, limit;
	u64 offset;
	bool may_read, may_write;
} segments[] = {
	{ AR_DATA_RW, 0xffffffff, 0x8000, true, true },
	{ AR_DATA_RW, 0x8007, 0x8000, true, true },
	{ AR_DATA_RW, 0x8006, 0x8000, false, false },
	{ AR_DATA_RW, 0x8007, 0x8001, false, false },
	{ AR_DATA_RW, 0xffffffff, 0xfffffffc, false, false },
	{ AR_DATA_RO, 0xffffffff, 0x8000, true, false },
	{ AR_DATA_RW | AR_UNUSABLE, 0xffffffff, 0x8000, false, false },
	{ AR_CODE_RX, 0xffffffff, 0x8000, true, false },
	{ AR_CODE_X, 0xffffffff, 0x8000, false, false },
	{ AR_DATA_DOWN32, 0x7fff, 0x8000, true, true },
	{ AR_DATA_DOWN32, 0x8000, 0x8000, false, false },
	{ AR_DATA_DOWN32, 0x7fff, 0x18000, true, true },
	{ AR_DATA_DOWN16, 0x7fff, 0x8000, true, true },
	{ AR_DATA_DOWN16, 0x7fff, 0xfff8, true, true },
	{ AR_DATA_DOWN16, 0x7fff, 0xfff9, false, false },
};

static void expect(struct outcome o, bool good, unsigned seg)
{
	if (good)
		assert_ok(o);
	else
		assert_fault(o, seg == SEG_SS ? X86_SS : X86_GP, 0);
}

static void segments_in_protected_mode(void **state)
{
	static const unsigned which[] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_protected_mode(&k);
	for (unsigned s = 0; s < ARRAY_SIZE(which); s++) {
		unsigned seg = which[s];

		for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
			u32 info = INFO(0, 1, seg, -1, -1);

			kit_set(&k, VMCS_GUEST_ES_AR + 2 * seg, segments[i].ar);
			kit_set(&k, VMCS_GUEST_ES_LIMIT + 2 * seg, segments[i].limit);
			expect(read_at(&k, info, segments[i].offset, false, &v),
			       segments[i].may_read, seg);
			expect(write_at(&k, info, segments[i].offset, false, 1),
			       segments[i].may_write, seg);
		}
	}
	kit_end(&k);
}

/* Base and offset wrap at 4 GiB; registers count 32 bits. */
static void linear_addresses_wrap_in_protected_mode(void **state)
{
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_protected_mode(&k);
	kit_poke(&k, 0x8000, 0x42);
	kit_set(&k, VMCS_GUEST_DS_BASE, 0xffff0000);
	assert_ok(read_at(&k, INFO(0, 1, SEG_DS, -1, -1), 0x18000, false, &v));
	assert_int_equal(v, 0x42);
	kit_set(&k, VMCS_GUEST_DS_BASE, 0);
	k.gpr[GPR_RBX] = 0xffffffff00008000;
	assert_ok(read_at(&k, INFO(0, 1, SEG_DS, -1, GPR_RBX), 0, false, &v));
	assert_int_equal(v, 0x42);
	kit_end(&k);
}

static void page_faults(void **state)
{
	const u32 info = INFO(0, 2, SEG_DS, -1, -1);
	struct kit k;
	struct outcome o;
	u64 v;

	(void)state;
	kit_start(&k);
	o = read_at(&k, info, KIT_NOT_PRESENT + 8, true, &v);
	assert_fault(o, X86_PF, 0);
	assert_true(o.has_error_code);
	assert_int_equal(o.value, KIT_NOT_PRESENT + 8);
	assert_fault(write_at(&k, info, KIT_NOT_PRESENT, true, 1), X86_PF, PF_W);
	assert_fault(write_at(&k, info, KIT_READ_ONLY, true, 1), X86_PF, PF_W | PF_P);
	assert_ok(read_at(&k, info, KIT_READ_ONLY, true, &v));
	/* Half in a page that is not there: the fault names the page, nothing is written. */
	kit_poke(&k, KIT_READ_ONLY - 8, 0x5555);
	o = write_at(&k, info, KIT_READ_ONLY - 4, true, ~0ull);
	assert_fault(o, X86_PF, PF_W | PF_P);
	assert_int_equal(o.value, KIT_READ_ONLY);
	assert_int_equal(kit_peek(&k, KIT_READ_ONLY - 8), 0x5555);
	kit_end(&k);
}

/* SDM 3A "Page-Table Entries": XD is reserved without EFER.NXE, also after a good walk. */
static void execute_disable(void **state)
{
	const u64 page = KIT_READ_ONLY - PAGE_SIZE,
		  entry = KIT_TABLES + 0x3000 + (page >> 12 & 511) * 8;
	const u64 efer = EFER_LME | EFER_LMA, xd[] = { 0, BIT(63) };
	const u32 info = INFO(0, 2, SEG_DS, -1, -1);
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	for (unsigned i = 0; i < 12; i++) {
		bool nxe = i & 1, reserved = xd[i / 4 % 2] && !nxe;

		kit_poke(&k, entry, xd[i / 4 % 2] | page | 0x63);
		kit_set(&k, VMCS_GUEST_EFER, efer | (nxe ? EFER_NXE : 0));
		if (reserved)
			assert_fault(read_at(&k, info, page, true, &v), X86_PF, PF_P | PF_RSVD);
		else
			assert_ok(read_at(&k, info, page, true, &v));
	}
	kit_end(&k);
}

/* SDM 3A "Protection Keys": the register may change between two reads, and nothing else. */
static void protection_keys(void **state)
{
	static const u64 above[] = { KIT_TABLES, KIT_TABLES + 0x1000, KIT_TABLES + 0x2008 };
	const u64 page = KIT_READ_ONLY - PAGE_SIZE,
		  entry = KIT_TABLES + 0x3000 + (page >> 12 & 511) * 8;
	const u32 info = INFO(0, 2, SEG_DS, -1, -1);
	struct kit k;
	u64 v;

	(void)state;
	kit_start(&k);
	kit_poke(&k, entry, 5ull << 59 | page | 0x67);
	for (unsigned i = 0; i < ARRAY_SIZE(above); i++)
		kit_poke(&k, above[i], kit_peek(&k, above[i]) | BIT(2));
	kit_set(&k, VMCS_GUEST_CR4, KIT_CR4 | CR4_PKE);
	for (unsigned i = 0; i < 6; i++) {
		k.hw.pkru = i & 1 ? 1u << 10 : ~(1u << 10);
		if (i & 1)
			assert_fault(read_at(&k, info, page, true, &v), X86_PF, PF_P | PF_PK);
		else
			assert_ok(read_at(&k, info, page, true, &v));
	}
	kit_end(&k);
}

static void registers(void **state)
{
	struct nested_insn in;
	struct kit k;

	(void)state;
	kit_start(&k);
	in = insn(&k, 0, true);
	for (unsigned r = 0; r < GPR_COUNT; r++) {
		nested_gpr_write(&in, r, 0x1234567800000000 + r);
		assert_int_equal(nested_gpr_read(&in, r), 0x1234567800000000 + r);
	}
	assert_int_equal(kit_get(&k, VMCS_GUEST_RSP), 0x1234567800000004);
	assert_int_equal(k.gpr[GPR_RSP], 0);
	in.mode64 = false;
	assert_int_equal(nested_gpr_read(&in, GPR_RSP), 4);
	nested_gpr_write(&in, GPR_RBX, 0xffffffff12345678);
	assert_int_equal(k.gpr[GPR_RBX], 0x12345678);
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(effective_addresses_in_64_bit_mode),
		cmocka_unit_test(canonical_form),
		cmocka_unit_test(segments_in_protected_mode),
		cmocka_unit_test(linear_addresses_wrap_in_protected_mode),
		cmocka_unit_test(page_faults),
		cmocka_unit_test(execute_disable),
		cmocka_unit_test(protection_keys),
		cmocka_unit_test(registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
