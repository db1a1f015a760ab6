/*
 * Operands of an instruction of real mode: registers, memory through segments,
 * the stack. See emulate_run.h.
 * Source: SDM 3A "Limit Checking", 3B "8086 Emulation".
 */
#include "vm/real/emulate_run.h"
#include "x86_tss.h"

#include <string.h>

bool real_fault(struct real_run *r, u8 vector)
{
	r->insn->vector = vector;
	return false;
}

u32 real_gpr(const struct real_run *r, u32 n, u32 size)
{
	if (size == 4)
		return r->cpu.gpr[n];
	if (size == 2)
		return (u16)r->cpu.gpr[n];
	return (u8)(r->cpu.gpr[n & 3] >> (n & 4 ? 8 : 0));
}

void real_set_gpr(struct real_run *r, u32 n, u32 size, u32 value)
{
	u32 shift = size == 1 && (n & 4) ? 8 : 0;
	u32 mask = (size == 4 ? 0xffffffff : BIT32(8 * size) - 1) << shift;
	u32 *gpr = &r->cpu.gpr[size == 1 ? n & 3 : n];

	*gpr = (*gpr & ~mask) | (value << shift & mask);
}

u32 real_offset(const struct real_run *r)
{
	u32 offset = r->disp;

	if (r->base != REAL_NO_GPR)
		offset += r->cpu.gpr[r->base];
	if (r->index != REAL_NO_GPR)
		offset += r->cpu.gpr[r->index] << r->scale;
	return r->address_size == 2 ? (u16)offset : offset;
}

static bool expands_down(const struct real_run *r, u32 seg)
{
	return seg != SEG_CS &&
	       (r->cpu.seg[seg].ar & (SEG_TYPE_CODE | SEG_TYPE_DOWN)) == SEG_TYPE_DOWN;
}

bool real_linear(struct real_run *r, u32 seg, u32 offset, u32 len, u32 *linear)
{
	const struct real_segment *s = &r->cpu.seg[seg];
	u64 last = (u64)offset + len - 1;
	bool within = last <= s->limit;

	if (expands_down(r, seg))
		within = offset > s->limit && last <= (s->ar & AR_DB ? 0xffffffff : 0xffff);
	*linear = s->base + offset;
	return within || real_fault(r, seg == SEG_SS ? X86_SS : X86_GP);
}

static bool read_segment(struct real_run *r, u32 seg, u32 offset, void *to, u32 len)
{
	u32 at;

	if (!real_linear(r, seg, offset, len, &at))
		return false;
	real_read(r->vm, at, to, len);
	return true;
}

static bool write_segment(struct real_run *r, u32 seg, u32 offset, const void *from, u32 len)
{
	struct real_queued *w = &r->write[r->writes];

	if (!real_linear(r, seg, offset, len, &w->at))
		return false;
	w->len = len;
	memcpy(w->data, from, len);
	r->writes++;
	return true;
}

bool real_load(struct real_run *r, void *to, u32 len)
{
	return read_segment(r, r->seg, real_offset(r), to, len);
}

bool real_store(struct real_run *r, const void *from, u32 len)
{
	return write_segment(r, r->seg, real_offset(r), from, len);
}

bool real_load_rm16(struct real_run *r, u16 *value)
{
	if (real_is_memory(r))
		return real_load(r, value, sizeof(*value));
	*value = (u16)r->cpu.gpr[r->rm];
	return true;
}

static u32 stack_size(const struct real_run *r)
{
	return r->cpu.seg[SEG_SS].ar & AR_DB ? 4 : 2;
}

void real_add_to_sp(struct real_run *r, u32 n)
{
	real_set_gpr(r, GPR_RSP, stack_size(r), r->cpu.gpr[GPR_RSP] + n);
}

bool real_push(struct real_run *r, u32 value, u32 size)
{
	real_add_to_sp(r, -size);
	return write_segment(r, SEG_SS, real_gpr(r, GPR_RSP, stack_size(r)), &value, size);
}

bool real_pop(struct real_run *r, u32 *value, u32 size)
{
	*value = 0;
	if (!read_segment(r, SEG_SS, real_gpr(r, GPR_RSP, stack_size(r)), value, size))
		return false;
	real_add_to_sp(r, size);
	return true;
}

bool real_commit(struct real_run *r)
{
	u32 to = 0;

	if (r->exchange) {
		memcpy(&to, r->write[0].data, sizeof(to));
		return real_exchange(r->vm, r->write[0].at, r->write[0].len, r->expected, to);
	}
	for (u32 i = 0; i < r->writes; i++)
		real_write(r->vm, r->write[i].at, r->write[i].data, r->write[i].len);
	return true;
}
