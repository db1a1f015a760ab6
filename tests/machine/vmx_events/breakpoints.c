/*
 * Breakpoints on memory and ports that a hypervisor below may access in the place of who runs:
 * operands of the VMM's VMX instructions, ports, operands of the guest's INS and OUTS. SDM: Debug
 * Registers; Data Breakpoint Exception Condition; I/O Breakpoint; Monitor Trap Flag.
 */
#include "vmx_events.h"

#define KEYBOARD_STATUS	0x64
#define SHUTDOWN_PORT	0x8900

enum { ON_WRITE = 1, ON_PORT, ON_ACCESS };

/* Breakpoint 2: DR7 for accesses of this kind to so many bytes. */
#define WATCH(kind, length)	(0x400 | BIT(4) | (u64)(kind) << 24 | (u64)((length) - 1) << 26)

static u64 operand[4] __attribute__((aligned(64)));
static u64 hit, hit_rip;

static void on_debug(struct trap_frame *frame)
{
	asm volatile("mov %%dr6, %0" : "=r" (hit));
	asm volatile("mov %0, %%dr6" : : "r" (0xffff0ff0ul));
	hit_rip = frame->rip;
}

static void watch(u64 address, u64 dr7)
{
	hit = 0;
	trap_count[1] = 0;
	asm volatile("mov %0, %%dr6" : : "r" (0xffff0ff0ul));
	asm volatile("mov %0, %%dr2" : : "r" (address));
	asm volatile("mov %0, %%dr7" : : "r" (dr7) : "memory");
}

/* Executes the instruction with each kind of breakpoint on `address`. */
#define OWN_ROW(text, address, insn, ...) do {				\
	static const struct { const char *kind; u64 dr7; } kinds_[] = {	\
		{ "write", WATCH(ON_WRITE, 4) }, { "access", WATCH(ON_ACCESS, 1) },	\
		{ "port", WATCH(ON_PORT, 1) }, { "none enabled", WATCH(ON_ACCESS, 1) & ~BIT(4) },	\
	};								\
									\
	for (unsigned int k_ = 0; k_ < ARRAY_SIZE(kinds_); k_++) {	\
		u64 after_;						\
		u32 count_;						\
									\
		watch((u64)(address), kinds_[k_].dr7);			\
		asm volatile("lea 1f(%%rip), %0\n\t" insn "\n\t1: nop"	\
			     : "=&r" (after_) : __VA_ARGS__ : "cc", "memory", "rax");	\
		count_ = trap_count[1];					\
		print("%s, breakpoint: %s: ", text, kinds_[k_].kind);	\
		print("%u traps dr6=%lx%s\n", count_, hit, !count_ ? "" :	\
		      hit_rip == after_ ? "" : " elsewhere");		\
		watch(0, 0x400);					\
	}								\
} while (0)

static void test_own(struct vm *vm)
{
	u64 eptp = ept_pointer(ept_root), other = (u64)vmx_region();

	trap_hook[1] = on_debug;
	write_cr4(read_cr4() | CR4_DE);
	operand[0] = (u64)vm->vmcs;
	OWN_ROW("VMPTRLD", operand, "vmptrld %1", "m" (operand[0]));
	OWN_ROW("VMPTRLD, last byte", (u64)operand + 7, "vmptrld %1", "m" (operand[0]));
	OWN_ROW("VMPTRLD, behind it", (u64)operand + 8, "vmptrld %1", "m" (operand[0]));
	operand[0] = other;
	OWN_ROW("VMCLEAR", operand, "vmclear %1", "m" (operand[0]));
	operand[0] = other + 1;
	OWN_ROW("VMPTRLD that fails", operand, "vmptrld %1", "m" (operand[0]));
	OWN_ROW("VMPTRST", operand, "vmptrst %1", "m" (operand[0]));
	OWN_ROW("VMWRITE", operand, "vmwrite %1, %2", "m"(operand[0]), "r"((u64)HOST_SYSENTER_ESP));
	OWN_ROW("VMREAD", operand, "vmread %2, %1", "m" (operand[0]), "r" ((u64)HOST_SYSENTER_ESP));
	operand[1] = eptp;
	operand[2] = 0;
	if (has_ept())
		OWN_ROW("INVEPT", &operand[2], "invept %1, %2", "m" (operand[1]), "r" (1ul));
	OWN_ROW("IN", KEYBOARD_STATUS, "in $0x64, %%al", "m" (operand[0]));
	OWN_ROW("OUT", SHUTDOWN_PORT, "mov $'x', %%al; out %%al, %%dx", "d" (SHUTDOWN_PORT));
	write_cr4(read_cr4() & ~CR4_DE);
	OWN_ROW("IN without CR4.DE", KEYBOARD_STATUS, "in $0x64, %%al", "m" (operand[0]));
	trap_hook[1] = NULL;
}

