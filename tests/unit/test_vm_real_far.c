/* vm/real/emulate_far.c: transfers of control and loads of segment registers. */
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

static void far_jumps(void **state)
{
	(void)state;
	DONE(m, 0xea, 0x34, 0x12, 0x78, 0x56);
	assert_cs(0x5678, 0x1234);
	DONE(m, OPSIZE, 0xea, 0x34, 0x12, 0, 0, 0x00, 0x10);
	assert_cs(0x1000, 0x1234);
	FAULT(m, X86_GP, OPSIZE, 0xea, 0x34, 0x12, 1, 0, 0x00, 0x10);
	m->cpu.seg[SEG_CS].limit = 0xffffffff;
	DONE(m, OPSIZE, 0xea, 0x34, 0x12, 1, 0, 0x00, 0x10);
	assert_int_equal(m->cpu.eip, 0x11234);
	assert_int_equal(m->cpu.seg[SEG_CS].limit, 0xffffffff);
	setup(state);
	real_put(m, 0x30010, 0x20000200, 4);
	DONE(m, 0xff, 0x2e, 0x10, 0x00);		/* jmp far [10h] */
	assert_cs(0x2000, 0x0200);
	m->cpu.gpr[GPR_RBX] = 0x4000f;
	real_put(m, 0x30010, 0x100000000100, 6);
	DONE(m, OPSIZE, 0xff, 0x6f, 0x01);		/* jmp far dword [bx+1] */
	assert_cs(0x1000, 0x0100);
	FAULT(m, X86_UD, 0xff, 0xe8);
	FAULT(m, X86_GP, 0xff, 0x2e, 0xfd, 0xff);
	m->cpu.gpr[GPR_RBP] = 0xfffd;
	FAULT(m, X86_SS, 0xff, 0x6e, 0x00);
}

static void far_calls(void **state)
{
	(void)state;
	DONE(m, 0x9a, 0x34, 0x12, 0x78, 0x56);
	assert_cs(0x5678, 0x1234);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x7ffc);
	assert_int_equal(real_get(m, 0x27ffc, 4), 0x10000105);
	DONE(m, OPSIZE, 0x9a, 0, 1, 0, 0, 0x00, 0x10);
	assert_cs(0x1000, 0x0100);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x7ff4);
	assert_int_equal(real_get(m, 0x27ff4, 4), 0x123c);
	assert_int_equal(real_get(m, 0x27ff8, 4), 0x5678);
	FAULT(m, X86_GP, OPSIZE, 0x9a, 0, 0, 1, 0, 0, 0);
	real_put(m, 0x30010, 0x20000200, 4);
	DONE(m, 0xff, 0x1e, 0x10, 0x00);
	assert_cs(0x2000, 0x0200);
	assert_int_equal(real_get(m, 0x27ff0, 4), 0x10000104);
	m->cpu.gpr[GPR_RSP] = 0xabcd0000;		/* 0 wraps, the upper half stays */
	DONE(m, 0x9a, 0x34, 0x12, 0x78, 0x56);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0xabcdfffc);
	m->cpu.gpr[GPR_RSP] = 3;
	FAULT(m, X86_SS, 0x9a, 0x34, 0x12, 0x78, 0x56);
	m->cpu.seg[SEG_SS].ar |= AR_DB;			/* a stack of 32 bits */
	m->cpu.gpr[GPR_RSP] = 0x10004;
	FAULT(m, X86_SS, 0x9a, 0x34, 0x12, 0x78, 0x56);
	m->cpu.seg[SEG_SS].limit = 0xfffff;
	DONE(m, 0x9a, 0x34, 0x12, 0x78, 0x56);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x10000);
}

static void far_returns(void **state)
{
	(void)state;
	real_put(m, 0x28000, 0x12345678, 4);
	DONE(m, 0xcb);
	assert_cs(0x1234, 0x5678);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x8004);
	real_put(m, 0x28004, 0x200000300, 8);
	DONE(m, OPSIZE, 0xca, 0xfe, 0xff);
	assert_cs(0x0002, 0x0300);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x800a);
	real_put(m, 0x2800a, 0x10000, 4);
	FAULT(m, X86_GP, OPSIZE, 0xcb);
	m->cpu.gpr[GPR_RSP] = 0xfffe;			/* wraps between the two words */
	real_put(m, 0x2fffe, 0x100, 2);
	real_put(m, 0x20000, 0x1000, 2);
	DONE(m, 0xcb);
	assert_cs(0x1000, 0x100);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 2);
	m->cpu.gpr[GPR_RSP] = 0xffff;
	FAULT(m, X86_SS, 0xcb);
	m->cpu.gpr[GPR_RSP] = 0xfffe;
	FAULT(m, X86_SS, OPSIZE, 0xcb);
}

