/*
 * An INIT that comes while the VMM is in VMX root operation waits: for a VM entry, after which it
 * is an exit, or for VMXOFF, after which it is an INIT. SDM: Restrictions on VMX Operation; Other
 * Causes of VM Exits. The firmware gives the CPU back where the shutdown status in CMOS RAM says.
 * With the argument "vmxoff", only that.
 */
#include "vmx.h"

#define REG_ICR_LOW	0x300
#define INIT		0x4500

#define CMOS_INDEX	0x70
#define CMOS_DATA	0x71
#define SHUTDOWN_STATUS	0x0f
#define JUMP		0x0a		/* to the far pointer at 40H:67H, in real mode */
#define RESTART		0x8000

static volatile u32 *volatile restart_vector = (void *)0x467;

asm("i_nothing: mov $1, %ebx; vmcall\n");
extern const char i_nothing[];

/* Tells that it runs, and ends the machine. */
asm(".code16\n"
    "restart: mov %cs, %ax; mov %ax, %ds; cld\n"
    "mov $(restart_text - restart), %si; mov $(restart_end - restart_text), %cx\n"
    "1: lodsb; out %al, $0xe9; loop 1b\n"
    "mov $(restart_word - restart), %si; mov $8, %cx; mov $0x8900, %dx\n"
    "1: lodsb; out %al, %dx; loop 1b\n"
    "1: hlt; jmp 1b\n"
    "restart_word: .ascii \"Shutdown\"\n"
    "restart_text: .ascii \"after VMXOFF: the CPU starts anew, in real mode\\ndone\\n\"\n"
    "restart_end: .code64\n");
extern const u8 restart[], restart_end[];

static void send_init(void)
{
	apic_write(REG_ICR_LOW, INIT);
	for (unsigned int i = 0; i < 20; i++)
		asm volatile("pause");
}

static void show(struct vm *vm, const char *text)
{
	print("%s: ", text);
	print_exit(vm, vm_run(vm));
	print(" rip=+%lu rbx=%lx\n", vmread(GUEST_RIP) - (u64)i_nothing, vm->regs[RBX]);
}

static u64 gate_offset(u32 vector)
{
	u64 low = idt[vector].low;

	return (low & 0xffff) | (low >> 32 & 0xffff0000) | idt[vector].high << 32;
}

static void test_entries(struct vm *vm)
{
	vm_reset(vm, i_nothing);
	send_init();
	show(vm, "INIT before VMLAUNCH");
	show(vm, "then");
	vm_reset(vm, i_nothing);
	send_init();
	send_init();
	show(vm, "two INITs");
	show(vm, "then");
	vm_reset(vm, i_nothing);
	vmwrite(GUEST_RFLAGS, 0);
	send_init();
	show(vm, "INIT before an entry that fails");
	vmwrite(GUEST_RFLAGS, 2);
	show(vm, "then");
	show(vm, "then");
	vm_reset(vm, i_nothing);
	vmwrite(GUEST_ACTIVITY, 1);
	send_init();
	show(vm, "INIT, HLT");
	print("  activity=%lu\n", vmread(GUEST_ACTIVITY));
	vm_reset(vm, i_nothing);
	vmwrite(ENTRY_INTR_INFO, INTR_VALID | INTR_HARDWARE | 6);
	send_init();
	print("INIT, #UD injected: ");
	print_exit(vm, vm_run(vm));
	print(" delivered: %u\n",
	      vmread(GUEST_RIP) == gate_offset(6) && !(vmread(ENTRY_INTR_INFO) & INTR_VALID));
}

static void test_vmxoff(void)
{
	memcpy((void *)RESTART, restart, (u64)(restart_end - restart));
	*restart_vector = RESTART / 16 << 16;
	outb(CMOS_INDEX, SHUTDOWN_STATUS);
	outb(CMOS_DATA, JUMP);
	send_init();
	print("INIT waits for VMXOFF\n");
	vmx_off();
	print("and is lost\n");
}

int main(void)
{
	struct vm vm;

	apic_enable();
	vmx_on();
	vm_init(&vm);
	if (memcmp(boot.command_line, "vmxoff", 7))
		test_entries(&vm);
	test_vmxoff();
	return 0;
}