asm("b_in: in %dx, %al; nop; vmcall\n"
    "b_insb: insb; nop; vmcall\n"
    "b_outsb: outsb; nop; vmcall\n"
    "b_rep: rep outsb; nop; vmcall\n");
extern const char b_in[], b_insb[], b_outsb[], b_rep[];

static const struct row {
	const char *text;
	const char *code;
	u64 address, dr7;
} rows[] = {
	{ "guest IN", b_in, KEYBOARD_STATUS, WATCH(ON_PORT, 1) },
	{ "guest INS, port", b_insb, KEYBOARD_STATUS, WATCH(ON_PORT, 1) },
	{ "guest INS, memory written", b_insb, 0, WATCH(ON_WRITE, 1) },
	{ "guest OUTS, memory written", b_outsb, 0, WATCH(ON_WRITE, 1) },
	{ "guest OUTS, memory", b_outsb, 0, WATCH(ON_ACCESS, 1) },
	{ "guest REP OUTS, the second byte", b_rep, 1, WATCH(ON_ACCESS, 1) },
};

static void reset(struct vm *vm, const struct row *row)
{
	bool port = (row->dr7 >> 24 & 3) == ON_PORT;

	event_reset(vm, row->code);
	control_set(ENTRY_CONTROLS, ENTRY_LOAD_DEBUG);
	vmwrite(GUEST_CR4, read_cr4() | CR4_DE);
	vmwrite(GUEST_DR7, row->dr7);
	watch(port ? row->address : (u64)operand + row->address, 0x400);
	vm->regs[RCX] = 3;
	vm->regs[RSI] = vm->regs[RDI] = (u64)operand;
	vm->regs[RDX] = row->code == b_in || row->code == b_insb ? KEYBOARD_STATUS : SHUTDOWN_PORT;
}

static void show(struct vm *vm, const struct row *row, const char *how)
{
	u32 reason = vm_run(vm);
	u64 dr6;

	asm volatile("mov %%dr6, %0" : "=r" (dr6));
	print("%s%s: ", row->text, how);
	print_event_exit(vm, reason, row->code);
	print(" rcx=%lx dr6=%lx pending=%lx\n", vm->regs[RCX], dr6, vmread(GUEST_PENDING_DEBUG));
}

static void test_guest(struct vm *vm)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		reset(vm, &rows[i]);
		show(vm, &rows[i], "");
		reset(vm, &rows[i]);
		vmwrite(EXCEPTION_BITMAP, BIT(1));
		show(vm, &rows[i], ", #DB intercepted");
		if (!control_can(PRIMARY_CONTROLS, PRI_MTF))
			continue;
		reset(vm, &rows[i]);
		control_set(PRIMARY_CONTROLS, PRI_MTF);
		show(vm, &rows[i], ", monitor trap flag");
	}
}

void test_breakpoints(struct vm *vm)
{
	test_own(vm);
	test_guest(vm);
}
