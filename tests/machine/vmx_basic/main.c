/*
 * VMX instructions: the life of VMX operation, of a VMCS, and what each instruction answers when it
 * succeeds, fails or faults. No guest runs here. SDM: VMX Instruction Reference.
 *
 * VMCALL in root operation with a clear VMCS is left out: the emulator stops at it.
 */
#include "vmx.h"

#define FIELD_NONE	0x6c18	/* beyond the last host field of that class */

#define HAS_INVEPT	(vmx_caps.ept_vpid & BIT(20))
#define HAS_INVVPID	(vmx_caps.ept_vpid & BIT(32))

static u64 *region_on, *region_a, *region_b;

static void show(const char *what, struct outcome o)
{
	print("%s: %s\n", what, outcome_text(o));
}

#define CASE(what, insn, ...) do {					\
	TRY(insn, ##__VA_ARGS__);					\
	print("%s: %s\n", what, fault_text());				\
} while (0)

static void every_instruction(const char *when)
{
	static u64 zero[2];
	u64 a = (u64)region_a;

	print("-- %s\n", when);
	CASE("VMCALL", "vmcall");
	CASE("VMCLEAR", "vmclear %3", "m" (a));
	CASE("VMLAUNCH", "vmlaunch");
	CASE("VMRESUME", "vmresume");
	CASE("VMPTRLD", "vmptrld %3", "m" (a));
	CASE("VMPTRST", "vmptrst %3", "m" (a));
	CASE("VMREAD", "vmread %3, %%rax", "r" ((u64)GUEST_RIP));
	CASE("VMWRITE", "vmwrite %%rax, %3", "r" ((u64)GUEST_RIP));
	CASE("VMXOFF", "vmxoff");
	if (HAS_INVEPT)
		CASE("INVEPT", "invept %3, %4", "m" (zero), "r" (2ul));
	if (HAS_INVVPID)
		CASE("INVVPID", "invvpid %3, %4", "m" (zero), "r" (2ul));
}

static void test_enter(void)
{
	u64 cr0 = read_cr0();
	u64 *wrong = page_alloc();

	region_on = vmx_region();
	show("VMXON misaligned", vmxon((u64)region_on + 8));
	show("VMXON bit 63", vmxon((u64)region_on | BIT(63)));
	show("VMXON beyond the physical addresses", vmxon((u64)region_on | BIT(51)));
	show("VMXON wrong revision", vmxon((u64)wrong));
	*(u32 *)wrong = vmx_caps.revision | 1u << 31;
	show("VMXON revision bit 31", vmxon((u64)wrong));
	write_cr0(cr0 & ~CR0_NE);
	show("VMXON with CR0.NE clear", vmxon((u64)region_on));
	write_cr0(cr0);
	CASE("VMXON not canonical operand", "vmxon (%3)", "D" (BIT(63)));
	CASE("VMXON unmapped operand", "vmxon (%3)", "r" (0x500000000ul));
	show("VMXON", vmxon((u64)region_on));
	show("VMXON again", vmxon((u64)region_on));
	CASE("clear CR4.VMXE in VMX operation", "mov %3, %%cr4", "r" (read_cr4() & ~CR4_VMXE));
	CASE("clear CR0.NE in VMX operation", "mov %3, %%cr0", "r" (cr0 & ~CR0_NE));
}

static void test_no_current(void)
{
	u64 value;

	print("-- no current VMCS\n");
	print("VMPTRST: %lx\n", vmptrst());
	show("VMREAD", vmread_try(GUEST_RIP, &value));
	show("VMREAD of no field", vmread_try(FIELD_NONE, &value));
	show("VMWRITE", vmwrite_try(GUEST_RIP, 1));
	show("VMLAUNCH", vmlaunch_only());
	show("VMRESUME", vmresume_only());
	show("VMPTRLD misaligned", vmptrld((u64)region_a + 8));
	show("VMCLEAR misaligned", vmclear((u64)region_a + 8));
	show("VMXON", vmxon((u64)region_on));
	TRY("vmcall; setc %%bl; movzbl %%bl, %%eax");
	print("VMCALL: %s, CF %lu\n", fault_text(), trap_rax);
}

