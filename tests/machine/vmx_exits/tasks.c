/*
 * Task switches of a 32-bit guest (with 4-MiB pages, no EPT): each way to start one, with the
 * selector and source in the qualification. No task ever runs. SDM: Exit Qualification for Task Switches.
 */
#include "vmx_exits.h"

static u32 directory[1024] __attribute__((aligned(4096)));
static u8 other_task[104];

asm(".code32\n"
    "task_jmp: ljmp $0x58, $0\n"
    "task_call: lcall $0x58, $0\n"
    "task_gate_jmp: ljmp $0x68, $0\n"
    "task_int: int $0x70\n"
    "task_exception: ud2\n"
    ".code64");
extern const char task_jmp[], task_call[], task_gate_jmp[], task_int[], task_exception[];

static u64 idt32[256];

static void enter_32_bit(void)
{
	for (u32 i = 0; i < 1024; i++)
		directory[i] = i << 22 | 0x87;
	gdt[SEL_TASK_A / 8] = 0x0000890000000067 | ((u64)other_task & 0xffffff) << 16;
	gdt[SEL_TASK_GATE / 8] = (u64)SEL_TASK_A << 16 | 0x85ull << 40;
	*(u16 *)other_task = SEL_TASK_B;
	idt32[0x70] = idt32[6] = gdt[SEL_TASK_GATE / 8];
	control_clear(ENTRY_CONTROLS, ENTRY_GUEST_64);
	vmwrite(GUEST_CR3, (u64)directory);
	vmwrite(GUEST_CR4, (read_cr4() & ~CR4_PAE) | CR4_PSE);
	vmwrite(GUEST_CS, SEL_CODE32);
	vmwrite(GUEST_CS_RIGHTS, 0xc09b);
	vmwrite(GUEST_TR_RIGHTS, 0x8b);
	vmwrite(GUEST_TR_BASE, (u64)other_task);
	vmwrite(GUEST_TR_LIMIT, 103);
	vmwrite(GUEST_IDTR_BASE, (u64)idt32);
	vmwrite(GUEST_IDTR_LIMIT, sizeof(idt32) - 1);
}

static void setup_tasks(struct vm *vm)
{
	(void)vm;
	enter_32_bit();
}

void test_tasks(struct vm *vm)
{
	static const struct exit_case rows[] = {
		{ "task switch by JMP", setup_tasks, task_jmp },
		{ "task switch by CALL", setup_tasks, task_call },
		{ "task switch by a task gate", setup_tasks, task_gate_jmp },
		{ "task switch by INT", setup_tasks, task_int },
		{ "task switch by an exception", setup_tasks, task_exception },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		run_case(vm, &rows[i]);
}
