/* vm/real/emulate_shown.c: what does not fault, but would show L0's selectors and flags. */
#include "real_machine.h"

static struct real_machine machine, *m = &machine;

static int setup(void **state)
{
	(void)state;
	real_init(m);
	return 0;
}

static void selectors_shown(void **state)
{
	(void)state;
	m->cpu.seg[SEG_SS].selector = 0x1235;
	DONE(m, 0x8c, 0xd0);				/* mov ax, ss */
	assert_int_equal(m->cpu.gpr[GPR_RAX] & 0xffff, 0x1235);
	m->cpu.gpr[GPR_RAX] = 0xffffffff;
	DONE(m, OPSIZE, 0x8c, 0xd0);
	assert_int_equal(m->cpu.gpr[GPR_RAX], 0x1235);
	DONE(m, 0x16);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x7ffe);
	assert_int_equal(real_get(m, 0x27ffe, 2), 0x1235);
	m->cpu.seg[SEG_GS].selector = 0x4321;
	real_put(m, 0x27ffa, 0xeeeeeeee, 4);
	DONE(m, OPSIZE, 0x0f, 0xa8);			/* writes two bytes of four */
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x7ffa);
	assert_int_equal(real_get(m, 0x27ffa, 4), 0xeeee4321);
	FAULT(m, X86_UD, 0x8c, 0xf0);
	m->cpu.gpr[GPR_RSP] = 1;
	FAULT(m, X86_SS, 0x0e);
}

static void flags_shown(void **state)
{
	const u32 iopl = (u32)RFLAGS_IOPL;

	(void)state;
	m->cpu.eflags = (u32)(RFLAGS_FIXED | RFLAGS_CF | RFLAGS_IF | RFLAGS_RF | RFLAGS_AC) | iopl;
	DONE(m, 0x9c);
	assert_int_equal(real_get(m, 0x27ffe, 2), 0x3203);
	DONE(m, OPSIZE, 0x9c);
	assert_int_equal(real_get(m, 0x27ffa, 4), 0x43203);
	real_put(m, 0x27ffa, 0xffffffff, 4);
	DONE(m, 0x9d);					/* popf: the low half, and not IOPL */
	assert_int_equal(m->cpu.eflags, 0x47fd7);
	assert_false(m->insn.trap);			/* TF was clear before it */
	m->cpu.gpr[GPR_RSP] = 0x7ffa;
	real_put(m, 0x27ffa, 0xffff0000, 4);
	DONE(m, OPSIZE, 0x9d);
	assert_true(m->insn.trap);
	assert_int_equal(m->cpu.eflags, 0x240002 | iopl);
	m->cpu.gpr[GPR_RSP] = 0xffff;
	FAULT(m, X86_SS, 0x9d);
}

static void interrupts_on_and_off(void **state)
{
	(void)state;
	m->cpu.eflags = (u32)(RFLAGS_FIXED | RFLAGS_TF);
	m->cpu.blocking = BLOCKED_BY_NMI;
	DONE(m, 0xfb);
	assert_true(m->cpu.eflags & RFLAGS_IF);
	assert_true(m->insn.trap);
	assert_int_equal(m->cpu.blocking, BLOCKED_BY_NMI | BLOCKED_BY_STI);
	DONE(m, 0xfb);					/* only where IF was clear */
	assert_int_equal(m->cpu.blocking, BLOCKED_BY_NMI);
	DONE(m, 0xfa);
	assert_false(m->cpu.eflags & RFLAGS_IF);
	DONE(m, 0x8e, 0xd0);
	assert_false(m->insn.trap);			/* MOV SS keeps it back */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(selectors_shown, setup),
		cmocka_unit_test_setup(flags_shown, setup),
		cmocka_unit_test_setup(interrupts_on_and_off, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
