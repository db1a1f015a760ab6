/*
 * IN and OUT that L0 intercepts: only ports that turn the machine off. The
 * access itself always goes on to the hardware.
 */
#include "vm/io.h"

#include "cpu/cpu.h"
#include "debug/console.h"
#include "nested/operand.h"
#include "vm/exits.h"
#include "vm/power.h"
#include "vm/regs.h"

#define PORT_KEYBOARD_COMMAND 0x64u
#define KEYBOARD_PULSE_RESET 0xfeu
#define PORT_RESET_CONTROL 0xcf9u
#define RESET_CONTROL_CPU BIT32(2)
#define PORT_BOCHS_SHUTDOWN 0x8900u
#define PM1_SLP_EN BIT32(13)
#define PM1_SLP_TYP(v) ((v) >> 10 & 7)

void vm_io_bitmap_init(const struct vm *vm, u8 *a, u8 *b)
{
	const struct acpi_info *acpi = &vm->acpi;
	u16 port[] = {
		PORT_KEYBOARD_COMMAND, PORT_RESET_CONTROL, PORT_BOCHS_SHUTDOWN,
		acpi->pm1a_cnt, (u16)(acpi->pm1a_cnt + 1),
		acpi->pm1b_cnt, (u16)(acpi->pm1b_cnt + 1),
	};

	for (u32 i = 0; i < ARRAY_SIZE(port); i++)
		if (port[i] > 1)
			(port[i] & 0x8000 ? b : a)[(port[i] & 0x7fff) / 8] |=
				(u8)(1 << port[i] % 8);
}

static bool is_pm1(const struct vm *vm, u16 port)
{
	return port && (port == vm->acpi.pm1a_cnt || port == vm->acpi.pm1b_cnt);
}

/* Sleep states but S5 would wake up in firmware, and L1 without L0. False: drop the write. */
static bool pm1_write(struct vcpu *v, u32 value)
{
	if (!(value & PM1_SLP_EN))
		return true;
	if (v->vm->acpi.s5_known && PM1_SLP_TYP(value) != v->vm->acpi.s5_typ_a &&
	    PM1_SLP_TYP(value) != v->vm->acpi.s5_typ_b) {
		con_printf("L1 asked for sleep type %u: only power-off (S5) is supported\n",
			   PM1_SLP_TYP(value));
		return false;
	}
	vm_power_summary(v, "ACPI power-off");
	return true;
}

/* Bochs ends when the whole word has been written to the port. */
static void bochs_shutdown(struct vcpu *v, u8 c)
{
	static const char word[] = "Shutdown";

	v->shutdown_at = c == (u8)word[v->shutdown_at] ? v->shutdown_at + 1 : c == (u8)word[0];
	if (v->shutdown_at == sizeof(word) - 1) {
		v->shutdown_at = 0;
		vm_power_summary(v, "shutdown port");
	}
}

static void out(struct vcpu *v, u16 port, u32 size, u32 value)
{
	if (is_pm1(v->vm, port) && size > 1 && !pm1_write(v, value))
		return;
	if ((port == PORT_RESET_CONTROL && (value & RESET_CONTROL_CPU)) ||
	    (port == PORT_KEYBOARD_COMMAND && (u8)value == KEYBOARD_PULSE_RESET))
		vm_power_summary(v, "reset");
	if (port == PORT_BOCHS_SHUTDOWN)
		bochs_shutdown(v, (u8)value);
	if (size == 1)
		cpu_outb(port, (u8)value);
	else if (size == 2)
		cpu_outw(port, (u16)value);
	else
		cpu_outl(port, value);
}

static u32 in(u16 port, u32 size)
{
	return size == 1 ? cpu_inb(port) : size == 2 ? cpu_inw(port) : cpu_inl(port);
}

static bool string_element(struct vcpu *v, const struct nested_string *s, u64 qual,
			   struct outcome *fault)
{
	u32 size = IOQ_SIZE(qual), value = 0;

	if (qual & IOQ_IN) {
		if (!nested_string_check(s, size, fault))
			return false;
		value = in(IOQ_PORT(qual), size);
		if (!nested_string_write(s, &value, size, fault))
			return false;
	} else {
		if (!nested_string_read(s, &value, size, fault))
			return false;
		out(v, IOQ_PORT(qual), size, value);
	}
	nested_breakpoint_port(&v->nested, IOQ_PORT(qual), size);
	return true;
}

/* As the processor writes a register of an address size: 32 bits clear the upper half. */
static void update(u64 *reg, u64 value, u64 mask)
{
	*reg = mask == 0xffff ? (*reg & ~mask) | (value & mask) : value & mask;
}

/* One element of INS or OUTS; the instruction is repeated while elements are left. */
static void string_io(struct vcpu *v, u64 qual)
{
	u64 *reg = &v->frame.gpr[qual & IOQ_IN ? GPR_RDI : GPR_RSI];
	u64 *count = &v->frame.gpr[GPR_RCX], step = IOQ_SIZE(qual);
	struct nested_string s;
	struct outcome fault;

	nested_string_decode(&v->nested, qual & IOQ_IN, &s);
	if ((qual & IOQ_REP) && !(*count & s.mask)) {
		vcpu_done(v);
		return;
	}
	if (!string_element(v, &s, qual, &fault)) {
		if (fault.kind == OUT_FAULT)
			vcpu_fault(v, fault);
		return;
	}
	if (vmx_read(VMCS_GUEST_RFLAGS) & RFLAGS_DF)
		step = -step;
	update(reg, *reg + step, s.mask);
	if (qual & IOQ_REP) {
		update(count, *count - 1, s.mask);
		if (*count & s.mask) {
			vcpu_iterated(v);
			return;
		}
	}
	vcpu_done(v);
}

void vm_exit_io(struct vcpu *v)
{
	u64 qual = vmx_read(VMCS_EXIT_QUALIFICATION), *rax = &v->frame.gpr[GPR_RAX];
	u32 size = IOQ_SIZE(qual);
	u64 mask = size == 4 ? 0xffffffff : BIT(8 * size) - 1;

	if (qual & IOQ_STRING) {
		string_io(v, qual);
		return;
	}
	if (!(qual & IOQ_IN))
		out(v, IOQ_PORT(qual), size, (u32)(*rax & mask));
	else if (size == 4)
		*rax = in(IOQ_PORT(qual), size);
	else
		*rax = (*rax & ~mask) | (in(IOQ_PORT(qual), size) & mask);
	nested_breakpoint_port(&v->nested, IOQ_PORT(qual), size);
	vcpu_done(v);
}
