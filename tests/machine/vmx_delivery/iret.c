/*
 * IRET that faults or exits after it has ended blocking by NMI: the VMM is told, and blocks again.
 * SDM: Information for VM Exits Due to Vectored Events, and "Exit Qualification", bit 12: NMI
 * unblocking due to IRET.
 */
#include "world.h"

asm("d_iret: nop; iretq\n"
    "d_returned: mov $0xabc, %ebx; vmcall\n"
    "d_load: nop; mov (%rsp), %rax; jmp d_returned\n");
extern const char d_iret[], d_returned[], d_load[];

static void none(void) { }
static void stack_gone(void) { world_ept(STACK_PAGE, EPT_RWX, 0); }
static void stack_bad(void) { world_ept(STACK_PAGE, EPT_R, 0); }
static void gdt_gone(void) { world_ept(GDT_PAGE, EPT_RWX, 0); }

static void stack_unmapped(void)
{
	world_unmap(STACK_PAGE);
	vmwrite(EXCEPTION_BITMAP, BIT(14));
}

static void bad_cs(void)
{
	*(u64 *)((u8 *)world_page(STACK_PAGE) + PAGE_SIZE - 64 + 8) = 0;
	vmwrite(EXCEPTION_BITMAP, BIT(13));
}

static const struct {
	const char *text, *code;
	void (*setup)(void);
} troubles[] = {
	{ "nothing", d_iret, none },
	{ "stack gone", d_iret, stack_gone },
	{ "stack's entry bad", d_iret, stack_bad },
	{ "GDT gone", d_iret, gdt_gone },
	{ "stack not mapped, #PF intercepted", d_iret, stack_unmapped },
	{ "CS 0, #GP intercepted", d_iret, bad_cs },
	{ "no IRET, stack gone", d_load, stack_gone },
	{ "no IRET, stack not mapped, #PF intercepted", d_load, stack_unmapped },
};

static void make_frame(void)
{
	u64 *frame = (u64 *)((u8 *)world_page(STACK_PAGE) + PAGE_SIZE - 64);
	const u64 image[5] = { (u64)d_returned, SEL_CODE, 2, STACK_START(STACK_PAGE), SEL_DATA };

	memcpy(frame, image, sizeof(image));
}

/* Where the bit is: in the qualification, or in the interruption information. */
static u64 unblocked(u32 reason)
{
	return vmread(reason == REASON_EXCEPTION ? EXIT_INTR_INFO : EXIT_QUALIFICATION) & BIT(12);
}

static void run_row(struct vm *vm, unsigned int i, bool virtual_nmis, bool blocked)
{
	u32 reason;

	world_reset(vm, troubles[i].code);
	make_frame();
	if (virtual_nmis)
		control_set(PIN_CONTROLS, PIN_NMI | PIN_VIRTUAL_NMI);
	vmwrite(GUEST_INTERRUPTIBILITY, blocked ? BLOCK_NMI : 0);
	troubles[i].setup();
	print("IRET, %s, %s, %s: ", virtual_nmis ? "virtual NMIs" : "real NMIs",
	      blocked ? "blocked" : "not blocked", troubles[i].text);
	reason = vm_run(vm);
	print("%s", reason_name(reason));
	if (reason == REASON_EXCEPTION || reason == REASON_EPT_VIOLATION)
		print(" unblocked by IRET=%u", !!unblocked(reason));
	print(" blocking=%lx rip=+%ld\n", vmread(GUEST_INTERRUPTIBILITY),
	      vmread(GUEST_RIP) - (u64)troubles[i].code);
}

void test_iret(struct vm *vm)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(troubles); i++)
		for (unsigned int j = 0; j < 4; j++)
			run_row(vm, i, j & 2, j & 1);
}
