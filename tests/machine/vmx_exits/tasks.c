/*
 * Task switches of a 32-bit guest (with 4-MiB pages, no EPT): each way to start one, with the
 * selector and source in the qualification. No task ever runs. SDM: Exit Qualification for Task
 * Switches.
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
    "task_int3: int3\n"
    "task_int1: .byte 0xf1\n"
    "task_gp: mov $0x5650, %eax; mov %eax, %ds\n"
    "task_iret: push $0x4002; popf; iret\n"
    "task_nop: nop; vmcall\n"
    ".code64");
extern const char task_jmp[], task_call[], task_gate_jmp[], task_int[], task_exception[],
	task_int3[], task_int1[], task_gp[], task_iret[], task_nop[];

static u64 idt32[256];

static void enter_32_bit(void)
{
	for (u32 i = 0; i < 1024; i++)
		directory[i] = i << 22 | 0x87;
	gdt[SEL_TASK_A / 8] = 0x0000890000000067 | ((u64)other_task & 0xffffff) << 16;
	gdt[SEL_TASK_B / 8] = gdt[SEL_TASK_A / 8] | BIT(41);	/* busy: IRET's */
	gdt[SEL_TASK_GATE / 8] = (u64)SEL_TASK_A << 16 | 0x85ull << 40;
	*(u16 *)other_task = SEL_TASK_B;
	for (u32 i = 0; i < 256; i++)
		idt32[i] = gdt[SEL_TASK_GATE / 8];
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

static void inject(u64 info)
{
	enter_32_bit();
	vmwrite(ENTRY_INTR_INFO, INTR_VALID | info);
	vmwrite(ENTRY_INTR_ERROR, 0x1230);
	vmwrite(ENTRY_INSN_LENGTH, 2);
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_IF);
}

#define INJECT(id, info) static void setup_##id(struct vm *vm) { (void)vm; inject(info); }
INJECT(external, INTR_EXTERNAL | 0x60)
INJECT(nmi, INTR_NMI | 2)
INJECT(ud, INTR_HARDWARE | 6)
INJECT(gp, INTR_HARDWARE | INTR_ERROR | 13)
INJECT(soft, INTR_SOFT_INT | 0x60)
INJECT(int3, INTR_SOFT_EXC | 3)
INJECT(int1, INTR_PRIV_SOFT | 1)

void test_tasks(struct vm *vm)
{
	static const struct exit_case rows[] = {
		{ "task switch by JMP", setup_tasks, task_jmp },
		{ "task switch by CALL", setup_tasks, task_call },
		{ "task switch by a task gate", setup_tasks, task_gate_jmp },
		{ "task switch by INT", setup_tasks, task_int },
		{ "task switch by an exception", setup_tasks, task_exception },
		{ "task switch by an exception with error code", setup_tasks, task_gp },
		{ "task switch by INT3", setup_tasks, task_int3 },
		{ "task switch by INT1", setup_tasks, task_int1 },
		{ "task switch by IRET", setup_tasks, task_iret },
		{ "task switch by an injected external interrupt", setup_external, task_nop },
		{ "task switch by an injected NMI", setup_nmi, task_nop },
		{ "task switch by an injected exception", setup_ud, task_nop },
		{ "task switch by an injected exception with error code", setup_gp, task_nop },
		{ "task switch by an injected INT", setup_soft, task_nop },
		{ "task switch by an injected INT3", setup_int3, task_nop },
		{ "task switch by an injected INT1", setup_int1, task_nop },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		run_case(vm, &rows[i]);
}
