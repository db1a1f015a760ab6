/*
 * Memory that one CPU changes and the other's entries, or the processor there, depend on: MSR bitmaps, and
 * memory types. SDM: MSR-Bitmap Address; MTRR Considerations in MP Systems.
 */
#include "vmx_smp.h"

#define MSR_MTRR_DEF_TYPE	0x2ff
#define TYPES_ENABLE		BIT(11)
#define CHANGES			60u

/* RDMSR of ECX and then VMCALL; a count until told to end. */
asm("g_rdmsr: mov $0x174, %ecx; rdmsr; vmcall\n"
    "g_turn: inc %rbx; mov %rbx, (%rdx); cmpq $0, (%rcx); je g_turn; vmcall\n");
extern const char g_rdmsr[], g_turn[];

static u8 *bitmap;
static u32 reason_there;
static volatile u64 turns, enough;

static void rdmsr_there(void)
{
	vm_reset(&vm_there, g_rdmsr);
	control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
	vmwrite(MSR_BITMAP, (u64)bitmap);
	reason_there = vm_run(&vm_there);
}

/* Not between a VMM's look at the bitmap and its guest: each entry is after the change. */
void test_bitmaps(void)
{
	u32 right = 0;

	bitmap = page_alloc();
	for (u32 i = 0; i < CHANGES; i++) {
		bool exits = i % 3 == 1;

		bitmap[MSR_SYSENTER_CS / 8] = exits ? 1 << MSR_SYSENTER_CS % 8 : 0;
		ask(rdmsr_there);
		right += reason_there == (exits ? REASON_RDMSR : REASON_VMCALL);
	}
	print("MSR bitmap written by the other CPU: %u of %u\n", right, CHANGES);
}

static void turn_there(void)
{
	vm_reset(&vm_there, g_turn);
	vm_there.regs[RDX] = (u64)&turns;
	vm_there.regs[RCX] = (u64)&enough;
	reason_there = vm_run(&vm_there);
}

/* The types stay the same; each write makes them anew, below a guest that runs. */
void test_mtrrs(void)
{
	u64 types = rdmsr(MSR_MTRR_DEF_TYPE), before;
	u32 right = 0;

	turns = enough = 0;
	begin(turn_there);
	wait_beyond(&turns, 0);
	for (u32 i = 0; i < CHANGES; i++) {
		wrmsr(MSR_MTRR_DEF_TYPE, types & ~TYPES_ENABLE);
		wrmsr(MSR_MTRR_DEF_TYPE, types);
		before = turns;
		right += wait_beyond(&turns, before);
	}
	enough = 1;
	print("memory types set, and it runs on: %u of %u\n", right, CHANGES);
	expect("and ends as it should", wait_done() && reason_there == REASON_VMCALL);
}
