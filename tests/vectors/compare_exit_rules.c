/*
 * Which fields mean anything after which exit, by the SDM alone (SDM 3C "Recording
 * VM-Exit Information and Updating VM-Entry Control Fields", "Saving Guest State").
 */
#include "compare_exit.h"

static bool is_software(u64 event)
{
	u32 type = event & INTR_TYPE;

	return (event & INTR_VALID) && (type == INTR_TYPE_SW_INTERRUPT ||
		type == INTR_TYPE_PRIV_SW_EXCEPTION || type == INTR_TYPE_SW_EXCEPTION);
}

static bool has_length(const u64 *now, u32 reason)
{
	if (is_software(now[VF_IDT_VECTORING_INFO]))
		return true;
	switch (reason) {
	case EXIT_EXCEPTION_NMI:
		return is_software(now[VF_EXIT_INTR_INFO]);
	case EXIT_EXTERNAL_INTERRUPT: case EXIT_TRIPLE_FAULT: case EXIT_INIT: case EXIT_SIPI:
	case EXIT_INTERRUPT_WINDOW: case EXIT_NMI_WINDOW: case EXIT_MONITOR_TRAP:
	case EXIT_TPR_THRESHOLD: case EXIT_EPT_VIOLATION: case EXIT_EPT_MISCONFIG:
	case EXIT_PREEMPTION_TIMER: case EXIT_APIC_ACCESS: case EXIT_APIC_WRITE: case EXIT_EOI:
		return false;
	case EXIT_TASK_SWITCH:	/* by IRET, JMP or CALL; else by the event above */
		return now[VF_EXIT_QUALIFICATION] >> 30 != 3;
	}
	return true;
}

static bool has_information(u32 reason)
{
	switch (reason) {
	case EXIT_VMCLEAR: case EXIT_VMPTRLD: case EXIT_VMPTRST: case EXIT_VMREAD:
	case EXIT_VMWRITE: case EXIT_VMXON: case EXIT_GDTR_IDTR: case EXIT_LDTR_TR:
	case EXIT_INVEPT: case EXIT_INVVPID: case EXIT_RDRAND: case EXIT_INVPCID:
	case EXIT_RDSEED: case EXIT_XSAVES: case EXIT_XRSTORS:
		return true;
	}
	return false;
}

static bool has_linear_address(const u64 *now, u32 reason)
{
	u64 qualification = now[VF_EXIT_QUALIFICATION];

	switch (reason) {
	case EXIT_CR_ACCESS:	/* LMSW with an operand in memory */
		return (qualification >> 4 & 3) == 3 && (qualification & BIT(6));
	case EXIT_IO:
		return qualification & IOQ_STRING;
	case EXIT_EPT_VIOLATION:
		return qualification & BIT(7);
	}
	return false;
}

bool exit_defines(const u64 *now, unsigned field)
{
	u32 reason = now[VF_EXIT_REASON] & 0xffff;

	switch (field) {
	case VF_EXIT_INTR_ERROR_CODE:
		return (now[VF_EXIT_INTR_INFO] & INTR_VALID) &&
		       (now[VF_EXIT_INTR_INFO] & INTR_ERROR_CODE);
	case VF_IDT_VECTORING_ERROR_CODE:
		return (now[VF_IDT_VECTORING_INFO] & INTR_VALID) &&
		       (now[VF_IDT_VECTORING_INFO] & INTR_ERROR_CODE);
	case VF_EXIT_INSTR_LENGTH:
		return has_length(now, reason);
	case VF_EXIT_INSTR_INFO:
		return has_information(reason) ||
		       (reason == EXIT_IO && (now[VF_EXIT_QUALIFICATION] & IOQ_STRING));
	case VF_GUEST_LINEAR_ADDRESS:
		return has_linear_address(now, reason);
	case VF_GUEST_PHYSICAL_ADDRESS:
		return reason == EXIT_EPT_VIOLATION || reason == EXIT_EPT_MISCONFIG;
	case VF_GUEST_PDPTE0: case VF_GUEST_PDPTE1: case VF_GUEST_PDPTE2: case VF_GUEST_PDPTE3:
		return (now[VF_PROC_CONTROLS] & PROC_SECONDARY) &&
		       (now[VF_PROC2_CONTROLS] & PROC2_EPT) && (now[VF_GUEST_CR0] & CR0_PG) &&
		       (now[VF_GUEST_CR4] & CR4_PAE) && !(now[VF_ENTRY_CONTROLS] & ENTRY_IA32E);
	case VF_IO_RCX: case VF_IO_RSI: case VF_IO_RDI: case VF_IO_RIP:
		return false;	/* of SMM's exits */
	}
	return true;
}
