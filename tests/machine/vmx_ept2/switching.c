/*
 * VM function 0: the guest itself switches to another EPTP of a list. What is wrong is an exit, or
 * #UD. SDM: VM Functions, EPTP Switching.
 */
#include "vmx_ept2.h"

#define MSR_VMX_VMFUNC	0x491
#define RFLAGS_TF	BIT(8)

static u64 *root, *other, *list;

/* What it reads before and after; flags that are set before. */
asm("guest_switch: mov (%rsi), %ebx; stc\n"
    "guest_function: vmfunc\n"
    "guest_switched: sbb %edx, %edx; shl $16, %ebx; or (%rsi), %ebx; vmcall\n");
extern const char guest_switch[], guest_function[], guest_switched[];

static void start(struct vm *vm)
{
	for (unsigned int n = 1; n < 5; n++) {
		map(root, n, page_a, EPT_RWX);
		map(other, n, page_b, EPT_RWX);
	}
	reset(vm, root);
	control_set(SECONDARY_CONTROLS, SEC_VMFUNC);
	vmwrite(VMFUNC_CONTROLS, 1);
	vmwrite(EPTP_LIST, (u64)list);
	vmwrite(EXCEPTION_BITMAP, BIT(6) | BIT(1));
	memset(list, 0, PAGE_SIZE);
	list[0] = ept_pointer(root);
	list[511] = list[1] = ept_pointer(other);
}

static void show_state(const char *code)
{
	u64 eptp = vmread(EPTP);

	print(" RIP +%lx", vmread(GUEST_RIP) - (u64)code);
	print(" EPTP %s", eptp == ept_pointer(root)  ? "old" :
			  eptp == ept_pointer(other) ? "new" :
						       "another");
	print("\n");
}

static void one(struct vm *vm, const char *text, u64 rax, u64 rcx)
{
	vm->regs[RAX] = rax;
	vm->regs[RCX] = rcx;
	print("%s:", text);
	show(vm, guest_switch, linear(1) + 8);
	if (vmread(EXIT_REASON) == REASON_VMCALL)
		print(" carry %s, registers %s,", vm->regs[RDX] ? "kept" : "lost",
		      vm->regs[RAX] == rax && vm->regs[RCX] == rcx ? "kept" : "lost");
	show_state(guest_switch);
}

static void test_switches(struct vm *vm)
{
	start(vm);
	one(vm, "to another", 0, 1);
	one(vm, "to itself", 0, 511);
	one(vm, "back", 0, 0);
	one(vm, "high halves of RAX and RCX", BIT(32), BIT(32) + 1);
	vmwrite(EPTP, ept_pointer(root));
	one(vm, "EPTP as the VMM has it", 0, 511);
	vmwrite(EPTP, ept_pointer(root));
	map(other, 1, page_a, EPT_RWX);
	one(vm, "other tables changed", 0, 1);
	start(vm);
	list[1] = ept_pointer(root);
	one(vm, "list changed", 0, 1);
	list[1] = ept_pointer(other);
	one(vm, "and again", 0, 1);
	start(vm);
	map(other, 1, page_b, 0);
	one(vm, "to where the page is missing", 0, 1);
}

static void test_failures(struct vm *vm)
{
	static const struct { const char *text; u64 clear, set; } bad[] = {
		{ "memory type", 7, 1 }, { "walk length", 0x38, 0x10 },
		{ "reserved bits", 0, 0x800 },
		{ "too high", 0, BIT(50) }, { "zero", ~0ull, 0 },
	};

	start(vm);
	one(vm, "index 512", 0, 512);
	one(vm, "index -1", 0, 0xffffffff);
	one(vm, "function 1", 1, 1);
	one(vm, "function 63", 63, 1);
	one(vm, "function 64", 64, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		start(vm);
		list[2] = (list[1] & ~bad[i].clear) | bad[i].set;
		one(vm, bad[i].text, 0, 2);
	}
	start(vm);
	vmwrite(VMFUNC_CONTROLS, 0);
	one(vm, "function not enabled", 0, 1);
	start(vm);
	control_clear(SECONDARY_CONTROLS, SEC_VMFUNC);
	one(vm, "control off", 0, 1);
	start(vm);
	vmwrite(EPTP_LIST, 0x3000000000);
	one(vm, "list where there is no memory", 0, 1);
	print("in VMX root operation:");
	print(" %s\n", TRY("vmfunc", "S" (0)) ? "ok" : fault_text());
}

/* Traps after the instruction come after it. */
static void test_traps(struct vm *vm)
{
	start(vm);
	vm->regs[RCX] = 1;
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_TF);
	print("single step:");
	show(vm, guest_function, linear(1) + 8);
	show_state(guest_switched);
	if (!control_can(PRIMARY_CONTROLS, PRI_MTF))
		return;
	start(vm);
	vm->regs[RCX] = 1;
	control_set(PRIMARY_CONTROLS, PRI_MTF);
	print("monitor trap flag:");
	show(vm, guest_function, linear(1) + 8);
	show_state(guest_switched);
}

static void test_entries(struct vm *vm)
{
	start(vm);
	vmwrite(EPTP_LIST, (u64)list + 8);
	show_entry(vm, "list not aligned");
	start(vm);
	vmwrite(EPTP_LIST, BIT(52));
	show_entry(vm, "list too high");
	start(vm);
	vmwrite(VMFUNC_CONTROLS, 2);
	show_entry(vm, "unknown function");
	start(vm);
	control_clear(SECONDARY_CONTROLS, SEC_EPT);
	show_entry(vm, "without EPT");
	vmwrite(VMFUNC_CONTROLS, 0);
	print("neither EPT nor functions:");
	show(vm, guest_read, (u64)page_a);
	print("\n");
}

void test_switching(struct vm *vm)
{
	bool offered = control_can(SECONDARY_CONTROLS, SEC_VMFUNC);

	print("VM functions: %lx\n", offered ? rdmsr(MSR_VMX_VMFUNC) : 0);
	if (!offered)
		return;
	root = new_root();
	other = new_root();
	list = page_alloc();
	allow(1, PTE_W);
	test_switches(vm);
	test_failures(vm);
	test_traps(vm);
	test_entries(vm);
}
