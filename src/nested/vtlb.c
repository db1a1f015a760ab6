/*
 * L2 on a processor without EPT: vmcs02 runs on shadow tables (mmu/vtlb.h) of
 * the tables that L1 made for L2, with page faults, CR3 and INVLPG intercepted
 * for L0. L1 has no EPT either, so L2's physical addresses are L1's.
 *
 * Always: what L2 and L1 see of CR0, CR3 and CR4 is theirs. The bits that L0
 * owns are in own_cr0 and own_cr4, those that L1 owns do not change while L2
 * runs, and all others are in vmcs02.
 */
#include "nested/engine.h"

#include "engine_ops.h"

static u64 own(u64 hardware, u64 theirs, u64 mask)
{
	return (hardware & ~mask) | (theirs & mask);
}

u64 nested_vtlb_cr0(struct nested_vcpu *n)
{
	u64 theirs = n->in_l2 ? n->current->own_cr0 : op_hw_read(n, VMCS_CR0_SHADOW);

	return own(op_hw_read(n, VMCS_GUEST_CR0), theirs, VTLB_CR0_MASK);
}

u64 nested_vtlb_cr4(struct nested_vcpu *n)
{
	u64 theirs = n->in_l2 ? n->current->own_cr4 : op_hw_read(n, VMCS_CR4_SHADOW);

	return own(op_hw_read(n, VMCS_GUEST_CR4), theirs, VTLB_CR4_MASK);
}

/* Of vmcs01 or vmcs02, whichever is current, with these control registers. */
static void paging_of(struct nested_vcpu *n, u64 cr0, u64 cr4, struct mmu_paging *p)
{
	*p = (struct mmu_paging){
		.cr0 = cr0,
		.cr3 = op_hw_read(n, n->at.cr3),
		.cr4 = cr4,
		.efer = op_hw_read(n, n->at.efer),
		.rflags = op_hw_read(n, VMCS_GUEST_RFLAGS),
		.maxphyaddr = n->caps.maxphyaddr,
		.cpl = (u8)((op_hw_read(n, VMCS_GUEST_SS_AR) & AR_DPL) >> AR_DPL_SHIFT),
		.pg_1g = n->caps.pg_1g,
	};
	for (u32 i = 0; i < 4; i++)
		p->pdpte[i] = op_hw_read(n, n->at.pdpte + 2 * i);
}

void nested_vtlb_paging(struct nested_vcpu *n, struct mmu_paging *p)
{
	paging_of(n, nested_vtlb_cr0(n), nested_vtlb_cr4(n), p);
}

void nested_vtlb_use(struct nested_vcpu *n, struct nested_vmcs *s, hpa_t root)
{
	if (s->root02.v == root.v)
		return;
	s->root02 = root;
	op_hw_write(n, VMCS_GUEST_CR3, root.v);
}

/* In vmcs02 instead of a root: an entry that the hardware must refuse. */
#define REFUSED HPA(~PAGE_SIZE)

void nested_vtlb_flush(struct nested_vcpu *n)
{
	struct mmu_paging p;
	hpa_t root;

	if (n->in_l2 && n->current->root02.v == REFUSED.v)
		return;
	nested_vtlb_paging(n, &p);
	root = vtlb_root(n->vtlb, &p);
	if (n->in_l2)
		nested_vtlb_use(n, n->current, root);
	else
		op_hw_write(n, VMCS_GUEST_CR3, root.v);
}

static void put_cr(struct nested_vcpu *n, struct nested_vmcs *s, u64 cr0, u64 cr4)
{
	const u64 *v = s->v;

	s->own_cr0 = cr0;
	s->own_cr4 = cr4;
	op_hw_write(n, VMCS_GUEST_CR0, vtlb_hw_cr0(cr0));
	op_hw_write(n, VMCS_GUEST_CR4, vtlb_hw_cr4(cr0, cr4));
	op_hw_write(n, VMCS_CR0_SHADOW, own(cr0, v[VF_CR0_SHADOW], v[VF_CR0_MASK]));
	op_hw_write(n, VMCS_CR4_SHADOW, own(cr4, v[VF_CR4_SHADOW], v[VF_CR4_MASK]));
}

