/*
 * Between the files of the engine: what enter.c, exit.c and merge*.c share.
 * Not for users of the engine (nested.h).
 */
#pragma once

#include "mmu/guest_walk.h"
#include "nested/check.h"
#include "nested/nested.h"

/* Everything an exit of L2 tells L1; unlisted fields of vmcs12 stay. */
struct nested_exit_info {
	u32 reason, intr_info, intr_error, instr_length, instr_info;
	u32 vectoring_info, vectoring_error;
	u64 qualification, gla, gpa;
};

/* merge.c: brings vmcs02 (current) up to date with vmcs12 and L0's wants. */
struct nested_state01 { u64 efer, pat, debugctl, dr7; };
void nested_merge(struct nested_vcpu *n, struct nested_vmcs *s,
		  const struct nested_state01 *l1);

/* sync.c: vmcs02 (current) is to lose what a stale field has there: vmcs12 gets it first. */
void nested_sync_field(struct nested_vcpu *n, struct nested_vmcs *s, unsigned i);

/* merge_ept.c, vpid.c: parts of it. */
struct ept02 *nested_ept02(struct nested_vcpu *n, struct nested_vmcs *s);
/* vmcs02 (current) runs on *e, and the TLB holds nothing of it that is gone. */
void nested_use_ept02(struct nested_vcpu *n, struct nested_vmcs *s, const struct ept02 *e);
void nested_merge_ept(struct nested_vcpu *n, struct nested_vmcs *s);
void nested_merge_pdptes(struct nested_vcpu *n, struct nested_vmcs *s);
/* vtlb.c: fresh: fields of the class PAGING changed, or the controls. */
void nested_vtlb_merge(struct nested_vcpu *n, struct nested_vmcs *s, bool fresh);
/* What L1 finds in vmcs12 of L2's control registers. */
void nested_vtlb_save(struct nested_vcpu *n, struct nested_vmcs *s);
/* vmcs01 (current) has L1's control registers as if there were EPT. */
void nested_vtlb_host(struct nested_vcpu *n, const struct nested_vmcs *s);
/* vmcs02 (current) runs on this root. */
void nested_vtlb_use(struct nested_vcpu *n, struct nested_vmcs *s, hpa_t root);
/* exit_vtlb.c: a page fault of L2. */
enum nested_verdict nested_vtlb_exit(struct nested_vcpu *n);
/* An access of L2 to a control register: does L1 ask for the exit? */
bool nested_l1_wants_cr(struct nested_vcpu *n);

void nested_merge_vpid(struct nested_vcpu *n, struct nested_vmcs *s);

/* link.c: the active VMCS that L2 reads and writes by shadowing, or NULL. */
struct nested_vmcs *nested_link(const struct nested_vmcs *s);
/* The checks of the link pointer passed before, and nothing changed since. */
bool nested_link_is_known(const struct nested_vmcs *s);
/* They passed: makes the VMCS active that the link pointer names. vmcs01 is current. */
void nested_find_link(struct nested_vcpu *n, struct nested_vmcs *s);
void nested_merge_link(struct nested_vcpu *n, struct nested_vmcs *s);

/* bitmaps.c: merged pages of slot s (fresh: vmcs02 must be told of them anew), and
 * what L1's own bitmaps say. */
void nested_merge_bitmaps(struct nested_vcpu *n, struct nested_vmcs *s, bool fresh);
bool nested_l1_wants_msr(struct nested_vcpu *n, u32 msr, bool write);
bool nested_l1_wants_io(struct nested_vcpu *n, u16 port, u32 size);
/* VMREAD or VMWRITE of L2, of the field with this encoding. */
bool nested_l1_wants_field(struct nested_vcpu *n, u64 encoding, bool write);

/* msr_list.c: 0, or the 1-based index of the entry that failed. vmcs: the area of
 * VMCS-held MSRs that a load goes to is the current hardware VMCS. */
u32 nested_msr_load(struct nested_vcpu *n, gpa1_t list, u64 count);
bool nested_msr_store(struct nested_vcpu *n, gpa1_t list, u64 count);

/* host.c: vmcs01 (current) gets L1's host state, or the VM its end by a VMX abort. */
void nested_load_host_state(struct nested_vcpu *n, struct nested_vmcs *s,
			    const struct nested_exit_info *info, u64 l2_efer, u64 l2_pat);

