/*
 * VM entries with one or two fields of a good VMCS changed at random (always the same numbers):
 * what the CPU makes of each is compared between machines. One word per case: the exit reason in
 * hexadecimal, with "!" after an entry that failed late, or "eN" for VM-instruction error N. The
 * lines with "# " say what was changed. There is no file of expected lines: values come from
 * addresses, so that a compiler may change them. The guest may read what it needs and write its
 * stack alone; everything else exits.
 *
 * Never changed: what lets the guest or a wrong host state loose on the test, and what the emulator
 * stops at (entry to SMM; activity states beyond HLT).
 */
#include "vmx.h"

#ifndef CASES
#define CASES	400u
#endif

static const struct {
	u16 field;
	u64 bits;	/* those that may change */
} fields[] = {
	{ PIN_CONTROLS, 0x17f }, { PRIMARY_CONTROLS, 0xfffffffb },
	{ SECONDARY_CONTROLS, 0x01111ff1 },
	{ EXIT_CONTROLS, 0x3c8204 }, { ENTRY_CONTROLS, 0xc204 },
	{ CR3_TARGET_COUNT, 0x1f }, { ENTRY_INTR_INFO, 0x80000fff }, { ENTRY_INTR_ERROR, 0x7fff },
	{ ENTRY_INSN_LENGTH, 0x1f }, { TPR_THRESHOLD, 0x1f }, { VPID, 0xffff },
	{ CR0_MASK, ~0ull }, { CR4_MASK, ~0ull }, { CR0_SHADOW, ~0ull }, { CR4_SHADOW, ~0ull },
	{ HOST_ES, 0xffff }, { HOST_CS, 0xffff }, { HOST_SS, 0xffff }, { HOST_TR, 0xffff },
	{ GUEST_ES, 0xffff }, { GUEST_CS, 0xffff }, { GUEST_SS, 0xffff }, { GUEST_DS, 0xffff },
	{ GUEST_FS, 0xffff }, { GUEST_LDTR, 0xffff }, { GUEST_TR, 0xffff },
	{ GUEST_ES_LIMIT, 0xffffffff }, { GUEST_CS_LIMIT, 0xffffffff },
	{ GUEST_SS_LIMIT, 0xffffffff },
	{ GUEST_LDTR_LIMIT, 0xffffffff }, { GUEST_TR_LIMIT, 0xffffffff },
	{ GUEST_GDTR_LIMIT, 0xffffffff }, { GUEST_IDTR_LIMIT, 0xffffffff },
	{ GUEST_ES_RIGHTS, 0xffffffff }, { GUEST_CS_RIGHTS, 0xffffffff },
	{ GUEST_SS_RIGHTS, 0xffffffff },
	{ GUEST_DS_RIGHTS, 0xffffffff }, { GUEST_FS_RIGHTS, 0xffffffff },
	{ GUEST_LDTR_RIGHTS, 0xffffffff },
	{ GUEST_TR_RIGHTS, 0xffffffff }, { GUEST_INTERRUPTIBILITY, 0xfffffffb },
	{ GUEST_ACTIVITY, 5 },
	{ GUEST_SYSENTER_CS, 0xffffffff }, { GUEST_CR0, ~0ull }, { GUEST_CR3, ~0ull },
	{ GUEST_CR4, ~0ull }, { GUEST_ES_BASE, ~0ull }, { GUEST_CS_BASE, ~0ull },
	{ GUEST_SS_BASE, ~0ull },
	{ GUEST_FS_BASE, ~0ull }, { GUEST_LDTR_BASE, ~0ull }, { GUEST_TR_BASE, ~0ull },
	{ GUEST_GDTR_BASE, ~0ull }, { GUEST_IDTR_BASE, ~0ull }, { GUEST_DR7, ~0ull },
	{ GUEST_RFLAGS, ~0ull }, { GUEST_PENDING_DEBUG, ~0ull }, { GUEST_SYSENTER_ESP, ~0ull },
	{ GUEST_SYSENTER_EIP, ~0ull }, { VMCS_LINK, ~0ull }, { GUEST_PAT, ~0ull },
	{ GUEST_EFER, ~0ull },
};