static void test_pointers(void)
{
	u64 *wrong = page_alloc();
	struct outcome o;

	print("-- pointers\n");
	*(u32 *)wrong = vmx_caps.revision ^ 5;
	show("VMCLEAR", vmclear((u64)region_a));
	show("VMPTRLD", vmptrld((u64)region_a));
	print("VMPTRST: %s\n", vmptrst() == (u64)region_a ? "the same" : "differs");
	show("VMXON in VMX operation", vmxon((u64)region_on));
	show("VMPTRLD misaligned", vmptrld((u64)region_a | 4));
	show("VMPTRLD bit 62", vmptrld((u64)region_a | BIT(62)));
	show("VMPTRLD VMXON pointer", vmptrld((u64)region_on));
	show("VMPTRLD wrong revision", vmptrld((u64)wrong));
	*(u32 *)wrong = vmx_caps.revision | 1u << 31;
	print("VMPTRST after failures: %s\n", vmptrst() == (u64)region_a ? "the same" : "differs");
	show("VMCLEAR misaligned", vmclear((u64)region_a | 4));
	show("VMCLEAR bit 62", vmclear((u64)region_a | BIT(62)));
	show("VMCLEAR VMXON pointer", vmclear((u64)region_on));
	show("VMCLEAR of another", vmclear((u64)region_b));
	print("VMPTRST: %s\n", vmptrst() == (u64)region_a ? "the same" : "differs");
	show("VMCLEAR of the current one", vmclear((u64)region_a));
	print("VMPTRST: %lx\n", vmptrst());
	o = vmptrld((u64)wrong);
	print("VMPTRLD of a shadow VMCS does what the capabilities say: %s\n",
	      vmx_caps.secondary.may & SEC_SHADOW ? outcome_text(o) :
	      o.kind == DID_FAIL_INVALID ? "ok" : "no");
	must(vmclear((u64)wrong), "VMCLEAR");
	must(vmptrld((u64)region_a), "VMPTRLD");
	CASE("VMPTRLD unmapped operand", "vmptrld (%3)", "r" (0x500000000ul));
	CASE("VMPTRST unmapped operand", "vmptrst (%3)", "r" (0x500000000ul));
	CASE("VMCLEAR not canonical", "vmclear (%3)", "D" (BIT(63)));
}

static void show_read(const char *what, u64 field)
{
	u64 value = 0x123;
	struct outcome o = vmread_try(field, &value);

	print("VMREAD %s: %s%s\n", what, outcome_text(o),
	      o.kind != DID_OK && value != 0x123 ? ", but changed its operand" : "");
}

