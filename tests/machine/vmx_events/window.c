/*
 * The guest's IDT and stack: two pages at 5 GiB of guest-linear and guest-physical memory, each a
 * page of the pool. The saved RF is not shown: after an EPT violation during delivery the emulator
 * has it set for every event (SDM, "Saving RIP, RSP, RFLAGS, and SSP": as in the image that the
 * event would push). Every vector's code puts its number in RBX and calls the VMM, which reads the
 * frame.
 */
#include "vmx_events.h"

u64 *ept_root, *window_directory, *window_idt, *window_stack;

asm(".balign 16; event_stubs: .set n, 0; .rept 256; .balign 16; mov $n, %ebx; vmcall; iretq;"
    ".set n, n + 1; .endr");
extern const u8 event_stubs[];

/* Where there is no EPT, the window is one of linear memory alone, and open. */
void window_right(u64 page, u32 rights)
{
	if (!has_ept())
		return;
	ept_map(ept_root, page, page == GUEST_IDT ? (u64)window_idt : (u64)window_stack, PAGE_SIZE,
		rights);
	must(invept(1, ept_pointer(ept_root)), "INVEPT");
}

void window_make(void)
{
	window_directory = window_open(WINDOW);
	ept_root = ept_new();
	ept_identity(ept_root, BIT(32), 2 << 20);
	window_idt = page_alloc();
	window_stack = page_alloc();
	if (!has_ept()) {
		u64 *table = page_alloc();

		table[0] = (u64)window_idt | PTE_P | PTE_W;
		table[1] = (u64)window_stack | PTE_P | PTE_W;
		window_directory[0] = (u64)table | PTE_P | PTE_W;
	}
}

void event_reset(struct vm *vm, const void *code)
{
	struct idt_gate *gates = (struct idt_gate *)window_idt;

	for (unsigned int i = 0; i < 256; i++) {
		u64 handler = (u64)event_stubs + 16 * i;

		gates[i].low = (handler & 0xffff) | SEL_CODE << 16 |
			       (i == 3 || i == 4 ? 0xeeull : 0x8eull) << 40 |
			       (handler & 0xffff0000) << 32;
		gates[i].high = handler >> 32;
	}
	vm_reset(vm, code);
	if (has_ept())
		vm_use_ept(ept_pointer(ept_root));
	window_right(GUEST_IDT, EPT_RWX);
	window_right(GUEST_STACK_PAGE, EPT_RWX);
	memset(window_stack, 0, PAGE_SIZE);
	vmwrite(GUEST_IDTR_BASE, GUEST_IDT);
	vmwrite(GUEST_IDTR_LIMIT, PAGE_SIZE - 1);
	vmwrite(GUEST_RSP, GUEST_RSP_START);
}

static bool pushes_error(u64 vector)
{
	return vector < 32 && (BIT(vector) & 0x227d00);
}

void print_event_exit(struct vm *vm, u32 reason, const void *code)
{
	u64 rip = vmread(GUEST_RIP), rsp = vmread(GUEST_RSP);
	const u64 *frame = &window_stack[(rsp - GUEST_STACK_PAGE) / 8];
	u64 vector = vm->regs[RBX];

	if (reason != REASON_VMCALL || rip < (u64)event_stubs || rip >= (u64)event_stubs + 4096) {
		print_exit(vm, reason);
		if (reason == REASON_VMCALL)
			print(" rbx=%lx", vm->regs[RBX]);
		return;
	}
	print("delivered %lu", vector);
	if (pushes_error(vector))
		print(" error=%lx", *frame++);
	print(" rip=+%lu rflags=%lx", frame[0] - (u64)code, frame[2] & ~RFLAGS_RF);
	if (vmread(ENTRY_INTR_INFO) & INTR_VALID)
		print(" (still to be injected)");
	if (vmread(GUEST_INTERRUPTIBILITY))
		print(" blocking=%lx", vmread(GUEST_INTERRUPTIBILITY));
}
