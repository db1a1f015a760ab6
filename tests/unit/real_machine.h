/*
 * A processor in real mode and its memory, for the tests of vm/real/emulate.h:
 * low memory, and firmware's at the end of 4 GiB; nothing between. To be
 * included by one file of a program.
 *
 * Always: an instruction that is not executed has changed nothing; its code is
 * read byte by byte, once, and then its operands. real_step() sees to it.
 */
#pragma once

#include "unit.h"
#include "vm/real/emulate.h"

#define REAL_LOW 0x120000u
#define REAL_TOP 0xffff0000u

#define REAL_READS 32u

struct vm {
	u8 low[REAL_LOW], top[0x10000];
	u32 reads, writes;
	struct { u32 at, len; } read[REAL_READS];	/* for the current instruction */
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
	vm->read[vm->reads].at = at;
	vm->read[vm->reads++].len = len;
	for (u32 i = 0; i < len; i++, at++)
		((u8 *)to)[i] = real_at(vm, at) ? *real_at(vm, at) : 0xff;
}

void real_write(struct vm *vm, u32 at, const void *from, u32 len)
{
	vm->writes++;
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

/* One step, and what holds for every one. */
static inline enum real_end real_step(struct real_machine *m)
{
	const u32 fixed = RFLAGS_IOPL | RFLAGS_VM | RFLAGS_FIXED;
	struct real_cpu before = m->cpu;
	enum real_end end;

	m->vm.reads = m->vm.writes = 0;
	end = real_emulate(&m->vm, &m->cpu, &m->insn);
	real_check_reads(m, &before);
	if (end != REAL_DONE) {
		assert_memory_equal(&before, &m->cpu, sizeof(before));
		assert_int_equal(m->vm.writes, 0);
	}
	assert_int_equal(m->cpu.eflags & fixed, before.eflags & fixed);
	assert_true(m->insn.count <= REAL_MAX_INSN);
	assert_true(end != REAL_SHUTDOWN);
	return end;
}
