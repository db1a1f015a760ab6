/*
 * Interruptibility, activity and pending debug exceptions as exits save them and entries load them.
 * SDM: Guest Non-Register State; Saving Non-Register State. Left out, since the emulator enters: TF
 * with blocking and no single step pending (must be reason 33: Checks on Guest Non-Register State).
 */
#include "vmx_events.h"

asm("s_sti: sti; cpuid\n"
    "s_mov_ss: mov %ss, %eax; mov %eax, %ss; cpuid\n"
    "s_cpuid: cpuid\n"
    "s_nops: nop; nop; nop; nop; vmcall\n"
    "s_hlt: hlt; vmcall\n");
extern const char s_sti[], s_mov_ss[], s_cpuid[], s_nops[], s_hlt[];

static void show(struct vm *vm, const char *text, const char *code)
{
	u32 reason;

	print("%s: ", text);
	reason = vm_run(vm);
	print_event_exit(vm, reason, code);
	print(" interruptibility=%lx activity=%lu pending=%lx\n", vmread(GUEST_INTERRUPTIBILITY),
	      vmread(GUEST_ACTIVITY), vmread(GUEST_PENDING_DEBUG));
}

static void test_blocking(struct vm *vm)
{
	event_reset(vm, s_sti);
	show(vm, "exit after STI", s_sti);
	event_reset(vm, s_sti);
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_IF);
	show(vm, "exit after STI with IF set before", s_sti);
	event_reset(vm, s_mov_ss);
	show(vm, "exit after MOV SS", s_mov_ss);
	event_reset(vm, s_cpuid);
	vmwrite(GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS);
	show(vm, "exit at entry's blocking by MOV SS", s_cpuid);
	event_reset(vm, s_nops);
	vmwrite(GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS);
	show(vm, "exit after entry's blocking by MOV SS", s_nops);
	event_reset(vm, s_cpuid);
	vmwrite(GUEST_INTERRUPTIBILITY, BLOCK_NMI);
	show(vm, "exit with blocking by NMI", s_cpuid);
}

/* Interrupt-window exits, with what blocks them, and how far the guest comes */
static void test_window(struct vm *vm)
{
	static const struct { const char *text; u64 blocking; } rows[] = {
		{ "window", 0 }, { "window after STI", BLOCK_STI },
		{ "window after MOV SS", BLOCK_MOV_SS },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		event_reset(vm, s_nops);
		control_set(PRIMARY_CONTROLS, PRI_INTR_WINDOW);
		vmwrite(GUEST_RFLAGS, 2 | RFLAGS_IF);
		vmwrite(GUEST_INTERRUPTIBILITY, rows[i].blocking);
		show(vm, rows[i].text, s_nops);
		print("  rip=+%lu\n", vmread(GUEST_RIP) - (u64)s_nops);
	}
}

static void test_halt(struct vm *vm)
{
	event_reset(vm, s_hlt);
	control_set(PIN_CONTROLS, PIN_TIMER);
	vmwrite(PREEMPTION_TIMER, 5000);
	show(vm, "HLT and the preemption timer", s_hlt);
	vmwrite(PREEMPTION_TIMER, 5000);
	show(vm, "HLT entered again", s_hlt);
	print("  rip=+%lu\n", vmread(GUEST_RIP) - (u64)s_hlt);
	control_clear(PIN_CONTROLS, PIN_TIMER);
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_IF);
	vmwrite(ENTRY_INTR_INFO, INTR_VALID | INTR_EXTERNAL | 0x66);
	show(vm, "HLT ended by an injected interrupt", s_hlt);
	vm_skip();
	show(vm, "IRET to after the HLT", s_hlt);
}

static void test_pending_debug(struct vm *vm)
{
	event_reset(vm, s_nops);
	vmwrite(GUEST_PENDING_DEBUG, BIT(14));
	show(vm, "pending single step", s_nops);
	event_reset(vm, s_nops);
	vmwrite(EXCEPTION_BITMAP, BIT(1));
	vmwrite(GUEST_PENDING_DEBUG, BIT(14));
	show(vm, "pending single step, #DB intercepted", s_nops);
	event_reset(vm, s_nops);
	vmwrite(EXCEPTION_BITMAP, BIT(1));
	vmwrite(GUEST_PENDING_DEBUG, BIT(12) | 2);
	show(vm, "pending breakpoint 1, #DB intercepted", s_nops);
	event_reset(vm, s_nops);
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_TF);
	show(vm, "TF", s_nops);
	event_reset(vm, s_nops);
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_TF);
	vmwrite(GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS);
	vmwrite(GUEST_PENDING_DEBUG, BIT(14));
	show(vm, "TF, blocking by MOV SS, step pending", s_nops);
	event_reset(vm, s_cpuid);
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_TF);
	vmwrite(GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS);
	vmwrite(GUEST_PENDING_DEBUG, BIT(14));
	show(vm, "CPUID with TF, blocking by MOV SS, step pending", s_cpuid);
}

void test_state(struct vm *vm)
{
	test_blocking(vm);
	test_window(vm);
	if (control_can(PIN_CONTROLS, PIN_TIMER))
		test_halt(vm);
	test_pending_debug(vm);
}
