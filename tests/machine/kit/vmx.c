/*
 * VMX operation and VMX instructions, each with its outcome as a value. Flags are all set before
 * the instruction, so that one that leaves them as they were is seen. SDM: VMX Instruction
 * Reference, "Conventions".
 */
#include "vmx.h"

struct vmx_caps vmx_caps;

#define STATUS_FLAGS	0x8d5ull	/* OF SF ZF AF PF CF */
#define UNTOUCHED	(~0ull)

static struct outcome outcome_of(u64 flags)
{
	struct outcome o = { DID_OK, 0 };

	if (flags == UNTOUCHED)
		return (struct outcome){ DID_FAULT, 0 };
	switch (flags & STATUS_FLAGS) {
	case 0:
		return o;
	case BIT(0):
		o.kind = DID_FAIL_INVALID;
		return o;
	case BIT(6):
		o.kind = DID_FAIL_VALID;
		o.number = (u32)vmread(VM_INSN_ERROR);
		return o;
	}
	o.kind = DID_ODD_FLAGS;
	o.number = flags & STATUS_FLAGS;
	return o;
}

#define VMX_INSN(insn, ...) ({						\
	u64 flags_ = UNTOUCHED;						\
									\
	trap_last.vector = NO_FAULT;					\
	asm volatile("movq $77f, trap_resume\n\t"			\
		     "pushfq; orq $0x8d5, (%%rsp); popfq\n\t"		\
		     insn "\n\t"					\
		     "pushfq; popq %0\n\t"				\
		     "77: movq $0, trap_resume"				\
		     : "+r" (flags_) : __VA_ARGS__ : "memory", "cc");	\
	outcome_of(flags_);						\
})

struct outcome vmxon(u64 address)
{
	return VMX_INSN("vmxon (%1)", "r" (&address));
}

struct outcome vmxoff(void)
{
	return VMX_INSN("vmxoff");
}

struct outcome vmclear(u64 address)
{
	return VMX_INSN("vmclear (%1)", "r" (&address));
}

struct outcome vmptrld(u64 address)
{
	return VMX_INSN("vmptrld (%1)", "r" (&address));
}

u64 vmptrst(void)
{
	u64 address = 0;

	must(VMX_INSN("vmptrst (%1)", "r" (&address)), "VMPTRST");
	return address;
}

struct outcome vmread_try(u64 field, u64 *value)
{
	return VMX_INSN("vmread %1, (%2)", "r" (field), "r" (value));
}

struct outcome vmwrite_try(u64 field, u64 value)
{
	return VMX_INSN("vmwrite %1, %2", "r" (value), "r" (field));
}

struct outcome vmlaunch_only(void)
{
	return VMX_INSN("vmlaunch");
}

struct outcome vmresume_only(void)
{
	return VMX_INSN("vmresume");
}

struct outcome invept(u64 type, u64 eptp)
{
	u64 descriptor[2] = { eptp, 0 };

	return VMX_INSN("invept (%1), %2", "r" (descriptor), "r" (type));
}

struct outcome invvpid(u64 type, u16 vpid, u64 address)
{
	u64 descriptor[2] = { vpid, address };

	return VMX_INSN("invvpid (%1), %2", "r" (descriptor), "r" (type));
}

u64 vmread(u64 field)
{
	u64 value, flags;

	asm volatile("vmread %2, %0; pushfq; popq %1" : "=&r" (value), "=r" (flags)
		     : "r" (field) : "cc");
	if (flags & (BIT(0) | BIT(6)))
		die("VMREAD of field %#lx failed", field);
	return value;
}

bool tolerate_missing, missing;

void vmwrite(u64 field, u64 value)
{
	u64 flags;

	asm volatile("vmwrite %1, %2; pushfq; popq %0" : "=r" (flags) : "r" (value), "r" (field)
		     : "cc", "memory");
	if (!(flags & (BIT(0) | BIT(6))))
		return;
	if (!tolerate_missing)
		die("VMWRITE of field %#lx failed", field);
	missing = true;
}

