/*
 * L1 after an exit of its guest: vmcs01's guest state from vmcs12's host state.
 * Source: SDM 3C "Loading Host State".
 */
#include "nested/engine.h"

#include "engine_ops.h"
#include "nested/vpid.h"

#define AR_CODE (11u | AR_S | AR_P | AR_G)
#define AR_DATA (3u | AR_S | AR_P | AR_DB | AR_G)
#define AR_TSS (11u | AR_P)

static void load_segments(struct nested_vcpu *n, const u64 *v, bool host64)
{
	static const struct { u16 selector, base, limit, ar; u8 host; } data[] = {
#define SEG(s) { VMCS_GUEST_##s##_SELECTOR, VMCS_GUEST_##s##_BASE, \
		 VMCS_GUEST_##s##_LIMIT, VMCS_GUEST_##s##_AR, VF_HOST_##s##_SELECTOR }
		SEG(ES), SEG(SS), SEG(DS), SEG(FS), SEG(GS),
#undef SEG
	};

	op_hw_write(n, VMCS_GUEST_CS_SELECTOR, v[VF_HOST_CS_SELECTOR]);
	op_hw_write(n, VMCS_GUEST_CS_BASE, 0);
	op_hw_write(n, VMCS_GUEST_CS_LIMIT, 0xffffffff);
	op_hw_write(n, VMCS_GUEST_CS_AR, AR_CODE | (host64 ? AR_L : AR_DB));
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
		u64 selector = v[data[i].host];

		op_hw_write(n, data[i].selector, selector);
		op_hw_write(n, data[i].base, 0);
		op_hw_write(n, data[i].limit, 0xffffffff);
		op_hw_write(n, data[i].ar, selector ? AR_DATA : AR_DATA | AR_UNUSABLE);
	}
	op_hw_write(n, VMCS_GUEST_FS_BASE, v[VF_HOST_FS_BASE]);
	op_hw_write(n, VMCS_GUEST_GS_BASE, v[VF_HOST_GS_BASE]);
	op_hw_write(n, VMCS_GUEST_TR_SELECTOR, v[VF_HOST_TR_SELECTOR]);
	op_hw_write(n, VMCS_GUEST_TR_BASE, v[VF_HOST_TR_BASE]);
	op_hw_write(n, VMCS_GUEST_TR_LIMIT, 0x67);
	op_hw_write(n, VMCS_GUEST_TR_AR, AR_TSS);
	op_hw_write(n, VMCS_GUEST_LDTR_SELECTOR, 0);
	op_hw_write(n, VMCS_GUEST_LDTR_BASE, 0);
	op_hw_write(n, VMCS_GUEST_LDTR_AR, AR_UNUSABLE);
	op_hw_write(n, VMCS_GUEST_GDTR_BASE, v[VF_HOST_GDTR_BASE]);
	op_hw_write(n, VMCS_GUEST_GDTR_LIMIT, 0xffff);
	op_hw_write(n, VMCS_GUEST_IDTR_BASE, v[VF_HOST_IDTR_BASE]);
	op_hw_write(n, VMCS_GUEST_IDTR_LIMIT, 0xffff);
}

void nested_abort(struct nested_vcpu *n, enum nested_abort why)
{
	static const char *const text[] = {
		[ABORT_SAVE_MSR] = "VMX abort 1: L1's MSR-store list cannot be carried out",
		[ABORT_HOST_PDPTE] = "VMX abort 2: L1's host CR3 names bad PDPTEs",
		[ABORT_HOST_32] = "VMX abort 6: an exit from IA-32e mode to L1's 32-bit host state",
		[ABORT_LOAD_MSR] = "VMX abort 4: L1's MSR-load list for exits cannot be carried out",
	};
	u32 indicator = why;

	op_gpa1_write(n->vm, GPA1(n->current->gpa.v + 4), &indicator, sizeof(indicator));
	op_vm_kill(n, text[why]);
}

