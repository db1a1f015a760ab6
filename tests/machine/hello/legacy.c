/*
 * What excursion.S found out in 32-bit protected mode and in real mode, as lines. Prepares its
 * tasks' descriptors and copies the 16-bit code below 64 KiB.
 */
#include "cpu.h"
#include "legacy.h"

#define REAL_MODE_CODE	0x8000

extern const u8 real_start[], real_end[];
extern u32 legacy_result[16];
extern u8 task_a[], task_b[];
void legacy_run(void);

static u64 descriptor(u64 base, u32 limit, u32 type)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | (u64)type << 40 |
	       (base >> 24 & 0xff) << 56;
}

void test_legacy(void)
{
	memcpy((void *)REAL_MODE_CODE, real_start, (size_t)(real_end - real_start));
	gdt[SEL_TASK_A / 8] = descriptor((u64)task_a, 103, 0x89);
	gdt[SEL_TASK_B / 8] = descriptor((u64)task_b, 103, 0x89);
	gdt[SEL_TASK_GATE / 8] = (u64)SEL_TASK_B << 16 | 0x85ull << 40;
	legacy_run();
	gdt[SEL_TSS / 8] &= ~BIT(41);	/* no longer busy */
	asm volatile("ltr %w0" : : "r" (SEL_TSS));

	print("task B by CALL: EAX %x, link %x, NT %x, CR0.TS %x, busy %x %x\n", legacy_result[0],
	      legacy_result[1], legacy_result[2], legacy_result[3], legacy_result[4],
	      legacy_result[5]);
	print("task A after IRET: EBX %x, ESI %x, NT %x, busy %x %x\n", legacy_result[6],
	      legacy_result[7], legacy_result[8], legacy_result[9], legacy_result[10]);
	print("task B by a task gate and JMP back: %x\n", legacy_result[11]);
	print("real mode: interrupt %x, BIOS memory size %s, big segment %s, VMX %u\n",
	      legacy_result[12],
	      legacy_result[13] >= 600 && legacy_result[13] <= 640 ? "good" : "bad",
	      legacy_result[14] == *(const u32 *)image_start ? "yes" : "no",
	      legacy_result[15]);
}
