/*
 * Single steps over instructions that a hypervisor below may have to carry out for the guest,
 * although its VMM never asked for their exits: the VMM's monitor trap flag, the guest's own TF,
 * and blocking by STI. SDM: Monitor Trap Flag; Single-Step Exception Condition; Interrupts blocked
 * by STI.
 */
#include "vmx_events.h"

static const u8 no_bits[PAGE_SIZE] __attribute__((aligned(4096)));

asm("t_rdmsr: rdmsr; nop; vmcall\n"
    "t_wrmsr: wrmsr; nop; vmcall\n"
    "t_in: in %dx, %al; nop; vmcall\n"
    "t_out: out %al, %dx; nop; vmcall\n"
    "t_outs: outsb; nop; vmcall\n"
    "t_rep: rep outsb; nop; vmcall\n"
    "t_sti_rdmsr: sti; rdmsr; vmcall\n"
    "t_sti_in: sti; in %dx, %al; vmcall\n"
    "t_sti_rep: sti; rep outsb; vmcall\n");
extern const char t_rdmsr[], t_wrmsr[], t_in[], t_out[], t_outs[], t_rep[];
extern const char t_sti_rdmsr[], t_sti_in[], t_sti_rep[];

#define MSR_BIOS_UPDATE	0x79
#define KEYBOARD_STATUS		0x64
#define SHUTDOWN_PORT		0x8900	/* any byte but the right word is ignored */

static const struct row {
	const char *text;
	const char *code;
	u32 ecx, edx;
} rows[] = {
	{ "RDMSR", t_rdmsr, MSR_FEATURE_CONTROL, 0 },
	{ "RDMSR of a capability", t_rdmsr, MSR_VMX_BASIC, 0 },
	{ "WRMSR", t_wrmsr, MSR_BIOS_UPDATE, 0 },
	{ "WRMSR that faults", t_wrmsr, MSR_VMX_BASIC, 0 },
	{ "IN", t_in, 0, KEYBOARD_STATUS },
	{ "OUT", t_out, 0, SHUTDOWN_PORT },
	{ "OUTS", t_outs, 0, SHUTDOWN_PORT },
	{ "REP OUTS", t_rep, 2, SHUTDOWN_PORT },
	{ "REP OUTS of nothing", t_rep, 0, SHUTDOWN_PORT },
	{ "STI, RDMSR", t_sti_rdmsr, MSR_FEATURE_CONTROL, 0 },
	{ "STI, IN", t_sti_in, 0, KEYBOARD_STATUS },
	{ "STI, REP OUTS", t_sti_rep, 2, SHUTDOWN_PORT },
};

static void reset(struct vm *vm, const struct row *row)
{
	event_reset(vm, row->code);
	vmwrite(MSR_BITMAP, (u64)no_bits);
	control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
	vm->regs[RAX] = 'x';
	vm->regs[RCX] = row->ecx;
	vm->regs[RDX] = row->edx;
	vm->regs[RSI] = (u64)"xyz";
}

static void monitor_trap(struct vm *vm, const struct row *row, bool trap)
{
	reset(vm, row);
	control_set(PRIMARY_CONTROLS, PRI_MTF);
	vmwrite(GUEST_RFLAGS, 2 | (trap ? RFLAGS_TF : 0));
	print("%s, monitor trap flag%s:", row->text, trap ? " and TF" : "");
	for (unsigned int i = 0; i < 4; i++) {
		u32 reason = vm_run(vm);
		u64 rip = vmread(GUEST_RIP);

		if (rip - (u64)row->code < 16)
			print(" +%lu", rip - (u64)row->code);
		else
			print(" handler");
		if (reason != REASON_MTF)
			print(" %s", reason_name(reason));
		if (vmread(GUEST_INTERRUPTIBILITY) | vmread(GUEST_PENDING_DEBUG))
			print("(interruptibility=%lx pending=%lx)", vmread(GUEST_INTERRUPTIBILITY),
			      vmread(GUEST_PENDING_DEBUG));
		if (reason != REASON_MTF)
			break;
	}
	print("\n");
}

static void single_step(struct vm *vm, const struct row *row)
{
	reset(vm, row);
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_TF);
	print("%s, TF: ", row->text);
	print_event_exit(vm, vm_run(vm), row->code);
	print("\n");
}

void test_stepping(struct vm *vm)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		if (control_can(PRIMARY_CONTROLS, PRI_MTF)) {
			monitor_trap(vm, &rows[i], false);
			monitor_trap(vm, &rows[i], true);
		}
		single_step(vm, &rows[i]);
	}
}
