/*
 * An INIT from one CPU to the other, which is in VMX root operation: it waits for a VM entry, after which
 * it is an exit, or for VMXOFF, after which the CPU waits for a SIPI.
 * SDM: Restrictions on VMX Operation; Other Causes of VM Exits.
 */
#include "vmx.h"

static u32 other;
static struct vm vm;
static volatile u32 stage, go;
static u32 first, second;

asm("i_end: mov $1, %ebx; vmcall\n");
extern const char i_end[];

static bool wait_for(volatile const u32 *what, u32 value)
{
	for (u32 i = 0; i < 500000 && *what != value; i++)
		cpu_relax(1);
	return *what == value;
}

static void expect(const char *text, bool holds)
{
	print("%s: %s\n", text, holds ? "yes" : "NO");
}

/* In root operation until told to enter; then again until told to leave it. */
static void work(void)
{
	vmx_on();
	vm_init(&vm);
	vm_reset(&vm, i_end);
	stage = 1;
	wait_for(&go, 1);
	first = vm_run(&vm);
	second = vm_run(&vm);
	stage = 2;
	wait_for(&go, 2);
	vmx_off();
	stage = 3;
	for (;;)
		cpu_relax(1);
}

static void idle(void)
{
	stage = 4;
	for (;;)
		cpu_relax(1);
}

int main(void)
{
	other = 1 - cpu_id();
	apic_enable();
	cpu_start(other, work);
	expect("in root operation", wait_for(&stage, 1));
	cpu_send(other, IPI_INIT);
	cpu_relax(5000);
	go = 1;
	expect("it goes on", wait_for(&stage, 2));
	print("then its guest exits by %s and %s\n", reason_name(first), reason_name(second));
	cpu_send(other, IPI_INIT);
	cpu_relax(5000);
	go = 2;
	cpu_relax(50000);
	expect("after VMXOFF it stops", stage == 2);
	cpu_prepare(idle);
	cpu_send(other, IPI_STARTUP | 8);
	expect("and starts by a SIPI", cpu_arrives() && wait_for(&stage, 4));
	return 0;
}
