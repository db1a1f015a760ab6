/* See kick.h. */
#include "cpu/kick.h"

#include "cpu/apic.h"
#include "cpu/cpu.h"
#include "cpu/pcpu.h"

bool cpu_kick(struct pcpu *p)
{
	if (!cpu_apic_usable() || !cpu_apic_can_name(p->apic_id))
		return false;
	/* One that is on its way serves as well: it has yet to arrive. */
	if (!__atomic_exchange_n(&p->kicked, true, __ATOMIC_SEQ_CST))
		cpu_apic_send(p->apic_id, CPU_APIC_NMI);
	return true;
}

bool cpu_kick_arrived(void)
{
	return __atomic_exchange_n(&cpu_this()->kicked, false, __ATOMIC_SEQ_CST);
}

void cpu_unblock_nmi(void)
{
	u64 sp;

	asm volatile("mov %%rsp, %0; push %1; push %0; pushf; push %2; lea 1f(%%rip), %0;"
		     "push %0; iretq; 1:"
		     : "=&r"(sp) : "i"(CPU_SEL_DATA), "i"(CPU_SEL_CODE) : "cc", "memory");
}
