/* Descriptors, TSSs and gates of the 32-bit world as a case finds them: four tasks, all flat. */
#include "world.h"

u64 world_gdt[32] __attribute__((aligned(16)));
u64 world_idt[256] __attribute__((aligned(16)));
u64 world_ldt[4] __attribute__((aligned(16)));
u8 world_tss[TASKS][TSS_STRIDE] __attribute__((aligned(4096)));
u8 world_stack[TASKS][WORLD_STACK] __attribute__((aligned(4096)));

extern const u8 world_stubs[], task_return[];

static u32 address(const void *p)
{
	return (u32)(u64)p;
}

struct tss32 *tss32(u32 selector)
{
	return (struct tss32 *)world_tss[(selector - TASK_A) / 8];
}

u64 segment(u32 base, u32 limit, u32 type)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(type & 0xf0ff) << 40 |
	       (u64)(limit >> 16 & 15) << 48 | (u64)(base >> 24) << 56;
}

u64 task_gate(u32 selector)
{
	return (u64)selector << 16 | 0xe5ull << 40;
}

void world_gate(unsigned int vector, u32 task)
{
	world_idt[vector] = task_gate(task);
}

const char *task_name(u32 selector)
{
	static char name[] = "?";

	if (selector < TASK_A || selector > TASK_D)
		return "?";
	name[0] = (char)('A' + (selector - TASK_A) / 8);
	return name;
}

static void reset_task32(u32 selector, u32 space)
{
	struct tss32 *t = tss32(selector);
	u32 top = address(world_stack[(selector - TASK_A) / 8 + 1]);

	memset(t, 0, TSS_STRIDE);
	t->stack[0].esp = top - 1024;
	t->stack[0].ss = DATA;
	t->cr3 = space;
	t->eip = address(task_return);
	t->eflags = 2;
	for (unsigned int i = 0; i < 8; i++)
		t->gpr[i] = 0xb0b0b0b0 + 0x01010101 * i;
	t->gpr[4] = top;
	for (unsigned int i = 0; i < 6; i++)
		t->seg[i] = i == 1 ? CODE : DATA;
	t->io_map = sizeof(*t);
	world_gdt[selector / 8] = segment(address(t), sizeof(*t) - 1, 0x89);
}

/* Task C's stack and code have bases, for offsets of 16 bits. */
static void reset_task16(void)
{
	struct tss16 *t = (struct tss16 *)tss32(TASK_C);

	memset(t, 0, TSS_STRIDE);
	t->stack[0] = WORLD_STACK - 1024;
	t->stack[1] = STACK_C;
	t->flags = 2;
	for (unsigned int i = 0; i < 8; i++)
		t->gpr[i] = (u16)(0xc0c0 + 0x0101 * i);
	t->gpr[4] = WORLD_STACK;
	t->seg[0] = DATA;
	t->seg[1] = CODE_C;
	t->seg[2] = STACK_C;
	t->seg[3] = DATA;
	world_gdt[TASK_C / 8] = segment(address(t), sizeof(*t) - 1, 0x81);
	world_gdt[CODE_C / 8] = segment(address(task_return), 0xffff, 0x409b);
	world_gdt[STACK_C / 8] = segment(address(world_stack[2]), 0xffff, 0x93);
}

void world_reset(void)
{
	world_gdt[CODE / 8] = segment(0, 0xfffff, 0xc09b);
	world_gdt[DATA / 8] = segment(0, 0xfffff, 0xc093);
	world_gdt[USER_CODE / 8] = segment(0, 0xfffff, 0xc0fb);
	world_gdt[USER_DATA / 8] = segment(0, 0xfffff, 0xc0f3);
	world_gdt[GATE_B / 8] = task_gate(TASK_B);
	world_gdt[VICTIM / 8] = 0;
	world_ldt[1] = segment(0, 0xfffff, 0xc093);
	world_gdt[LDT / 8] = segment(address(world_ldt), sizeof(world_ldt) - 1, 0x82);
	for (unsigned int i = 0; i < 256; i++) {
		u32 stub = address(world_stubs) + 16 * i;

		world_idt[i] = (stub & 0xffff) | CODE << 16 | 0xee00ull << 32 |
			       (u64)(stub & 0xffff0000) << 32;
	}
	reset_task32(TASK_A, 0);
	reset_task32(TASK_B, 0);
	reset_task32(TASK_D, 0);
	reset_task16();
	world_target[0] = 0;
	world_target[1] = TASK_B;
	world_skip = 0;
}