const char *outcome_text(struct outcome o)
{
	static char text[] = "VMfailValid(..)";

	switch (o.kind) {
	case DID_OK:
		return "ok";
	case DID_FAIL_INVALID:
		return "VMfailInvalid";
	case DID_FAIL_VALID:
		text[12] = (char)('0' + o.number / 10);
		text[13] = (char)('0' + o.number % 10);
		return text;
	case DID_FAULT:
		return fault_text();
	case DID_ODD_FLAGS:
		break;
	}
	return "flags that mean nothing";
}

void must(struct outcome o, const char *what)
{
	if (o.kind != DID_OK)
		die("%s: %s", what, outcome_text(o));
}

static struct control_caps read_controls(u32 msr)
{
	u64 value = rdmsr(msr);

	return (struct control_caps){ (u32)value, (u32)(value >> 32) };
}

void vmx_read_caps(void)
{
	struct vmx_caps *c = &vmx_caps;
	u32 true_ones;

	c->basic = rdmsr(MSR_VMX_BASIC);
	c->revision = (u32)c->basic & 0x7fffffff;
	true_ones = c->basic & BIT(55) ? 0x48d - 0x481 : 0;
	c->pin = read_controls(0x481 + true_ones);
	c->primary = read_controls(0x482 + true_ones);
	c->exit = read_controls(0x483 + true_ones);
	c->entry = read_controls(0x484 + true_ones);
	c->misc = rdmsr(MSR_VMX_MISC);
	if (c->primary.may & PRI_SECONDARY)
		c->secondary = read_controls(MSR_VMX_SECONDARY);
	if (c->secondary.may & (SEC_EPT | SEC_VPID))
		c->ept_vpid = rdmsr(MSR_VMX_EPT_VPID);
}

void vmx_prepare(void)
{
	u64 control;

	if (!(cpuid(1, 0).ecx & BIT(5)))
		die("this CPU has no VMX");
	control = rdmsr(MSR_FEATURE_CONTROL);
	if (!(control & BIT(0)))
		wrmsr(MSR_FEATURE_CONTROL, control | BIT(0) | BIT(2));
	else if (!(control & BIT(2)))
		die("firmware has locked VMX off");
	vmx_read_caps();
	write_cr4(read_cr4() | CR4_VMXE);
}

u64 *vmx_region(void)
{
	u64 *page = page_alloc();

	*(u32 *)page = vmx_caps.revision;
	return page;
}

void vmx_on(void)
{
	vmx_prepare();
	must(vmxon((u64)vmx_region()), "VMXON");
}

void vmx_off(void)
{
	must(vmxoff(), "VMXOFF");
	write_cr4(read_cr4() & ~CR4_VMXE);
}

static const struct control_caps *caps_of(u64 field)
{
	switch (field) {
	case PIN_CONTROLS:
		return &vmx_caps.pin;
	case PRIMARY_CONTROLS:
		return &vmx_caps.primary;
	case SECONDARY_CONTROLS:
		return &vmx_caps.secondary;
	case EXIT_CONTROLS:
		return &vmx_caps.exit;
	case ENTRY_CONTROLS:
		return &vmx_caps.entry;
	}
	die("field %#lx is no control field", field);
}

bool control_can(u64 field, u32 set)
{
	return !(set & ~caps_of(field)->may);
}

void control_set(u64 field, u32 set)
{
	if (tolerate_missing && !control_can(field, set)) {
		missing = true;
		return;
	}
	if (!control_can(field, set))
		die("control bits %#x of field %#lx are not offered", set, field);
	if (field == SECONDARY_CONTROLS)
		control_set(PRIMARY_CONTROLS, PRI_SECONDARY);
	vmwrite(field, vmread(field) | set);
}

void control_clear(u64 field, u32 clear)
{
	vmwrite(field, (vmread(field) & ~(u64)clear) | caps_of(field)->must);
}
