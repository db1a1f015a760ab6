/* vm/real/emulate_store.c and emulate_system.c, and what neither executes. */
#include "real_machine.h"

static struct real_machine machine, *m = &machine;

static int setup(void **state)
{
	(void)state;
	real_init(m);
	return 0;
}

static void descriptor_tables(void **state)
{
	(void)state;
	real_put(m, 0x30010, 0x12345678abcd, 6);
	DONE(m, 0x0f, 0x01, 0x16, 0x10, 0x00);
	assert_int_equal(m->cpu.gdtr.limit, 0xabcd);
	assert_int_equal(m->cpu.gdtr.base, 0x345678);
	DONE(m, OPSIZE, 0x0f, 0x01, 0x1e, 0x10, 0x00);
	assert_int_equal(m->cpu.idtr.limit, 0xabcd);
	assert_int_equal(m->cpu.idtr.base, 0x12345678);
	FAULT(m, X86_GP, 0x0f, 0x01, 0x16, 0xfb, 0xff);
	DONE(m, CS_, 0x0f, 0x01, 0x06, 0x00, 0x80);
	assert_int_equal(real_get(m, 0x18000, 4), 0x5678abcd);
	assert_int_equal(real_get(m, 0x18004, 2), 0x0034);
	DONE(m, CS_, OPSIZE, 0x0f, 0x01, 0x0e, 0x00, 0x80);
	assert_int_equal(real_get(m, 0x18002, 4), 0x12345678);
	m->cpu.cr0 = 0x60000010;
	DONE(m, CS_, 0x0f, 0x01, 0x26, 0x00, 0x80);
	assert_int_equal(real_get(m, 0x18000, 4), 0x56780010);
}

static void machine_instructions(void **state)
{
	(void)state;
	MACHINE(m, REAL_MOV_TO_CR, 0x0f, 0x22, 0xc3);
	assert_int_equal(m->insn.reg, 0);
	assert_int_equal(m->insn.gpr, GPR_RBX);
	assert_int_equal(m->insn.length, 3);
	MACHINE(m, REAL_MOV_FROM_CR, 0x0f, 0x20, 0x1e);	/* mod does not matter */
	assert_int_equal(m->insn.reg, 3);
	assert_int_equal(m->insn.gpr, GPR_RSI);
	assert_int_equal(m->insn.length, 3);
	MACHINE(m, REAL_MOV_TO_DR, 0x0f, 0x23, 0xf8);
	assert_int_equal(m->insn.reg, 7);
	MACHINE(m, REAL_MOV_FROM_DR, 0x0f, 0x21, 0xf0);
	assert_int_equal(m->insn.reg, 6);
	FAULT(m, X86_UD, 0x0f, 0x22, 0xc8);
	FAULT(m, X86_UD, 0x0f, 0x20, 0xe8);
	FAULT(m, X86_UD, 0xf0, 0x0f, 0x20, 0xc0);
	m->cpu.gpr[GPR_RCX] = 0x12345678;
	MACHINE(m, REAL_LMSW, 0x0f, 0x01, 0xf1);
	assert_int_equal(m->insn.value, 0x5678);
	real_put(m, 0x30010, 0x0011, 2);
	MACHINE(m, REAL_LMSW, 0x0f, 0x01, 0x36, 0x10, 0x00);
	assert_int_equal(m->insn.value, 0x11);
	FAULT(m, X86_GP, 0x0f, 0x01, 0x36, 0xff, 0xff);
	m->cpu.seg[SEG_FS].limit = 0;
	MACHINE(m, REAL_INVLPG, 0x64, 0x0f, 0x01, 0x3e, 0x10, 0x00);
	assert_int_equal(m->insn.value, 0x50010);
	MACHINE(m, REAL_CLTS, 0x0f, 0x06);
	MACHINE(m, REAL_HLT, 0xf4);
	MACHINE(m, REAL_RDMSR, 0x0f, 0x32);
	MACHINE(m, REAL_WRMSR, 0x0f, 0x30);
	MACHINE(m, REAL_INVD, 0x0f, 0x08);
	MACHINE(m, REAL_WBINVD, 0x0f, 0x09);
	MACHINE(m, REAL_XSETBV, 0x0f, 0x01, 0xd1);
	MACHINE(m, REAL_MONITOR, 0x0f, 0x01, 0xc8);
	MACHINE(m, REAL_MWAIT, 0x0f, 0x01, 0xc9);
	FAULT(m, X86_UD, 0x0f, 0x00, 0xd8);		/* ltr */
	FAULT(m, X86_UD, 0x0f, 0x03, 0xc0);		/* lsl */
}

