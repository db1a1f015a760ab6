/*
 * A hypervisor to start from: one guest in 64-bit mode, in the hypervisor's own page tables, and
 * a loop that handles its exits. It runs on a bare machine as it does on Plastron.
 * Names are those of the SDM, "Virtual-Machine Control Structures" and "Field Encoding in VMCS".
 */
#include <stdint.h>

typedef uint64_t u64;
typedef uint32_t u32;

enum { RAX, RCX, RDX, RBX };
enum { EXIT_CPUID = 10, EXIT_HLT = 12, EXIT_VMCALL = 18 };
enum { IA32_FEATURE_CONTROL = 0x3a, IA32_VMX_BASIC = 0x480, IA32_VMX_PINBASED_CTLS,
       IA32_VMX_PROCBASED_CTLS, IA32_VMX_EXIT_CTLS, IA32_VMX_ENTRY_CTLS };
enum {
	GUEST_ES = 0x800, HOST_ES = 0xc00,	/* CS SS DS FS GS follow, in steps of 2 */
	VMCS_LINK = 0x2800,
	PIN_CONTROLS = 0x4000, PROCESSOR_CONTROLS = 0x4002, EXIT_CONTROLS = 0x400c,
	ENTRY_CONTROLS = 0x4012, INSTRUCTION_ERROR = 0x4400, EXIT_REASON = 0x4402,
	EXIT_LENGTH = 0x440c, GUEST_ES_LIMIT = 0x4800, GUEST_GDTR_LIMIT = 0x4810,
	GUEST_ES_RIGHTS = 0x4814, GUEST_CR0 = 0x6800, GUEST_CR3 = 0x6802, GUEST_CR4 = 0x6804,
	GUEST_GDTR_BASE = 0x6816, GUEST_DR7 = 0x681a, GUEST_RSP = 0x681c, GUEST_RIP = 0x681e,
	GUEST_RFLAGS = 0x6820, HOST_CR0 = 0x6c00, HOST_CR3 = 0x6c02, HOST_CR4 = 0x6c04,
	HOST_GDTR_BASE = 0x6c0c, HOST_RIP = 0x6c16,
};

u64 enter(u64 *regs, u64 resume);
extern const char exited[];
extern const struct { uint16_t limit; u64 base; } __attribute__((packed)) gdt_register;

static u32 vmxon_region[1024] __attribute__((aligned(4096)));
static u32 vmcs[1024] __attribute__((aligned(4096)));
static char guest_stack[4096] __attribute__((aligned(16)));

static void out(uint16_t port, char c)
{
	asm volatile("outb %0, %1" : : "a" (c), "Nd" (port));
}

/* Port 0xE9 is the console of the emulator: no set-up, and one instruction for each character. */
static void print(const char *s)
{
	while (*s)
		out(0xe9, *s++);
}

static void print_number(u64 n)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		if (n >> shift || !shift)
			out(0xe9, "0123456789abcdef"[n >> shift & 15]);
}

static void end(void)
{
	print("done\n");
	for (const char *s = "Shutdown"; *s; s++)
		out(0x8900, *s);	/* switches the emulator off */
	for (;;)
		asm volatile("cli; hlt");
}

static void fail(const char *what, u64 number)
{
	print(what);
	print(" ");
	print_number(number);
	print("\n");
	end();
}

static u64 rdmsr(u32 msr)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (msr));
	return (u64)high << 32 | low;
}

static u64 vmread(u64 field)
{
	u64 value = 0;

	asm volatile("vmread %1, %0" : "=r" (value) : "r" (field) : "cc");
	return value;
}

static void vmwrite(u64 field, u64 value)
{
	char failed;

	asm volatile("vmwrite %2, %1; setna %0" : "=q" (failed) : "r" (field), "r" (value) : "cc");
	if (failed)
		fail("VMWRITE failed, field", field);
}

/* What is wanted of a control field, and what its capability MSR demands and allows. */
static void set_controls(u64 field, u32 msr, u32 wanted)
{
	u64 caps = rdmsr(msr);

	vmwrite(field, (wanted | (u32)caps) & (u32)(caps >> 32));
}

static void start_vmx(void)
{
	u64 on = (u64)vmxon_region, current = (u64)vmcs;
	u32 revision = rdmsr(IA32_VMX_BASIC) & 0x7fffffff;
	char failed;

	if (!(rdmsr(IA32_FEATURE_CONTROL) & 1))		/* not locked: VMX on, and lock */
		asm volatile("wrmsr" : : "c" (IA32_FEATURE_CONTROL), "a" (5), "d" (0));
	vmxon_region[0] = vmcs[0] = revision;
	asm volatile("vmxon %1; setna %0" : "=q" (failed) : "m" (on) : "cc", "memory");
	if (failed)
		fail("VMXON failed, revision", revision);
	asm volatile("vmclear %0; vmptrld %0" : : "m" (current) : "cc", "memory");
}

