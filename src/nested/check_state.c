/*
 * Entry checks of the guest's RIP and RFLAGS, of its non-register state, and
 * of its PDPTEs (SDM 3C "Checks on Guest RIP, RFLAGS, and SSP", "Checks on
 * Guest Non-Register State", "Checks on Guest Page-Directory-Pointer-Table
 * Entries"). They read guest memory in two places: the first word of the VMCS
 * that the link pointer refers to, and PDPTEs where there is no EPT.
 */
#include "engine_ops.h"
#include "nested/check_run.h"

#define RFLAGS_RESERVED_0 (~0x3fffffull | BIT(15) | BIT(5) | BIT(3))

#define BLOCKED_ENCLAVE BIT(4)
#define BLOCKED_RESERVED (~0x1full)
#define BLOCKED_INSTRUCTION ((u64)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))

#define PENDING_ENABLED BIT(12)
#define PENDING_BUS_LOCK BIT(11)
#define PENDING_RTM_BIT BIT(16)
#define PENDING_RESERVED_BITS (~0x1ffffull | BIT(15) | BIT(13) | 0x7f0)

#define PDPTE_P BIT(0)
#define PDPTE_RESERVED_BITS 0x1e6ull
#define CR3_PDPT_MASK 0xffffffe0ull

static bool rip_and_rflags(const struct check_env *e, struct check_failure *f)
{
	u64 rip = FIELD(GUEST_RIP), rflags = FIELD(GUEST_RFLAGS);
	bool pe = FIELD(GUEST_CR0) & CR0_PE;

	if (check_guest_64(e) && (FIELD(GUEST_CS_AR) & AR_L))
		CHECK(RIP_64, check_same_from(rip, check_linear_width(e)));
	else
		CHECK(RIP_32, !(rip >> 32));
	CHECK(RFLAGS_RESERVED, !(rflags & RFLAGS_RESERVED_0) && (rflags & RFLAGS_FIXED));
	CHECK(RFLAGS_VM, !(rflags & RFLAGS_VM) || (!check_guest_64(e) && pe));
	return true;
}

static bool link_pointer(const struct check_env *e, struct check_failure *f)
{
	u64 link = FIELD(VMCS_LINK_POINTER);
	bool shadowing = check_proc2(e) & PROC2_SHADOW_VMCS;
	u32 word;

	if (link == NESTED_NO_VMPTR.v)
		return true;
	CHECK(LINK_ADDRESS, check_page(e, link));
	if (!op_gpa1_read(e->vm, GPA1(link), &word, sizeof(word)))
		word = ~0u;
	CHECK(LINK_REVISION, ((word ^ (u32)e->caps->basic) & ~VMCS_SHADOW_INDICATOR) == 0);
	CHECK(LINK_SHADOW, !!(word & VMCS_SHADOW_INDICATOR) == shadowing);
	CHECK(LINK_CURRENT, link != e->vmptr);
	return true;
}

/* SDM 3C "Checks on Guest Non-Register State": what an inactive state lets in. */
static bool event_wakes(const struct check_env *e)
{
	u64 info = FIELD(ENTRY_INTR_INFO), vector = info & INTR_VECTOR;
	u64 activity = FIELD(GUEST_ACTIVITY);
	bool exception = check_injects(e, INTR_TYPE_HW_EXCEPTION);
	bool nmi_or_mc = check_injects(e, INTR_TYPE_NMI) || (exception && vector == X86_MC);

	if (!(info & INTR_VALID) || activity == ACTIVITY_ACTIVE)
		return true;
	if (activity == ACTIVITY_SHUTDOWN)
		return nmi_or_mc;
	if (activity == ACTIVITY_HLT)
		return nmi_or_mc || check_injects(e, INTR_TYPE_EXTERNAL) ||
		       (exception && vector == X86_DB) ||
		       (check_injects(e, INTR_TYPE_OTHER) && vector == 0);
	return false;
}

static bool activity_state(const struct check_env *e, struct check_failure *f)
{
	u64 activity = FIELD(GUEST_ACTIVITY), states = e->caps->misc >> 5 & 0xe;

	CHECK(ACTIVITY_SUPPORTED, activity == ACTIVITY_ACTIVE ||
				  (activity <= ACTIVITY_WAIT_SIPI && (states >> activity & 1)));
	CHECK(ACTIVITY_HLT_DPL, activity != ACTIVITY_HLT || !(FIELD(GUEST_SS_AR) & AR_DPL));
	CHECK(ACTIVITY_BLOCKING, activity == ACTIVITY_ACTIVE ||
				 !(FIELD(GUEST_INTERRUPTIBILITY) & BLOCKED_INSTRUCTION));
	CHECK(ACTIVITY_EVENT, event_wakes(e));
	return true;
}

