/*
 * VM entries that must fail: one wrong field each, and what the CPU answers. Every row is restored
 * by the next case's reset. SDM: VM Entries, "Basic VM-Entry Checks" and following. Left out, since
 * the emulator departs from the SDM: "entry to SMM" (must be error 7: Checks on VM-Entry Control
 * Fields), a guest RIP that is not canonical (must be reason 33: Checks on Guest RIP, RFLAGS, and
 * SSP), a reserved bit of DEBUGCTL (must be reason 33: Checks on Guest Control Registers, Debug
 * Registers, and MSRs).
 */
#include "vmx_exits.h"

static const struct failure {
	const char *text;
	u32 field;
	u64 clear, set;
} failures[] = {
	/* controls */
	{ "pin-based reserved bits", PIN_CONTROLS, ~0ull, 0 },
	{ "primary reserved bits", PRIMARY_CONTROLS, BIT(1), 0 },
	{ "exit reserved bits", EXIT_CONTROLS, BIT(0), 0 },
	{ "entry reserved bits", ENTRY_CONTROLS, BIT(0), 0 },
	{ "CR3-target count 5", CR3_TARGET_COUNT, 0, 5 },
	{ "NMI window without virtual NMIs", PRIMARY_CONTROLS, 0, PRI_NMI_WINDOW },
	{ "virtual NMIs without NMI exiting", PIN_CONTROLS, 0, PIN_VIRTUAL_NMI },
	{ "saving the timer without it", EXIT_CONTROLS, 0, EXIT_SAVE_TIMER },
	{ "MSR-load area not aligned", ENTRY_MSR_LOAD, 0, 8 },
	{ "inject a reserved type", ENTRY_INTR_INFO, 0, INTR_VALID | 1 << 8 },
	{ "inject an NMI with vector 3", ENTRY_INTR_INFO, 0, INTR_VALID | INTR_NMI | 3 },
	{ "inject an exception 32", ENTRY_INTR_INFO, 0, INTR_VALID | INTR_HARDWARE | 32 },
	{ "inject #GP without error code", ENTRY_INTR_INFO, 0, INTR_VALID | INTR_HARDWARE | 13 },
	{ "inject #UD with error code", ENTRY_INTR_INFO, 0,
	  INTR_VALID | INTR_ERROR | INTR_HARDWARE | 6 },
	{ "inject reserved bits", ENTRY_INTR_INFO, 0, INTR_VALID | BIT(12) | 0x20 },
	{ "inject a software interrupt of length 16", ENTRY_INTR_INFO, 0,
	  INTR_VALID | INTR_SOFT_INT | 0x20 },
	/* host state */
	{ "host CR0 without PG", HOST_CR0, CR0_PG, 0 },
	{ "host CR4 without VMXE", HOST_CR4, CR4_VMXE, 0 },
	{ "host CR4 without PAE", HOST_CR4, CR4_PAE, 0 },
	{ "host CR3 beyond the physical addresses", HOST_CR3, 0, BIT(60) },
	{ "host CS 0", HOST_CS, ~0ull, 0 },
	{ "host CS with RPL", HOST_CS, 0, 3 },
	{ "host TR with TI", HOST_TR, 0, 4 },
	{ "host TR 0", HOST_TR, ~0ull, 0 },
	{ "host FS base not canonical", HOST_FS_BASE, 0, BIT(63) },
	{ "host GDTR base not canonical", HOST_GDTR_BASE, 0, BIT(63) },
	{ "host RIP not canonical", HOST_RIP, 0, BIT(63) },
	{ "host SYSENTER_ESP not canonical", HOST_SYSENTER_ESP, 0, BIT(63) },
	{ "64-bit host without the control", EXIT_CONTROLS, EXIT_HOST_64, 0 },
	/* guest state */
	{ "guest CR0 PG without PE", GUEST_CR0, CR0_PE, 0 },
	{ "guest CR4 without VMXE", GUEST_CR4, CR4_VMXE, 0 },
	{ "64-bit guest without PAE", GUEST_CR4, CR4_PAE, 0 },
	{ "guest CR3 beyond the physical addresses", GUEST_CR3, 0, BIT(60) },
	{ "guest RFLAGS bit 1", GUEST_RFLAGS, 2, 0 },
	{ "guest RFLAGS reserved bit", GUEST_RFLAGS, 0, BIT(3) },
	{ "64-bit guest with VM flag", GUEST_RFLAGS, 0, BIT(17) },
	{ "guest CS not accessed", GUEST_CS_RIGHTS, 1, 0 },
	{ "guest CS not present", GUEST_CS_RIGHTS, 0x80, 0 },
	{ "guest CS with L and D", GUEST_CS_RIGHTS, 0, 0x4000 },
	{ "guest CS reserved rights", GUEST_CS_RIGHTS, 0, 0x100 },
	{ "guest CS limit against granularity", GUEST_CS_LIMIT, 0xfff, 0 },
	{ "guest CS base", GUEST_CS_BASE, 0, BIT(32) },
	{ "guest SS DPL", GUEST_SS_RIGHTS, 0, 0x60 },
	{ "guest SS RPL", GUEST_SS, 0, 3 },
	{ "guest TR type", GUEST_TR_RIGHTS, 0xf, 3 },
	{ "guest TR unusable", GUEST_TR_RIGHTS, 0, BIT(16) },
	{ "guest TR with TI", GUEST_TR, 0, 4 },
	{ "guest TR base not canonical", GUEST_TR_BASE, 0, BIT(63) },
	{ "guest GDTR limit", GUEST_GDTR_LIMIT, 0, BIT(16) },
	{ "guest IDTR base not canonical", GUEST_IDTR_BASE, 0, BIT(63) },
	{ "guest activity state 4", GUEST_ACTIVITY, 0, 4 },
	{ "HLT with blocking by STI", GUEST_INTERRUPTIBILITY, 0, BLOCK_STI },
	{ "guest interruptibility reserved bit", GUEST_INTERRUPTIBILITY, 0, BIT(5) },
	{ "blocking by STI and MOV SS", GUEST_INTERRUPTIBILITY, 0, BLOCK_STI | BLOCK_MOV_SS },
	{ "blocking by STI without IF", GUEST_INTERRUPTIBILITY, 0, BLOCK_STI },
	{ "pending debug reserved bit", GUEST_PENDING_DEBUG, 0, BIT(5) },
	{ "VMCS link pointer not aligned", VMCS_LINK, 1, 0 },
	{ "guest SYSENTER_EIP not canonical", GUEST_SYSENTER_EIP, 0, BIT(63) },
	{ "guest DR7 high half", GUEST_DR7, 0, BIT(32) },
};