void nested_vtlb_set_cr(struct nested_vcpu *n, u64 cr0, u64 cr4)
{
	put_cr(n, n->current, cr0, cr4);
}

u64 nested_l2_own_cr0(const struct nested_vcpu *n, u64 old, u64 value)
{
	return own(value, old, n->current->v[VF_CR0_MASK]);
}

u64 nested_l2_own_cr4(const struct nested_vcpu *n, u64 old, u64 value)
{
	return own(value, old, n->current->v[VF_CR4_MASK]);
}

static void merge_controls(struct nested_vcpu *n, struct nested_vmcs *s)
{
	const u64 *v = s->v;

	op_hw_write(n, VMCS_EXCEPTION_BITMAP, v[VF_EXCEPTION_BITMAP] | BIT32(X86_PF));
	op_hw_write(n, VMCS_PF_ERROR_MASK, 0);
	op_hw_write(n, VMCS_PF_ERROR_MATCH, 0);
	op_hw_write(n, VMCS_CR3_TARGET_COUNT, 0);
	op_hw_write(n, VMCS_CR0_MASK, v[VF_CR0_MASK] | VTLB_CR0_MASK);
	op_hw_write(n, VMCS_CR4_MASK, v[VF_CR4_MASK] | VTLB_CR4_MASK);
	op_hw_write(n, n->at.cr3, v[VF_GUEST_CR3]);
	put_cr(n, s, v[VF_GUEST_CR0], v[VF_GUEST_CR4]);
}

/*
 * Rules on the guest state that the hardware would check, had it L2's registers.
 * If one is broken it gets no root, and fail.c finds out why.
 */
static bool is_enterable(struct nested_vcpu *n, struct nested_vmcs *s)
{
	const struct check_env e = { .vm = n->vm, .caps = &n->caps, .v = s->v };
	struct check_failure f;

	return nested_check_guest_paging(&e, &f);
}

void nested_vtlb_merge(struct nested_vcpu *n, struct nested_vmcs *s, bool fresh)
{
	struct mmu_paging p;

	if (fresh)
		merge_controls(n, s);
	if (!is_enterable(n, s)) {
		nested_vtlb_use(n, s, REFUSED);
		return;
	}
	paging_of(n, s->v[VF_GUEST_CR0], s->v[VF_GUEST_CR4], &p);
	nested_vtlb_use(n, s, vtlb_root(n->vtlb, &p));
}

void nested_vtlb_save(struct nested_vcpu *n, struct nested_vmcs *s)
{
	nested_set_field(s, VF_GUEST_CR0, nested_vtlb_cr0(n));
	nested_set_field(s, VF_GUEST_CR4, nested_vtlb_cr4(n));
	nested_set_field(s, VF_GUEST_CR3, op_hw_read(n, n->at.cr3));
}

void nested_vtlb_host(struct nested_vcpu *n, const struct nested_vmcs *s)
{
	u64 cr0 = s->v[VF_HOST_CR0] | CR0_ET, cr4 = op_hw_read(n, VMCS_GUEST_CR4);
	struct mmu_paging p;

	op_hw_write(n, VMCS_CR0_SHADOW, cr0);
	op_hw_write(n, VMCS_CR4_SHADOW, cr4);
	op_hw_write(n, VMCS_GUEST_CR0, vtlb_hw_cr0(cr0));
	op_hw_write(n, VMCS_GUEST_CR4, vtlb_hw_cr4(cr0, cr4));
	paging_of(n, cr0, cr4, &p);
	op_hw_write(n, VMCS_GUEST_CR3, vtlb_root(n->vtlb, &p).v);
}
