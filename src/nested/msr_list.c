/*
 * The MSR areas of VM entry and VM exit, in software: what L1 asks to load or
 * store is checked like a WRMSR or RDMSR of its own. MSRs that live in a VMCS
 * go to the guest-state area of the current hardware VMCS.
 * Source: SDM 3C "Loading MSRs", "Saving MSRs".
 */
#include "nested/engine.h"

#include "engine_ops.h"

struct msr_entry {
	u32 index, reserved;
	u64 value;
};

/* More than any CPU recommends; a longer list fails at this entry. */
#define MSR_LIST_MAX 4096u

static u32 vmcs_field(const struct nested_vcpu *n, u32 msr)
{
	/* Without these controls vm/ has them. */
	if (n->vtlb && (msr == MSR_EFER || msr == MSR_IA32_PAT))
		return 0;
	switch (msr) {
	case MSR_EFER: return VMCS_GUEST_EFER;
	case MSR_IA32_PAT: return VMCS_GUEST_PAT;
	case MSR_IA32_DEBUGCTL: return VMCS_GUEST_DEBUGCTL;
	case MSR_IA32_SYSENTER_CS: return VMCS_GUEST_SYSENTER_CS;
	case MSR_IA32_SYSENTER_ESP: return VMCS_GUEST_SYSENTER_ESP;
	case MSR_IA32_SYSENTER_EIP: return VMCS_GUEST_SYSENTER_EIP;
	case MSR_FS_BASE: return VMCS_GUEST_FS_BASE;
	case MSR_GS_BASE: return VMCS_GUEST_GS_BASE;
	default: return 0;
	}
}

static bool pat_valid(u64 v)
{
	for (; v; v >>= 8)
		if ((v & 0xff) > MT_UC_MINUS || (v & 0xff) == 2 || (v & 0xff) == 3)
			return false;
	return true;
}

static bool canonical(u64 a)
{
	return (u64)((s64)(a << 16) >> 16) == a;
}

/* These say why not, or NULL when it is done. */
static const char *load_efer(struct nested_vcpu *n, u64 v)
{
	u64 efer = op_hw_read(n, VMCS_GUEST_EFER);

	if (v & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
		return "reserved bits of EFER must be 0";
	/* WRMSR would not let LME change while paging is on. */
	if (((v ^ efer) & EFER_LME) && (op_hw_read(n, VMCS_GUEST_CR0) & CR0_PG))
		return "EFER.LME cannot change while paging is on";
	op_hw_write(n, VMCS_GUEST_EFER, (v & ~(u64)EFER_LMA) | (efer & EFER_LMA));
	return NULL;
}

static const char *load_in_vmcs(struct nested_vcpu *n, u32 field, u64 v)
{
	switch (field) {
	case VMCS_GUEST_EFER:
		return load_efer(n, v);
	case VMCS_GUEST_PAT:
		if (!pat_valid(v))
			return "each byte of the PAT must be a memory type";
		break;
	case VMCS_GUEST_SYSENTER_ESP:
	case VMCS_GUEST_SYSENTER_EIP:
		if (!canonical(v))
			return "the address must be canonical";
		break;
	case VMCS_GUEST_DEBUGCTL:
		/* Never tried on the CPU: with BTS on, L0's next branch would be stored
		 * where L1's IA32_DS_AREA says. */
		if (v & DEBUGCTL_RESERVED)
			return "reserved bits of IA32_DEBUGCTL must be 0";
		break;
	default:
		break;
	}
	op_hw_write(n, field, v);
	return NULL;
}

static const char *load_msr(struct nested_vcpu *n, u32 msr, u64 value)
{
	u32 field = vmcs_field(n, msr);

	if (field)
		return load_in_vmcs(n, field, value);
	return op_msr_write(n, msr, value) ? NULL : "WRMSR of the value would be #GP";
}

bool nested_msr_write(struct nested_vcpu *n, u32 msr, u64 value)
{
	return !load_msr(n, msr, value);
}

bool nested_msr_read(struct nested_vcpu *n, u32 msr, u64 *value)
{
	u32 field = vmcs_field(n, msr);

	if (!field)
		return op_msr_read(n, msr, value);
	*value = op_hw_read(n, field);
	return true;
}

static const char *load_one(struct nested_vcpu *n, const struct msr_entry *e)
{
	if (e->reserved)
		return "bits 63:32 of an entry must be 0";
	if (e->index == MSR_FS_BASE || e->index == MSR_GS_BASE)
		return "the bases of FS and GS cannot be loaded";
	if (e->index >> 8 == MSR_IA32_X2APIC_FIRST >> 8)
		return "MSRs of the x2APIC cannot be loaded";
	if (e->index == MSR_IA32_SMM_MONITOR_CTL)
		return "IA32_SMM_MONITOR_CTL can be written in SMM only";
	return load_msr(n, e->index, e->value);
}

u32 nested_msr_load(struct nested_vcpu *n, gpa1_t list, u64 count)
{
	for (u32 i = 0; i < count; i++) {
		const char *why = "the list is longer than any processor supports";
		struct msr_entry e;

		/* Where nothing is, ones, as on a bus. */
		if (!op_gpa1_read(n->vm, GPA1(list.v + i * sizeof(e)), &e, sizeof(e)))
			__builtin_memset(&e, 0xff, sizeof(e));
		if (likely(i < MSR_LIST_MAX))
			why = load_one(n, &e);
		if (likely(!why))
			continue;
		if (n->explain)
			op_log(n, "L1 MSR-load list, entry %u: MSR 0x%x=0x%llx: %s "
			       "[SDM 3C Loading MSRs]\n", i + 1, e.index,
			       (unsigned long long)e.value, why);
		return i + 1;
	}
	return 0;
}

bool nested_msr_store(struct nested_vcpu *n, gpa1_t list, u64 count)
{
	for (u32 i = 0; i < count; i++) {
		gpa1_t at = GPA1(list.v + i * sizeof(struct msr_entry));
		struct msr_entry e;

		if (i == MSR_LIST_MAX || !op_gpa1_read(n->vm, at, &e, sizeof(e)) ||
		    e.reserved || e.index >> 8 == MSR_IA32_X2APIC_FIRST >> 8 ||
		    e.index == MSR_IA32_SMBASE || !nested_msr_read(n, e.index, &e.value))
			return false;
		op_gpa1_write(n->vm, GPA1(at.v + offsetof(struct msr_entry, value)),
			      &e.value, sizeof(e.value));
	}
	return true;
}
