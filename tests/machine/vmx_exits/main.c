/*
 * A guest that causes each simple exit, and does the same where it is not intercepted. One line per
 * case: every exit with its information, then RBX at the guest's VMCALL.
 */
#include "vmx_exits.h"

u8 zero_page[PAGE_SIZE] __attribute__((aligned(4096)));
u8 io_bitmaps[2 * PAGE_SIZE] __attribute__((aligned(4096)));
u8 msr_bitmap_page[PAGE_SIZE] __attribute__((aligned(4096)));

handler_fn handler;

static void exceptions(u64 bitmap)
{
	vmwrite(EXCEPTION_BITMAP, bitmap);
}

static void count_only(struct trap_frame *frame)
{
	(void)frame;
}

static void io_bitmap(u32 port)
{
	memset(io_bitmaps, 0, sizeof(io_bitmaps));
	io_bitmaps[port / 8] |= (u8)(1u << port % 8);
	vmwrite(IO_BITMAP_A, (u64)io_bitmaps);
	vmwrite(IO_BITMAP_B, (u64)io_bitmaps + PAGE_SIZE);
	control_set(PRIMARY_CONTROLS, PRI_IO_BITMAPS);
}

static void io_bitmap_but(u32 port)
{
	io_bitmap(port);
	for (unsigned int i = 0; i < sizeof(io_bitmaps); i++)
		io_bitmaps[i] ^= 0xff;
}

static void msr_bitmap(int bit)
{
	memset(msr_bitmap_page, 0, sizeof(msr_bitmap_page));
	if (bit >= 0)
		msr_bitmap_page[bit / 8] |= (u8)(1u << bit % 8);
	vmwrite(MSR_BITMAP, (u64)msr_bitmap_page);
	control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
}

static void msr_bitmap_but(int bit)
{
	msr_bitmap(bit);
	for (unsigned int i = 0; i < sizeof(msr_bitmap_page); i++)
		msr_bitmap_page[i] ^= 0xff;
}

/* The guest is at CPL 3. */
static void user(void)
{
	vmwrite(GUEST_CS, SEL_USER_CODE | 3);
	vmwrite(GUEST_CS_RIGHTS, 0xa0fb);
	vmwrite(GUEST_SS, SEL_USER_DATA | 3);
	vmwrite(GUEST_SS_RIGHTS, 0xc0f3);
}

static bool close_windows(struct vm *vm, u32 reason)
{
	(void)vm;
	if (reason != REASON_INTR_WINDOW && reason != REASON_NMI_WINDOW)
		return false;
	print(" rbx=%lu", vm->regs[RBX]);
	control_clear(PRIMARY_CONTROLS, PRI_INTR_WINDOW | PRI_NMI_WINDOW);
	return true;
}

static void window(void)
{
	control_set(PRIMARY_CONTROLS, PRI_INTR_WINDOW);
	handler = close_windows;
}

static void virtual_nmi(void)
{
	control_set(PIN_CONTROLS, PIN_NMI | PIN_VIRTUAL_NMI);
}

/* An NMI exit leaves NMIs blocked in the VMM until an IRET. */
static bool after_nmi(struct vm *vm, u32 reason)
{
	(void)vm;
	if (reason != REASON_EXCEPTION)
		return false;
	asm volatile("int $0x60" : : : "memory");
	return true;
}

/* What the exit left pending arrives when the VMM opens IF; what it acknowledged does not. */
static bool after_external(struct vm *vm, u32 reason)
{
	u32 before = trap_count[0x50];

	(void)vm;
	if (reason != REASON_EXTERNAL)
		return false;
	asm volatile("sti; nop; nop; cli" : : : "memory");
	print(" arrived=%u", trap_count[0x50] - before);
	if (vmread(EXIT_INTR_INFO) & INTR_VALID)
		apic_eoi();
	if ((vmread(EXIT_INTR_INFO) & 0xff) == 0x51) {
		print(" activity=%lu", vmread(GUEST_ACTIVITY));
		vmwrite(GUEST_ACTIVITY, 0);
		vmwrite(GUEST_RIP, (u64)guest_end);
	}
	return true;
}

static bool after_timer(struct vm *vm, u32 reason);

