/*
 * Names of exit reasons, and which exit-information fields each defines (SDM: VM-Exit Information
 * Fields, "Basic VM-Exit Information" and following), so that a line shows those and no others.
 */
#include "vmx.h"

#define Q	1u	/* exit qualification */
#define LEN	2u	/* instruction length */
#define INTR	4u	/* interruption information and error code */
#define GLA	8u	/* guest-linear address */
#define GPA	16u	/* guest-physical address */
#define INFO	32u	/* instruction information */
#define IDT	64u	/* IDT-vectoring information, when valid */

#define INFO_SCALE	0x00000003u
#define INFO_REGISTER	0x00000078u	/* the register operand */
#define INFO_IS_REGISTER	0x00000400u
#define INFO_MEMORY	0x00038380u	/* address size and segment */
#define INFO_INDEX	0x003c0000u
#define INFO_NO_INDEX	0x00400000u
#define INFO_BASE	0x07800000u
#define INFO_NO_BASE	0x08000000u
#define INFO_ALL_MEMORY	(INFO_SCALE | INFO_MEMORY | INFO_INDEX | INFO_NO_INDEX | INFO_BASE | INFO_NO_BASE)
#define INFO_REGISTER2	0xf0000000u
#define INFO_IDENTITY	0x30000000u	/* which of four instructions */

static const struct {
	const char *name;
	u32 fields;
} reasons[] = {
	[0] = { "EXCEPTION_OR_NMI", Q | INTR | IDT },
	[1] = { "EXTERNAL_INTERRUPT", INTR | IDT },
	[2] = { "TRIPLE_FAULT", IDT },
	[3] = { "INIT", 0 },
	[4] = { "SIPI", Q },
	[7] = { "INTERRUPT_WINDOW", 0 },
	[8] = { "NMI_WINDOW", 0 },
	[9] = { "TASK_SWITCH", Q | IDT },
	[10] = { "CPUID", LEN },
	[12] = { "HLT", LEN },
	[13] = { "INVD", LEN },
	[14] = { "INVLPG", Q | LEN },
	[15] = { "RDPMC", LEN },
	[16] = { "RDTSC", LEN },
	[18] = { "VMCALL", LEN },
	[19] = { "VMCLEAR", Q | LEN | INFO },
	[20] = { "VMLAUNCH", LEN },
	[21] = { "VMPTRLD", Q | LEN | INFO },
	[22] = { "VMPTRST", Q | LEN | INFO },
	[23] = { "VMREAD", Q | LEN | INFO },
	[24] = { "VMRESUME", LEN },
	[25] = { "VMWRITE", Q | LEN | INFO },
	[26] = { "VMXOFF", LEN },
	[27] = { "VMXON", Q | LEN | INFO },
	[28] = { "CR_ACCESS", Q | LEN },
	[29] = { "MOV_DR", Q | LEN },
	[30] = { "IO_INSTRUCTION", Q | LEN },
	[31] = { "RDMSR", LEN },
	[32] = { "WRMSR", LEN },
	[33] = { "ENTRY_FAILURE_GUEST_STATE", Q },
	[34] = { "ENTRY_FAILURE_MSR_LOADING", Q },
	[36] = { "MWAIT", Q | LEN },
	[37] = { "MONITOR_TRAP_FLAG", 0 },
	[39] = { "MONITOR", LEN },
	[40] = { "PAUSE", LEN },
	[43] = { "TPR_BELOW_THRESHOLD", 0 },
	[44] = { "APIC_ACCESS", Q | IDT },
	[45] = { "VIRTUALIZED_EOI", Q },
	[46] = { "GDTR_IDTR", Q | LEN | INFO },
	[47] = { "LDTR_TR", Q | LEN | INFO },
	[48] = { "EPT_VIOLATION", Q | GLA | GPA | IDT },
	[49] = { "EPT_MISCONFIGURATION", GPA | IDT },
	[50] = { "INVEPT", Q | LEN | INFO },
	[51] = { "RDTSCP", LEN },
	[52] = { "PREEMPTION_TIMER", 0 },
	[53] = { "INVVPID", Q | LEN | INFO },
	[54] = { "WBINVD", LEN },
	[55] = { "XSETBV", LEN },
	[56] = { "APIC_WRITE", Q },
	[57] = { "RDRAND", LEN | INFO },
	[58] = { "INVPCID", Q | LEN | INFO },
	[59] = { "VMFUNC", LEN },
	[61] = { "RDSEED", LEN | INFO },
	[62] = { "PML_FULL", Q | IDT },
	[63] = { "XSAVES", Q | LEN | INFO },
	[64] = { "XRSTORS", Q | LEN | INFO },
};

const char *reason_name(u32 reason)
{
	reason &= 0xffff;
	if (reason >= ARRAY_SIZE(reasons) || !reasons[reason].name)
		return "UNKNOWN";
	return reasons[reason].name;
}

