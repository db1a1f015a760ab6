/*
 * VMX regions in the memory, and operands of VMX instructions.
 */
#include "hostile.h"

#define INSN(insn, ...) ({						\
	u64 flags_;							\
	asm volatile(insn "; pushfq; popq %0" : "=r" (flags_)		\
		     : __VA_ARGS__ : "memory", "cc");			\
	!(flags_ & (BIT(0) | BIT(6)));					\
})

/*
 * The VMCS of a VM there: made, run, cleared. The region is the CPU's, what it holds is not
 * told.
 */
static bool try_vmcs(const struct home *home, u64 page, struct vm *vm)
{
	struct vm other = { .vmcs = words(page), .stack = vm->stack };
	u32 reason;

	(void)home;
	words(page)[0] = vmx_caps.revision;
	if (vmclear(page).kind != DID_OK || vmptrld(page).kind != DID_OK)
		return false;
	vm_reset(&other, guest_end);
	reason = run_at(&other, guest_read, (u64)data, 0);
	return vmclear(page).kind == DID_OK && reason == REASON_VMCALL &&
	       other.regs[RBX] == DATA_WORD;
}

/* A VMCS of which the memory holds nonsense: whatever comes of it. */
static bool try_wild_vmcs(const struct home *home, u64 page, struct vm *vm)
{
	(void)home;
	(void)vm;
	memset(words(page), 0xff, PAGE_SIZE);
	words(page)[0] = vmx_caps.revision;
	if (vmptrld(page).kind == DID_OK) {
		vmlaunch_only();
		vmresume_only();
		vmclear(page);
	}
	words(page)[0] = vmx_caps.revision ^ 1;
	return vmptrld(page).kind != DID_OK;
}

static bool try_vmxon(const struct home *home, u64 page, struct vm *vm)
{
	bool good;

	must(vmclear((u64)vm->vmcs), "VMCLEAR");
	vm->launched = false;
	must(vmxoff(), "VMXOFF");
	words(page)[0] = vmx_caps.revision ^ 1;
	good = vmxon(page).kind == DID_FAIL_INVALID;
	words(page)[0] = vmx_caps.revision;
	good = good && vmxon(page).kind == DID_OK;
	if (!good)
		must(vmxon((u64)vmx_region()), "VMXON");
	return good && *(u32 *)home->base == vmx_caps.revision;
}

static bool try_pointer_operands(const struct home *home, u64 page, struct vm *vm)
{
	u64 *at = words(page) + 20, vmcs = (u64)vm->vmcs;

	if (!INSN("vmptrst (%1)", "r" (at)) || !everywhere(home, 160, vmcs))
		return false;
	must(vmclear(vmcs), "VMCLEAR");
	vm->launched = false;
	return INSN("vmptrld (%1)", "r" (at)) && vmptrst() == vmcs &&
	       INSN("vmclear (%1)", "r" (at));
}

static bool try_field_operands(const struct home *home, u64 page, struct vm *vm)
{
	u64 *at = words(page) + 21, value = fresh(), field = CR0_SHADOW;

	(void)vm;
	vmwrite(field, value);
	if (!INSN("vmread %2, (%1)", "r" (at), "r" (field)) || !everywhere(home, 168, value))
		return false;
	words(home->base)[21] = value = fresh();
	return INSN("vmwrite (%1), %2", "r" (at), "r" (field)) && vmread(field) == value;
}

static bool try_descriptors(const struct home *home, u64 page, struct vm *vm)
{
	u64 *at = words(page) + 510, one = 1;

	(void)home;
	(void)vm;
	if (control_can(SECONDARY_CONTROLS, SEC_EPT)) {
		at[0] = ept_pointer(ept_root);
		at[1] = 0;
		if (!INSN("invept (%1), %2", "r" (at), "r" (one)))
			return false;
		at[0] = ~0ull;
		if (INSN("invept (%1), %2", "r" (at), "r" (one)))
			return false;
	}
	if (!control_can(SECONDARY_CONTROLS, SEC_VPID))
		return true;
	at[0] = 1;
	return INSN("invvpid (%1), %2", "r" (at), "r" (one));
}

const struct attack operands_attacks[] = {
	{ "VMCS", try_vmcs, 0 },
	{ "VMCS of nonsense", try_wild_vmcs, 0 },
	{ "VMXON region", try_vmxon, 0 },
	{ "operands of VMPTRST, VMPTRLD, VMCLEAR", try_pointer_operands, 0 },
	{ "operands of VMREAD and VMWRITE", try_field_operands, 0 },
	{ "descriptors of INVEPT and INVVPID", try_descriptors, 0 },
	{ NULL, NULL, 0 },
};
