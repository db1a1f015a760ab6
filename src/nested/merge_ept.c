/*
 * Whose page tables L2 runs on. L1 uses EPT: ept02, the composition of ept12
 * and ept01 (mmu/ept02.h). L1 does not: L2's physical addresses are L1's, so
 * ept01 itself serves, and L1's page tables for L2 are L2's.
 */
#include "nested/engine.h"

#include "engine_ops.h"

static u64 role_of(const struct nested_vmcs *s)
{
	return s->v[VF_EPT_POINTER] |
	       (nested_proc2(s) & PROC2_MODE_BASED_EXEC ? EPT02_ROLE_MBEC : 0);
}

struct ept02 *nested_ept02(struct nested_vcpu *n, struct nested_vmcs *s)
{
	u64 role = role_of(s);

	if (unlikely(!s->ept02 || s->ept02->role != role))
		ept02_root(n->ept02s, role, &s->ept02);
	return s->ept02;
}

void nested_use_ept02(struct nested_vcpu *n, struct nested_vmcs *s, const struct ept02 *e)
{
	u64 *flushed = &n->ept02_flushed[e - n->ept02s->roots];

	if (unlikely(*flushed != e->stamp)) {
		op_hw_invept(n, e->eptp);
		*flushed = e->stamp;
	}
	if (e->eptp == s->eptp02)
		return;
	s->eptp02 = e->eptp;
	op_hw_write(n, VMCS_EPT_POINTER, e->eptp);
}

/*
 * L1 had an EPT violation and enters again: it will have mapped what L2 wants.
 * Found out here, that saves the fault and its exit.
 */
static void prefill(struct nested_vcpu *n, struct nested_vmcs *s, struct ept02 *e)
{
	s->prefill = false;
	s->prefill_vain = !ept02_prefill(n->ept02s, e, s->awaited);
}

void nested_merge_ept(struct nested_vcpu *n, struct nested_vmcs *s)
{
	if (likely(nested_uses_ept(s))) {
		struct ept02 *e = nested_ept02(n, s);

		if (unlikely(s->prefill))
			prefill(n, s, e);
		nested_use_ept02(n, s, e);
	} else if (s->eptp02 != n->eptp01) {	/* both 0 without EPT */
		s->eptp02 = n->eptp01;
		op_hw_write(n, VMCS_EPT_POINTER, n->eptp01);
	}
}

void nested_l2_memory_changed(struct nested_vcpu *n)
{
	nested_merge_ept(n, n->current);
}

/*
 * PDPTEs are fields where the CPU has EPT on, as vmcs02 always has, and memory
 * where L1 thinks it is off. SDM 3C "Loading Page-Directory-Pointer-Table Entries".
 */
void nested_merge_pdptes(struct nested_vcpu *n, struct nested_vmcs *s)
{
	/* Where nothing can be read, ones: the hardware will refuse them as the SDM has it. */
	u64 entry[4] = { ~0ull, ~0ull, ~0ull, ~0ull };
	bool ept = nested_uses_ept(s);

	if (!nested_pae(s->v[VF_GUEST_CR0], s->v[VF_GUEST_CR4],
			s->v[VF_ENTRY_CONTROLS] & ENTRY_IA32E))
		return;
	if (!ept)
		op_gpa1_read(n->vm, GPA1(s->v[VF_GUEST_CR3] & 0xffffffe0), entry, sizeof(entry));
	for (u32 i = 0; i < 4; i++) {
		if (field_test(&s->stale, VF_GUEST_PDPTE0 + i)) {
			if (ept)
				continue;	/* vmcs02 has it already */
			nested_sync_field(n, s, VF_GUEST_PDPTE0 + i);
		}
		op_hw_write(n, n->at.pdpte + 2 * i,
			    ept ? s->v[VF_GUEST_PDPTE0 + i] : entry[i]);
	}
}
