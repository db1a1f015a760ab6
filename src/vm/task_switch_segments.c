/*
 * The segments of the new task, loaded one after another after the switch has
 * been committed. Until each is good it stands as unusable, so that a fault of
 * any of them finds a state that can be entered. See task_switch.h.
 * Source: SDM 3A "Task Switching" (its table of checks), 3C "Checks on Guest
 * Segment Registers".
 */
#include "vm/task_switch.h"

#include "vm/init.h"

#define AR_V86 (3u | AR_S | AR_DPL | AR_P)
#define AR_NO_CODE (15u | AR_S | AR_P)	/* conforming: fits every CPL */

static u32 ar_dpl(u32 ar)
{
	return (ar & AR_DPL) >> AR_DPL_SHIFT;
}

static bool is_null(u16 selector)
{
	return !(selector & ~SELECTOR_RPL);
}

static void set_usable(struct task_switch *ts, enum x86_seg s, const struct x86_descriptor *d)
{
	vm_set_segment(s, ts->state.seg[s], d->base, d->limit, d->ar);
}

static void set_unusable(struct task_switch *ts, enum x86_seg s)
{
	vm_set_segment(s, ts->state.seg[s], 0, 0, AR_UNUSABLE);
}

/*
 * CS is never unusable: it begins as one without a byte in it. SS gives the CPL,
 * which is 3 while there is none: a handler at a lower one then takes a stack
 * of the new TSS, where at CPL 0 it would have none.
 */
void task_set_selectors(struct task_switch *ts)
{
	for (u32 s = SEG_ES; s <= SEG_LDTR; s++)
		set_unusable(ts, s);
	if (ts->state.eflags & RFLAGS_VM) {
		for (u32 s = SEG_ES; s <= SEG_GS; s++)
			vm_set_segment(s, ts->state.seg[s], (u64)ts->state.seg[s] << 4, 0xffff,
				       AR_V86);
		return;
	}
	vm_set_segment(SEG_CS, ts->state.seg[SEG_CS], 0, 0, AR_NO_CODE);
	vm_set_segment(SEG_SS, ts->state.seg[SEG_SS], 0, 0, AR_UNUSABLE | AR_DPL);
}

/* Marks the segment accessed, in memory and in the register-to-be. */
static bool touch(struct task_switch *ts, struct x86_descriptor *d)
{
	if (d->ar & SEG_TYPE_ACCESSED)
		return true;
	d->ar |= SEG_TYPE_ACCESSED;
	return task_change_descriptor(ts, d->at, 0, SEG_TYPE_ACCESSED);
}

static bool load_ldtr(struct task_switch *ts)
{
	u16 selector = ts->state.seg[SEG_LDTR];
	struct x86_descriptor d;

	if (selector & SELECTOR_TI)
		return task_fault(ts, X86_TS, selector);
	if (is_null(selector))
		return true;
	if (!task_descriptor(ts, selector, X86_TS, &d))
		return false;
	if ((d.ar & (AR_TYPE | AR_S | AR_P)) != (SYS_TYPE_LDT | AR_P))
		return task_fault(ts, X86_TS, selector);
	set_usable(ts, SEG_LDTR, &d);
	return true;
}

static bool load_stack(struct task_switch *ts, u32 cpl)
{
	const u32 kind = AR_S | SEG_TYPE_CODE | SEG_TYPE_WRITABLE;
	u16 selector = ts->state.seg[SEG_SS];
	struct x86_descriptor d;

	if (is_null(selector))
		return task_fault(ts, X86_TS, selector);
	if (!task_descriptor(ts, selector, X86_TS, &d))
		return false;
	if ((d.ar & kind) != (AR_S | SEG_TYPE_WRITABLE))
		return task_fault(ts, X86_TS, selector);
	if (!(d.ar & AR_P))
		return task_fault(ts, X86_SS, selector);
	if (ar_dpl(d.ar) != cpl || (selector & SELECTOR_RPL) != cpl)
		return task_fault(ts, X86_TS, selector);
	if (!touch(ts, &d))
		return false;
	set_usable(ts, SEG_SS, &d);
	return true;
}

