/*
 * Exits while an event is delivered: the guest's IDT or stack is not there, or the gate is bad. The VMM
 * mends it and injects again what IDT-vectoring information says, as every hypervisor does.
 * SDM: Information for VM Exits That Occur During Event Delivery.
 */
#include "vmx_events.h"

asm("v_nop: nop; nop; vmcall\n"
    "v_ud: nop; ud2\n"
    "v_int: nop; int $0x61\n"
    "v_int3: nop; int3\n"
    "v_int1: nop; .byte 0xf1\n"
    "v_pf: nop; movabs %al, 0x500000010\n"
    "v_gp: nop; mov $0x5650, %eax; mov %eax, %ds\n");
extern const char v_nop[], v_ud[], v_int[], v_int3[], v_int1[], v_pf[], v_gp[];

enum trouble { IDT_GONE, STACK_GONE, STACK_READ_ONLY, GATE_ABSENT, GATE_BAD };

static const struct row {
	const char *text;
	const char *code;
	u64 inject;
	u32 exceptions;		/* intercepted */
	enum trouble trouble;
} rows[] = {
	{ "#UD, IDT gone", v_ud, 0, 0, IDT_GONE },
	{ "#PF, IDT gone", v_pf, 0, 0, IDT_GONE },
	{ "#GP, stack gone", v_gp, 0, 0, STACK_GONE },
	{ "#GP, stack read-only", v_gp, 0, 0, STACK_READ_ONLY },
	{ "INT 0x61, IDT gone", v_int, 0, 0, IDT_GONE },
	{ "INT 0x61, stack gone", v_int, 0, 0, STACK_GONE },
	{ "INT3, IDT gone", v_int3, 0, 0, IDT_GONE },
	{ "INT1, IDT gone", v_int1, 0, 0, IDT_GONE },
	{ "injected external interrupt, IDT gone", v_nop, INTR_EXTERNAL | 0x60, 0, IDT_GONE },
	{ "injected NMI, stack gone", v_nop, INTR_NMI | 2, 0, STACK_GONE },
	{ "injected #GP, IDT gone", v_nop, INTR_HARDWARE | INTR_ERROR | 13, 0, IDT_GONE },
	{ "injected INT 0x61, IDT gone", v_nop, INTR_SOFT_INT | 0x61, 0, IDT_GONE },
	{ "injected INT3, stack gone", v_nop, INTR_SOFT_EXC | 3, 0, STACK_GONE },
	{ "injected INT1, IDT gone", v_nop, INTR_PRIV_SOFT | 1, 0, IDT_GONE },
	{ "#UD, gate absent, #NP intercepted", v_ud, 0, 1 << 11, GATE_ABSENT },
	{ "INT 0x61, gate absent, #NP intercepted", v_int, 0, 1 << 11, GATE_ABSENT },
	{ "#UD, gate bad, #GP intercepted", v_ud, 0, 1 << 13, GATE_BAD },
	{ "injected NMI, gate absent, #NP intercepted", v_nop, INTR_NMI | 2, 1 << 11, GATE_ABSENT },
	{ "#GP, gate bad, #DF intercepted", v_gp, 0, 1 << 8, GATE_BAD },
	{ "#GP, gate bad, #DF delivered", v_gp, 0, 0, GATE_BAD },
	{ "#PF, gate bad", v_pf, 0, 0, GATE_BAD },
};

static void make_trouble(const struct row *row)
{
	struct idt_gate *gates = (struct idt_gate *)window_idt;
	static const u8 vectors[] = { 2, 6, 13, 14, 0x61 };

	switch (row->trouble) {
	case IDT_GONE:
		window_right(GUEST_IDT, 0);
		return;
	case STACK_GONE:
		window_right(GUEST_STACK_PAGE, 0);
		return;
	case STACK_READ_ONLY:
		window_right(GUEST_STACK_PAGE, EPT_R);
		return;
	case GATE_ABSENT:
	case GATE_BAD:
		for (unsigned int i = 0; i < ARRAY_SIZE(vectors); i++)
			gates[vectors[i]].low = row->trouble == GATE_BAD ? 0 :
						gates[vectors[i]].low & ~BIT(47);
	}
}

/* What a VMM does that found the reason of the exit and removed it. */
static void inject_again(void)
{
	u64 info = vmread(IDT_INFO);

	vmwrite(ENTRY_INTR_INFO, info & ~BIT(12));
	if (info & INTR_ERROR)
		vmwrite(ENTRY_INTR_ERROR, vmread(IDT_ERROR));
	if ((info & 0x700) >= INTR_SOFT_INT)
		vmwrite(ENTRY_INSN_LENGTH, vmread(EXIT_INSN_LENGTH));
}

static void run_row(struct vm *vm, const struct row *row)
{
	u32 reason;

	event_reset(vm, row->code);
	make_trouble(row);
	vmwrite(EXCEPTION_BITMAP, row->exceptions);
	if (row->inject) {
		vmwrite(ENTRY_INTR_INFO, INTR_VALID | row->inject);
		vmwrite(ENTRY_INTR_ERROR, 0x4440);
		vmwrite(ENTRY_INSN_LENGTH, 1);
	}
	if (row->inject == 0x60)
		vmwrite(GUEST_RFLAGS, 2 | RFLAGS_IF);
	print("%s: ", row->text);
	reason = vm_run(vm);
	print_event_exit(vm, reason, row->code);
	if (reason == REASON_EPT_VIOLATION) {
		print(" rip=+%lu", vmread(GUEST_RIP) - (u64)row->code);
		if ((vmread(IDT_INFO) & 0x700) >= INTR_SOFT_INT)
			print(" len=%lu", vmread(EXIT_INSN_LENGTH));
		window_right(GUEST_IDT, EPT_RWX);
		window_right(GUEST_STACK_PAGE, EPT_RWX);
		inject_again();
		print("; again: ");
		print_event_exit(vm, vm_run(vm), row->code);
	}
	print("\n");
}

void test_vectoring(struct vm *vm)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		run_row(vm, &rows[i]);
}
