/*
 * Events whose delivery needs pages that no TLB has, or that are not there: what the guest gets, or
 * the VMM. SDM: Information for VM Exits That Occur During Event Delivery, Interrupt 8-Double
 * Fault.
 */
#include "vmx_paging.h"

asm("d_ud: ud2\n"
    "d_int: int $0x40\n"
    "d_nothing: vmcall\n"
    "d_handler: mov 8(%rsp), %rax; mov $0x77, %ebx; vmcall\n");
extern const char d_ud[], d_int[], d_nothing[], d_handler[];

static void set_gate(u64 *where, unsigned int vector)
{
	u64 handler = (u64)d_handler;

	where[2 * vector] = (handler & 0xffff) | (u64)SEL_CODE << 16 | 0xee00ull << 32 |
			    (handler >> 16 & 0xffff) << 48;
	where[2 * vector + 1] = handler >> 32;
}

/* The IDT is in page 8 of the window, the stack in page 6. */
static void start(struct vm *vm, const char *code, u64 bitmap)
{
	u64 *idt_there = (u64 *)page[8];

	start_guest(vm, code, 0);
	memset(idt_there, 0, PAGE_SIZE);
	for (unsigned int i = 0; i < 256; i++)
		set_gate(idt_there, i);
	vmwrite(GUEST_IDTR_BASE, WINDOW + 8 * PAGE_SIZE);
	vmwrite(GUEST_RSP, WINDOW + 7 * PAGE_SIZE);
	vmwrite(EXCEPTION_BITMAP, bitmap);
}

static void inject(struct vm *vm, const char *name, u32 info, u64 bitmap, u64 without)
{
	start(vm, d_nothing, bitmap);
	table[8] &= ~without;
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_IF);
	vmwrite(ENTRY_INTR_INFO, INTR_VALID | info);
	vmwrite(ENTRY_INTR_ERROR, 0);
	vmwrite(ENTRY_INSN_LENGTH, 2);
	run_guest(vm, name);
}

static const struct { const char *name; u32 info; } events[] = {
	{ "an interrupt", INTR_EXTERNAL | 0x40 },
	{ "an NMI", INTR_NMI | 2 },
	{ "#UD", INTR_HARDWARE | 6 },
	{ "#GP", INTR_HARDWARE | INTR_ERROR | 13 },
	{ "#PF", INTR_HARDWARE | INTR_ERROR | 14 },
	{ "#DF", INTR_HARDWARE | INTR_ERROR | 8 },
	{ "INT", INTR_SOFT_INT | 0x40 },
};

void test_delivery(struct vm *vm)
{
	print("-- through pages that no TLB has\n");
	start(vm, d_ud, BIT(14));
	run_guest(vm, "UD2");
	start(vm, d_int, BIT(14));
	run_guest(vm, "INT");
	for (unsigned int i = 0; i < ARRAY_SIZE(events); i++) {
		inject(vm, events[i].name, events[i].info, 0, 0);
		print("NMI blocking %lu\n", vmread(GUEST_INTERRUPTIBILITY) >> 3 & 1);
	}
	print("-- the IDT is not there, and page faults exit\n");
	start(vm, d_ud, BIT(14));
	table[8] = 0;
	run_guest(vm, "UD2");
	start(vm, d_int, BIT(14));
	table[8] = 0;
	run_guest(vm, "INT");
	for (unsigned int i = 0; i < ARRAY_SIZE(events); i++)
		inject(vm, events[i].name, events[i].info, BIT(14), PTE_P);
	print("-- the IDT is not there, and only #DF exits\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(events); i++) {
		write_cr2(0);
		inject(vm, events[i].name, events[i].info, BIT(8), PTE_P);
		print("CR2 %lx\n", read_cr2());
	}
	print("-- the stack cannot be written\n");
	start(vm, d_int, BIT(14));
	table[6] &= ~PTE_W;
	run_guest(vm, "INT");
	start(vm, d_int, BIT(8));
	table[6] = 0;
	run_guest(vm, "INT, #PF is the guest's");
}