/* INS and OUTS: where in memory; and how it was addressed, where IA32_VMX_BASIC says so. */
static void print_string_io(void)
{
	u64 q = vmread(EXIT_QUALIFICATION), info = vmread(EXIT_INSN_INFO);

	if (!(q & BIT(4)))
		return;
	print(" gla=%lx", vmread(GUEST_LINEAR));
	if (vmx_caps.basic & BIT(54))
		print(" info=%lx", info & (q & BIT(3) ? 0x380 : 0x38380));
}

static void print_event(const char *name, u64 info_field, u64 error_field)
{
	u64 info = vmread(info_field);

	if (!(info & INTR_VALID))
		return;
	print(" %s=%lx", name, info);
	if (info & INTR_ERROR)
		print(" error=%lx", vmread(error_field));
}

/*
 * Of the exceptions only #PF and #DB have a qualification. With a register operand it is 0 (SDM:
 * "Exit Qualification": no displacement), but the emulator may show that of another instruction.
 */
static bool without_qualification(u32 reason)
{
	u64 info = vmread(EXIT_INTR_INFO) & 0x7ff;

	switch (reason) {
	case 0:
		return info != (INTR_HARDWARE | 14) && info != (INTR_HARDWARE | 1);
	case 23:
	case 25:
	case 47:
		return vmread(EXIT_INSN_INFO) & INFO_IS_REGISTER;
	}
	return false;
}

static bool is_software(u64 info)
{
	return info & INTR_VALID && (info & 0x700) >= INTR_SOFT_INT;
}

/*
 * INT3, INTO and INT1 that exit; task switches by CALL, IRET and JMP; and whatever happens while a
 * software interrupt or exception is delivered.
 */
static bool has_length(u32 reason)
{
	return (reason == 0 && is_software(vmread(EXIT_INTR_INFO))) ||
	       (reason == 9 && vmread(EXIT_QUALIFICATION) >> 30 != 3) ||
	       (reasons[reason].fields & IDT && is_software(vmread(IDT_INFO)));
}

/* Bits 9 to 11 of an EPT violation depend on a capability that not every machine has. */
static u64 qualification_mask(u32 reason)
{
	return reason == REASON_EPT_VIOLATION ? 0x1ff : ~0ull;
}

/* The defined bits: SDM, "Information for VM Exits Due to Instruction Execution". */
static u32 instruction_info(u32 reason)
{
	u32 info = (u32)vmread(EXIT_INSN_INFO);
	u32 mask = INFO_ALL_MEMORY;

	switch (reason) {
	case 57:
	case 61:
		return info & 0x1078;	/* the emulator tells 16 bits as 32 */
	case 23:
	case 25:
		mask |= INFO_IS_REGISTER | INFO_REGISTER2;
		break;
	case 50:
	case 53:
	case 58:
		mask |= INFO_REGISTER2;
		break;
	case 46:
		mask |= INFO_IDENTITY;
		break;
	case 47:
		mask |= INFO_IDENTITY | INFO_IS_REGISTER;
		break;
	}
	if (mask & info & INFO_IS_REGISTER)
		mask = (mask & ~INFO_ALL_MEMORY) | INFO_REGISTER;
	else if (info & INFO_NO_INDEX)
		mask &= ~(INFO_INDEX | INFO_SCALE);
	if (info & INFO_NO_BASE)
		mask &= ~INFO_BASE;
	return info & mask;
}

void print_exit(const struct vm *vm, u32 reason)
{
	u32 fields;

	if (reason == NO_EXIT) {
		print("entry %s", outcome_text(vm->entry));
		return;
	}
	fields = (reason & 0xffff) < ARRAY_SIZE(reasons) ? reasons[reason & 0xffff].fields : 0;
	print("%s", reason_name(reason));
	if (reason & ~0xffffull & ~REASON_ENTRY_FAILURE)
		print(" reason=%x", reason);
	if (reason & REASON_ENTRY_FAILURE)
		print(" (entry failed)");
	if (fields & Q && !without_qualification(reason))
		print(" q=%lx", vmread(EXIT_QUALIFICATION) & qualification_mask(reason));
	if (fields & LEN || (reason < ARRAY_SIZE(reasons) && has_length(reason)))
		print(" len=%lu", vmread(EXIT_INSN_LENGTH));
	if (fields & INTR)
		print_event("intr", EXIT_INTR_INFO, EXIT_INTR_ERROR);
	if (fields & IDT)
		print_event("vectoring", IDT_INFO, IDT_ERROR);
	if (fields & GLA && vmread(EXIT_QUALIFICATION) & BIT(7))
		print(" gla=%lx", vmread(GUEST_LINEAR));
	if (fields & GPA)
		print(" gpa=%lx", vmread(GUEST_PHYSICAL));
	if (reason == 28 && (vmread(EXIT_QUALIFICATION) & 0x70) == 0x70)	/* LMSW, memory */
		print(" gla=%lx", vmread(GUEST_LINEAR));
	if (reason == 30)
		print_string_io();
	if (fields & INFO)
		print(" info=%x", instruction_info(reason));
}

void print_rbx_or_exit(const struct vm *vm, u32 reason)
{
	if (reason == REASON_VMCALL) {
		print(" %lx", vm->regs[RBX]);
		return;
	}
	print(" [");
	print_exit(vm, reason);
	print("]");
}
