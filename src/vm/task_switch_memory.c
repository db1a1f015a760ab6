/* Guest memory and descriptors as a task switch accesses them. See task_switch.h. */
#include "vm/task_switch.h"

bool task_fault(struct task_switch *ts, u8 vector, u16 selector)
{
	ts->fault = OUTCOME_FAULT(vector, (selector & ~SELECTOR_RPL) | ts->ext);
	return false;
}

static bool page_fault(struct task_switch *ts, const struct mmu_fault *f)
{
	ts->fault = OUTCOME_PF(f->error_code, f->cr2);
	return false;
}

bool task_read(struct task_switch *ts, u32 at, void *to, size_t len)
{
	struct mmu_fault f;

	return mmu_gva_read(ts->v->vm, &ts->paging, GVA(at), to, len, MMU_IMPLICIT, &f) ||
	       page_fault(ts, &f);
}

bool task_write(struct task_switch *ts, u32 at, const void *from, size_t len)
{
	struct mmu_fault f;

	return mmu_gva_write(ts->v->vm, &ts->paging, GVA(at), from, len, MMU_IMPLICIT, &f) ||
	       page_fault(ts, &f);
}

/* No range that is asked for is longer than a page. */
static bool probe(struct task_switch *ts, u32 at, size_t len, enum mmu_access access)
{
	u32 end[2] = { at, at + (u32)len - 1 };
	struct mmu_translation t;
	struct mmu_fault f;

	for (u32 i = 0; i < 2; i++)
		if (!mmu_walk(ts->v->vm, &ts->paging, GVA(end[i]), access, MMU_IMPLICIT, false,
			      &t, &f))
			return page_fault(ts, &f);
	return true;
}

bool task_can_read(struct task_switch *ts, u32 at, size_t len)
{
	return probe(ts, at, len, MMU_READ);
}

bool task_can_write(struct task_switch *ts, u32 at, size_t len)
{
	return probe(ts, at, len, MMU_WRITE);
}

u32 task_gdt_entry(u16 selector)
{
	return (u32)vmx_read(VMCS_GUEST_GDTR_BASE) + (selector & ~7u);
}

/* Where a selector's descriptor lies; false: outside of its table. */
static bool descriptor_address(u16 selector, u32 *at)
{
	u64 limit = vmx_read(VMCS_GUEST_GDTR_LIMIT);

	*at = task_gdt_entry(selector);
	if (selector & SELECTOR_TI) {
		if (vmx_read(VMCS_GUEST_LDTR_AR) & AR_UNUSABLE)
			return false;
		limit = vmx_read(VMCS_GUEST_LDTR_LIMIT);
		*at = (u32)vmx_read(VMCS_GUEST_LDTR_BASE) + (selector & ~7u);
	}
	return (selector | 7u) <= limit;
}

bool task_descriptor(struct task_switch *ts, u16 selector, u8 vector, struct x86_descriptor *d)
{
	u64 raw;
	u32 at;

	if (!descriptor_address(selector, &at))
		return task_fault(ts, vector, selector);
	if (!task_read(ts, at, &raw, sizeof(raw)))
		return false;
	*d = x86_descriptor(raw);
	d->at = at;
	return true;
}

bool task_change_descriptor(struct task_switch *ts, u32 at, u8 clear, u8 set)
{
	u8 ar;

	if (!task_read(ts, at + DESCRIPTOR_AR_BYTE, &ar, 1))
		return false;
	ar = (u8)((ar & ~clear) | set);
	return task_write(ts, at + DESCRIPTOR_AR_BYTE, &ar, 1);
}