/* Each width keeps exactly its bits. */
static void test_fields(void)
{
	static const struct { const char *name; u32 field; u64 value; } rows[] = {
		{ "16-bit GUEST_ES", GUEST_ES, 0xfffffffffffff123 },
		{ "16-bit HOST_TR", HOST_TR, 0xabcdef },
		{ "32-bit GUEST_ES_LIMIT", GUEST_ES_LIMIT, 0xfedcba9876543210 },
		{ "32-bit EXCEPTION_BITMAP", EXCEPTION_BITMAP, ~0ull },
		{ "64-bit TSC_OFFSET", TSC_OFFSET, 0xfedcba9876543210 },
		{ "64-bit VMCS_LINK", VMCS_LINK, ~0ull },
		{ "64-bit IO_BITMAP_A", IO_BITMAP_A, 0x123456789abcdef0 },
		{ "natural GUEST_RIP", GUEST_RIP, 0x8123456789abcdef },
		{ "natural HOST_RSP", HOST_RSP, 0xfedcba9876543210 },
		{ "natural CR0_MASK", CR0_MASK, ~0ull },
	};
	u64 half = TSC_OFFSET + 1;
	struct outcome o;

	print("-- fields\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		vmwrite(rows[i].field, rows[i].value);
		print("%s: wrote %lx, reads %lx\n", rows[i].name, rows[i].value,
		      vmread(rows[i].field));
	}
	vmwrite(TSC_OFFSET, 0x1111111122222222);
	vmwrite(half, 0xaaaaaaaa33333333);
	print("high half: %lx, whole %lx\n", vmread(half), vmread(TSC_OFFSET));
	vmwrite(TSC_OFFSET, 0x4444444455555555);
	print("high half after the whole: %lx\n", vmread(half));
	show_read("of no field", FIELD_NONE);
	show_read("of an unused 16-bit field", 0x07fe);
	show_read("high half of a 32-bit field", PIN_CONTROLS + 1);
	show_read("high half of a 16-bit field", GUEST_ES + 1);
	show_read("high half of a natural field", GUEST_RIP + 1);
	show_read("with bit 15 of the encoding", GUEST_RIP | BIT(15));
	show_read("with bit 32 of the encoding", GUEST_RIP | BIT(32));
	show_read("with bit 63 of the encoding", GUEST_RIP | BIT(63));
	show_read("VM-instruction error", VM_INSN_ERROR);
	show("VMWRITE of no field", vmwrite_try(FIELD_NONE, 1));
	show("VMWRITE with bit 32 of the encoding", vmwrite_try(GUEST_RIP | BIT(32), 1));
	o = vmwrite_try(EXIT_REASON, 1);
	print("VMWRITE of a read-only field does what IA32_VMX_MISC says: %s\n",
	      vmx_caps.misc & BIT(29) ? outcome_text(o) : o.number == 13 ? "ok" : "no");
	show("VMWRITE of no field", vmwrite_try(FIELD_NONE, 1));
	vmwrite(GUEST_RIP, 5);
	show("VMWRITE succeeding after a failure", vmwrite_try(GUEST_RIP, 6));
	print("VM-instruction error is kept: %lu\n", vmread(VM_INSN_ERROR));
	print("GUEST_RIP %lu\n", vmread(GUEST_RIP));
}

static void test_operands(void)
{
	static struct { u64 before, value, after; } memory = { 11, 0, 22 };
	u64 a = 0, b = 0;

	print("-- operands\n");
	vmwrite(GUEST_ES_LIMIT, 0x89abcdef);
	memory.value = ~0ull;
	asm volatile("vmread %1, %0" : "=m" (memory.value) : "r" ((u64)GUEST_ES_LIMIT));
	print("VMREAD to memory: %lx, around it %lu %lu\n", memory.value, memory.before,
	      memory.after);
	memory.value = 0x7777777712345678;
	asm volatile("vmwrite %0, %1" : : "m" (memory.value), "r" ((u64)GUEST_RIP));
	print("VMWRITE from memory: %lx\n", vmread(GUEST_RIP));
	asm volatile("push %%rbx; mov %2, %%r8; mov %3, %%r15; vmread %%r8, %%r15; mov %%r15, %0;"
		     "mov %3, %%rbx; vmread %%r8, 8(%4, %%rbx, 2); mov %%rbx, %1; pop %%rbx"
		     : "=&a" (a), "=&c" (b)
		     : "d" ((u64)GUEST_RIP), "D" (8ul), "S" ((u64)&memory - 16)
		     : "r8", "r15", "memory");
	print("VMREAD to R15: %lx, to [base + 2 * index + 8]: %lx\n", a, memory.value);
	memory.value = 0;
	asm volatile("push %%rbp; mov %0, %%rbp; vmwrite %%rbp, %%rdx; pop %%rbp"
		     : : "a" (0x5555ul), "d" ((u64)GUEST_RIP) : "memory");
	print("VMWRITE from RBP: %lx\n", vmread(GUEST_RIP));
	asm volatile("push %%rcx; vmread %%rdx, (%%rsp); pop %%rcx" : "=c" (b)
		     : "d" ((u64)GUEST_RIP) : "memory");
	print("VMREAD to the stack: %lx\n", b);
	CASE("VMREAD to an unmapped page", "vmread %3, (%4)", "r" ((u64)GUEST_RIP),
	     "r" (0x500000000ul));
	CASE("VMWRITE from an unmapped page", "vmwrite (%4), %3", "r" ((u64)GUEST_RIP),
	     "r" (0x500000000ul));
	CASE("VMREAD not canonical", "vmread %3, (%4)", "r" ((u64)GUEST_RIP), "D" (BIT(63)));
	CASE("VMREAD of no field to an unmapped page", "vmread %3, (%4); setz %%al",
	     "r" ((u64)FIELD_NONE), "r" (0x500000000ul));
}