static bool blocking(const struct check_env *e, struct check_failure *f)
{
	u64 state = FIELD(GUEST_INTERRUPTIBILITY);
	bool nmi = check_injects(e, INTR_TYPE_NMI);

	CHECK(BLOCKING_RESERVED, !(state & BLOCKED_RESERVED) &&
				 (e->caps->sgx || !(state & BLOCKED_ENCLAVE)));
	CHECK(BLOCKING_BOTH, (state & BLOCKED_INSTRUCTION) != BLOCKED_INSTRUCTION);
	CHECK(BLOCKING_STI_IF, !(state & BLOCKED_BY_STI) || (FIELD(GUEST_RFLAGS) & RFLAGS_IF));
	CHECK(RFLAGS_IF,
	      (FIELD(GUEST_RFLAGS) & RFLAGS_IF) || !check_injects(e, INTR_TYPE_EXTERNAL));
	CHECK(BLOCKING_INTERRUPT, !(state & BLOCKED_INSTRUCTION) ||
				  !check_injects(e, INTR_TYPE_EXTERNAL));
	CHECK(BLOCKING_NMI_MOV_SS, !nmi || !(state & BLOCKED_BY_MOV_SS));
	CHECK(BLOCKING_NMI_STI, !nmi || !(state & BLOCKED_BY_STI));
	CHECK(BLOCKING_NMI_VIRTUAL, !nmi || !(state & BLOCKED_BY_NMI) ||
				    !(FIELD(PIN_CONTROLS) & PIN_VIRTUAL_NMI));
	CHECK(BLOCKING_SMI, !(state & BLOCKED_BY_SMI));
	CHECK(BLOCKING_ENCLAVE, !(state & BLOCKED_ENCLAVE) || !(state & BLOCKED_BY_MOV_SS));
	return true;
}

static bool pending_debug(const struct check_env *e, struct check_failure *f)
{
	u64 pending = FIELD(GUEST_PENDING_DEBUG), state = FIELD(GUEST_INTERRUPTIBILITY);
	bool stepping = (FIELD(GUEST_RFLAGS) & RFLAGS_TF) &&
			!(FIELD(GUEST_DEBUGCTL) & DEBUGCTL_BTF);
	bool bs = pending & PENDING_DEBUG_BS;

	CHECK(PENDING_RESERVED, !(pending & PENDING_RESERVED_BITS) &&
				(e->caps->bus_lock || !(pending & PENDING_BUS_LOCK)) &&
				(e->caps->rtm || !(pending & PENDING_RTM_BIT)));
	if ((state & BLOCKED_INSTRUCTION) || FIELD(GUEST_ACTIVITY) == ACTIVITY_HLT) {
		CHECK(PENDING_BS_MISSING, bs || !stepping);
		CHECK(PENDING_BS_FORBIDDEN, !bs || stepping);
	}
	if (pending & PENDING_RTM_BIT)
		CHECK(PENDING_RTM, pending == (PENDING_RTM_BIT | PENDING_ENABLED) &&
				   !(state & BLOCKED_BY_MOV_SS));
	return true;
}

bool nested_check_state(const struct check_env *e, struct check_failure *f)
{
	return rip_and_rflags(e, f) && link_pointer(e, f) && activity_state(e, f) &&
	       blocking(e, f) && pending_debug(e, f);
}

static bool pdpte_good(const struct check_env *e, u64 pdpte)
{
	return !(pdpte & PDPTE_P) ||
	       !((pdpte & PDPTE_RESERVED_BITS) | pdpte >> e->caps->maxphyaddr);
}

static bool pdptes_in_memory(const struct check_env *e)
{
	u64 pdpte[4];
	unsigned i;

	if (!op_gpa1_read(e->vm, GPA1(FIELD(GUEST_CR3) & CR3_PDPT_MASK), pdpte, sizeof(pdpte)))
		return false;
	for (i = 0; i < ARRAY_SIZE(pdpte); i++)
		if (!pdpte_good(e, pdpte[i]))
			return false;
	return true;
}

bool nested_check_pdptes(const struct check_env *e, struct check_failure *f)
{
	bool pae = (FIELD(GUEST_CR0) & CR0_PG) && (FIELD(GUEST_CR4) & CR4_PAE) &&
		   !check_guest_64(e);
	unsigned i;

	if (!pae)
		return true;
	if (!(check_proc2(e) & PROC2_EPT)) {
		CHECK(PDPTE_MEMORY, pdptes_in_memory(e));
		return true;
	}
	for (i = VF_GUEST_PDPTE0; i <= VF_GUEST_PDPTE3; i++)
		CHECK_AT(PDPTE_RESERVED, i, pdpte_good(e, e->v[i]));
	return true;
}