static void iret(void **state)
{
	const u32 keep = RFLAGS_IOPL | RFLAGS_FIXED;

	(void)state;
	m->cpu.blocking = BLOCKED_BY_NMI | BLOCKED_BY_STI;
	m->cpu.eflags |= RFLAGS_AC;
	real_put(m, 0x28000, 0x08d712345678, 6);	/* OF CF PF AF ZF SF; IF clear */
	DONE(m, 0xcf);
	assert_cs(0x1234, 0x5678);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x8006);
	assert_int_equal(m->cpu.eflags, RFLAGS_ARITH | RFLAGS_AC | keep);
	assert_int_equal(m->cpu.blocking, 0);
	real_put(m, 0x28006, 0x00000100, 4);
	real_put(m, 0x2800a, 0xffff1000, 4);
	real_put(m, 0x2800e, 0xffffffff, 4);
	DONE(m, OPSIZE, 0xcf);
	assert_cs(0x1000, 0x0100);
	/* All but VM, VIF and VIP. */
	assert_int_equal(m->cpu.eflags, 0x257fd5 | RFLAGS_FIXED);
	assert_false(m->insn.trap);			/* it was clear before */
	real_put(m, 0x28012, 0x000010000100, 6);
	DONE(m, 0xcf);
	assert_true(m->insn.trap);
	assert_int_equal(m->cpu.eflags, 0x240000 | keep);	/* AC and ID; RF ends */
	m->cpu.gpr[GPR_RSP] = 0xfffd;
	FAULT(m, X86_SS, 0xcf);
	real_put(m, 0x28000, 0x10000, 4);
	m->cpu.gpr[GPR_RSP] = 0x8000;
	FAULT(m, X86_GP, OPSIZE, 0xcf);
}

static void interrupts(void **state)
{
	(void)state;
	real_put(m, 4 * 0x15, 0x10000100, 4);
	real_put(m, 4 * X86_BP, 0x10000100, 4);
	real_put(m, 4 * X86_OF, 0x10000100, 4);
	real_put(m, 4 * X86_DB, 0x10000100, 4);
	m->cpu.eflags |= RFLAGS_TF | RFLAGS_AC | RFLAGS_CF | RFLAGS_NT | RFLAGS_RF;
	DONE(m, 0xcd, 0x15);
	assert_cs(0x1000, 0x100);
	assert_false(m->insn.trap);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x7ffa);
	assert_int_equal(real_get(m, 0x27ffa, 4), 0x10000102);
	assert_int_equal(real_get(m, 0x27ffe, 2), 0x7303);
	assert_int_equal(m->cpu.eflags, RFLAGS_CF | RFLAGS_NT | RFLAGS_IOPL | RFLAGS_FIXED);
	DONE(m, 0xcc);
	assert_int_equal(real_get(m, 0x27ff4, 2), 0x101);
	DONE(m, 0xf1);
	assert_int_equal(real_get(m, 0x27fee, 2), 0x101);
	DONE(m, 0xce);					/* without OF */
	assert_cs(0x1000, 0x101);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x7fee);
	m->cpu.eflags |= RFLAGS_OF;
	DONE(m, 0xce);
	assert_cs(0x1000, 0x100);
	m->cpu.idtr.limit = 0x56;
	FAULT(m, X86_GP, 0xcd, 0x15);
	m->cpu.idtr.limit = 0x57;
	DONE(m, 0xcd, 0x15);
	m->cpu.gpr[GPR_RSP] = 5;
	FAULT(m, X86_SS, 0xcd, 0x15);
	m->cpu.gpr[GPR_RSP] = 4;
	DONE(m, 0xcd, 0x15);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0xfffe);
	m->cpu.seg[SEG_CS].limit = 0x1fff;
	real_put(m, 4 * 0x15, 0x10002000, 4);
	FAULT(m, X86_GP, 0xcd, 0x15);
}

