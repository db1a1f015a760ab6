/*
 * vm/real/emulate*.c on random code and random processors: what is not executed
 * changes nothing, what is executed stays within its segments, and arithmetic
 * is that of the processor that runs this test.
 */
#include "real_machine.h"

static struct real_machine machine, *m = &machine;

/* A number that is near a limit more often than not. */
static u32 some_value(struct unit_random *r)
{
	static const u32 near[] = { 0, 0xffff, 0x10000, 0xffffffff, 0x8000, 0x7fffffff };
	u64 how = unit_random(r);

	if (how & 1)
		return (u32)unit_random(r);
	return near[how >> 1 & 7 % ARRAY_SIZE(near)] + (u32)(how >> 8 & 15) - 8;
}

static void some_segment(struct unit_random *r, u32 i)
{
	u64 how = unit_random(r);

	real_load_segment(&m->cpu, i, (u16)unit_random(r));
	if ((how & 3) == 0)
		m->cpu.seg[i].limit = some_value(r);
	if ((how & 12) == 0)
		m->cpu.seg[i].base = some_value(r);
	m->cpu.seg[i].ar = 0xf3 | (how & 0x10 ? AR_DB : 0) | ((how & 0x60) == 0 ? 4 : 0);
}

static void some_processor(struct unit_random *r)
{
	for (u32 i = 0; i < REAL_GPRS; i++)
		m->cpu.gpr[i] = some_value(r);
	for (u32 i = 0; i < REAL_SEGMENTS; i++)
		some_segment(r, i);
	m->cpu.seg[SEG_CS].ar = 0xfb | (m->cpu.seg[SEG_CS].ar & AR_DB);
	m->cpu.eip = unit_random(r) & 1 ? 0x100 : some_value(r);
	m->cpu.eflags = (u32)(unit_random(r) & 0x250fd5) | RFLAGS_IOPL | RFLAGS_FIXED;
	m->cpu.idtr = (struct real_table){ some_value(r), (u16)some_value(r) };
	m->cpu.gdtr = (struct real_table){ some_value(r), (u16)some_value(r) };
	m->cpu.cr0 = (u32)unit_random(r);
	m->cpu.blocking = (u32)unit_random(r) & 0xb;
}

/* Prefixes, and an opcode of either map. */
static void some_code(struct unit_random *r)
{
	static const u8 prefix[] = { 0x66, 0x67, 0x2e, 0x2e, 0x36, 0x64, 0xf0, 0xf3 };
	u8 code[REAL_MAX_INSN];
	u64 how = unit_random(r);
	u32 n = 0;

	for (u32 i = 0; i < sizeof(code); i++)
		code[i] = (u8)unit_random(r);
	for (; how & 1; how >>= 4)
		code[n++ & 7] = prefix[how >> 1 & 7];
	if (how & 2)
		code[n & 7] = 0x0f;
	real_code(m, code, sizeof(code));
}

static void any_instruction(void **state)
{
	struct unit_random r = { 1 };
	u32 count[REAL_SHUTDOWN + 1] = { 0 };

	(void)state;
	real_init(m);
	for (u32 i = 0; i < REAL_LOW; i++)
		m->vm.low[i] = (u8)unit_random(&r);
	for (u32 i = 0; i < 400000; i++) {
		some_processor(&r);
		some_code(&r);
		count[real_step(m)]++;
	}
	for (u32 end = 0; end < REAL_SHUTDOWN; end++)
		assert_true(count[end] > 500);
}

static void any_event(void **state)
{
	struct unit_random r = { 2 };
	u32 done = 0;

	(void)state;
	real_init(m);
	for (u32 i = 0; i < 100000; i++) {
		some_processor(&r);
		if (real_event(m, (u32)unit_random(&r), 2) == REAL_DONE)
			done++;
	}
	assert_true(done > 10000 && done < 90000);
}

/* AH: the flags that LAHF loads; AL: OF. */
#define NATIVE(name, insn, type) \
	static u16 name(u32 *value, u32 operand, u32 flags) \
	{ \
		type a = (type)*value, b = (type)operand; \
		u16 ax; \
		asm("btl $0, %[flags]\n\t" insn "\n\tlahf\n\tseto %%al" \
		    : [a] "+q" (a), "=&a" (ax) : [b] "q" (b), [flags] "r" (flags) : "cc"); \
		*value = a; \
		return ax; \
	}
