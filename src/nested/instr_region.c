/*
 * VMXON, VMXOFF, VMCLEAR, VMPTRLD, VMPTRST: the instructions whose operand is
 * the physical address of a region of L1.
 */
#include "nested/caps.h"
#include "nested/instr.h"
#include "nested/slots.h"
#include "x86.h"

typedef unsigned long long ull;

static bool read_address(const struct nested_insn *in, u64 *address, struct outcome *o)
{
	if (nested_operand_read(in, address, sizeof(*address), o))
		return true;
	if (unlikely(in->n->explain))
		insn_explain_fault(in, *o, "memory operand");
	return false;
}

/* Aligned to a page, within the physical-address width. */
static bool is_region(const struct nested_vcpu *n, u64 address)
{
	return !(address & ~PAGE_MASK) && !(address >> n->caps.maxphyaddr);
}

/* Where there is no memory, a bus reads as ones. */
static u32 read_revision(struct nested_vcpu *n, u64 address)
{
	u32 revision;

	return op_gpa1_read(n->vm, GPA1(address), &revision, sizeof(revision)) ? revision : ~0u;
}

/* A control register as L1 sees it: bits that L0 masks read from the shadow. */
static u64 seen_by_l1(struct nested_vcpu *n, u32 field, u32 mask_field, u32 shadow_field)
{
	u64 mask = op_hw_read(n, mask_field);

	return (op_hw_read(n, field) & ~mask) | (op_hw_read(n, shadow_field) & mask);
}

static bool fixed_bits_hold(u64 value, u64 fixed0, u64 fixed1)
{
	return (value & fixed0) == fixed0 && !(value & ~fixed1);
}

/* NULL: VMXON may go on; else why it is #GP(0). */
static const char *vmxon_forbidden(struct nested_vcpu *n)
{
	const struct vmx_caps *c = &n->caps;
	u64 cr0 = seen_by_l1(n, VMCS_GUEST_CR0, VMCS_CR0_MASK, VMCS_CR0_SHADOW);
	u64 cr4 = seen_by_l1(n, VMCS_GUEST_CR4, VMCS_CR4_MASK, VMCS_CR4_SHADOW);
	u64 feature;

	if (!fixed_bits_hold(cr0, c->cr0_fixed0, c->cr0_fixed1))
		return "CR0 has a value that VMX operation does not support";
	if (!fixed_bits_hold(cr4, c->cr4_fixed0, c->cr4_fixed1))
		return "CR4 has a value that VMX operation does not support";
	if (!op_msr_read(n, MSR_IA32_FEATURE_CONTROL, &feature) ||
	    !(feature & FEATURE_CONTROL_LOCK))
		return "IA32_FEATURE_CONTROL is not locked";
	if (!(feature & FEATURE_CONTROL_VMX))
		return "IA32_FEATURE_CONTROL does not enable VMX";
	return NULL;
}

struct outcome insn_vmxon(const struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;
	const char *why;
	struct outcome o;
	u64 address;

	if (n->vmxon)
		return VMFAIL(in, VMERR_VMXON_IN_ROOT, "the VMXON region is at 0x%llx",
			      (ull)n->vmxon_region.v);
	why = vmxon_forbidden(n);
	if (why)
		return INSN_FAULT(in, OUTCOME_GP, why);
	if (!read_address(in, &address, &o))
		return o;
	if (!is_region(n, address))
		return VMFAIL_INVALID(in, "the address is not aligned or too wide");
	if (read_revision(n, address) != NESTED_REVISION)
		return VMFAIL_INVALID(in, "the region's revision identifier is not that of "
				      "IA32_VMX_BASIC");
	nested_slots_reset(n);
	n->vmxon_region = GPA1(address);
	n->vmxon = true;
	return OUTCOME_OK;
}

struct outcome insn_vmxoff(const struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;

	for (unsigned i = 0; i < NESTED_SLOTS; i++)
		if (n->slot[i].gpa.v != NESTED_NO_VMPTR.v)
			nested_slot_flush(n, &n->slot[i]);
	n->vmxon = false;
	n->vmxon_region = NESTED_NO_VMPTR;
	return OUTCOME_OK;
}

struct outcome insn_vmclear(const struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;
	struct nested_vmcs *s;
	struct outcome o;
	u64 address;

	if (!read_address(in, &address, &o))
		return o;
	if (!is_region(n, address))
		return VMFAIL(in, VMERR_VMCLEAR_ADDRESS, "0x%llx is not aligned or too wide",
			      (ull)address);
	if (address == n->vmxon_region.v)
		return VMFAIL(in, VMERR_VMCLEAR_VMXON, "0x%llx", (ull)address);
	s = nested_slot_find(n, GPA1(address));
	if (s) {
		s->launched = false;
		nested_slot_flush(n, s);
	} else {
		nested_region_clear(n, GPA1(address));
	}
	return OUTCOME_OK;
}

/* Of a VMCS; with the shadow-VMCS indicator where L1 has VMCS shadowing. */
static bool revision_is_good(const struct nested_vcpu *n, u32 revision)
{
	if (n->caps.proc2.may & PROC2_SHADOW_VMCS)
		revision &= ~VMCS_SHADOW_INDICATOR;
	return revision == NESTED_REVISION;
}

struct outcome insn_vmptrld(const struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;
	struct nested_vmcs *s;
	struct outcome o;
	u64 address;

	if (!read_address(in, &address, &o))
		return o;
	if (!is_region(n, address))
		return VMFAIL(in, VMERR_VMPTRLD_ADDRESS, "0x%llx is not aligned or too wide",
			      (ull)address);
	if (address == n->vmxon_region.v)
		return VMFAIL(in, VMERR_VMPTRLD_VMXON, "0x%llx", (ull)address);
	s = nested_slot_find(n, GPA1(address));
	if (!s) {
		u32 revision = read_revision(n, address);

		if (!revision_is_good(n, revision))
			return VMFAIL(in, VMERR_VMPTRLD_REVISION,
				      "revision 0x%x at 0x%llx is not 0x%x", revision,
				      (ull)address, NESTED_REVISION);
		s = nested_slot_load(n, GPA1(address), revision & VMCS_SHADOW_INDICATOR);
	}
	s->last_used = ++n->clock;
	if (n->current != s) {
		n->current = s;
		nested_slot_link(n);
	}
	return OUTCOME_OK;
}

struct outcome insn_vmptrst(const struct nested_insn *in)
{
	struct nested_vcpu *n = in->n;
	u64 pointer = n->current ? n->current->gpa.v : NESTED_NO_VMPTR.v;
	struct outcome o;

	if (nested_operand_write(in, &pointer, sizeof(pointer), &o))
		return OUTCOME_OK;
	return INSN_FAULT(in, o, "memory operand");
}
