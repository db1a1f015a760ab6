/*
 * The 32-bit world of hardware tasks: four tasks, their descriptors, and snapshots of what the
 * CPU looks like in them. Shared by C (64-bit, prepares and prints) and assembly (32-bit, runs).
 */
#ifndef TASK_WORLD_H
#define TASK_WORLD_H

/* Selectors of the world's own GDT. Task A runs the case's code, C has a 16-bit TSS. */
#define CODE	0x08
#define DATA	0x10
#define TASK_A	0x18
#define TASK_B	0x20
#define TASK_C	0x28
#define TASK_D	0x30
#define GATE_B	0x38
#define LDT	0x40
#define CODE_C	0x48		/* base: task C's code */
#define STACK_C	0x50		/* base: task C's stack; 16-bit */
#define VICTIM	0x58		/* what a case makes of it */
#define USER_CODE	0x60
#define USER_DATA	0x68
#define IN_LDT	0x0c		/* the LDT's entry 1: flat data */

#define TASKS	4
#define TSS_STRIDE	256
#define WORLD_STACK	4096
#define LOG_SIZE	12
#define PROBE	0x40000000	/* an address that each address space maps to another page */

/* struct snapshot, for assembly */
#define SNAP_VECTOR	0
#define SNAP_ERROR	4
#define SNAP_GPR	8
#define SNAP_EIP	40
#define SNAP_EFLAGS	44
#define SNAP_CR0	48
#define SNAP_CR2	52
#define SNAP_CR3	56
#define SNAP_TR		60
#define SNAP_LDTR	64
#define SNAP_DR6	68
#define SNAP_DR7	72
#define SNAP_TOP	76
#define SNAP_SEG	80
#define SNAP_PROBE	104
#define SNAP_RIGHTS	108
#define SNAP_LINK	124
#define SNAP_FRAME	140
#define SNAP_SIZE	156

#ifndef __ASSEMBLER__
#include "cpu.h"

#define NO_VECTOR	0xffffffff

struct snapshot {
	u32 vector;		/* of an exception that ended the case, or NO_VECTOR */
	u32 error;
	u32 gpr[8];
	u32 eip, eflags, cr0, cr2, cr3, tr, ldtr, dr6, dr7;
	u32 top;		/* on the stack */
	u32 seg[6];		/* ES, CS, SS, DS, FS, GS */
	u32 probe;		/* at PROBE, with paging */
	u32 rights[TASKS];	/* upper halves of the TSS descriptors */
	u32 link[TASKS];
	u32 frame[4];		/* of an exception: CS, EFLAGS, and ESP and SS if there are */
};

struct tss32 {
	u32 link;
	struct { u32 esp, ss; } stack[3];
	u32 cr3, eip, eflags, gpr[8], seg[6], ldtr;
	u16 trap, io_map;
};

struct tss16 {
	u16 link, stack[6];
	u16 ip, flags, gpr[8], seg[4], ldtr;
};

extern u64 world_gdt[32], world_idt[256], world_ldt[4];
extern u8 world_tss[TASKS][TSS_STRIDE];
extern u8 world_stack[TASKS][WORLD_STACK];
extern struct snapshot world_log[LOG_SIZE];
extern u32 world_count;
extern u32 world_target[2];	/* of the cases' far CALL and JMP: offset, selector */
extern u32 world_skip;		/* handlers in tasks add it to task A's EIP */

struct address_space {
	u32 cr3;	/* 0: no paging */
	u32 cr4;
};

/* Runs 32-bit code as task A until it, or an exception, ends the case. */
void world_run(const void *code, u32 cr3, u32 cr4);

/* world.c */
struct tss32 *tss32(u32 selector);
u64 segment(u32 base, u32 limit, u32 type);	/* type: the descriptor's bits 40-55 */
u64 task_gate(u32 selector);
void world_reset(void);
void world_gate(unsigned int vector, u32 task);
const char *task_name(u32 selector);

/* paging.c */
struct address_space flat_space(u32 value);	/* two-level tables; reads value at PROBE */
struct address_space pae_space(u32 value);

/* cases.c */
struct task_case {
	const char *name;
	const u8 *code;
	void (*prepare)(void);
	unsigned int show;	/* what to print besides */
};
#define SHOW_TOP	1u
#define SHOW_STATE	2u	/* what was saved of task A */
#define SHOW_SEGMENTS	4u
#define SHOW_PROBE	8u
#define SHOW_CR2	16u
#define SHOW_DEBUG	32u
#define SHOW_FRAME	64u
#define SHOW_GPR	128u
extern const struct task_case task_cases[];
extern const unsigned int task_case_count;
extern struct address_space case_space;	/* of task A */
#endif

#endif