static void segment_loads(void **state)
{
	(void)state;
	m->cpu.gpr[GPR_RAX] = 0xffff1234;
	m->cpu.seg[SEG_DS].limit = 0xffffffff;
	m->cpu.seg[SEG_DS].ar = 0xc0f3;
	DONE(m, 0x8e, 0xd8);				/* mov ds, ax */
	assert_int_equal(m->cpu.seg[SEG_DS].selector, 0x1234);
	assert_int_equal(m->cpu.seg[SEG_DS].base, 0x12340);
	assert_int_equal(m->cpu.seg[SEG_DS].limit, 0xffffffff);
	assert_int_equal(m->cpu.seg[SEG_DS].ar, 0xc0f3);
	assert_int_equal(m->cpu.eip, 0x102);
	real_put(m, 0x12344, 0x4321, 2);
	DONE(m, OPSIZE, 0x8e, 0x2e, 0x04, 0x00);	/* mov gs, [4] */
	assert_int_equal(m->cpu.seg[SEG_GS].base, 0x43210);
	FAULT(m, X86_UD, 0x8e, 0xc8);
	FAULT(m, X86_UD, 0x8e, 0xf0);
	FAULT(m, X86_UD, 0xf0, 0x8e, 0xd8);
	m->cpu.seg[SEG_DS].limit = 0x10;
	FAULT(m, X86_GP, 0x8e, 0x06, 0x10, 0x00);
	DONE(m, 0x8e, 0x06, 0x0f, 0x00);
	real_put(m, 0x28000, 0xbeef7777, 4);
	DONE(m, 0x07);
	assert_int_equal(m->cpu.seg[SEG_ES].selector, 0x7777);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x8002);
	DONE(m, OPSIZE, 0x0f, 0xa1);
	assert_int_equal(m->cpu.seg[SEG_FS].selector, 0xbeef);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x8006);
	m->cpu.gpr[GPR_RSP] = 0xfffe;			/* two bytes are read, of four */
	DONE(m, OPSIZE, 0x0f, 0xa9);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 2);
	m->cpu.gpr[GPR_RSP] = 0xffff;
	FAULT(m, X86_SS, 0x1f);
}

static void stack_segment_blocks(void **state)
{
	(void)state;
	m->cpu.blocking = BLOCKED_BY_STI | BLOCKED_BY_NMI;
	DONE(m, 0x8e, 0xd0);
	assert_int_equal(m->cpu.blocking, BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI);
	DONE(m, 0x17);					/* the second in a row does not */
	assert_int_equal(m->cpu.blocking, BLOCKED_BY_NMI);
	DONE(m, 0x17);
	assert_int_equal(m->cpu.blocking, BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI);
	DONE(m, 0x8e, 0xd8);
	assert_int_equal(m->cpu.blocking, BLOCKED_BY_NMI);
	DONE(m, 0x0f, 0xb2, 0x26, 0x00, 0x00);		/* lss sp, [0] */
	assert_int_equal(m->cpu.blocking, BLOCKED_BY_NMI);
}

static void far_pointers(void **state)
{
	static const u8 seg[] = { SEG_SS, SEG_FS, SEG_GS };

	(void)state;
	real_put(m, 0x30020, 0x56781234abcd, 6);
	m->cpu.gpr[GPR_RBX] = 0xeeeeeeee;
	DONE(m, 0xc4, 0x1e, 0x20, 0x00);
	assert_int_equal(m->cpu.gpr[GPR_RBX], 0xeeeeabcd);
	assert_int_equal(m->cpu.seg[SEG_ES].selector, 0x1234);
	for (u32 i = 0; i < ARRAY_SIZE(seg); i++) {
		DONE(m, OPSIZE, 0x0f, (u8)(0xb0 | seg[i]), 0x1e, 0x20, 0x00);
		assert_int_equal(m->cpu.gpr[GPR_RBX], 0x1234abcd);
		assert_int_equal(m->cpu.seg[seg[i]].base, 0x56780);
	}
	DONE(m, 0xc5, 0x36, 0x20, 0x00);
	assert_int_equal(m->cpu.seg[SEG_DS].selector, 0x1234);
	assert_int_equal(m->cpu.gpr[GPR_RSI], 0xabcd);
	FAULT(m, X86_UD, 0xc5, 0xf6);
	FAULT(m, X86_GP, 0xc5, 0x36, 0xfd, 0xff);
	FAULT(m, X86_GP, OPSIZE, 0xc5, 0x36, 0xfb, 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(far_jumps, setup),
		cmocka_unit_test_setup(far_calls, setup),
		cmocka_unit_test_setup(far_returns, setup),
		cmocka_unit_test_setup(iret, setup),
		cmocka_unit_test_setup(interrupts, setup),
		cmocka_unit_test_setup(segment_loads, setup),
		cmocka_unit_test_setup(stack_segment_blocks, setup),
		cmocka_unit_test_setup(far_pointers, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