/* The VMX-abort indicator (SDM 3C "VMX Aborts"): why L1's CPU shuts down. */
enum nested_abort {
	ABORT_SAVE_MSR = 1, ABORT_HOST_PDPTE = 2, ABORT_LOAD_MSR = 4, ABORT_HOST_32 = 6,
};
void nested_abort(struct nested_vcpu *n, enum nested_abort why);

/*
 * event.c: NMIs stay blocked all the time that L2 runs; where L1 has NMI exits, but no
 * virtual NMIs.
 */
bool nested_nmi_blocked_for_good(const struct nested_vmcs *s);
/* Whether an exception of L2 is an exit to L1. */
bool nested_l1_wants_exception(const struct nested_vcpu *n, u32 vector, u32 error_code);

/* exit.c: L1 gets this exit from L2 (vmcs02 is current). */
enum nested_verdict nested_reflect(struct nested_vcpu *n, struct nested_exit_info *info);
/* What vmcs02 says of an exit with this reason. */
void nested_read_exit_info(struct nested_vcpu *n, u32 reason, struct nested_exit_info *info);
/* exit_ept.c: an EPT violation or misconfiguration of L2. */
enum nested_verdict nested_ept_exit(struct nested_vcpu *n, u32 reason);

/* An access of L2 to its physical memory, told as a processor tells a violation. */
struct nested_ept_access {
	gpa2_t gpa;
	u64 qualification;
	enum ept02_verdict verdict;
	struct ept02_fault fault;
};
/* exit_ept.c: ept12 judges it; what it allows is mapped, flagged and logged. */
void nested_ept_judge(struct nested_vcpu *n, struct nested_ept_access *a);
/* It was not allowed: L1 gets an exit that info knows the rest of, or L2 a #VE. */
enum nested_verdict nested_ept_refuse(struct nested_vcpu *n, const struct nested_ept_access *a,
				      struct nested_exit_info *info);

/* stage2.c: memory operands of L2 that L0 accesses in its place. */
struct nested_stage2 {
	struct mmu_stage2 stage2;
	struct nested_vcpu *n;
	gva_t gva;			/* of the access judged last */
	struct nested_ept_access access;
};
/* What L2's paging goes through on the way to L1's memory; NULL: nothing. */
struct mmu_stage2 *nested_stage2_init(struct nested_vcpu *n, struct nested_stage2 *a);
/* The access failed there (mmu_fault.stage2), and what comes of that happens. */
struct outcome nested_stage2_failed(struct nested_stage2 *a);
/* breakpoint.c: L0 accessed this in the place of L1 or L2. */
void nested_breakpoint_memory(struct nested_vcpu *n, gva_t gva, size_t len, bool write);

/* vmfunc.c: L2 executed VMFUNC. */
enum nested_verdict nested_vmfunc(struct nested_vcpu *n);

/* fail.c: the entry fails as an exit with this basic reason; vmcs02 is current if
 * in_l2, else vmcs01. L1 is at its HOST_RIP afterwards. */
struct outcome nested_fail_entry(struct nested_vcpu *n, struct nested_vmcs *s,
				 u32 reason, u64 qualification);
/* The hardware says so, with vmcs02 current. */
enum nested_verdict nested_entry_failed(struct nested_vcpu *n, u32 reason);

/* What L0 writes to vmcs12 itself: vmcs02 has it already, or has no need of it. */
static always_inline void nested_set_field(struct nested_vmcs *s, unsigned i, u64 value)
{
	if (s->v[i] == value)
		return;
	s->v[i] = value;
	field_set(&s->shadow_dirty, i);
}

/* vmcs02 gets this field from vmcs12 as it is. */
static always_inline bool nested_is_copied(const struct nested_vcpu *n, unsigned i)
{
	return nested_field_merge[i] <= n->copied;
}

/* Controls of vmcs12 as they count: secondary ones only when activated. */
static inline u32 nested_proc2(const struct nested_vmcs *s)
{
	return s->v[VF_PROC_CONTROLS] & PROC_SECONDARY ? (u32)s->v[VF_PROC2_CONTROLS] : 0;
}

static inline bool nested_uses_ept(const struct nested_vmcs *s)
{
	return nested_proc2(s) & PROC2_EPT;
}

static inline bool nested_pae(u64 cr0, u64 cr4, bool ia32e)
{
	return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !ia32e;
}

/* fail.c: what the checks of vmcs12 ask. */
void nested_check_env(struct nested_vcpu *n, struct nested_vmcs *s, struct check_env *e);
