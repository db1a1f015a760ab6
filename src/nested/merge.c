/*
 * vmcs02 from vmcs12: every field that L1 changed since vmcs02 last saw it is
 * copied or merged, and nothing else is written. L0's own wants come last and
 * L1 can not take them away. Addresses and bitmaps: merge_ept.c, bitmaps.c.
 */
#include "nested/engine.h"

#include "engine_ops.h"

static u32 primary_controls(const struct nested_vcpu *n, const struct nested_vmcs *s)
{
	u32 v12 = (u32)s->v[VF_PROC_CONTROLS];
	u32 v = v12 | PROC_SECONDARY;

	if (v12 & PROC_IO_BITMAPS)
		v &= ~PROC_UNCOND_IO;
	else if (!(v12 & PROC_UNCOND_IO))
		v |= PROC_IO_BITMAPS;
	if (n->tsc_offset01)
		v |= PROC_TSC_OFFSET;
	if (n->vtlb)
		v |= PROC_INVLPG | PROC_CR3_LOAD | PROC_CR3_STORE;
	return (v | n->hw->proc.must) & n->hw->proc.may;
}

static u32 secondary_controls(const struct nested_vcpu *n, const struct nested_vmcs *s)
{
	/* L0 logs L2's pages itself, and only it knows which violations are L1's. */
	u32 v = (nested_proc2(s) & ~(PROC2_PML | PROC2_EPT_VE)) | PROC2_EPT | PROC2_VPID;

	return (v | n->hw->proc2.must) & n->hw->proc2.may;
}

static void merge_controls(struct nested_vcpu *n, struct nested_vmcs *s)
{
	const struct vmx_caps *hw = n->hw;
	u32 pin = (u32)s->v[VF_PIN_CONTROLS] | (n->nmi_exits ? PIN_NMI | PIN_VIRTUAL_NMI : 0);
	u32 exit = EXIT_HOST_64 | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
		   EXIT_SAVE_EFER | EXIT_LOAD_EFER;
	u32 entry = ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER;

	exit |= (u32)s->v[VF_EXIT_CONTROLS] & EXIT_ACK_INTERRUPT;
	/* L0's own exits must not restart L1's timer. */
	if (pin & PIN_PREEMPTION_TIMER)
		exit |= EXIT_SAVE_PREEMPTION;
	entry |= (u32)s->v[VF_ENTRY_CONTROLS] & ENTRY_IA32E;

	op_hw_write(n, VMCS_PIN_CONTROLS, (pin | hw->pin.must) & hw->pin.may);
	op_hw_write(n, VMCS_PROC_CONTROLS, primary_controls(n, s));
	op_hw_write(n, VMCS_PROC2_CONTROLS, secondary_controls(n, s));
	if (nested_proc2(s) & PROC2_VMFUNC)
		op_hw_write(n, VMCS_VMFUNC_CONTROLS, 0);	/* vmfunc.c does them */
	op_hw_write(n, VMCS_EXIT_CONTROLS, (exit | hw->exit.must) & hw->exit.may);
	op_hw_write(n, VMCS_ENTRY_CONTROLS, (entry | hw->entry.must) & hw->entry.may);
}

/* SDM 3C "Loading Guest Control Registers, Debug Registers, and MSRs": EFER that is not loaded. */
static u64 entry_efer(const struct nested_vmcs *s, u64 efer01)
{
	u64 entry = s->v[VF_ENTRY_CONTROLS];
	u64 lma = EFER_LMA;

	if (s->v[VF_GUEST_CR0] & CR0_PG)
		lma |= EFER_LME;
	return (efer01 & ~lma) | (entry & ENTRY_IA32E ? lma : 0);
}

/*
 * A field of the guest state that an entry loads from vmcs12, or leaves as L1 has
 * it. What waits in vmcs02 is lost unless the entry loads it and the exit saves it.
 */
static void merge_state_field(struct nested_vcpu *n, struct nested_vmcs *s, unsigned i, u32 at,
			      bool load, bool save, u64 otherwise)
{
	if (field_test(&s->stale, i)) {
		if (load && save)
			return;
		nested_sync_field(n, s, i);
	}
	op_hw_write(n, at, load ? s->v[i] : otherwise);
}

static void merge_state(struct nested_vcpu *n, struct nested_vmcs *s,
			const struct nested_state01 *l1)
{
	u64 entry = s->v[VF_ENTRY_CONTROLS], exit = s->v[VF_EXIT_CONTROLS];
	bool load = entry & ENTRY_LOAD_DEBUG, save = exit & EXIT_SAVE_DEBUG;

	merge_state_field(n, s, VF_GUEST_DEBUGCTL, VMCS_GUEST_DEBUGCTL, load, save, l1->debugctl);
	merge_state_field(n, s, VF_GUEST_DR7, VMCS_GUEST_DR7, load, save, l1->dr7);
	merge_state_field(n, s, VF_GUEST_PAT, n->at.pat, entry & ENTRY_LOAD_PAT,
			  exit & EXIT_SAVE_PAT, l1->pat);
	merge_state_field(n, s, VF_GUEST_EFER, n->at.efer, entry & ENTRY_LOAD_EFER,
			  exit & EXIT_SAVE_EFER, entry_efer(s, l1->efer));
}

/*
 * SDM 3C "Time-Stamp Counter Offset and Multiplier": L1 scales its own TSC, of which
 * L0's offset is a part; and without "use TSC offsetting" it scales nothing.
 */
