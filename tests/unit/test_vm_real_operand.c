/* vm/real/emulate_decode.c and emulate_operand.c: where operands and code are. */
#include "real_machine.h"

static struct real_machine machine, *m = &machine;

static int setup(void **state)
{
	(void)state;
	real_init(m);
	return 0;
}

static void assert_cs(u16 selector, u32 eip)
{
	assert_int_equal(m->cpu.seg[SEG_CS].selector, selector);
	assert_int_equal(m->cpu.seg[SEG_CS].base, (u32)selector << 4);
	assert_int_equal(m->cpu.seg[SEG_CS].limit, 0xffff);
	assert_int_equal(m->cpu.eip, eip);
}

static void addresses(void **state)
{
	static const u16 sum[] = { 0x1100, 0x1010, 0x2100, 0x2010, 0x100, 0x10, 0x2000, 0x1000 };

	(void)state;
	m->cpu.gpr[GPR_RBX] = 0xabc01000;
	m->cpu.gpr[GPR_RBP] = 0xabc02000;
	m->cpu.gpr[GPR_RSI] = 0xabc00100;
	m->cpu.gpr[GPR_RDI] = 0xabc00010;
	for (u8 rm = 0; rm < 8; rm++) {
		u32 base = rm == 2 || rm == 3 || rm == 6 ? 0x20000 : 0x30000;

		real_put(m, base + sum[rm] - 1, 0xa000 + rm, 2);
		DONE(m, 0x8e, 0x60 | rm, 0xff);		/* mov fs, [... - 1] */
		assert_int_equal(m->cpu.seg[SEG_FS].selector, 0xa000 + rm);
		real_put(m, 0x10000 + (u16)(sum[rm] - 0x7ff0), 0xb000 + rm, 2);
		DONE(m, CS_, 0x8e, 0xa0 | rm, 0x10, 0x80);
		assert_int_equal(m->cpu.seg[SEG_FS].selector, 0xb000 + rm);
	}
	m->cpu.gpr[GPR_RCX] = 0x300;
	m->cpu.gpr[GPR_RDX] = 0xfffffff0;
	real_put(m, 0x30c00 - 0x10 + 4, 0xc0de, 2);
	DONE(m, ADSIZE, 0x8e, 0x64, 0x8a, 0x04);	/* mov fs, [edx+4*ecx+4] */
	assert_int_equal(m->cpu.seg[SEG_FS].selector, 0xc0de);
	real_put(m, 0x28004, 0xc1de, 2);
	DONE(m, ADSIZE, 0x8e, 0x64, 0x24, 0x04);	/* mov fs, [esp+4] */
	assert_int_equal(m->cpu.seg[SEG_FS].selector, 0xc1de);
	DONE(m, ADSIZE, 0x8e, 0x24, 0x25, 0x04, 0x80, 0, 0);	/* no base: DS */
	assert_int_equal(m->cpu.seg[SEG_FS].selector, 0);
	FAULT(m, X86_GP, ADSIZE, 0x8e, 0x22);
	FAULT(m, X86_SS, ADSIZE, 0x8e, 0x65, 0x00);
	m->cpu.seg[SEG_DS].limit = 0xffffffff;		/* unreal; addresses wrap at 4 GiB */
	m->cpu.gpr[GPR_RDX] = 0xfffffff0;
	real_put(m, 0x2fff0, 0xc2de, 2);
	DONE(m, ADSIZE, 0x8e, 0x22);
	assert_int_equal(m->cpu.seg[SEG_FS].selector, 0xc2de);
	m->cpu.gpr[GPR_RDX] = 0xffffffff;
	FAULT(m, X86_GP, ADSIZE, 0x8e, 0x22);
	m->cpu.seg[SEG_DS].limit = 0x7fff;		/* expands down */
	m->cpu.seg[SEG_DS].ar = 0xf7;
	FAULT(m, X86_GP, 0x8e, 0x26, 0xff, 0x7f);
	DONE(m, 0x8e, 0x26, 0x00, 0x80);
	FAULT(m, X86_GP, 0x8e, 0x26, 0xff, 0xff);
	m->cpu.seg[SEG_DS].ar |= AR_DB;
	DONE(m, 0x8e, 0x26, 0xff, 0xff);
}

static void fetches(void **state)
{
	(void)state;
	FAULT(m, X86_GP, CS_, CS_, CS_, CS_, CS_, CS_, CS_, CS_, CS_, CS_, CS_, CS_, CS_, CS_, CS_,
	      0x8e, 0xd8);
	assert_int_equal(m->insn.count, 15);
	m->cpu.eip = 0xfffe;
	DONE(m, 0x8e, 0xd8);
	assert_int_equal(m->cpu.eip, 0x10000);
	FAULT(m, X86_GP, 0x90);
	assert_int_equal(m->insn.count, 0);
	m->cpu.eip = 0xffff;
	FAULT(m, X86_GP, 0x8e, 0xd8);
	setup(state);
	m->cpu.seg[SEG_CS].base = 0xffff0000;		/* from reset */
	m->cpu.eip = 0xfff0;
	DONE(m, 0xea, 0x5b, 0xe0, 0x00, 0xf0);
	assert_cs(0xf000, 0xe05b);
	setup(state);
	m->cpu.seg[SEG_CS].ar |= AR_DB;			/* 32 bits, kept from protected mode */
	real_put(m, 0x30010, 0x100000000100, 6);
	DONE(m, 0xff, 0x2d, 0x10, 0, 0, 0);
	assert_cs(0x1000, 0x100);
	DONE(m, OPSIZE, ADSIZE, 0xff, 0x2e, 0x10, 0x00);
	assert_cs(0, 0x100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(addresses, setup),
		cmocka_unit_test_setup(fetches, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
