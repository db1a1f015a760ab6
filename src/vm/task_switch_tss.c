/*
 * The two task-state segments of a task switch: L1's registers go to the old
 * one, and the new one is read, once. See task_switch.h.
 * Source: SDM 3A "32-Bit Task-State Segment (TSS)", "16-Bit Task-State Segment".
 */
#include "vm/task_switch.h"

#include <string.h>

#define SAVED32 offsetof(struct x86_tss32, eip)
#define SAVED32_END (offsetof(struct x86_tss32, seg) + 4 * SEG_LDTR - 2)
#define SAVED16 offsetof(struct x86_tss16, ip)
#define SAVED16_END offsetof(struct x86_tss16, ldtr)

/* The instruction that switches is done; an exception's is not. */
static u32 saved_eip(const struct task_switch *ts)
{
	bool done = !ts->event || task_event_is(ts, INTR_TYPE_SW_INTERRUPT) ||
		    task_event_is(ts, INTR_TYPE_PRIV_SW_EXCEPTION) ||
		    task_event_is(ts, INTR_TYPE_SW_EXCEPTION);

	return (u32)(vmx_read(VMCS_GUEST_RIP) + (done ? vmx_read(VMCS_EXIT_INSTR_LENGTH) : 0));
}

static void current_state(const struct task_switch *ts, struct task_state *s)
{
	s->eip = saved_eip(ts);
	s->eflags = (u32)vmx_read(VMCS_GUEST_RFLAGS);
	if (ts->source == TASK_IRET)
		s->eflags &= ~(u32)RFLAGS_NT;
	for (u32 i = 0; i < TSS_SAVED_GPRS; i++)
		s->gpr[i] = (u32)vcpu_gpr(ts->v, i);
	for (u32 i = SEG_ES; i < SEG_LDTR; i++)
		s->seg[i] = (u16)vmx_read(VMCS_GUEST_ES_SELECTOR + 2 * i);
}

static bool old_is_wide(void)
{
	return vmx_read(VMCS_GUEST_TR_AR) & SYS_TYPE_TSS_WIDE;
}

bool task_check_old_tss(struct task_switch *ts)
{
	u32 base = (u32)vmx_read(VMCS_GUEST_TR_BASE);
	size_t start = old_is_wide() ? SAVED32 : SAVED16;
	size_t end = old_is_wide() ? SAVED32_END : SAVED16_END;

	if (vmx_read(VMCS_GUEST_TR_LIMIT) < end - 1)
		return task_fault(ts, X86_TS, ts->old_selector);
	return task_can_write(ts, base + (u32)start, end - start);
}

static bool save32(struct task_switch *ts, u32 base, const struct task_state *s)
{
	struct x86_tss32 t = { .eip = s->eip, .eflags = s->eflags };
	u32 seg = base + (u32)offsetof(struct x86_tss32, seg);

	memcpy(t.gpr, s->gpr, sizeof(t.gpr));
	if (!task_write(ts, base + SAVED32, &t.eip, offsetof(struct x86_tss32, seg) - SAVED32))
		return false;
	/* The upper halves of selectors stay as they are. */
	for (u32 i = SEG_ES; i < SEG_LDTR; i++)
		if (!task_write(ts, seg + 4 * i, &s->seg[i], 2))
			return false;
	return true;
}

static bool save16(struct task_switch *ts, u32 base, const struct task_state *s)
{
	struct x86_tss16 t = { .ip = (u16)s->eip, .flags = (u16)s->eflags };

	for (u32 i = 0; i < TSS_SAVED_GPRS; i++)
		t.gpr[i] = (u16)s->gpr[i];
	memcpy(t.seg, s->seg, sizeof(t.seg));
	return task_write(ts, base + SAVED16, &t.ip, SAVED16_END - SAVED16);
}

bool task_save(struct task_switch *ts)
{
	u32 base = (u32)vmx_read(VMCS_GUEST_TR_BASE);
	struct task_state s;

	current_state(ts, &s);
	return old_is_wide() ? save32(ts, base, &s) : save16(ts, base, &s);
}

/* The processor checked this before the exit; memory may have changed since. */
static bool check_descriptor(struct task_switch *ts)
{
	u8 vector = ts->source == TASK_IRET ? X86_TS : X86_GP;
	u32 busy = ts->source == TASK_IRET ? SYS_TYPE_TSS_BUSY : 0;
	u32 type;

	if (ts->selector & SELECTOR_TI)
		return task_fault(ts, vector, ts->selector);
	if (!task_descriptor(ts, ts->selector, vector, &ts->tss))
		return false;
	type = ts->tss.ar & (AR_TYPE | AR_S);
	if (type != (SYS_TYPE_TSS16 | busy) && type != (SYS_TYPE_TSS32 | busy))
		return task_fault(ts, vector, ts->selector);
	if (!(ts->tss.ar & AR_P))
		return task_fault(ts, X86_NP, ts->selector);
	return true;
}

bool task_check_new_tss(struct task_switch *ts)
{
	size_t size;

	if (!check_descriptor(ts))
		return false;
	size = task_is_wide(ts) ? sizeof(struct x86_tss32) : sizeof(struct x86_tss16);
	if (ts->tss.limit < size - 1)
		return task_fault(ts, X86_TS, ts->selector);
	return task_can_read(ts, ts->tss.base, size) &&
	       (!task_nests(ts) || task_can_write(ts, ts->tss.base, 2));
}

static bool read32(struct task_switch *ts)
{
	struct task_state *s = &ts->state;
	struct x86_tss32 t;

	if (!task_read(ts, ts->tss.base, &t, sizeof(t)))
		return false;
	*s = (struct task_state){ .cr3 = t.cr3, .eip = t.eip, .eflags = t.eflags };
	memcpy(s->gpr, t.gpr, sizeof(s->gpr));
	for (u32 i = 0; i < TSS32_SEGS; i++)
		s->seg[i] = t.seg[i].selector;
	s->trap = t.trap & TSS_TRAP;
	return true;
}

static bool read16(struct task_switch *ts)
{
	struct task_state *s = &ts->state;
	struct x86_tss16 t;

	if (!task_read(ts, ts->tss.base, &t, sizeof(t)))
		return false;
	*s = (struct task_state){ .eip = t.ip, .eflags = t.flags };
	/* Processors leave ones in the upper halves. */
	for (u32 i = 0; i < TSS_SAVED_GPRS; i++)
		s->gpr[i] = 0xffff0000 | t.gpr[i];
	memcpy(s->seg, t.seg, sizeof(t.seg));
	s->seg[SEG_LDTR] = t.ldtr;
	return true;
}

bool task_read_new(struct task_switch *ts)
{
	return task_is_wide(ts) ? read32(ts) : read16(ts);
}