static bool load_data(struct task_switch *ts, enum x86_seg s, u32 cpl)
{
	u16 selector = ts->state.seg[s];
	struct x86_descriptor d;
	bool conforming;

	if (is_null(selector))
		return true;
	if (!task_descriptor(ts, selector, X86_TS, &d))
		return false;
	if (!(d.ar & AR_S) || (d.ar & (SEG_TYPE_CODE | SEG_TYPE_WRITABLE)) == SEG_TYPE_CODE)
		return task_fault(ts, X86_TS, selector);
	conforming = (d.ar & SEG_TYPE_CODE) && (d.ar & SEG_TYPE_DOWN);
	if (!conforming && ar_dpl(d.ar) < MAX(cpl, selector & SELECTOR_RPL))
		return task_fault(ts, X86_TS, selector);
	if (!(d.ar & AR_P))
		return task_fault(ts, X86_NP, selector);
	if (!touch(ts, &d))
		return false;
	set_usable(ts, s, &d);
	return true;
}

static bool load_code(struct task_switch *ts, u32 cpl)
{
	u16 selector = ts->state.seg[SEG_CS];
	struct x86_descriptor d;

	if (is_null(selector))
		return task_fault(ts, X86_TS, selector);
	if (!task_descriptor(ts, selector, X86_TS, &d))
		return false;
	if (!(d.ar & AR_S) || !(d.ar & SEG_TYPE_CODE))
		return task_fault(ts, X86_TS, selector);
	if (d.ar & SEG_TYPE_DOWN ? ar_dpl(d.ar) > cpl : ar_dpl(d.ar) != cpl)
		return task_fault(ts, X86_TS, selector);
	if (!(d.ar & AR_P))
		return task_fault(ts, X86_NP, selector);
	if (!touch(ts, &d))
		return false;
	set_usable(ts, SEG_CS, &d);
	return true;
}

bool task_load_segments(struct task_switch *ts)
{
	u32 cpl = ts->state.seg[SEG_CS] & SELECTOR_RPL;

	if (!load_ldtr(ts))
		return false;
	if (ts->state.eflags & RFLAGS_VM)
		return true;
	return load_stack(ts, cpl) && load_data(ts, SEG_DS, cpl) && load_data(ts, SEG_ES, cpl) &&
	       load_data(ts, SEG_FS, cpl) && load_data(ts, SEG_GS, cpl) && load_code(ts, cpl);
}

/* Do `size` bytes at this offset lie within SS? */
static bool in_stack(u32 offset, u32 size)
{
	u64 limit = vmx_read(VMCS_GUEST_SS_LIMIT), end = (u64)offset + size - 1;
	u64 ar = vmx_read(VMCS_GUEST_SS_AR);

	if (!(ar & SEG_TYPE_DOWN))
		return end <= limit;
	return offset > limit && end <= (ar & AR_DB ? 0xffffffff : 0xffff);
}

bool task_push_error_code(struct task_switch *ts, u32 code)
{
	u32 mask = vmx_read(VMCS_GUEST_SS_AR) & AR_DB ? 0xffffffff : 0xffff;
	u32 size = task_is_wide(ts) ? 4 : 2;
	u32 rsp = (u32)vmx_read(VMCS_GUEST_RSP), at = (rsp - size) & mask;
	struct mmu_fault f;

	if (!in_stack(at, size))
		return task_fault(ts, X86_SS, 0);
	ts->paging.cpl = (u8)vcpu_cpl();
	if (!mmu_gva_write(ts->v->vm, &ts->paging, GVA((u32)vmx_read(VMCS_GUEST_SS_BASE) + at),
			   &code, size, 0, &f)) {
		ts->fault = OUTCOME_PF(f.error_code, f.cr2);
		return false;
	}
	vmx_write(VMCS_GUEST_RSP, (rsp & ~mask) | at);
	return true;
}
