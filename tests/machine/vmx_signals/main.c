/*
 * Signals: INIT, NMI and SMI that the CPU sends to itself by its local APIC, outside VMX operation,
 * in root operation and in the guest, in each activity state that they can find it in. SDM: Other
 * Causes of VM Exits; Guest Non-Register State; Updating Non-Register State; Restrictions on VMX
 * Operation; Default Treatment of SMI Delivery. Left out, since the emulator departs
 * (docs/emulator-departures.md): INIT in root operation, which must wait; blocking by NMI across an
 * SMI; the activity state that an NMI's exit saves.
 */
#include "vmx.h"

#define REG_ICR_LOW	0x300
#define SMI		0x4200
#define NMI		0x4400
#define INIT		0x4500

/* Each sends the command in ECX to this CPU itself: RDI is the register for that. */
asm("s_send: mov %ecx, (%rdi); nop; nop; mov $1, %ebx; vmcall\n"
    "s_sti: mov %ecx, (%rdi); sti; nop; mov $2, %ebx; vmcall\n"
    "s_nothing: mov $3, %ebx; vmcall\n");
extern const char s_send[], s_sti[], s_nothing[];

static void show(struct vm *vm, const char *text)
{
	u32 reason = vm_run(vm);

	print("%s: ", text);
	print_exit(vm, reason);
	if (reason == REASON_VMCALL)
		print(" rbx=%lx", vm->regs[RBX]);
	print(" interruptibility=%lx nmis=%u\n", vmread(GUEST_INTERRUPTIBILITY), trap_count[2]);
}

static void reset(struct vm *vm, const char *code, u32 command)
{
	vm_reset(vm, code);
	vm->regs[RCX] = command;
	vm->regs[RDI] = APIC_BASE + REG_ICR_LOW;
	trap_count[2] = 0;
}

/* NMIs are blocked in a VMM that has had an exit by one; an IRET ends that. */
static void unblock_nmis(void)
{
	asm volatile("mov %%ss, %%eax; push %%rax; lea 8(%%rsp), %%rax; push %%rax; pushf;"
		     "mov %%cs, %%eax; push %%rax; lea 1f(%%rip), %%rax; push %%rax; iretq; 1:"
		     : : : "rax", "memory", "cc");
}

static void test_init(struct vm *vm)
{
	static const char *const text[] = { "", ", STI next" };

	for (unsigned int i = 0; i < 2; i++) {
		reset(vm, i ? s_sti : s_send, INIT);
		print("INIT%s, ", text[i]);
		show(vm, "exit");
		show(vm, "  again");
	}
	reset(vm, s_send, INIT);
	vmwrite(GUEST_INTERRUPTIBILITY, BLOCK_NMI);
	control_set(PIN_CONTROLS, PIN_NMI | PIN_EXTERNAL);
	show(vm, "INIT, NMIs blocked");
}

static void test_smi(struct vm *vm)
{
	reset(vm, s_send, SMI);
	show(vm, "SMI in the guest");
	apic_write(REG_ICR_LOW, SMI);
	reset(vm, s_nothing, 0);
	show(vm, "SMI in the VMM");
}

struct nmi_row {
	const char *text;
	u64 pin;
	u64 interruptibility;
	u64 activity;
};

static void test_guest_nmi(struct vm *vm)
{
	static const struct nmi_row rows[] = {
		{ "NMI, not intercepted", 0, 0, 0 },
		{ "NMI, not intercepted, blocked", 0, BLOCK_NMI, 0 },
		{ "NMI, intercepted", PIN_NMI, 0, 0 },
		{ "NMI, intercepted, blocked", PIN_NMI, BLOCK_NMI, 0 },
		{ "NMI, virtual NMIs", PIN_NMI | PIN_VIRTUAL_NMI, 0, 0 },
		{ "NMI, virtual NMIs blocked", PIN_NMI | PIN_VIRTUAL_NMI, BLOCK_NMI, 0 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		reset(vm, s_send, NMI);
		control_set(PIN_CONTROLS, rows[i].pin);
		vmwrite(GUEST_INTERRUPTIBILITY, rows[i].interruptibility);
		show(vm, rows[i].text);
		unblock_nmis();
		print("  nmis of the VMM: %u\n", trap_count[2]);
	}
}

/* The VMM has NMIs blocked and one pending; the entry decides what becomes of it. */
static void test_pending_nmi(struct vm *vm)
{
	static const struct nmi_row rows[] = {
		{ "pending NMI, intercepted", PIN_NMI, 0, 0 },
		{ "pending NMI, intercepted, blocked", PIN_NMI, BLOCK_NMI, 0 },
		{ "pending NMI, virtual NMIs blocked", PIN_NMI | PIN_VIRTUAL_NMI, BLOCK_NMI, 0 },
		{ "pending NMI, not intercepted", 0, 0, 0 },
		{ "pending NMI, HLT", PIN_NMI, 0, 1 },
		{ "pending NMI, HLT, not intercepted", 0, 0, 1 },
		{ "pending NMI, shutdown", PIN_NMI, 0, 2 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		reset(vm, s_send, NMI);
		control_set(PIN_CONTROLS, PIN_NMI);
		vm_run(vm);			/* from here on NMIs are blocked */
		apic_self_nmi();
		reset(vm, s_nothing, 0);
		control_set(PIN_CONTROLS, rows[i].pin);
		vmwrite(GUEST_INTERRUPTIBILITY, rows[i].interruptibility);
		vmwrite(GUEST_ACTIVITY, rows[i].activity);
		show(vm, rows[i].text);
		unblock_nmis();
		print("  nmis of the VMM: %u\n", trap_count[2]);
	}
}

int main(void)
{
	struct vm vm;

	apic_enable();
	apic_write(REG_ICR_LOW, SMI);
	print("SMI outside VMX operation: survived\n");
	vmx_on();
	apic_self_nmi();
	print("NMI in the VMM: %u\n", trap_count[2]);
	vm_init(&vm);
	test_init(&vm);
	test_guest_nmi(&vm);
	test_pending_nmi(&vm);
	test_smi(&vm);
	vmx_off();
	return 0;
}
