/*
 * The virtual APIC: TPR shadow, APIC accesses, register virtualization, x2APIC mode,
 * virtual-interrupt delivery. SDM: APIC Virtualization and Virtual Interrupts. Posted interrupts:
 * vmx_posted.
 */
#include "vmx_apic.h"

u8 *virtual_apic;
static u8 *access_page, *msr_bitmap;
static u64 *root;

static void set_register(u32 offset, u32 value)
{
	*(volatile u32 *)(virtual_apic + offset) = value;
}

void tpr_shadow(void)
{
	control_set(PRIMARY_CONTROLS, PRI_TPR_SHADOW);
	vmwrite(VIRTUAL_APIC, (u64)virtual_apic);
}

void apic_access(void)
{
	control_set(SECONDARY_CONTROLS, SEC_APIC_ACCESS);
	vmwrite(APIC_ACCESS, (u64)access_page);
}

void registers(void)
{
	tpr_shadow();
	apic_access();
	control_set(SECONDARY_CONTROLS, SEC_APIC_REGISTERS);
}

void x2apic(u32 more)
{
	tpr_shadow();
	control_set(SECONDARY_CONTROLS, SEC_X2APIC | more);
	control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
	vmwrite(MSR_BITMAP, (u64)msr_bitmap);
}

void delivery(u8 vector)
{
	registers();
	control_set(PIN_CONTROLS, PIN_EXTERNAL);
	control_set(SECONDARY_CONTROLS, SEC_VIRTUAL_INTR);
	vmwrite(GUEST_INTR_STATUS, vector);
	for (u32 i = 0; i < 4; i++)
		vmwrite(EOI_EXIT0 + 2 * i, 0);
	if (vector)
		set_register(0x200 + vector / 32 * 16, 1u << vector % 32);
	trap_count[0x60] = 0;
}

#define CASE(id, text, setup, code)					\
	asm(".pushsection .text; guest_" #id ": " code "; vmcall; ud2; .popsection");	\
	extern const char guest_##id[];					\
	static void setup_##id(void) { setup; }
#include "cases.def"
#undef CASE

#define CASE(id, text, setup, code)	{ text, setup_##id, guest_##id },
static const struct apic_case {
	const char *text;
	void (*setup)(void);
	const char *guest;
} cases[] = {
#include "cases.def"
};
#undef CASE

/* Trap-like exits: the guest goes on by itself. */
static bool goes_on(u32 reason)
{
	if (reason == REASON_TPR)
		vmwrite(TPR_THRESHOLD, 0);
	return reason == REASON_TPR || reason == 45 || reason == 56;
}

void apic_reset(struct vm *vm, const char *guest)
{
	memset(virtual_apic, 0, PAGE_SIZE);
	vm_reset(vm, guest);
	vm_use_ept(ept_pointer(root));
	vmwrite(TPR_THRESHOLD, 0);
}

static void run_case(struct vm *vm, const struct apic_case *c)
{
	u32 reason;

	apic_reset(vm, c->guest);
	c->setup();
	print("%s:", c->text);
	for (int exits = 0; exits < 4; exits++) {
		reason = vm_run(vm);
		if (reason == REASON_VMCALL)
			break;
		print(" ");
		print_exit(vm, reason);
		print(";");
		if (reason == NO_EXIT || !goes_on(reason))
			break;
	}
	print(" rbx=%lx TPR=%x", vm->regs[RBX], *(u32 *)(virtual_apic + 0x80));
	if (vmread(SECONDARY_CONTROLS) & SEC_VIRTUAL_INTR)
		print(" status=%lx", vmread(GUEST_INTR_STATUS));
	print("\n");
}

/*
 * Lets the guest take an interrupt once, so that nobody's EPT tables lack what delivery needs: for
 * an EPT violation during the delivery of a virtual interrupt the emulator gives the IDT-vectoring
 * information of an older event (SDM: Information for VM Exits That Occur During Event Delivery).
 */
asm("guest_warm: int $0x60; push %rax; pop %rax; vmcall");
extern const char guest_warm[];

static void warm_up(struct vm *vm)
{
	vm_reset(vm, guest_warm);
	vm_use_ept(ept_pointer(root));
	print("interrupt of its own: %s\n", reason_name(vm_run(vm)));
}

int main(void)
{
	struct vm vm;

	apic_enable();
	vmx_on();
	virtual_apic = page_alloc();
	access_page = page_alloc();
	msr_bitmap = page_alloc();
	root = ept_new();
	ept_identity(root, BIT(32), 2 << 20);
	window_open(WINDOW);
	ept_map(root, WINDOW, (u64)access_page, PAGE_SIZE, EPT_RWX);
	vm_init(&vm);
	warm_up(&vm);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++)
		run_case(&vm, &cases[i]);
	test_sweep(&vm);
	vmx_off();
	return 0;
}
