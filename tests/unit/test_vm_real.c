/* vm/real/emulate*.c: instructions of real mode, one after another. */
#include "real_machine.h"

/* Puts code at CS:EIP and executes one instruction. */
#define STEP(m, ...) \
	({ const u8 code[] = { __VA_ARGS__ }; real_code(m, code, sizeof(code)); real_step(m); })
#define DONE(m, ...) assert_int_equal(STEP(m, __VA_ARGS__), REAL_DONE)
#define FAULT(m, v, ...) \
	do { \
		assert_int_equal(STEP(m, __VA_ARGS__), REAL_FAULT); \
		assert_int_equal((m)->insn.vector, v); \
	} while (0)
#define MACHINE(m, o, ...) \
	do { \
		assert_int_equal(STEP(m, __VA_ARGS__), REAL_MACHINE); \
		assert_int_equal((m)->insn.op, o); \
	} while (0)

#define OPSIZE 0x66
#define ADSIZE 0x67
#define CS_ 0x2e

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
		cmocka_unit_test_setup(far_jumps, setup), cmocka_unit_test_setup(far_calls, setup),
		cmocka_unit_test_setup(far_returns, setup), cmocka_unit_test_setup(iret, setup),
		cmocka_unit_test_setup(interrupts, setup), cmocka_unit_test_setup(segment_loads, setup),
		cmocka_unit_test_setup(stack_segment_blocks, setup),
		cmocka_unit_test_setup(far_pointers, setup), cmocka_unit_test_setup(addresses, setup),
		cmocka_unit_test_setup(fetches, setup), cmocka_unit_test_setup(descriptor_tables, setup),
		cmocka_unit_test_setup(machine_instructions, setup),
		cmocka_unit_test_setup(stores, setup), cmocka_unit_test_setup(exchanges, setup),
		cmocka_unit_test_setup(left_to_hardware, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
