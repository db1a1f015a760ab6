/*
 * Constants of VMX: control bits, interruption information, errors. No code.
 * Source: Intel SDM Vol. 3C "Virtual Machine Control Structures", App. A-C.
 */
#pragma once

#include "types.h"

/* Pin-based VM-execution controls. */
#define PIN_EXTERNAL_INTERRUPT BIT32(0)
#define PIN_NMI BIT32(3)
#define PIN_VIRTUAL_NMI BIT32(5)
#define PIN_PREEMPTION_TIMER BIT32(6)
#define PIN_POSTED_INTERRUPTS BIT32(7)

/* Primary processor-based VM-execution controls. */
#define PROC_INTERRUPT_WINDOW BIT32(2)
#define PROC_TSC_OFFSET BIT32(3)
#define PROC_HLT BIT32(7)
#define PROC_INVLPG BIT32(9)
#define PROC_MWAIT BIT32(10)
#define PROC_RDPMC BIT32(11)
#define PROC_RDTSC BIT32(12)
#define PROC_CR3_LOAD BIT32(15)
#define PROC_CR3_STORE BIT32(16)
#define PROC_TERTIARY BIT32(17)
#define PROC_CR8_LOAD BIT32(19)
#define PROC_CR8_STORE BIT32(20)
#define PROC_TPR_SHADOW BIT32(21)
#define PROC_NMI_WINDOW BIT32(22)
#define PROC_MOV_DR BIT32(23)
#define PROC_UNCOND_IO BIT32(24)
#define PROC_IO_BITMAPS BIT32(25)
#define PROC_MTF BIT32(27)
#define PROC_MSR_BITMAPS BIT32(28)
#define PROC_MONITOR BIT32(29)
#define PROC_PAUSE BIT32(30)
#define PROC_SECONDARY BIT32(31)

/* Secondary processor-based VM-execution controls. */
#define PROC2_APIC_ACCESS BIT32(0)
#define PROC2_EPT BIT32(1)
#define PROC2_DESCRIPTOR_TABLE BIT32(2)
#define PROC2_RDTSCP BIT32(3)
#define PROC2_X2APIC_MODE BIT32(4)
#define PROC2_VPID BIT32(5)
#define PROC2_WBINVD BIT32(6)
#define PROC2_UNRESTRICTED BIT32(7)
#define PROC2_APIC_REGISTER BIT32(8)
#define PROC2_VIRTUAL_INTR BIT32(9)
#define PROC2_PLE BIT32(10)
#define PROC2_RDRAND BIT32(11)
#define PROC2_INVPCID BIT32(12)
#define PROC2_VMFUNC BIT32(13)
#define PROC2_SHADOW_VMCS BIT32(14)
#define PROC2_ENCLS BIT32(15)
#define PROC2_RDSEED BIT32(16)
#define PROC2_PML BIT32(17)
#define PROC2_EPT_VE BIT32(18)
#define PROC2_CONCEAL_PT BIT32(19)
#define PROC2_XSAVES BIT32(20)
#define PROC2_MODE_BASED_EXEC BIT32(22)
#define PROC2_SPP BIT32(23)
#define PROC2_PT_GPA BIT32(24)
#define PROC2_TSC_SCALING BIT32(25)
#define PROC2_USER_WAIT BIT32(26)
#define PROC2_PCONFIG BIT32(27)
#define PROC2_ENCLV BIT32(28)

/* VM-exit controls. */
#define EXIT_SAVE_DEBUG BIT32(2)
#define EXIT_HOST_64 BIT32(9)
#define EXIT_LOAD_PERF BIT32(12)
#define EXIT_ACK_INTERRUPT BIT32(15)
#define EXIT_SAVE_PAT BIT32(18)
#define EXIT_LOAD_PAT BIT32(19)
#define EXIT_SAVE_EFER BIT32(20)
#define EXIT_LOAD_EFER BIT32(21)
#define EXIT_SAVE_PREEMPTION BIT32(22)
#define EXIT_CLEAR_BNDCFGS BIT32(23)

/* VM-entry controls. */
#define ENTRY_LOAD_DEBUG BIT32(2)
#define ENTRY_IA32E BIT32(9)
#define ENTRY_SMM BIT32(10)
#define ENTRY_DEACTIVATE_DUAL BIT32(11)
#define ENTRY_LOAD_PERF BIT32(13)
#define ENTRY_LOAD_PAT BIT32(14)
#define ENTRY_LOAD_EFER BIT32(15)
#define ENTRY_LOAD_BNDCFGS BIT32(16)

/* Bits of the control capability MSRs that always read 1 in the non-TRUE ones. */
#define PIN_DEFAULT1 0x00000016u
#define PROC_DEFAULT1 0x0401e172u
#define PROC_DEFAULT1_TRUE 0x04006172u
#define EXIT_DEFAULT1 0x00036dffu
#define EXIT_DEFAULT1_TRUE 0x00036dfbu
#define ENTRY_DEFAULT1 0x000011ffu
#define ENTRY_DEFAULT1_TRUE 0x000011fbu