static void prepare_row(const struct failure *f)
{
	switch (f->field) {
	case ENTRY_MSR_LOAD:
		vmwrite(ENTRY_MSR_LOAD_COUNT, 1);
		break;
	case ENTRY_INTR_INFO:
		vmwrite(ENTRY_INSN_LENGTH, 16);
		break;
	case GUEST_DR7:
		control_set(ENTRY_CONTROLS, ENTRY_LOAD_DEBUG);
		break;
	case GUEST_INTERRUPTIBILITY:
		if (f->text[0] == 'H')
			vmwrite(GUEST_ACTIVITY, 1);
		if (f->set & BLOCK_MOV_SS || f->text[0] == 'H')
			vmwrite(GUEST_RFLAGS, 2 | RFLAGS_IF);
		break;
	}
	vmwrite(f->field, (vmread(f->field) & ~f->clear) | f->set);
}

static void test_msr_load(struct vm *vm)
{
	static struct { u32 index, zero; u64 value; } list[3] __attribute__((aligned(16)));

	static const struct { const char *text; u32 index; u64 value; } rows[] = {
		{ "FS base", MSR_FS_BASE, 0 },
		{ "GS base", MSR_GS_BASE, 0 },
		{ "an x2APIC register", 0x808, 0 },
		{ "a value that is not canonical", MSR_KERNEL_GS_BASE, BIT(63) },
		{ "a bad PAT", MSR_PAT, 2 },
	};
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		vm_reset(vm, guest_end);
		list[0].index = MSR_KERNEL_GS_BASE;
		list[1].index = rows[i].index;
		list[1].value = rows[i].value;
		list[2].index = MSR_STAR;
		vmwrite(ENTRY_MSR_LOAD, (u64)list);
		vmwrite(ENTRY_MSR_LOAD_COUNT, 3);
		print("loading %s: ", rows[i].text);
		print_exit(vm, vm_run(vm));
		print("\n");
	}
}

static void test_launch_state(struct vm *vm)
{
	vm_reset(vm, guest_end);
	must(vmclear((u64)vm->vmcs), "VMCLEAR");
	vm_load(vm);
	vm->launched = true;
	print("VMRESUME of a clear VMCS: ");
	print_exit(vm, vm_run(vm));
	vm->launched = false;
	print("\nVMLAUNCH: ");
	print_exit(vm, vm_run(vm));
	vm->launched = false;
	print("\nVMLAUNCH of a launched VMCS: ");
	print_exit(vm, vm_run(vm));
	vm->launched = true;
	print("\nVMRESUME: ");
	vmwrite(GUEST_RIP, (u64)guest_end);
	print_exit(vm, vm_run(vm));
	print("\n");
}

void test_entry_failures(struct vm *vm)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(failures); i++) {
		vm_reset(vm, guest_end);
		prepare_row(&failures[i]);
		print("%s: ", failures[i].text);
		print_exit(vm, vm_run(vm));
		print("\n");
	}
	vm_reset(vm, guest_end);
	print("nothing wrong: ");
	print_exit(vm, vm_run(vm));
	print("\n");
	test_msr_load(vm);
	test_launch_state(vm);
}
