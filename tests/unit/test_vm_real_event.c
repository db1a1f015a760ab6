/* vm/real/emulate_event.c: delivery through the vector table, and faults of it. */
#include "real_machine.h"

#define EXTERNAL (INTR_VALID | INTR_TYPE_EXTERNAL)
#define NMI (INTR_VALID | INTR_TYPE_NMI | X86_NMI)
#define EXCEPTION (INTR_VALID | INTR_TYPE_HW_EXCEPTION)
#define SOFTWARE (INTR_VALID | INTR_TYPE_SW_INTERRUPT)

static struct real_machine machine, *m = &machine;

/* Each vector has its own handler: CS 7000 + vector, IP 100h. */
static int setup(void **state)
{
	(void)state;
	real_init(m);
	for (u32 i = 0; i < 256; i++)
		real_put(m, 4 * i, (u64)(0x7000 + i) << 16 | 0x100, 4);
	return 0;
}

/* The vector's handler has been entered with this return address. */
static void assert_handler(u32 vector, u32 ip)
{
	u32 sp = (u16)m->cpu.gpr[GPR_RSP];

	assert_int_equal(m->cpu.seg[SEG_CS].selector, 0x7000 + vector);
	assert_int_equal(m->cpu.seg[SEG_CS].base, (0x7000 + vector) << 4);
	assert_int_equal(m->cpu.eip, 0x100);
	assert_int_equal(real_get(m, 0x20000 + sp, 2), ip);
	assert_int_equal(m->vm.writes, 3);
}