/* IA32_VMX_EPT_VPID_CAP. */
#define EPTCAP_EXEC_ONLY BIT(0)
#define EPTCAP_WALK4 BIT(6)
#define EPTCAP_WALK5 BIT(7)
#define EPTCAP_UC BIT(8)
#define EPTCAP_WB BIT(14)
#define EPTCAP_2M BIT(16)
#define EPTCAP_1G BIT(17)
#define EPTCAP_INVEPT BIT(20)
#define EPTCAP_AD BIT(21)
#define EPTCAP_ADV_INFO BIT(22)
#define EPTCAP_INVEPT_SINGLE BIT(25)
#define EPTCAP_INVEPT_GLOBAL BIT(26)
#define EPTCAP_INVVPID BIT(32)
#define EPTCAP_INVVPID_ADDR BIT(40)
#define EPTCAP_INVVPID_SINGLE BIT(41)
#define EPTCAP_INVVPID_ALL BIT(42)
#define EPTCAP_INVVPID_SINGLE_RG BIT(43)

/* IA32_VMX_MISC. */
#define MISC_TIMER_RATE 0x1full
#define MISC_SAVE_LMA BIT(5)
#define MISC_CR3_TARGETS(misc) ((u32)((misc) >> 16) & 0x1ff)
#define MISC_ACTIVITY_HLT BIT(6)
#define MISC_ACTIVITY_SHUTDOWN BIT(7)
#define MISC_ACTIVITY_SIPI BIT(8)
#define MISC_VMWRITE_ANY BIT(29)
#define MISC_ZERO_LENGTH BIT(30)

/* IA32_VMX_BASIC. */
#define BASIC_32BIT_ADDR BIT(48)
#define BASIC_DUAL_MONITOR BIT(49)
#define BASIC_INS_OUTS BIT(54)
#define BASIC_TRUE BIT(55)
#define BASIC_ANY_ERRCODE BIT(56)

/* INVEPT and INVVPID types. */
#define INVEPT_SINGLE 1u
#define INVEPT_GLOBAL 2u
#define INVVPID_ADDR 0u
#define INVVPID_SINGLE 1u
#define INVVPID_ALL 2u
#define INVVPID_SINGLE_RG 3u

/* VM-entry and VM-exit interruption information, IDT-vectoring information. */
#define INTR_VECTOR 0xffu
#define INTR_TYPE (7u << 8)
#define INTR_TYPE_EXTERNAL (0u << 8)
#define INTR_TYPE_NMI (2u << 8)
#define INTR_TYPE_HW_EXCEPTION (3u << 8)
#define INTR_TYPE_SW_INTERRUPT (4u << 8)
#define INTR_TYPE_PRIV_SW_EXCEPTION (5u << 8)
#define INTR_TYPE_SW_EXCEPTION (6u << 8)
#define INTR_TYPE_OTHER (7u << 8)
#define INTR_ERROR_CODE BIT32(11)
#define INTR_NMI_UNBLOCKING BIT32(12)
#define INTR_VALID BIT32(31)

/* The TSC multiplier is a fixed-point number. */
#define TSC_MULTIPLIER_SHIFT 48
#define TSC_MULTIPLIER_ONE BIT(TSC_MULTIPLIER_SHIFT)

#define PML_ENTRIES 512u
#define VMFUNC_EPTP_SWITCHING 0u

/* Guest interruptibility state. */
#define BLOCKED_BY_STI BIT32(0)
#define BLOCKED_BY_MOV_SS BIT32(1)
#define BLOCKED_BY_SMI BIT32(2)
#define BLOCKED_BY_NMI BIT32(3)

/* Pending debug exceptions: a single-step trap. */
#define PENDING_DEBUG_ENABLED BIT(12)	/* one of bits 3:0 is of an enabled breakpoint */
#define PENDING_DEBUG_BS BIT(14)

enum vmx_activity { ACTIVITY_ACTIVE, ACTIVITY_HLT, ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_SIPI };

/* VM-instruction error numbers (SDM 3C "VM Instruction Error Numbers"). */
enum vmx_error {
	VMERR_VMCALL_IN_ROOT = 1,
	VMERR_VMCLEAR_ADDRESS = 2,
	VMERR_VMCLEAR_VMXON = 3,
	VMERR_VMLAUNCH_NOT_CLEAR = 4,
	VMERR_VMRESUME_NOT_LAUNCHED = 5,
	VMERR_VMRESUME_AFTER_VMXOFF = 6,
	VMERR_ENTRY_CONTROLS = 7,
	VMERR_ENTRY_HOST = 8,
	VMERR_VMPTRLD_ADDRESS = 9,
	VMERR_VMPTRLD_VMXON = 10,
	VMERR_VMPTRLD_REVISION = 11,
	VMERR_UNSUPPORTED_FIELD = 12,
	VMERR_READ_ONLY_FIELD = 13,
	VMERR_VMXON_IN_ROOT = 15,
	VMERR_ENTRY_MOV_SS = 26,
	VMERR_INVALID_OPERAND = 28,
};

/* Exit qualification of an I/O instruction. */
#define IOQ_SIZE(q) ((u32)((q) & 7) + 1)
#define IOQ_IN BIT(3)
#define IOQ_STRING BIT(4)
#define IOQ_REP BIT(5)
#define IOQ_PORT(q) ((u16)((q) >> 16))

/* Exit qualification of an access to a control register. */
#define CRQ_REGISTER(q) ((u32)(q) & 15)
#define CRQ_ACCESS(q) ((u32)((q) >> 4) & 3)
#define CRQ_GPR(q) ((u32)((q) >> 8) & 15)
enum vmx_cr_access { CRQ_TO_CR, CRQ_FROM_CR, CRQ_CLTS, CRQ_LMSW };

#define EXIT_REASON_BASIC 0xffffu
#define EXIT_REASON_ENTRY_FAILURE BIT32(31)
#define VMCS_SHADOW_INDICATOR BIT32(31)

#include "vmcs.h"
#include "exits.h"