static void load_msrs(struct nested_vcpu *n, const u64 *v, u64 l2_efer, u64 pat)
{
	u64 efer = v[VF_EXIT_CONTROLS] & EXIT_LOAD_EFER ? v[VF_HOST_EFER] : l2_efer;
	bool host64 = v[VF_EXIT_CONTROLS] & EXIT_HOST_64;

	efer &= ~(EFER_LME | EFER_LMA);
	if (likely(host64))
		efer |= EFER_LME | EFER_LMA;
	else if (l2_efer & EFER_LMA)	/* where L2 went by itself */
		nested_abort(n, ABORT_HOST_32);
	if (v[VF_EXIT_CONTROLS] & EXIT_LOAD_PAT)
		pat = v[VF_HOST_PAT];
	op_hw_write(n, n->at.efer, efer);
	op_hw_write(n, n->at.pat, pat);
	op_hw_write(n, VMCS_GUEST_DEBUGCTL, 0);
	op_hw_write(n, VMCS_GUEST_SYSENTER_CS, v[VF_HOST_SYSENTER_CS]);
	op_hw_write(n, VMCS_GUEST_SYSENTER_ESP, v[VF_HOST_SYSENTER_ESP]);
	op_hw_write(n, VMCS_GUEST_SYSENTER_EIP, v[VF_HOST_SYSENTER_EIP]);
	op_hw_write(n, VMCS_ENTRY_CONTROLS,
		    (n->entry_controls01 & ~ENTRY_IA32E) | (host64 ? ENTRY_IA32E : 0));
}

static bool load_pdptes(struct nested_vcpu *n, const u64 *v)
{
	u64 reserved = ~(BIT(n->caps.maxphyaddr) - 1) | 0x1e6;
	u64 entry[4];

	if (!op_gpa1_read(n->vm, GPA1(v[VF_HOST_CR3] & 0xffffffe0), entry, sizeof(entry)))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		if ((entry[i] & 1) && (entry[i] & reserved))
			return false;
		op_hw_write(n, n->at.pdpte + 2 * i, entry[i]);
	}
	return true;
}

static bool load_control_registers(struct nested_vcpu *n, const u64 *v)
{
	bool host64 = v[VF_EXIT_CONTROLS] & EXIT_HOST_64;
	u64 cr4 = v[VF_HOST_CR4];

	if (host64)
		cr4 |= CR4_PAE;
	else
		cr4 &= ~CR4_PCIDE;
	op_hw_write(n, VMCS_GUEST_CR0, v[VF_HOST_CR0] | CR0_ET);
	op_hw_write(n, n->at.cr3, v[VF_HOST_CR3]);
	op_hw_write(n, VMCS_GUEST_CR4, cr4);
	op_hw_write(n, VMCS_GUEST_DR7, DR7_INIT);
	return !nested_pae(v[VF_HOST_CR0], cr4, host64) || load_pdptes(n, v);
}

static bool is_nmi_exit(const struct nested_exit_info *info)
{
	return info->reason == EXIT_EXCEPTION_NMI &&
	       (info->intr_info & INTR_TYPE) == INTR_TYPE_NMI;
}

/* SDM 3C "Updating Non-Register State": only an NMI's exit changes blocking by NMI. */
static bool nmi_blocked(struct nested_vcpu *n, const u64 *v, const struct nested_exit_info *info)
{
	if (is_nmi_exit(info))
		return true;
	if (info->reason & EXIT_REASON_ENTRY_FAILURE)	/* it is what it was before the entry */
		return op_hw_read(n, VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_BY_NMI;
	/* With virtual NMIs L2's bit is about those; else it is about real ones. */
	return !(v[VF_PIN_CONTROLS] & PIN_VIRTUAL_NMI) &&
	       (v[VF_GUEST_INTERRUPTIBILITY] & BLOCKED_BY_NMI);
}

void nested_load_host_state(struct nested_vcpu *n, struct nested_vmcs *s,
			    const struct nested_exit_info *info, u64 l2_efer, u64 l2_pat)
{
	const u64 *v = s->v;
	bool good, blocked = nmi_blocked(n, v, info);

	load_segments(n, v, v[VF_EXIT_CONTROLS] & EXIT_HOST_64);
	load_msrs(n, v, l2_efer, l2_pat);
	op_hw_write(n, VMCS_GUEST_RIP, v[VF_HOST_RIP]);
	op_hw_write(n, VMCS_GUEST_RSP, v[VF_HOST_RSP]);
	op_hw_write(n, VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
	op_hw_write(n, VMCS_GUEST_INTERRUPTIBILITY, blocked ? BLOCKED_BY_NMI : 0);
	op_hw_write(n, VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	op_hw_write(n, VMCS_GUEST_PENDING_DEBUG, 0);
	good = load_control_registers(n, v);
	nested_vpid_transition(n, s);
	if (!good)
		nested_abort(n, ABORT_HOST_PDPTE);
	else if (nested_msr_load(n, GPA1(v[VF_EXIT_MSR_LOAD_ADDR]), v[VF_EXIT_MSR_LOAD_COUNT]))
		nested_abort(n, ABORT_LOAD_MSR);
}
