/*
 * Posted interrupts: vectors in the descriptor reach the guest by a notification, without an exit;
 * other interrupts exit. The descriptor is page-aligned, as the emulator wants it. Left out: a
 * notification of nothing, which makes the emulator deliver vector 255, and one with IF clear,
 * which it keeps waiting. SDM: Posted-Interrupt Processing; Virtual-Interrupt Delivery;
 * VM-Execution Control Fields.
 */
#include "vmx.h"

#define WINDOW		0x140000000ull		/* the guest's virtualized APIC */
#define NOTIFICATION	0xf2
#define NOTIFY		"movl $0x440f2, (%rdi); nop; nop; "	/* RDI: the real APIC's ICR */
#define EOI		"xor %eax, %eax; movabs %eax, 0x1400000b0; nop; "
#define COUNTS		"mov trap_count + 4 * 0x61, %ebx; shl $8, %ebx; or trap_count + 4 * 0x95, %ebx; "

#define ICR_LOW		(APIC_BASE + 0x300)

static u8 *virtual_apic, *access_page;
static u64 *descriptor;		/* PIR in the first four, then ON in bit 0 */
static u64 *root;

asm("p_notify: " NOTIFY COUNTS "cli; vmcall\n"
    "p_eoi: " NOTIFY EOI EOI COUNTS "cli; vmcall\n"
    "p_tpr: mov $7, %eax; mov %rax, %cr8; " NOTIFY COUNTS "mov %ebx, %esi; xor %eax, %eax; mov %rax, %cr8; nop; "
    COUNTS "cli; vmcall\n"
    "p_other: movl $0x44062, (%rdi); nop; nop; cli; vmcall\n"
    "p_nothing: nop; nop; " COUNTS "cli; vmcall\n"
    "p_warm: int $0x61; int $0x95; push %rax; pop %rax; vmcall\n");
extern const char p_notify[], p_eoi[], p_tpr[], p_other[], p_nothing[], p_warm[];

static void post(u32 vector)
{
	descriptor[vector / 64] |= BIT(vector % 64);
	descriptor[4] |= 1;
}

static void reset(struct vm *vm, const char *code)
{
	memset(virtual_apic, 0, PAGE_SIZE);
	memset(descriptor, 0, PAGE_SIZE);
	vm_reset(vm, code);
	vm_use_ept(ept_pointer(root));
	control_set(PRIMARY_CONTROLS, PRI_TPR_SHADOW);
	control_set(SECONDARY_CONTROLS, SEC_APIC_ACCESS | SEC_APIC_REGISTERS | SEC_VIRTUAL_INTR);
	control_set(PIN_CONTROLS, PIN_EXTERNAL | PIN_POSTED);
	control_set(EXIT_CONTROLS, EXIT_ACK);
	vmwrite(VIRTUAL_APIC, (u64)virtual_apic);
	vmwrite(APIC_ACCESS, (u64)access_page);
	vmwrite(TPR_THRESHOLD, 0);
	vmwrite(GUEST_INTR_STATUS, 0);
	for (u32 i = 0; i < 4; i++)
		vmwrite(EOI_EXIT0 + 2 * i, 0);
	vmwrite(POSTED_VECTOR, NOTIFICATION);
	vmwrite(POSTED_DESCRIPTOR, (u64)descriptor);
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_IF);
	vm->regs[RDI] = ICR_LOW;
	trap_count[0x61] = trap_count[0x95] = 0;
}

static void show(struct vm *vm, const char *text)
{
	u32 reason = vm_run(vm);

	print("%s: ", text);
	print_exit(vm, reason);
	print(" rbx=%lx rsi=%lx status=%lx posted=%lx on=%lx\n", vm->regs[RBX], vm->regs[RSI],
	      vmread(GUEST_INTR_STATUS),
	      descriptor[0] | descriptor[1] | descriptor[2] | descriptor[3], descriptor[4]);
}

static void test_delivery(struct vm *vm)
{
	reset(vm, p_notify);
	post(0x61);
	show(vm, "one vector");
	reset(vm, p_notify);
	post(0x61);
	post(0x95);
	show(vm, "two vectors, no EOI");
	reset(vm, p_eoi);
	post(0x61);
	post(0x95);
	show(vm, "two vectors, EOIs");
	reset(vm, p_tpr);
	post(0x61);
	show(vm, "one vector held by the TPR");
	reset(vm, p_nothing);
	post(0x61);
	show(vm, "no notification");
	reset(vm, p_eoi);
	post(0x61);
	vmwrite(EOI_EXIT1, BIT(0x61 - 64));
	show(vm, "one vector, exit at its EOI");
}

static void test_exits(struct vm *vm)
{
	reset(vm, p_other);
	post(0x61);
	show(vm, "another vector");
	apic_eoi();
	reset(vm, p_nothing);
	post(0x61);
	*(volatile u32 *)ICR_LOW = 0x44000 | NOTIFICATION;
	show(vm, "a notification in the VMM");
	reset(vm, p_nothing);
	post(0x61);
	control_clear(PIN_CONTROLS, PIN_POSTED);
	*(volatile u32 *)ICR_LOW = 0x44000 | NOTIFICATION;
	show(vm, "the same without posted interrupts");
	apic_eoi();
}

static void test_checks(struct vm *vm)
{
	reset(vm, p_nothing);
	vmwrite(POSTED_DESCRIPTOR, (u64)descriptor + 32);
	show(vm, "descriptor not aligned");
	vmwrite(POSTED_DESCRIPTOR, BIT(50));
	show(vm, "descriptor too high");
	vmwrite(POSTED_DESCRIPTOR, (u64)descriptor);
	vmwrite(POSTED_VECTOR, 0x100);
	show(vm, "vector 256");
	vmwrite(POSTED_VECTOR, NOTIFICATION);
	control_clear(EXIT_CONTROLS, EXIT_ACK);
	show(vm, "no acknowledgement");
	control_set(EXIT_CONTROLS, EXIT_ACK);
	control_clear(SECONDARY_CONTROLS, SEC_VIRTUAL_INTR);
	show(vm, "no virtual-interrupt delivery");
}

/* So that nobody's EPT tables lack what delivery needs (see vmx_apic). */
static void warm_up(struct vm *vm)
{
	reset(vm, p_warm);
	show(vm, "interrupts of its own");
}

int main(void)
{
	struct vm vm;

	apic_enable();
	vmx_on();
	virtual_apic = page_alloc();
	access_page = page_alloc();
	descriptor = page_alloc();
	root = ept_new();
	ept_identity(root, BIT(32), 2 << 20);
	window_open(WINDOW);
	ept_map(root, WINDOW, (u64)access_page, PAGE_SIZE, EPT_RWX);
	vm_init(&vm);
	warm_up(&vm);
	test_delivery(&vm);
	test_exits(&vm);
	test_checks(&vm);
	vmx_off();
	return 0;
}