static void test_segment_bases(void)
{
	static u64 value;
	u64 a = (u64)region_a;

	wrmsr(MSR_FS_BASE, (u64)&value - 0x1000);
	wrmsr(MSR_GS_BASE, (u64)&a - 0x40);
	vmwrite(GUEST_RIP, 0x1234);
	asm volatile("vmread %0, %%fs:0x1000" : : "r" ((u64)GUEST_RIP) : "memory");
	print("VMREAD through FS: %lx\n", value);
	asm volatile("vmptrld %%gs:0x40" : : : "memory", "cc");
	print("VMPTRLD through GS: %s\n", vmptrst() == a ? "the same" : "differs");
	value = (u64)GUEST_RIP;
	asm volatile("vmptrst (%k0)" : : "r" ((u64)&value | BIT(40)) : "memory");
	print("VMPTRST with 32-bit addressing: %s\n", value == a ? "the same" : "differs");
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, 0);
}

static void test_launch_state(void)
{
	print("-- launch state\n");
	must(vmclear((u64)region_a), "VMCLEAR");
	must(vmptrld((u64)region_a), "VMPTRLD");
	show("VMRESUME of a clear VMCS", vmresume_only());
	vmwrite(PIN_CONTROLS, ~vmx_caps.pin.may);
	vmwrite(PRIMARY_CONTROLS, 0);
	show("VMLAUNCH with bad controls", vmlaunch_only());
	asm volatile("mov %%ss, %%eax; mov %%eax, %%ss; vmlaunch" : : : "eax", "cc", "memory");
	print("VMLAUNCH after MOV SS: VM-instruction error %lu\n", vmread(VM_INSN_ERROR));
}

/* A cleared VMCS is in memory: the copy of a region is as good as the region. */
static void test_moved(void)
{
	static const u16 fields[] = { GUEST_RIP, GUEST_ES, GUEST_ES_LIMIT, TSC_OFFSET, HOST_RIP,
				      EXCEPTION_BITMAP, VMCS_LINK, GUEST_CR3, IO_BITMAP_B };
	bool kept = true, apart = true;

	print("-- VMCS data\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++)
		vmwrite(fields[i], 0x1000 + i);
	must(vmclear((u64)region_a), "VMCLEAR");
	memcpy(region_b, region_a, PAGE_SIZE);
	must(vmptrld((u64)region_b), "VMPTRLD");
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
		kept = kept && vmread(fields[i]) == 0x1000 + i;
		vmwrite(fields[i], 0x2000 + i);
	}
	must(vmptrld((u64)region_a), "VMPTRLD");
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++)
		apart = apart && vmread(fields[i]) == 0x1000 + i;
	must(vmptrld((u64)region_b), "VMPTRLD");
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++)
		apart = apart && vmread(fields[i]) == 0x2000 + i;
	print("a copied region has the fields: %s; two VMCSs are apart: %s\n", kept ? "yes" : "no",
	      apart ? "yes" : "no");
	must(vmclear((u64)region_a), "VMCLEAR");
	must(vmclear((u64)region_b), "VMCLEAR");
}

