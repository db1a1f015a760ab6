/*
 * A physical CPU: its descriptor tables, stacks, and what happened to it
 * since somebody last looked. Found through the GS base, which is L0's own in
 * VMX root operation and set from the VMCS at each exit.
 *
 * L0 runs with IF = 0 always: no interrupt is ever taken here. NMIs and
 * machine checks are only counted; the exit path hands them to L1.
 */
#pragma once

#include "types.h"
#include "cpu/cpu.h"

#define CPU_MAX 256

#define CPU_IST_NMI 1
#define CPU_IST_MC 2
#define CPU_IST_DF 3

#define CPU_STACK_SIZE 16384
#define CPU_IST_STACK_SIZE 4096

struct cpu_tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];			/* ist[0] is IST 1 */
	u64 reserved2;
	u16 reserved3, iomap_base;
} __attribute__((packed));

struct vcpu;

struct pcpu {
	struct pcpu *self;		/* at GS:0 */
	u32 index, apic_id;
	u32 nmi_pending;		/* taken while L0 ran, not yet given to L1 */
	bool kicked;			/* an NMI of L0's own is on its way (kick.h) */
	u32 mc_pending;
	u32 *again;			/* not NULL: set with each of these */
	struct vcpu *vcpu;		/* what runs here */
	u64 stack_top;
	u64 gdt[5];			/* null, code, data, TSS (two) */
	struct cpu_tss tss;

	u8 stack_nmi[CPU_IST_STACK_SIZE] __attribute__((aligned(16)));
	u8 stack_mc[CPU_IST_STACK_SIZE] __attribute__((aligned(16)));
	u8 stack_df[CPU_IST_STACK_SIZE] __attribute__((aligned(16)));
	u8 stack[CPU_STACK_SIZE] __attribute__((aligned(16)));
};

extern struct pcpu *cpu_pcpus[CPU_MAX];
extern u32 cpu_count;

static always_inline struct pcpu *cpu_this(void)
{
	struct pcpu *p;

	asm("mov %%gs:0, %0" : "=r"(p));
	return p;
}

static inline u64 cpu_tss_base(void)
{
	return (u64)&cpu_this()->tss;
}

/* Registers *p (zeroed memory) as the next CPU, to be started by cpu_enter(). */
void cpu_add(struct pcpu *p, u32 apic_id);

/* Loads the tables and control registers of *p on the CPU that calls. */
void cpu_enter(struct pcpu *p);

/* What an exception in L0 leaves behind, lowest address first. */
struct cpu_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error_code;
	u64 rip, cs, rflags, rsp, ss;
};

/* Called for an exception that L0 did not expect; must not return. */
extern void (*cpu_unexpected)(const struct cpu_frame *frame);

/* The same for a message; cpu/ and what is below it cannot print. */
extern void (*cpu_stopped)(const char *why);
void cpu_give_up(const char *why) __attribute__((noreturn));

u64 cpu_idt_base(void);
