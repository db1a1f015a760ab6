/*
 * L1 in real mode on a processor whose VMX has no unrestricted guest: hardware
 * runs it in the forms of form.h, and L0 executes what they cannot. L1's own
 * CR0.PE is 0 exactly while real_mode.on; such an L1 is not in VMX operation.
 *
 * Always: cpu.seg, gdtr, idtr are L1's own, but that the hardware knows the selectors and
 * bases better while REAL_V86 runs; so it does with flags, IP and general registers.
 */
#pragma once

#include "types.h"
#include "vm/real/form.h"
#include "x86_tss.h"

struct vcpu;
struct vm;

/* What REAL_V86 needs of a TSS: an I/O bitmap, and before it which INT n are not the program's. */
#define REAL_TSS_REDIRECTION sizeof(struct x86_tss32)
#define REAL_TSS_IO_BITMAP (REAL_TSS_REDIRECTION + 32)
#define REAL_TSS_SIZE (REAL_TSS_IO_BITMAP + 8192 + 1)
#define REAL_TSS_PAGES ((REAL_TSS_SIZE + PAGE_SIZE - 1) / PAGE_SIZE)

/* LDTR or TR, which real mode does not touch. */
struct real_system_segment {
	u16 selector;
	u64 base;
	u32 limit, ar;
};

struct real_mode {
	bool on;
	bool polled;			/* no event waited before this instruction */
	enum real_form form;
	u32 activity;			/* L1's: enum vmx_activity */
	u32 stepped;			/* IP of what REAL_STEP executes */
	struct real_cpu cpu;
	u32 iopl;			/* L1's, in the place of RFLAGS.IOPL */
	u64 debugctl;			/* L1's, while REAL_STEP runs */
	u64 sysenter_cs;		/* L1's */
	struct real_system_segment ldtr, tr;
};

/* A new TSS, to be mapped at VTLB_TSS (mmu/vtlb.h). */
hpa_t vm_real_tss(void);

/*
 * L1's CR0.PE has become 0, by MOV to CR0, INIT or SIPI: vmcs01 holds L1's state, whose first
 * instruction in real mode is at CS:RIP, and becomes a form.
 */
void vm_real_enter(struct vcpu *v);

/* CR0.PE is to become 1: vmcs01 gets L1's state; the control registers are the caller's. */
void vm_real_leave(struct vcpu *v);

/* L1 exited for an exception, or for an event that hardware could not deliver. */
void vm_real_exception(struct vcpu *v);

/* On the console: where L1 is, as it sees it. */
void vm_real_print(const struct vcpu *v);

/* machine.c: real_emulate() left this instruction to the caller. False: it faults, *vector. */
bool vm_real_machine(struct vcpu *v, const struct real_insn *insn, u8 *vector);
