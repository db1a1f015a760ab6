/*
 * Guest code of the cases that is easier in C: interrupts sent by the guest to itself, and
 * exceptions that the guest handles itself.
 */
#include "vmx_exits.h"

asm(".globl guest_end; guest_end: vmcall; ud2");
asm(".globl absolute_1000; .set absolute_1000, 0x1000");

u32 guest_exceptions(void);
u64 guest_page_fault(void);
u64 guest_page_fault_write(void);
void guest_self_nmi(void);
void guest_self_ipi(void);

static void wait_a_little(void)
{
	for (int i = 0; i < 100; i++)
		asm volatile("pause");
}

/* One bit for each exception that arrived as it should */
u32 guest_exceptions(void)
{
	u32 arrived = 0;

	TRY("ud2");
	arrived |= (trap_last.vector == 6) << 0;
	TRY("int3");
	arrived |= (trap_last.vector == 3) << 1;
	TRY("mov %3, %%ds", "r" (0x5650));
	arrived |= (trap_last.vector == 13 && trap_last.error == 0x5650) << 2;
	TRY("mov (%3), %%rax", "r" (0x500000000ul));
	arrived |= (trap_last.vector == 14 && trap_last.error == 0 &&
		    trap_last.cr2 == 0x500000000) << 3;
	trap_rdx = 0;
	TRY("div %3", "r" (0ul));
	arrived |= (trap_last.vector == 0) << 4;
	return arrived;
}

u64 guest_page_fault(void)
{
	TRY("mov (%3), %%rax", "r" (0x500000008ul));
	return trap_last.vector == 14 ? trap_last.cr2 : 0;
}

u64 guest_page_fault_write(void)
{
	TRY("movb $1, (%3)", "r" (0x500000008ul));
	return trap_last.vector == 14 ? trap_last.cr2 : 0;
}

void guest_self_nmi(void)
{
	apic_self_nmi();
	wait_a_little();
}

void guest_self_ipi(void)
{
	asm volatile("sti");
	apic_self_ipi(0x50);
	wait_a_little();
}
