/*
 * A small kernel for the top of a stack of hypervisors: paging, the timer, CPUID, CPL 3, and out.
 */
#include "cpu.h"

asm("user_code: mov $0, %eax; cpuid; mov %ebx, user_seen; int $0x81");
extern const char user_code[];
u32 user_seen;

int main(void)
{
	u64 *directory = page_alloc();

	print("tiny: on a CPU, in 64-bit mode\n");
	apic_enable();
	for (u32 i = 1; i <= 3; i++) {
		apic_timer(0x50, 10000);
		while (trap_count[0x50] != i)
			asm volatile("sti; hlt; cli" : : : "memory");
		print("timer interrupt %u\n", i);
	}
	directory[0] = 0x87;
	pdpt[6] = (u64)directory | 7;
	write_cr3(read_cr3());
	print("memory by another address: %s\n",
	      *(u64 *)(0x180000000 + 0x100000) == *(u64 *)0x100000 ? "the same" : "differs");
	TRY("ud2");
	print("UD2: %s\n", fault_text());
	user_run(user_code);
	print("CPL 3: %s, CPUID %s\n", fault_text(),
	      user_seen == cpuid(0, 0).ebx ? "the same" : "differs");
	return 0;
}