static void merge_tsc(struct nested_vcpu *n, const struct nested_vmcs *s)
{
	bool scales = nested_proc2(s) & PROC2_TSC_SCALING;
	u64 multiplier = TSC_MULTIPLIER_ONE, offset = 0;

	if (s->v[VF_PROC_CONTROLS] & PROC_TSC_OFFSET) {
		offset = s->v[VF_TSC_OFFSET];
		if (scales)
			multiplier = s->v[VF_TSC_MULTIPLIER];
	}
	offset += (u64)((__int128)(s64)n->tsc_offset01 * multiplier >> TSC_MULTIPLIER_SHIFT);
	op_hw_write(n, VMCS_TSC_OFFSET, offset);
	if (scales)
		op_hw_write(n, VMCS_TSC_MULTIPLIER, multiplier);
}

/* Pages that the hardware itself reads and writes: GPA1 to HPA. */
static void merge_apic(struct nested_vcpu *n, const struct nested_vmcs *s)
{
	u32 proc2 = nested_proc2(s);

	if (s->v[VF_PROC_CONTROLS] & PROC_TPR_SHADOW)
		op_hw_write(n, VMCS_VIRTUAL_APIC_ADDR,
			    op_gpa1_page(n->vm, GPA1(s->v[VF_VIRTUAL_APIC_ADDR])).v);
	if (proc2 & PROC2_APIC_ACCESS)
		op_hw_write(n, VMCS_APIC_ACCESS_ADDR,
			    op_gpa1_page(n->vm, GPA1(s->v[VF_APIC_ACCESS_ADDR])).v);
	if (s->v[VF_PIN_CONTROLS] & PIN_POSTED_INTERRUPTS) {
		u64 a = s->v[VF_POSTED_INTR_DESC];

		op_hw_write(n, VMCS_POSTED_INTR_DESC,
			    op_gpa1_page(n->vm, GPA1(a & PAGE_MASK)).v | (a & ~PAGE_MASK));
	}
}

/*
 * An NMI may be injected while NMIs are blocked, but a virtual one may not (SDM 3C "Checks on
 * Guest Non-Register State"). Afterwards they are blocked in any case.
 */
static void unblock_virtual_nmi(struct nested_vcpu *n, struct nested_vmcs *s)
{
	u64 state = s->v[VF_GUEST_INTERRUPTIBILITY];

	if ((s->v[VF_PIN_CONTROLS] & PIN_VIRTUAL_NMI) || !(state & BLOCKED_BY_NMI))
		return;
	op_hw_write(n, VMCS_GUEST_INTERRUPTIBILITY, state & ~(u64)BLOCKED_BY_NMI);
	field_set(&s->dirty, VF_GUEST_INTERRUPTIBILITY);
}

static void merge_event(struct nested_vcpu *n, struct nested_vmcs *s)
{
	u64 info = s->v[VF_ENTRY_INTR_INFO];

	if (!(info & INTR_VALID))
		return;	/* the last exit left vmcs02's invalid, too */
	if (unlikely(n->nmi_exits) && (info & INTR_TYPE) == INTR_TYPE_NMI)
		unblock_virtual_nmi(n, s);
	op_hw_write(n, VMCS_ENTRY_INTR_INFO, info);
	op_hw_write(n, VMCS_ENTRY_ERROR_CODE, s->v[VF_ENTRY_ERROR_CODE]);
	op_hw_write(n, VMCS_ENTRY_INSTR_LENGTH, s->v[VF_ENTRY_INSTR_LENGTH]);
}

/* Copies what is dirty and is copied; returns the parts that must be merged. */
static u32 copy_dirty(struct nested_vcpu *n, struct nested_vmcs *s)
{
	u32 parts = 0;

	for (unsigned w = 0; w < VF_WORDS; w++) {
		u64 d = s->dirty.w[w];

		for (; d; d &= d - 1) {
			unsigned i = w * 64 + (unsigned)__builtin_ctzll(d);

			if (nested_is_copied(n, i))
				op_hw_write(n, nested_field_encoding[i], s->v[i]);
			else
				parts |= BIT32(nested_field_merge[i]);
		}
		s->dirty.w[w] = 0;
	}
	return parts;
}

/* The loads of L1's that would make every entry depend on L1's own registers. */
#define ENTRY_LOADS (ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)

void nested_merge(struct nested_vcpu *n, struct nested_vmcs *s,
		  const struct nested_state01 *l1)
{
	u32 parts = copy_dirty(n, s);
	bool ctl = parts & BIT32(MERGE_CTL);

	if (ctl)
		merge_controls(n, s);
	if (ctl || (parts & BIT32(MERGE_STATE)) ||
	    (s->v[VF_ENTRY_CONTROLS] & ENTRY_LOADS) != ENTRY_LOADS)
		merge_state(n, s, l1);
	if (ctl || (parts & BIT32(MERGE_TSC)))
		merge_tsc(n, s);
	if (ctl || (parts & BIT32(MERGE_APIC)))
		merge_apic(n, s);
	if (s->v[VF_PIN_CONTROLS] & PIN_PREEMPTION_TIMER)
		op_hw_write(n, VMCS_PREEMPTION_TIMER, s->v[VF_PREEMPTION_TIMER]);
	nested_merge_bitmaps(n, s, parts & (BIT32(MERGE_CTL) | BIT32(MERGE_MSR) | BIT32(MERGE_IO) |
					    BIT32(MERGE_FIELDS)));
	nested_merge_link(n, s);
	nested_merge_pdptes(n, s);
	nested_merge_ept(n, s);
	if (unlikely(n->vtlb))
		nested_vtlb_merge(n, s, ctl || (parts & BIT32(MERGE_PAGING)));
	else
		nested_merge_vpid(n, s);
	merge_event(n, s);
}