static void stores(void **state)
{
	(void)state;
	m->cpu.gpr[GPR_RAX] = 0x11223344;
	m->cpu.gpr[GPR_RCX] = 0x55667788;
	DONE(m, CS_, 0xa2, 0x00, 0x80);
	DONE(m, CS_, 0xa3, 0x02, 0x80);
	DONE(m, CS_, OPSIZE, 0xa3, 0x04, 0x80);
	assert_int_equal(real_get(m, 0x18000, 4), 0x33440044);
	assert_int_equal(real_get(m, 0x18004, 4), 0x11223344);
	DONE(m, CS_, 0x88, 0x2e, 0x00, 0x80);		/* ch */
	DONE(m, CS_, 0x89, 0x0e, 0x02, 0x80);
	DONE(m, CS_, OPSIZE, 0x89, 0x0e, 0x04, 0x80);
	assert_int_equal(real_get(m, 0x18000, 4), 0x77880077);
	assert_int_equal(real_get(m, 0x18004, 4), 0x55667788);
	DONE(m, CS_, 0xc6, 0x06, 0x00, 0x80, 0xfe);
	DONE(m, CS_, OPSIZE, 0xc7, 0x06, 0x04, 0x80, 1, 2, 3, 4);
	assert_int_equal(real_get(m, 0x18000, 4), 0x778800fe);
	assert_int_equal(real_get(m, 0x18004, 4), 0x04030201);
	FAULT(m, X86_UD, CS_, 0xc7, 0x0e, 0x04, 0x80, 1, 2);
	DONE(m, CS_, 0x8c, 0x1e, 0x02, 0x80);
	DONE(m, CS_, OPSIZE, 0x8c, 0x06, 0x04, 0x80);	/* two bytes, in memory */
	assert_int_equal(real_get(m, 0x18002, 4), 0x40003000);
	assert_int_equal(real_get(m, 0x18006, 2), 0x0403);
	FAULT(m, X86_UD, CS_, 0x8c, 0x36, 0x02, 0x80);
	real_put(m, 0x28000, 0xabcd, 2);
	DONE(m, CS_, 0x8f, 0x06, 0x00, 0x80);
	assert_int_equal(real_get(m, 0x18000, 2), 0xabcd);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0x8002);
	real_put(m, 0x28002, 0x1111, 2);
	DONE(m, ADSIZE, CS_, 0x8f, 0x04, 0x24);		/* pop cs:[esp] */
	assert_int_equal(real_get(m, 0x18004, 2), 0x1111);
	FAULT(m, X86_UD, CS_, 0x8f, 0x0e, 0x00, 0x80);
	FAULT(m, X86_GP, CS_, 0x89, 0x0e, 0xff, 0xff);
	m->cpu.gpr[GPR_RBP] = 0xffff;
	FAULT(m, X86_SS, 0x89, 0x4e, 0x00);
}

static void exchanges(void **state)
{
	(void)state;
	m->cpu.gpr[GPR_RAX] = 0x11223344;
	real_put(m, 0x18000, 0xaabbccdd, 4);
	DONE(m, CS_, 0x86, 0x26, 0x00, 0x80);		/* ah */
	assert_int_equal(m->cpu.gpr[GPR_RAX], 0x1122dd44);
	assert_int_equal(real_get(m, 0x18000, 4), 0xaabbcc33);
	DONE(m, CS_, OPSIZE, 0xf0, 0x87, 0x06, 0x00, 0x80);
	assert_int_equal(m->cpu.gpr[GPR_RAX], 0xaabbcc33);
	assert_int_equal(real_get(m, 0x18000, 4), 0x1122dd44);
	/* Another processor writes in between: nothing has happened. */
	m->vm.interfere = true;
	u32 eip = m->cpu.eip;

	m->cpu.eflags |= RFLAGS_TF;
	DONE(m, CS_, 0xf0, 0xff, 0x06, 0x00, 0x80);
	assert_int_equal(m->cpu.eip, eip);
	assert_false(m->insn.trap);
	assert_int_equal(real_get(m, 0x18000, 4), 0x1122dd44);
	m->vm.interfere = false;
	DONE(m, CS_, 0xf0, 0xff, 0x06, 0x00, 0x80);
	assert_int_equal(m->cpu.eip, eip + 6);
	assert_true(m->insn.trap);
	FAULT(m, X86_UD, CS_, 0xf0, 0x89, 0x06, 0x00, 0x80);
	FAULT(m, X86_UD, 0xf0, 0x87, 0xc0);
}

static void left_to_hardware(void **state)
{
	(void)state;
	assert_int_equal(STEP(m, 0x90), REAL_NATIVE);
	assert_int_equal(STEP(m, 0x0f, 0x0b), REAL_NATIVE);		/* ud2 */
	assert_int_equal(STEP(m, 0xee), REAL_NATIVE);			/* out */
	assert_int_equal(STEP(m, CS_, 0x8b, 0x06, 0, 0), REAL_NATIVE);
	assert_int_equal(STEP(m, CS_, 0xf7, 0x26, 0, 0), REAL_NATIVE);	/* mul */
	assert_int_equal(STEP(m, CS_, 0x83, 0x3e, 0, 0, 1), REAL_NATIVE);	/* cmp */
	assert_int_equal(STEP(m, CS_, 0xff, 0x36, 0, 0), REAL_NATIVE);	/* push */
	assert_int_equal(STEP(m, CS_, 0x89, 0xc0), REAL_NATIVE);
	assert_int_equal(STEP(m, CS_, 0xd1, 0xe0), REAL_NATIVE);	/* shl ax */
	assert_int_equal(STEP(m, 0xd1, 0x26, 0, 0), REAL_NATIVE);	/* shl [0] */
	assert_int_equal(STEP(m, CS_, 0xd1, 0x26, 0, 0), REAL_UNSUPPORTED);
	assert_int_equal(STEP(m, CS_, 0x3e, 0xd1, 0x26, 0, 0), REAL_NATIVE);
	assert_int_equal(STEP(m, CS_, 0x0f, 0xb1, 0x0e, 0, 0), REAL_UNSUPPORTED);
	assert_int_equal(STEP(m, CS_, 0x0f, 0x38, 0xf1, 0x0e, 0, 0), REAL_UNSUPPORTED);
	assert_int_equal(STEP(m, 0x0f, 0x01, 0xc1), REAL_NATIVE);	/* vmcall */
	assert_int_equal(STEP(m, 0x0f, 0x34), REAL_NATIVE);		/* sysenter */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(descriptor_tables, setup),
		cmocka_unit_test_setup(machine_instructions, setup),
		cmocka_unit_test_setup(stores, setup),
		cmocka_unit_test_setup(exchanges, setup),
		cmocka_unit_test_setup(left_to_hardware, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