asm("guest: push %rax; nop; cpuid");
extern const char guest[];

static u64 *root;
static u64 seed = 1;

static u32 random(void)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (u32)(seed >> 33);
}

static void make_ept(struct vm *vm)
{
	u64 address;

	root = ept_new();
	for (address = (u64)image_start; address < (u64)image_end; address += PAGE_SIZE)
		ept_map(root, address, address, PAGE_SIZE, EPT_R | EPT_X);
	for (address = (u64)vm->stack; address < (u64)vm->stack + GUEST_STACK; address += PAGE_SIZE)
		ept_map(root, address, address, PAGE_SIZE, EPT_RWX);
	for (unsigned int i = 0; i < 6; i++)	/* the page tables: accessed and dirty flags */
		ept_map(root, (u64)pml4 + i * PAGE_SIZE, (u64)pml4 + i * PAGE_SIZE, PAGE_SIZE,
			EPT_RWX);
}

static void reset(struct vm *vm)
{
	vm_reset(vm, guest);
	vm_use_ept(ept_pointer(root));
	control_set(SECONDARY_CONTROLS, SEC_VPID | SEC_UNRESTRICTED);
	control_set(PIN_CONTROLS, PIN_TIMER);
	control_set(PRIMARY_CONTROLS, PRI_HLT | PRI_IO | PRI_MOV_DR | PRI_CR8_LOAD);
	control_set(ENTRY_CONTROLS, ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER);
	control_set(EXIT_CONTROLS, EXIT_LOAD_EFER | EXIT_LOAD_PAT);
	vmwrite(PREEMPTION_TIMER, 5000);
	vmwrite(EXCEPTION_BITMAP, 0xffffffff);
	vmwrite(VPID, 1);
	vmwrite(GUEST_PAT, rdmsr(MSR_PAT));
	vmwrite(GUEST_EFER, rdmsr(MSR_EFER));
	vmwrite(HOST_PAT, rdmsr(MSR_PAT));
	vmwrite(HOST_EFER, rdmsr(MSR_EFER));
	vmwrite(TPR_THRESHOLD, 0);
	vmwrite(GUEST_INTR_STATUS, 0);
}

static u64 changed(u64 value, u64 bits)
{
	u64 bit;

	switch (random() % 4) {
	case 0:
		return (value & ~bits) | (((u64)random() << 33 | (u64)random() << 8) & bits);
	case 1:
		return (value & ~bits) | (random() % 16 & bits);
	default:
		do
			bit = BIT(random() % 64);
		while (!(bit & bits));
		return value ^ bit;
	}
}

static void change_one(void)
{
	unsigned int i = random() % ARRAY_SIZE(fields);
	u64 value = changed(vmread(fields[i].field), fields[i].bits);

	print(" %x=%lx", fields[i].field, value);
	vmwrite(fields[i].field, value);
}

static void print_outcome(const struct vm *vm, u32 reason)
{
	if (reason != NO_EXIT)
		print("%x%s", reason & 0xffff, reason & REASON_ENTRY_FAILURE ? "!" : "");
	else if (vm->entry.kind == DID_FAIL_VALID)
		print("e%u", vm->entry.number);
	else
		print("invalid");
}

int main(void)
{
	struct vm vm;

	vmx_on();
	vm_init(&vm);
	make_ept(&vm);
	for (unsigned int i = 0; i < CASES; i++) {
		u32 reason;

		reset(&vm);
		print("# case %u:", i);
		change_one();
		if (i % 2)
			change_one();
		reason = vm_run(&vm);
		print("\n%u: ", i);
		print_outcome(&vm, reason);
		print("\n");
	}
	vmx_off();
	return 0;
}