static void set_state(void (*guest)(void))
{
	/* ES CS SS DS FS GS LDTR TR */
	static const u32 selector[8] = { 0x10, 8, 0x10, 0x10, 0x10, 0x10, 0, 0x18 };
	static const u32 rights[8] = {
		0xc093, 0xa09b, 0xc093, 0xc093, 0xc093, 0xc093, 0x10000, 0x8b,
	};
	u64 cr0, cr3, cr4;

	asm("mov %%cr0, %0; mov %%cr3, %1; mov %%cr4, %2" : "=r" (cr0), "=r" (cr3), "=r" (cr4));
	set_controls(PIN_CONTROLS, IA32_VMX_PINBASED_CTLS, 0);
	set_controls(PROCESSOR_CONTROLS, IA32_VMX_PROCBASED_CTLS, 1 << 7);	/* HLT exits */
	set_controls(EXIT_CONTROLS, IA32_VMX_EXIT_CTLS, 1 << 9);	/* host in 64-bit mode */
	set_controls(ENTRY_CONTROLS, IA32_VMX_ENTRY_CTLS, 1 << 9);	/* guest, too */
	for (u64 i = 0; i < 8; i++) {
		vmwrite(GUEST_ES + 2 * i, selector[i]);
		vmwrite(GUEST_ES_LIMIT + 2 * i, i == 7 ? 0x67 : 0xffffffff);
		vmwrite(GUEST_ES_RIGHTS + 2 * i, rights[i]);
		if (i != 6)		/* the host's fields leave LDTR out */
			vmwrite(HOST_ES + 2 * (i == 7 ? 6 : i), selector[i]);
	}
	vmwrite(HOST_CR0, cr0);
	vmwrite(HOST_CR3, cr3);
	vmwrite(HOST_CR4, cr4);
	vmwrite(HOST_GDTR_BASE, gdt_register.base);
	vmwrite(HOST_RIP, (u64)exited);
	vmwrite(GUEST_CR0, cr0);
	vmwrite(GUEST_CR3, cr3);
	vmwrite(GUEST_CR4, cr4);
	vmwrite(GUEST_GDTR_BASE, gdt_register.base);
	vmwrite(GUEST_GDTR_LIMIT, gdt_register.limit);
	vmwrite(GUEST_DR7, 0x400);
	vmwrite(GUEST_RSP, (u64)guest_stack + sizeof(guest_stack) - 8);
	vmwrite(GUEST_RIP, (u64)guest);
	vmwrite(GUEST_RFLAGS, 2);
	vmwrite(VMCS_LINK, ~0ull);	/* none */
}

/* The guest: asks for the hypervisor's name, says it by hypercalls, and halts. */
static void guest(void)
{
	u32 name[4] = { 0 }, leaf = 0x40000000;

	asm volatile("cpuid" : "+a" (leaf), "=b" (name[0]), "=c" (name[1]), "=d" (name[2]));
	for (const char *s = (const char *)name; *s; s++)
		asm volatile("vmcall" : : "a" (*s) : "memory");
	asm volatile("hlt");
}

static void answer_cpuid(u64 *regs)
{
	u32 leaf = (u32)regs[RAX];

	if (leaf == 0x40000000) {
		regs[RBX] = 0x6d617845;		/* "ExampleHyper" */
		regs[RCX] = 0x48656c70;
		regs[RDX] = 0x72657079;
		return;
	}
	asm volatile("cpuid" : "+a" (regs[RAX]), "+c" (regs[RCX]), "=b" (regs[RBX]),
		     "=d" (regs[RDX]));
}

void main(void)
{
	u64 regs[16] = { 0 }, flags;

	start_vmx();
	set_state(guest);
	print("the guest says: ");
	for (u64 resume = 0;; resume = 1) {
		flags = enter(regs, resume);
		if (flags)
			fail("VM entry failed, VM-instruction error",
			     flags & 1 ? 0 : vmread(INSTRUCTION_ERROR));
		switch (vmread(EXIT_REASON)) {
		case EXIT_CPUID:
			answer_cpuid(regs);
			break;
		case EXIT_VMCALL:
			out(0xe9, (char)regs[RAX]);
			break;
		case EXIT_HLT:
			print("\n");
			end();
			break;
		default:
			fail("exit that is not handled, reason", vmread(EXIT_REASON));
		}
		vmwrite(GUEST_RIP, vmread(GUEST_RIP) + vmread(EXIT_LENGTH));
	}
}
