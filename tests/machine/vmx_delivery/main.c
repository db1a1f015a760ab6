/*
 * Every kind of event x everything that can happen while it is delivered: the exit's reason,
 * IDT-vectoring information, error code, instruction length, RIP and RSP; then the event injected
 * again, as every hypervisor does, and its handler run exactly once.
 * SDM: Information for VM Exits That Occur During Event Delivery; Event Injection.
 */
#include "world.h"

#define PRESENT		BIT(47)
#define GATE_TYPE	(0xfull << 40)
#define IST1		BIT(32)
#define END_MARK	0xabcu
#define STATUS_FLAGS	0x8d5ul	/* DIV leaves them undefined */

asm("d_nop: nop; nop; jmp d_end\n"
    "d_ud: nop; ud2\n"
    "d_de: xor %ecx, %ecx; div %ecx\n"
    "d_gp: nop; mov $0x5650, %eax; mov %eax, %ds\n"
    "d_pf: nop; movabs %al, 0x500000010\n"
    "d_int: nop; int $0x61; jmp d_end\n"
    "d_int3: nop; int3; jmp d_end\n"
    "d_int1: nop; .byte 0xf1; jmp d_end\n"
    "d_end: mov $0xabc, %ebx; vmcall\n");
extern const char d_nop[], d_ud[], d_de[], d_gp[], d_pf[], d_int[], d_int3[], d_int1[], d_end[];

static const struct source {
	const char *text;
	const char *code;
	u32 vector;
	u32 inject;		/* 0: the guest causes it */
	u32 error, length;
} sources[] = {
	{ "#UD", d_ud, 6, 0, 0, 0 },
	{ "#DE", d_de, 0, 0, 0, 0 },
	{ "#GP", d_gp, 13, 0, 0, 0 },
	{ "#PF", d_pf, 14, 0, 0, 0 },
	{ "#DB by TF", d_nop, 1, 0, 0, 0 },
	{ "INT 0x61", d_int, 0x61, 0, 0, 0 },
	{ "INT3", d_int3, 3, 0, 0, 0 },
	{ "INT1", d_int1, 1, 0, 0, 0 },
	{ "external interrupt", d_nop, 0x50, 0, 0, 0 },
	{ "injected external interrupt", d_nop, 0x60, INTR_EXTERNAL, 0, 0 },
	{ "injected NMI", d_nop, 2, INTR_NMI, 0, 0 },
	{ "injected #UD", d_nop, 6, INTR_HARDWARE, 0, 0 },
	{ "injected #DF", d_nop, 8, INTR_HARDWARE | INTR_ERROR, 0, 0 },
	{ "injected #GP", d_nop, 13, INTR_HARDWARE | INTR_ERROR, 0x4440, 0 },
	{ "injected #PF", d_nop, 14, INTR_HARDWARE | INTR_ERROR, 5, 0 },
	{ "injected #DB", d_nop, 1, INTR_HARDWARE, 0, 0 },
	{ "injected INT 0x61", d_nop, 0x61, INTR_SOFT_INT, 0, 1 },
	{ "injected INT3", d_nop, 3, INTR_SOFT_EXC, 0, 1 },
	{ "injected INTO", d_nop, 4, INTR_SOFT_EXC, 0, 1 },
	{ "injected INT1", d_nop, 1, INTR_PRIV_SOFT, 0, 1 },
};

static struct idt_gate *gate(const struct source *s)
{
	return world_gate(s->vector);
}

static void intercept(unsigned int vector)
{
	vmwrite(EXCEPTION_BITMAP, BIT(vector));
}

static void apic_access(enum page page)
{
	control_set(SECONDARY_CONTROLS, SEC_APIC_ACCESS);
	vmwrite(APIC_ACCESS, (u64)world_page(page));
}

#define CASE(id, text, setup) \
	static void setup_##id(const struct source *s) { (void)s; setup; }
#include "troubles.def"
#undef CASE

static const struct trouble {
	const char *text;
	void (*setup)(const struct source *s);
} troubles[] = {
#define CASE(id, text, setup)	{ text, setup_##id },
#include "troubles.def"
#undef CASE
};

static void start(struct vm *vm, const struct source *s)
{
	world_reset(vm, s->code);
	write_cr2(0);
	if (s->vector == 1 && s->code == d_nop && !s->inject)
		vmwrite(GUEST_RFLAGS, 2 | RFLAGS_TF);
	if (s->vector == 0x50)
		apic_self_ipi(0x50);
	if (s->vector == 0x50 || s->vector == 0x60)
		vmwrite(GUEST_RFLAGS, 2 | RFLAGS_IF);
	if (s->vector == 0x60 || s->inject)
		vmwrite(ENTRY_INTR_INFO, INTR_VALID | s->inject | s->vector);
	vmwrite(ENTRY_INTR_ERROR, s->error);
	vmwrite(ENTRY_INSN_LENGTH, s->length);
}