#define NATIVES(name, insn) \
	NATIVE(name##8, insn, u8) NATIVE(name##16, insn, u16) NATIVE(name##32, insn, u32)
#define ROW(name, opcode, reg) { { name##8, name##16, name##32 }, opcode, reg }

NATIVES(add, "add %[b], %[a]") NATIVES(or, "or %[b], %[a]") NATIVES(adc, "adc %[b], %[a]")
NATIVES(sbb, "sbb %[b], %[a]") NATIVES(and, "and %[b], %[a]") NATIVES(sub, "sub %[b], %[a]")
NATIVES(xor, "xor %[b], %[a]") NATIVES(not, "not %[a]") NATIVES(neg, "neg %[a]")
NATIVES(inc, "inc %[a]") NATIVES(dec, "dec %[a]")

/* With the opcode for bytes, and reg of the ModRM byte; 8: a register, CX. */
static const struct {
	u16 (*native[3])(u32 *value, u32 operand, u32 flags);
	u8 opcode, reg;
} arithmetic[] = {
	ROW(add, 0x00, 8), ROW(or, 0x08, 8), ROW(adc, 0x10, 8), ROW(sbb, 0x18, 8),
	ROW(and, 0x20, 8), ROW(sub, 0x28, 8), ROW(xor, 0x30, 8),
	ROW(add, 0x80, 0), ROW(or, 0x80, 1), ROW(adc, 0x80, 2), ROW(sbb, 0x80, 3),
	ROW(and, 0x80, 4), ROW(sub, 0x80, 5), ROW(xor, 0x80, 6),
	ROW(not, 0xf6, 2), ROW(neg, 0xf6, 3), ROW(inc, 0xfe, 0), ROW(dec, 0xfe, 1),
};

static u32 flags_of(u16 ax)
{
	return (ax >> 8 & (RFLAGS_ARITH & 0xff)) | (ax & 1 ? RFLAGS_OF : 0);
}

/* AND, OR and XOR leave AF undefined. */
static bool is_logic(u8 opcode, u8 reg)
{
	u8 op = opcode == 0x80 ? reg : opcode >> 3;

	return opcode <= 0x80 && (op == 1 || op == 4 || op == 6);
}

/* One instruction on the word at CS:8000, by this emulator and by the processor. */
static void compute(u32 i, u32 log, u32 value, u32 operand)
{
	u8 reg = arithmetic[i].reg, code[11] = { 0x2e, 0x66 }, *c = code + (log == 2 ? 2 : 1);
	u32 flags = m->cpu.eflags & RFLAGS_ARITH, defined = RFLAGS_ARITH, size = 1u << log;
	u16 ax;

	if (is_logic(arithmetic[i].opcode, reg))
		defined &= ~(u32)RFLAGS_AF;
	*c++ = arithmetic[i].opcode | (log ? 1 : 0);
	*c++ = (u8)((reg == 8 ? GPR_RCX : reg) << 3 | 6);
	*c++ = 0x00;
	*c++ = 0x80;
	memcpy(c, &operand, size);
	m->cpu.gpr[GPR_RCX] = operand;
	m->cpu.eip = 0x100;
	real_put(m, 0x18000, value, 4);
	real_code(m, code, sizeof(code));
	assert_int_equal(real_step(m), REAL_DONE);
	ax = arithmetic[i].native[log](&value, operand, flags);
	assert_int_equal(real_get(m, 0x18000, size), value);
	if (arithmetic[i].opcode == 0xf6 && reg == 2)
		assert_int_equal(m->cpu.eflags & RFLAGS_ARITH, flags);
	else
		assert_int_equal((m->cpu.eflags ^ flags_of(ax)) & defined, 0);
}

static void computes(void **state)
{
	struct unit_random r = { 3 };

	(void)state;
	real_init(m);
	for (u32 n = 0; n < 4000; n++) {
		for (u32 i = 0; i < ARRAY_SIZE(arithmetic); i++) {
			u32 a = some_value(&r), b = unit_random(&r) & 3 ? some_value(&r) : a;

			m->cpu.eflags ^= (u32)unit_random(&r) & RFLAGS_ARITH;
			for (u32 log = 0; log < 3; log++)
				compute(i, log, a, b);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_instruction), cmocka_unit_test(any_event),
		cmocka_unit_test(computes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
