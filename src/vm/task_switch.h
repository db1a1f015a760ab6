/*
 * A task switch of L1 under way. Shared by task_switch*.c and nobody else.
 *
 * Always: what is checked is a copy in here; a function that returns false has
 * said why in `fault`, and nothing of L1's state has changed before
 * task_commit().
 */
#pragma once

#include "vm/regs.h"
#include "x86_tss.h"

/* SDM 3C "Exit Qualification for Task Switches", bits 31:30. */
enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

/* What both kinds of TSS hold of a task, zero- or one-extended to 32 bits. */
struct task_state {
	u32 cr3;		/* 32-bit TSS only */
	u32 eip, eflags, gpr[TSS_SAVED_GPRS];
	u16 seg[TSS32_SEGS];
	bool trap;
};

struct task_switch {
	struct vcpu *v;
	enum task_source source;
	u32 event;		/* IDT-vectoring information; 0: CALL, JMP or IRET */
	u32 ext;		/* bit 0 of error codes: not the program's own doing */
	u16 selector, old_selector;	/* of the new TSS and the old one */
	struct x86_descriptor tss;	/* the new one's */
	struct task_state state;	/* the new task's */
	struct mmu_paging paging;
	struct outcome fault;
};

static inline bool task_is_wide(const struct task_switch *ts)
{
	return ts->tss.ar & SYS_TYPE_TSS_WIDE;
}

static inline bool task_nests(const struct task_switch *ts)
{
	return ts->source == TASK_CALL || ts->source == TASK_GATE;
}

static inline bool task_event_is(const struct task_switch *ts, u32 type)
{
	return ts->event && (ts->event & INTR_TYPE) == type;
}

/* task_switch_memory.c: guest memory at a linear address. */
bool task_fault(struct task_switch *ts, u8 vector, u16 selector);
bool task_read(struct task_switch *ts, u32 at, void *to, size_t len);
bool task_write(struct task_switch *ts, u32 at, const void *from, size_t len);
bool task_can_read(struct task_switch *ts, u32 at, size_t len);
bool task_can_write(struct task_switch *ts, u32 at, size_t len);
u32 task_gdt_entry(u16 selector);
/* Of the GDT or the LDT; outside it: the fault `vector`. */
bool task_descriptor(struct task_switch *ts, u16 selector, u8 vector, struct x86_descriptor *d);
/* Sets or clears bits in the access-rights byte of a descriptor in memory. */
bool task_change_descriptor(struct task_switch *ts, u32 at, u8 clear, u8 set);

/* task_switch_tss.c: L1's registers to the old TSS, the new TSS to `state`. */
bool task_check_old_tss(struct task_switch *ts);
bool task_save(struct task_switch *ts);
bool task_check_new_tss(struct task_switch *ts);
bool task_read_new(struct task_switch *ts);

/* task_switch_segments.c: the new task's segments; faults are the new task's. */
void task_set_selectors(struct task_switch *ts);
bool task_load_segments(struct task_switch *ts);
bool task_push_error_code(struct task_switch *ts, u32 code);
