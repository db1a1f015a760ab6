/*
 * Every register of the APIC, read and written through the APIC-access page and as an x2APIC MSR,
 * by how much of the APIC is virtualized: one line per register and access, one column per feature.
 * SDM: Virtualizing Memory-Mapped APIC Accesses; Virtualizing MSR-Based APIC Accesses.
 */
#include "vmx_apic.h"

#define FILL	0x5a0000u	/* the registers' contents, with their offsets */

asm("sweep_read: mov (%rsi), %eax; mov %eax, %ebx; vmcall\n"
    "sweep_write: mov %eax, (%rsi); mov $1, %ebx; vmcall\n"
    "sweep_read8: mov (%rsi), %al; mov $1, %ebx; vmcall\n"
    "sweep_read16: mov (%rsi), %ax; mov $1, %ebx; vmcall\n"
    "sweep_read64: mov (%rsi), %rax; mov $1, %ebx; vmcall\n"
    "sweep_write8: mov %al, (%rsi); mov $1, %ebx; vmcall\n"
    "sweep_write64: mov %rax, (%rsi); mov $1, %ebx; vmcall\n"
    "sweep_both: addl $1, (%rsi); mov $1, %ebx; vmcall\n"
    "sweep_rdmsr: rdmsr; mov %eax, %ebx; vmcall\n"
    "sweep_wrmsr: wrmsr; mov $1, %ebx; vmcall\n");
extern const char sweep_read[], sweep_write[], sweep_read8[], sweep_read16[], sweep_read64[],
	sweep_write8[], sweep_write64[], sweep_both[], sweep_rdmsr[], sweep_wrmsr[];

static void shadowed(void)
{
	apic_access();
	tpr_shadow();
}

static void delivered(void) { delivery(0); }
static void x2apic_alone(void) { x2apic(0); }
static void x2apic_registers(void) { x2apic(SEC_APIC_REGISTERS); }

static void x2apic_delivered(void)
{
	x2apic(SEC_APIC_REGISTERS | SEC_VIRTUAL_INTR);
	control_set(PIN_CONTROLS, PIN_EXTERNAL);
	vmwrite(GUEST_INTR_STATUS, 0);
	for (u32 i = 0; i < 4; i++)
		vmwrite(EOI_EXIT0 + 2 * i, 0);
}

/* ISR, TMR and IRR stay empty: nothing is to be delivered. */
static void fill_page(void)
{
	for (u32 i = 0; i < 0x400; i += 16)
		if (i < 0x100 || i >= 0x280)
			*(u32 *)(virtual_apic + i) = FILL | i;
}

static void print_result(struct vm *vm, u32 offset)
{
	u32 reason = vm_run(vm), now = *(u32 *)(virtual_apic + (offset & ~3u));

	print(" | ");
	if (reason == REASON_VMCALL)
		print("%lx", vm->regs[RBX]);
	else
		print_exit(vm, reason);
	if (now && now != (FILL | offset))
		print(" page %x", now);
	if (vmread(SECONDARY_CONTROLS) & SEC_VIRTUAL_INTR && vmread(GUEST_INTR_STATUS))
		print(" status=%lx", vmread(GUEST_INTR_STATUS));
}

static void sweep_access(struct vm *vm, const char *text, const char *code, u32 offset)
{
	static void (*const features[])(void) = { apic_access, shadowed, registers, delivered };

	print("%s %03x:", text, offset);
	for (unsigned int i = 0; i < ARRAY_SIZE(features); i++) {
		apic_reset(vm, code);
		fill_page();
		features[i]();
		vm->regs[RSI] = WINDOW + offset;
		vm->regs[RAX] = 0x71;
		print_result(vm, offset);
	}
	print("\n");
}

static void sweep_msr(struct vm *vm, const char *text, const char *code, u32 msr)
{
	static void (*const features[])(void) = {
		x2apic_alone, x2apic_registers, x2apic_delivered,
	};

	print("%s %x:", text, msr);
	for (unsigned int i = 0; i < ARRAY_SIZE(features); i++) {
		apic_reset(vm, code);
		fill_page();
		features[i]();
		vmwrite(EXCEPTION_BITMAP, BIT(13));
		vm->regs[RCX] = msr;
		vm->regs[RAX] = 0x71;
		print_result(vm, (msr & 0xff) << 4);
	}
	print("\n");
}

void test_sweep(struct vm *vm)
{
	static const struct { const char *text, *code; u32 offset; } odd[] = {
		{ "8-bit read", sweep_read8, 0x80 }, { "16-bit read", sweep_read16, 0x80 },
		{ "64-bit read", sweep_read64, 0x80 }, { "8-bit write", sweep_write8, 0x80 },
		{ "64-bit write", sweep_write64, 0x80 }, { "read", sweep_read, 0x84 },
		{ "read", sweep_read, 0x88 }, { "read", sweep_read, 0x8c },
		{ "8-bit read", sweep_read8, 0x83 }, { "read", sweep_read, 0x82 },
		{ "write", sweep_write, 0x84 }, { "read", sweep_read, 0xffc },
		{ "read and write", sweep_both, 0x80 }, { "read and write", sweep_both, 0x20 },
	};

	print("access: APIC accesses | TPR shadow | registers | interrupt delivery\n");
	for (u32 i = 0; i <= 0x400; i += 16)
		sweep_access(vm, "read", sweep_read, i);
	for (u32 i = 0; i <= 0x400; i += 16)
		sweep_access(vm, "write", sweep_write, i);
	for (unsigned int i = 0; i < ARRAY_SIZE(odd); i++)
		sweep_access(vm, odd[i].text, odd[i].code, odd[i].offset);
	print("access: x2APIC mode | registers | interrupt delivery\n");
	for (u32 i = 0x800; i <= 0x840; i++)
		sweep_msr(vm, "RDMSR", sweep_rdmsr, i);
	for (u32 i = 0x800; i <= 0x840; i++)
		sweep_msr(vm, "WRMSR", sweep_wrmsr, i);
}