static void test_invept(void)
{
	show("INVEPT all", invept(2, 0));
	show("INVEPT single", invept(1, (u64)region_b | 3 << 3 | 6));
	show("INVEPT single, bad EPTP", invept(1, 0x123));
	show("INVEPT type 0", invept(0, 0));
	show("INVEPT type 3", invept(3, 0));
	show("INVEPT type 2^32 + 1", invept(BIT(32) + 1, 0));
	CASE("INVEPT unmapped operand", "invept (%3), %4", "r" (0x500000000ul), "r" (1ul));
}

static void test_invvpid(void)
{
	show("INVVPID all", invvpid(2, 0, 0));
	show("INVVPID single", invvpid(1, 1, 0));
	show("INVVPID single, VPID 0", invvpid(1, 0, 0));
	show("INVVPID address", invvpid(0, 1, 0x1000));
	show("INVVPID address, not canonical", invvpid(0, 1, BIT(63)));
	show("INVVPID retaining globals", invvpid(3, 1, 0));
	show("INVVPID type 4", invvpid(4, 1, 0));
	CASE("INVVPID unmapped operand", "invvpid (%3), %4", "r" (0x500000000ul), "r" (1ul));
}

static void test_invalidation(void)
{
	print("-- INVEPT and INVVPID\n");
	must(vmptrld((u64)region_a), "VMPTRLD");
	if (HAS_INVEPT)
		test_invept();
	if (HAS_INVVPID)
		test_invvpid();
}

#define USER(name, code)	\
	asm("user_" #name ": " code "; int $0x81"); extern const char user_##name[]
USER(vmread, "mov $0x681e, %eax; vmread %rax, %rax");
USER(vmlaunch, "vmlaunch");
USER(vmxoff, "vmxoff");
USER(vmxon, "vmxon (%rsp)");
USER(vmcall, "vmcall");
USER(invept, "invept (%rsp), %rax");

static void test_user(void)
{
	static const struct { const char *name; const char *code; } rows[] = {
		{ "VMREAD", user_vmread }, { "VMLAUNCH", user_vmlaunch }, { "VMXOFF", user_vmxoff },
		{ "VMXON", user_vmxon }, { "VMCALL", user_vmcall }, { "INVEPT", user_invept },
	};

	print("-- at CPL 3\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].code == user_invept && !HAS_INVEPT)
			continue;
		user_run(rows[i].code);
		print("%s: %s\n", rows[i].name, fault_text());
	}
}

/* For people only: machines differ. */
static void list_capabilities(void)
{
	for (u32 msr = MSR_VMX_BASIC; msr <= 0x491; msr++) {
		trap_rcx = msr;
		if (TRY("rdmsr"))
			print("# IA32_VMX %x: %08lx%08lx\n", msr, trap_rdx, trap_rax);
	}
}

int main(void)
{
	vmx_read_caps();
	list_capabilities();
	region_a = vmx_region();
	region_b = vmx_region();
	every_instruction("CR4.VMXE clear");
	vmx_prepare();
	every_instruction("outside VMX operation");
	print("-- VMXON\n");
	test_enter();
	test_no_current();
	test_pointers();
	test_fields();
	test_operands();
	test_segment_bases();
	test_launch_state();
	test_moved();
	test_invalidation();
	test_user();
	print("-- VMXOFF\n");
	show("VMXOFF", vmxoff());
	show("VMXOFF again", vmxoff());
	show("VMXON", vmxon((u64)region_on));
	print("VMPTRST: %lx\n", vmptrst());
	show("VMXOFF", vmxoff());
	write_cr4(read_cr4() & ~CR4_VMXE);
	CASE("VMXOFF with CR4.VMXE clear", "vmxoff");
	return 0;
}
