/*
 * A processor in real mode and its memory, for the tests of vm/real/emulate.h:
 * low memory, and firmware's at the end of 4 GiB; nothing between. To be
 * included by one file of a program.
 *
 * Always: what is not executed has changed nothing; code is read byte by byte,
 * once, and then operands; what is written lies in a segment. real_step() and
 * real_event() see to it.
 */
#pragma once

#include "unit.h"
#include "vm/real/emulate.h"

#define REAL_LOW 0x120000u
#define REAL_TOP 0xffff0000u

#define REAL_READS 32u
#define REAL_WRITES 8u

struct real_access {
	u32 at, len;
};

struct vm {
	u8 low[REAL_LOW], top[0x10000];
	u32 reads, writes;
	struct real_access read[REAL_READS], write[REAL_WRITES];	/* of one instruction */
	bool interfere;			/* another processor is always faster */
};

static inline u8 *real_at(struct vm *vm, u32 at)
{
	if (at < REAL_LOW)
		return &vm->low[at];
	return at >= REAL_TOP ? &vm->top[at - REAL_TOP] : NULL;
}

void real_read(struct vm *vm, u32 at, void *to, u32 len)
{
	assert_true(vm->reads < REAL_READS);
	vm->read[vm->reads++] = (struct real_access){ at, len };
	for (u32 i = 0; i < len; i++, at++)
		((u8 *)to)[i] = real_at(vm, at) ? *real_at(vm, at) : 0xff;
}

void real_write(struct vm *vm, u32 at, const void *from, u32 len)
{
	assert_true(vm->writes < REAL_WRITES);
	vm->write[vm->writes++] = (struct real_access){ at, len };
	for (u32 i = 0; i < len; i++, at++)
		if (real_at(vm, at))
			*real_at(vm, at) = ((const u8 *)from)[i];
}

bool real_exchange(struct vm *vm, u32 at, u32 len, u32 from, u32 to)
{
	u32 now = 0;

	for (u32 i = 0; i < len; i++)
		now |= (u32)(real_at(vm, at + i) ? *real_at(vm, at + i) : 0xff) << (8 * i);
	assert_int_equal(now, from);
	if (vm->interfere)
		return false;
	real_write(vm, at, &to, len);
	return true;
}

struct real_machine {
	struct vm vm;
	struct real_cpu cpu;
	struct real_insn insn;
};

static inline void real_load_segment(struct real_cpu *cpu, u32 seg, u16 selector)
{
	cpu->seg[seg] = (struct real_segment){ selector, (u32)selector << 4, 0xffff, 0xf3 };
}

/* As a boot sector might find it: code at 1000:0100, a stack at 2000:8000, data at 3000, 4000. */
static inline void real_init(struct real_machine *m)
{
	static const u16 selector[] = { 0x4000, 0x1000, 0x2000, 0x3000, 0x5000, 0x6000 };

	memset(m, 0, sizeof(*m));
	for (u32 i = 0; i < REAL_SEGMENTS; i++)
		real_load_segment(&m->cpu, i, selector[i]);
	m->cpu.seg[SEG_CS].ar = 0xfb;
	m->cpu.eip = 0x100;
	m->cpu.gpr[GPR_RSP] = 0x8000;
	m->cpu.eflags = RFLAGS_FIXED | RFLAGS_IOPL | RFLAGS_IF;
	m->cpu.cr0 = CR0_ET;
	m->cpu.idtr.limit = 0x3ff;
}

static inline void real_put(struct real_machine *m, u32 at, u64 value, u32 len)
{
	for (u32 i = 0; i < len; i++)
		*real_at(&m->vm, at + i) = (u8)(value >> (8 * i));
}

static inline u32 real_get(struct real_machine *m, u32 at, u32 len)
{
	u32 value = 0;

	for (u32 i = 0; i < len; i++)
		value |= (u32)*real_at(&m->vm, at + i) << (8 * i);
	return value;
}

static inline void real_code(struct real_machine *m, const void *code, u32 len)
{
	for (u32 i = 0; i < len; i++) {
		u32 at = m->cpu.seg[SEG_CS].base + m->cpu.eip + i;

		if (real_at(&m->vm, at))
			*real_at(&m->vm, at) = ((const u8 *)code)[i];
	}
}

static inline void real_check_reads(const struct real_machine *m, const struct real_cpu *before)
{
	const struct vm *vm = &m->vm;

	assert_true(vm->reads >= m->insn.count && vm->reads <= m->insn.count + 3u);
	for (u32 i = 0; i < m->insn.count; i++) {
		assert_int_equal(vm->read[i].at, before->seg[SEG_CS].base + before->eip + i);
		assert_int_equal(vm->read[i].len, 1);
	}
	for (u32 i = m->insn.count + 1u; i < vm->reads; i++)
		assert_int_not_equal(vm->read[i].at, vm->read[i - 1].at);
}

/* Does some segment hold these bytes, whichever was meant? */
static inline bool real_is_within(const struct real_cpu *cpu, struct real_access a)
{
	for (u32 i = 0; i < REAL_SEGMENTS; i++) {
		const struct real_segment *s = &cpu->seg[i];
		u64 first = (u32)(a.at - s->base), last = first + a.len - 1;
		bool down = i != SEG_CS && (s->ar & 0xc) == 4;

		if (!down && last <= s->limit)
			return true;
		if (down && first > s->limit && last <= (s->ar & AR_DB ? 0xffffffff : 0xffff))
			return true;
	}
	return false;
}

static inline void real_check_end(const struct real_machine *m, const struct real_cpu *before,
				  enum real_end end)
{
	const u32 fixed = RFLAGS_IOPL | RFLAGS_VM | RFLAGS_FIXED;

	if (end != REAL_DONE) {
		assert_memory_equal(before, &m->cpu, sizeof(*before));
		assert_int_equal(m->vm.writes, 0);
	}
	for (u32 i = 0; i < m->vm.writes; i++)
		assert_true(real_is_within(before, m->vm.write[i]));
	assert_int_equal(m->cpu.eflags & fixed, before->eflags & fixed);
}

/* One instruction. */
static inline enum real_end real_step(struct real_machine *m)
{
	struct real_cpu before = m->cpu;
	enum real_end end;

	m->vm.reads = m->vm.writes = 0;
	end = real_emulate(&m->vm, &m->cpu, &m->insn);
	real_check_reads(m, &before);
	real_check_end(m, &before, end);
	assert_true(m->insn.count <= REAL_MAX_INSN);
	assert_true(end != REAL_SHUTDOWN);
	return end;
}

/* One event. */
static inline enum real_end real_event(struct real_machine *m, u32 info, u32 length)
{
	struct real_cpu before = m->cpu;
	enum real_end end;

	m->vm.reads = m->vm.writes = 0;
	end = real_deliver(&m->vm, &m->cpu, info, length);
	real_check_end(m, &before, end);
	if (end == REAL_DONE) {
		assert_int_equal(m->vm.writes, 3);
		assert_true(m->cpu.eip <= m->cpu.seg[SEG_CS].limit);
		assert_false(m->cpu.eflags & (RFLAGS_IF | RFLAGS_TF));
	} else {
		assert_int_equal(end, REAL_SHUTDOWN);
	}
	return end;
}

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