/* The guest-linear address of a frame, in the VMM's memory. */
static u64 *frame_at(u64 rsp)
{
	u64 page = (rsp - WINDOW) / PAGE_SIZE;

	if (rsp < WINDOW || page >= PAGES)
		die("RSP %lx is outside the window", rsp);
	return (u64 *)((u8 *)world_page((enum page)page) + rsp % PAGE_SIZE);
}

static bool in_handler(void)
{
	u64 rip = vmread(GUEST_RIP);

	return rip >= PAGE_AT(HANDLER_PAGE) && rip < PAGE_AT(HANDLER_PAGE) + PAGE_SIZE;
}

/* Shows the frame that a handler found, and makes it return to d_end. */
static void print_delivered(struct vm *vm, const struct source *s)
{
	u64 vector = vm->regs[RBX], rsp = vmread(GUEST_RSP);
	u64 *frame = frame_at(rsp);

	print("delivered %lu", vector);
	if (vector < 32 && (BIT(vector) & 0x227d00))
		print(" error=%lx", *frame++);
	print(" rip=+%lu rflags=%lx rsp=-%lx", frame[0] - (u64)s->code,
	      frame[2] & ~(RFLAGS_RF | STATUS_FLAGS), PAGE_SIZE - rsp % PAGE_SIZE);
	if (vmread(GUEST_INTERRUPTIBILITY))
		print(" blocking=%lx", vmread(GUEST_INTERRUPTIBILITY));
	if (vector == 14)
		print(" cr2=%lx", read_cr2());
	frame[0] = (u64)d_end;
	frame[2] = 2;
	vmwrite(GUEST_RSP, rsp + (u64)((u8 *)frame - (u8 *)frame_at(rsp)));
	vm_skip();
}

static void print_interrupted(struct vm *vm, const struct source *s, u32 reason)
{
	print_exit(vm, reason);
	if (in_handler())
		print(" in the handler");
	else
		print(" rip=+%lu", vmread(GUEST_RIP) - (u64)s->code);
	print(" rsp=-%lx", PAGE_SIZE - vmread(GUEST_RSP) % PAGE_SIZE);
	if (vmread(GUEST_INTERRUPTIBILITY))
		print(" blocking=%lx", vmread(GUEST_INTERRUPTIBILITY));
	if (s->vector == 14)
		print(" cr2=%lx", read_cr2());
}

/* What a VMM does that found the reason of the exit and removed it; false: nothing. */
static bool mend(u32 reason)
{
	u64 info = vmread(IDT_INFO);

	if (reason == REASON_TRIPLE_FAULT || (reason == REASON_EXCEPTION && !(info & INTR_VALID)))
		return false;
	world_mend();
	if (!(info & INTR_VALID))
		return true;
	if ((info & 0x700) == INTR_NMI)
		vmwrite(GUEST_INTERRUPTIBILITY, 0);
	vmwrite(ENTRY_INTR_INFO, info & ~BIT(12));
	if (info & INTR_ERROR)
		vmwrite(ENTRY_INTR_ERROR, vmread(IDT_ERROR));
	if ((info & 0x700) >= INTR_SOFT_INT)
		vmwrite(ENTRY_INSN_LENGTH, vmread(EXIT_INSN_LENGTH));
	return true;
}

static void run_case(struct vm *vm, const struct source *s, const struct trouble *t)
{
	unsigned int deliveries = 0;
	u32 reason;

	start(vm, s);
	t->setup(s);
	print("%s, %s:", s->text, t->text);
	for (int exits = 0; exits < 6; exits++) {
		reason = vm_run(vm);
		print(" ");
		if (reason == REASON_VMCALL && vm->regs[RBX] == END_MARK)
			break;
		if (reason == REASON_VMCALL && in_handler()) {
			deliveries++;
			print_delivered(vm, s);
			print(";");
			continue;
		}
		print_interrupted(vm, s, reason);
		if (!mend(reason)) {
			print(", ");
			break;
		}
		print(";");
	}
	print("handlers %u\n", deliveries);
	trap_count[0x50] = 0;
	asm volatile("sti; nop; nop; cli" : : : "memory");
	if (trap_count[0x50])
		print("  the interrupt is still pending\n");
	else if (s->vector == 0x50)
		apic_eoi();
}

int main(void)
{
	struct vm vm;

	apic_enable();
	vmx_on();
	world_make();
	vm_init(&vm);
	for (unsigned int i = 0; i < ARRAY_SIZE(sources); i++)
		for (unsigned int j = 0; j < ARRAY_SIZE(troubles); j++)
			run_case(&vm, &sources[i], &troubles[j]);
	test_iret(&vm);
	vmx_off();
	return 0;
}