/* Whichever is first, the other is still to come. */
static bool timer_then_external(struct vm *vm, u32 reason)
{
	return after_external(vm, reason) || after_timer(vm, reason);
}

static bool window_then_external(struct vm *vm, u32 reason)
{
	return after_external(vm, reason) || close_windows(vm, reason);
}

static void external(u32 ack)
{
	control_set(PIN_CONTROLS, PIN_EXTERNAL);
	if (ack)
		control_set(EXIT_CONTROLS, ack);
	trap_count[0x50] = 0;
	handler = after_external;
}

static bool after_timer(struct vm *vm, u32 reason)
{
	if (reason != REASON_TIMER)
		return false;
	print(" ran=%s activity=%lu", vm->regs[RBX] ? "yes" : "no", vmread(GUEST_ACTIVITY));
	control_clear(PIN_CONTROLS, PIN_TIMER);
	vmwrite(GUEST_ACTIVITY, 0);
	vm->regs[RBX] = 0;
	vmwrite(GUEST_RIP, (u64)guest_end);
	return true;
}

/* The exit is before the first instruction of #UD's handler. */
static bool in_ud_handler(struct vm *vm, u32 reason)
{
	extern const u8 trap_stubs[];

	(void)vm;
	(void)reason;
	print(" in the handler=%s", vmread(GUEST_RIP) == (u64)trap_stubs + 16 * 6 ? "yes" : "no");
	return false;
}

static void breakpoint_at_start(const struct vm *vm)
{
	u64 rip = vmread(GUEST_RIP);

	(void)vm;
	asm volatile("mov %0, %%db0" : : "r" (rip));
}

static void preemption(u32 value)
{
	control_set(PIN_CONTROLS, PIN_TIMER);
	vmwrite(PREEMPTION_TIMER, value);
	handler = after_timer;
}

#define CASE(id, text, setup, code)					\
	asm(".pushsection .text; guest_" #id ": " code "; vmcall; ud2; .popsection");	\
	extern const char guest_##id[];					\
	static void setup_##id(struct vm *vm) { (void)vm; setup; }
#include "cases.def"
#include "registers.def"
#include "io.def"
#include "blocking.def"
#undef CASE

#define CASE(id, text, setup, code)	{ text, setup_##id, guest_##id },
static const struct exit_case cases[] = {
#include "cases.def"
#include "registers.def"
#include "io.def"
#include "blocking.def"
};
#undef CASE

/* An exit by an instruction is answered by skipping it. */
static bool skip_instruction(u32 reason)
{
	if (BIT(reason) & EXITS_WITHOUT_INSTRUCTION)
		return false;
	vm_skip();
	return true;
}

/* An instruction that the guest may execute and this CPU does not know, outside TRY(). */
static void unknown_instruction(struct trap_frame *frame)
{
	frame->rip = trap_resume ? trap_resume : (u64)guest_end;
	trap_last.vector = 6;
	trap_resume = 0;
}

void run_case(struct vm *vm, const struct exit_case *c)
{
	u32 reason;

	handler = NULL;
	trap_hook[3] = NULL;
	trap_hook[6] = unknown_instruction;
	vm_reset(vm, c->guest);
	missing = false;
	tolerate_missing = true;
	c->setup(vm);
	tolerate_missing = false;
	print("%s:", c->text);
	if (missing) {
		print(" not on this CPU\n");
		return;
	}
	for (int exits = 0; exits < 8; exits++) {
		reason = vm_run(vm);
		if (reason == REASON_VMCALL) {
			print(" end rbx=%lx\n", vm->regs[RBX]);
			return;
		}
		print(" ");
		print_exit(vm, reason);
		print(";");
		if (reason >= 64 || !((handler && handler(vm, reason)) || skip_instruction(reason)))
			break;
	}
	print(" stop\n");
}

int main(void)
{
	struct vm vm;

	apic_enable();
	vmx_on();
	vm_init(&vm);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++)
		run_case(&vm, &cases[i]);
	test_tasks(&vm);
	vm_reset(&vm, NULL);
	if (control_can(SECONDARY_CONTROLS, SEC_EPT | SEC_UNRESTRICTED)) {
		test_modes(&vm);
		test_ept_exits(&vm);
	}
	test_entry_failures(&vm);
	vmx_off();
	return 0;
}