static void return_addresses(void **state)
{
	static const struct { u32 info, length, ip; } c[] = {
		{ EXTERNAL | 0x20, 0, 0x100 }, { NMI, 0, 0x100 }, { EXCEPTION | X86_UD, 2, 0x100 },
		{ EXCEPTION | X86_DB, 0, 0x100 }, { SOFTWARE | 0x80, 2, 0x102 },
		{ INTR_VALID | INTR_TYPE_SW_EXCEPTION | X86_BP, 1, 0x101 },
		{ INTR_VALID | INTR_TYPE_PRIV_SW_EXCEPTION | X86_DB, 1, 0x101 },
		{ EXCEPTION | INTR_ERROR_CODE | X86_GP, 0, 0x100 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(c); i++) {
		setup(state);
		m->cpu.eflags |= RFLAGS_TF | RFLAGS_RF | RFLAGS_AC | RFLAGS_CF;
		m->cpu.blocking = BLOCKED_BY_MOV_SS;
		assert_int_equal(real_event(m, c[i].info, c[i].length), REAL_DONE);
		assert_handler(c[i].info & INTR_VECTOR, c[i].ip);
		assert_int_equal(m->cpu.gpr[GPR_RSP], 0x7ffa);
		assert_int_equal(real_get(m, 0x27ffc, 4), 0x33031000);
		assert_int_equal(m->cpu.eflags, RFLAGS_FIXED | RFLAGS_IOPL | RFLAGS_CF);
		assert_int_equal(m->cpu.blocking, c[i].info == NMI ? BLOCKED_BY_NMI : 0);
	}
}

/* A table elsewhere, and not whole. */
static void tables(void **state)
{
	(void)state;
	m->cpu.idtr = (struct real_table){ 0x40000, 4 * 0x21 + 3 };
	real_put(m, 0x40000 + 4 * 0x21, 0x20000200, 4);
	real_put(m, 0x40000 + 4 * X86_GP, 0x30000300, 4);
	assert_int_equal(real_event(m, EXTERNAL | 0x21, 0), REAL_DONE);
	assert_int_equal(m->cpu.seg[SEG_CS].selector, 0x2000);
	/* Benign and contributory: #GP, at what was interrupted. */
	assert_int_equal(real_event(m, EXTERNAL | 0x22, 0), REAL_DONE);
	assert_int_equal(m->cpu.seg[SEG_CS].selector, 0x3000);
	assert_int_equal(real_get(m, 0x27ff4, 4), 0x20000200);
	assert_int_equal(real_event(m, SOFTWARE | 0x80, 2), REAL_DONE);
	assert_int_equal(real_get(m, 0x27fee, 4), 0x30000300);
	m->cpu.idtr = (struct real_table){ 0xfffffffc, 0x3ff };	/* wraps */
	real_put(m, 4 * X86_UD - 4, 0x50000500, 4);
	assert_int_equal(real_event(m, EXCEPTION | X86_UD, 0), REAL_DONE);
	assert_int_equal(m->cpu.seg[SEG_CS].selector, 0x5000);
}

static void double_faults(void **state)
{
	/* Without room for the vector: contributory ones are #DF at once, others #GP first. */
	static const struct { u32 info, limit, vector; } c[] = {
		{ EXCEPTION | X86_GP, 4 * X86_DF + 3, X86_DF },
		{ EXCEPTION | X86_SS, 4 * X86_DF + 3, X86_DF },
		{ EXTERNAL | 0x40, 4 * X86_GP + 3, X86_GP },
		{ EXTERNAL | 0x40, 4 * X86_GP + 2, X86_DF },
		{ EXCEPTION | X86_AC, 4 * X86_GP + 3, X86_GP },
		{ NMI, 4 * X86_NMI + 3, X86_NMI },
	};

	for (u32 i = 0; i < ARRAY_SIZE(c); i++) {
		setup(state);
		m->cpu.idtr.limit = (u16)c[i].limit;
		assert_int_equal(real_event(m, c[i].info, 0), REAL_DONE);
		assert_handler(c[i].vector, 0x100);
		m->cpu.idtr.limit = 4 * X86_DE + 2;	/* nor for the first */
		assert_int_equal(real_event(m, c[i].info, 0), REAL_SHUTDOWN);
	}
	setup(state);
	m->cpu.idtr.limit = 4 * X86_DF + 2;
	assert_int_equal(real_event(m, EXCEPTION | X86_DE, 0), REAL_DONE);
	assert_handler(X86_DE, 0x100);
	assert_int_equal(real_event(m, EXCEPTION | X86_DF, 0), REAL_SHUTDOWN);
	assert_int_equal(real_event(m, EXCEPTION | X86_TS, 0), REAL_SHUTDOWN);
}

static void stacks(void **state)
{
	for (u32 sp = 0; sp < 8; sp++) {
		setup(state);
		m->cpu.gpr[GPR_RSP] = 0xbeef0000 | sp;
		if (sp == 1 || sp == 3 || sp == 5) {	/* #SS, #DF: none finds a stack */
			assert_int_equal(real_event(m, EXTERNAL | 0x20, 0), REAL_SHUTDOWN);
			continue;
		}
		assert_int_equal(real_event(m, EXTERNAL | 0x20, 0), REAL_DONE);
		assert_int_equal(m->cpu.gpr[GPR_RSP], 0xbeef0000 | (u16)(sp - 6));
		assert_handler(0x20, 0x100);
	}
	setup(state);
	m->cpu.seg[SEG_SS].ar |= AR_DB;
	m->cpu.gpr[GPR_RSP] = 4;
	assert_int_equal(real_event(m, EXTERNAL | 0x20, 0), REAL_SHUTDOWN);
	m->cpu.seg[SEG_SS].limit = 0xffffffff;
	assert_int_equal(real_event(m, EXTERNAL | 0x20, 0), REAL_DONE);
	assert_int_equal(m->cpu.gpr[GPR_RSP], 0xfffffffe);
}

/* A handler beyond the limit that CS has: #GP, whose handler is within. */
static void handlers(void **state)
{
	(void)state;
	m->cpu.seg[SEG_CS].limit = 0x1ff;
	real_put(m, 4 * 0x20, 0x70200200, 4);
	assert_int_equal(real_event(m, EXTERNAL | 0x20, 0), REAL_DONE);
	assert_handler(X86_GP, 0x100);
	assert_int_equal(m->cpu.seg[SEG_CS].limit, 0x1ff);
	m->cpu.eip = 0x10005;			/* 16 bits of it fit the stack */
	m->cpu.idtr.limit = 0x3ff;
	assert_int_equal(real_event(m, EXTERNAL | 0x21, 0), REAL_DONE);
	assert_handler(0x21, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(return_addresses, setup),
		cmocka_unit_test_setup(tables, setup),
		cmocka_unit_test_setup(double_faults, setup),
		cmocka_unit_test_setup(stacks, setup),
		cmocka_unit_test_setup(handlers, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
