/*
 * A VM with one guest CPU: a VMCS that lets a 64-bit guest run in the test's own address space,
 * with the test's own tables and a stack of its own. Nothing here handles an exit.
 */
#include "vmx.h"

u64 vm_enter(struct vm *vm, u64 resume);
extern const u8 vm_exit[];

static u32 adjusted(u64 field, u32 wanted)
{
	struct control_caps c = field == PIN_CONTROLS ? vmx_caps.pin :
				field == PRIMARY_CONTROLS ? vmx_caps.primary :
				field == EXIT_CONTROLS ? vmx_caps.exit : vmx_caps.entry;

	return (wanted | c.must) & c.may;
}

static void set_controls(void)
{
	vmwrite(PIN_CONTROLS, adjusted(PIN_CONTROLS, 0));
	vmwrite(PRIMARY_CONTROLS, adjusted(PRIMARY_CONTROLS, 0));
	if (vmx_caps.primary.may & PRI_SECONDARY)
		vmwrite(SECONDARY_CONTROLS, vmx_caps.secondary.must);
	vmwrite(EXIT_CONTROLS, adjusted(EXIT_CONTROLS, EXIT_HOST_64));
	vmwrite(ENTRY_CONTROLS, adjusted(ENTRY_CONTROLS, ENTRY_GUEST_64));

	static const u16 zero[] = {
		EXCEPTION_BITMAP, PF_ERROR_MASK, PF_ERROR_MATCH, CR3_TARGET_COUNT,
		EXIT_MSR_STORE_COUNT, EXIT_MSR_LOAD_COUNT, ENTRY_MSR_LOAD_COUNT, ENTRY_INTR_INFO,
		ENTRY_INTR_ERROR, ENTRY_INSN_LENGTH, CR0_MASK, CR4_MASK, CR0_SHADOW, CR4_SHADOW,
		TSC_OFFSET,
	};
	for (unsigned int i = 0; i < ARRAY_SIZE(zero); i++)
		vmwrite(zero[i], 0);
}

static void set_host(void)
{
	static const u16 segment[] = { HOST_ES, HOST_SS, HOST_DS, HOST_FS, HOST_GS };

	for (unsigned int i = 0; i < ARRAY_SIZE(segment); i++)
		vmwrite(segment[i], i < 3 ? SEL_DATA : 0);
	vmwrite(HOST_CS, SEL_CODE);
	vmwrite(HOST_TR, SEL_TSS);
	vmwrite(HOST_CR0, read_cr0());
	vmwrite(HOST_CR3, read_cr3());
	vmwrite(HOST_CR4, read_cr4());
	vmwrite(HOST_FS_BASE, rdmsr(MSR_FS_BASE));
	vmwrite(HOST_GS_BASE, rdmsr(MSR_GS_BASE));
	vmwrite(HOST_TR_BASE, (u64)&tss);
	vmwrite(HOST_GDTR_BASE, read_gdtr().base);
	vmwrite(HOST_IDTR_BASE, read_idtr().base);
	vmwrite(HOST_SYSENTER_CS, rdmsr(MSR_SYSENTER_CS));
	vmwrite(HOST_SYSENTER_ESP, rdmsr(MSR_SYSENTER_ESP));
	vmwrite(HOST_SYSENTER_EIP, rdmsr(MSR_SYSENTER_EIP));
	vmwrite(HOST_RIP, (u64)vm_exit);
}

/* ES CS SS DS FS GS LDTR TR, in the order of their fields */
static void set_guest_segments(void)
{
	static const u32 rights[8] = {
		0xc093, 0xa09b, 0xc093, 0xc093, 0x10000, 0x10000, 0x10000, 0x8b,
	};
	static const u16 selector[8] = { SEL_DATA, SEL_CODE, SEL_DATA, SEL_DATA, 0, 0, 0, SEL_TSS };

	for (unsigned int i = 0; i < 8; i++) {
		vmwrite(GUEST_ES + 2 * i, selector[i]);
		vmwrite(GUEST_ES_LIMIT + 2 * i, i < 7 ? 0xffffffff : sizeof(tss) - 1);
		vmwrite(GUEST_ES_RIGHTS + 2 * i, rights[i]);
		vmwrite(GUEST_ES_BASE + 2 * i, i < 7 ? 0 : (u64)&tss);
	}
	vmwrite(GUEST_GDTR_BASE, read_gdtr().base);
	vmwrite(GUEST_GDTR_LIMIT, read_gdtr().limit);
	vmwrite(GUEST_IDTR_BASE, read_idtr().base);
	vmwrite(GUEST_IDTR_LIMIT, read_idtr().limit);
}

void vm_reset(struct vm *vm, const void *rip)
{
	memset(vm->regs, 0, sizeof(vm->regs));
	set_controls();
	set_host();
	set_guest_segments();
	vmwrite(GUEST_CR0, read_cr0());
	vmwrite(GUEST_CR3, read_cr3());
	vmwrite(GUEST_CR4, read_cr4());
	vmwrite(GUEST_DR7, 0x400);
	vmwrite(GUEST_RFLAGS, 2);
	vmwrite(GUEST_RIP, (u64)rip);
	vmwrite(GUEST_RSP, (u64)vm->stack + GUEST_STACK - 64);
	vmwrite(GUEST_DEBUGCTL, 0);
	vmwrite(GUEST_INTERRUPTIBILITY, 0);
	vmwrite(GUEST_ACTIVITY, 0);
	vmwrite(GUEST_PENDING_DEBUG, 0);
	vmwrite(GUEST_SYSENTER_CS, 0);
	vmwrite(GUEST_SYSENTER_ESP, 0);
	vmwrite(GUEST_SYSENTER_EIP, 0);
	vmwrite(VMCS_LINK, ~0ull);
}

void vm_init(struct vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	vm->vmcs = vmx_region();
	vm->stack = pages_alloc(GUEST_STACK / PAGE_SIZE);
	must(vmclear((u64)vm->vmcs), "VMCLEAR");
	vm_load(vm);
	vm_reset(vm, NULL);
}

void vm_load(struct vm *vm)
{
	must(vmptrld((u64)vm->vmcs), "VMPTRLD");
}

u32 vm_run(struct vm *vm)
{
	u64 flags = vm_enter(vm, vm->launched);
	u32 reason;

	vm->entry = (struct outcome){ DID_OK, 0 };
	if (flags & BIT(0)) {
		vm->entry.kind = DID_FAIL_INVALID;
		return NO_EXIT;
	}
	if (flags) {
		vm->entry = (struct outcome){ DID_FAIL_VALID, (u32)vmread(VM_INSN_ERROR) };
		return NO_EXIT;
	}
	reason = (u32)vmread(EXIT_REASON);
	if (!(reason & REASON_ENTRY_FAILURE))
		vm->launched = true;
	return reason;
}

void vm_skip(void)
{
	vmwrite(GUEST_RIP, vmread(GUEST_RIP) + vmread(EXIT_INSN_LENGTH));
}
