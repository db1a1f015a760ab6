/*
 * One instruction, or one event, of a processor in real-address mode: what L0
 * executes of an L1 in real mode where the hardware has no unrestricted guest.
 * There hardware runs L1's code itself, in virtual-8086 mode or in protected
 * mode with CPL 3, IOPL 3, and empty descriptor tables, and L0 gets what faults
 * for that reason: privileged instructions, loads of segment registers, writes
 * through CS, events. Before an instruction runs in the second form L0 is asked
 * as well, for some fault in neither and would show L1 selectors and flags of
 * L0's. This is no full emulator: what hardware can execute in both forms is not
 * here, and who calls has to know the forms. One that runs in them and must not
 * is SYSENTER: IA32_SYSENTER_CS has to be 0 there.
 *
 * Always: addresses in memory are linear, which without paging is physical
 * (GPA1); they wrap at 2^32. Code and each operand are read once, and judged as
 * they were read. What does not end in REAL_DONE has changed nothing, neither
 * the processor nor memory.
 * Source: SDM 3B "8086 Emulation", 2A-2D (operations in real-address mode).
 */
#pragma once

#include "vmx.h"
#include "x86.h"

#define REAL_GPRS 8
#define REAL_SEGMENTS 6		/* ES, CS, SS, DS, FS, GS as in enum x86_seg */
#define REAL_MAX_INSN 15

struct vm;

/*
 * A segment register as it works: selector and base are those of the last load,
 * limit (in bytes) and rights what protected mode or reset left. Of the rights
 * (VMCS format) only D/B of CS and SS, and "expands down" of data count here:
 * real mode asks a segment for no more than its limit.
 */
struct real_segment {
	u16 selector;
	u32 base, limit, ar;
};

struct real_table {
	u32 base;
	u16 limit;
};

/*
 * L1's processor as L1 means it: gdtr and idtr are those it loaded, not the
 * empty ones it runs with. IOPL in eflags is never changed here, for the forms
 * need 3; VM should be clear (virtual-8086 mode is the caller's form).
 */
struct real_cpu {
	u32 gpr[REAL_GPRS];
	u32 eip, eflags;
	u32 cr0;			/* as L1 reads it */
	struct real_segment seg[REAL_SEGMENTS];
	struct real_table gdtr, idtr;
	u32 blocking;			/* BLOCKED_BY_*, as in the VMCS */
};

enum real_end {
	/*
	 * Executed. For real_emulate(): eip is behind it, blocking is as after it; or, where
	 * another processor changed the memory it was to change, all is as before, to be
	 * executed again.
	 */
	REAL_DONE,
	/* The instruction faults with real_insn.vector: give it to real_deliver(). */
	REAL_FAULT,
	/* real_insn.op is decoded; nothing is done. The caller executes it, and advances. */
	REAL_MACHINE,
	/* Hardware executes this in every form: if it faulted there, that is L1's own fault. */
	REAL_NATIVE,
	/* It can write through CS, or the like, in a way that is not executed here. */
	REAL_UNSUPPORTED,
	/* Of real_deliver(): not even a double fault could be delivered. */
	REAL_SHUTDOWN,
};

/* Instructions that need more than a real_cpu. In real mode CPL is 0. */
enum real_op {
	REAL_MOV_TO_CR,		/* CR reg = gpr; 0, 2, 3 or 4 */
	REAL_MOV_FROM_CR,	/* gpr = CR reg */
	REAL_MOV_TO_DR,		/* DR reg = gpr; of 4 and 5 CR4.DE decides */
	REAL_MOV_FROM_DR,	/* gpr = DR reg */
	REAL_LMSW,		/* value: the 16 bits */
	REAL_CLTS,
	REAL_HLT,
	REAL_RDMSR,
	REAL_WRMSR,
	REAL_INVD,
	REAL_WBINVD,
	REAL_INVLPG,		/* value: the linear address */
	REAL_XSETBV,
	REAL_MONITOR,
	REAL_MWAIT,
};

/* What real_emulate() found at CS:EIP. */
struct real_insn {
	u8 bytes[REAL_MAX_INSN];
	u8 count;		/* of bytes that were read */
	u8 length;		/* of the instruction, when it could be decoded to its end */
	u8 vector;		/* REAL_FAULT */
	bool trap;		/* REAL_DONE: RFLAGS.TF was set, and it ends with a #DB for that */
	enum real_op op;	/* REAL_MACHINE */
	u8 reg, gpr;
	u32 value;
};

/*
 * Executes the instruction at CS:EIP if it is one that the forms cannot. Ends
 * with any but REAL_SHUTDOWN; only REAL_DONE changes *cpu and memory. Data
 * breakpoints do not see its operands.
 */
enum real_end real_emulate(struct vm *vm, struct real_cpu *cpu, struct real_insn *insn);

/*
 * Delivers an event through the interrupt vector table. info is in the format
 * of VM-entry interruption information or IDT-vectoring information (an error
 * code is not delivered in real mode); length is the instruction's for software
 * interrupts and exceptions, whose return address is behind it. A fault on the
 * way is delivered instead, or a double fault, as the processor would. CR2, DR6
 * and DR7 are the caller's. Ends with REAL_DONE or REAL_SHUTDOWN.
 * SDM 3A "Interrupt 8-Double Fault Exception", 2A "INT n/INTO/INT3/INT1".
 */
enum real_end real_deliver(struct vm *vm, struct real_cpu *cpu, u32 info, u32 length);

/*
 * L1's memory, by linear address; a range may cross pages and wrap. What is not
 * there reads as ones and takes no writes. In memory.c for the machine; tests
 * bring their own.
 */
void real_read(struct vm *vm, u32 at, void *to, u32 len);
void real_write(struct vm *vm, u32 at, const void *from, u32 len);
/* Of 1, 2 or 4 bytes; in one step within a cache line. false: it is not `from`, and stays. */
bool real_exchange(struct vm *vm, u32 at, u32 len, u32 from, u32 to);
