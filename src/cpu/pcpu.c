/*
 * Sets up a physical CPU: GDT, TSS with separate stacks for NMI, machine
 * check and double fault, the common IDT, and control registers as L0 wants
 * them. Does not start other CPUs, and does not switch VMX on.
 */
#include "cpu/pcpu.h"

#include "cpu/idt.h"

#define CPUID_1_EDX_MCE BIT32(7)
#define CPUID_1_ECX_XSAVE BIT32(26)
#define CPUID_7_ECX_PKU BIT32(3)

#define GDT_CODE64 0x00af9b000000ffffull
#define GDT_DATA 0x00cf93000000ffffull
#define GDT_TYPE_TSS 0x89ull

struct pcpu *cpu_pcpus[CPU_MAX];
u32 cpu_count;

static void fill_gdt(struct pcpu *p)
{
	u64 base = (u64)&p->tss, limit = sizeof(p->tss) - 1;

	p->gdt[0] = 0;
	p->gdt[CPU_SEL_CODE / 8] = GDT_CODE64;
	p->gdt[CPU_SEL_DATA / 8] = GDT_DATA;
	p->gdt[CPU_SEL_TSS / 8] = limit | (base & 0xffffff) << 16 |
		GDT_TYPE_TSS << 40 | (base >> 24 & 0xff) << 56;
	p->gdt[CPU_SEL_TSS / 8 + 1] = base >> 32;
}

void cpu_add(struct pcpu *p, u32 apic_id)
{
	p->self = p;
	p->index = cpu_count;
	p->apic_id = apic_id;
	p->stack_top = (u64)(p->stack + CPU_STACK_SIZE);
	p->tss.ist[CPU_IST_NMI - 1] = (u64)(p->stack_nmi + CPU_IST_STACK_SIZE);
	p->tss.ist[CPU_IST_MC - 1] = (u64)(p->stack_mc + CPU_IST_STACK_SIZE);
	p->tss.ist[CPU_IST_DF - 1] = (u64)(p->stack_df + CPU_IST_STACK_SIZE);
	p->tss.iomap_base = sizeof(p->tss);
	fill_gdt(p);
	cpu_pcpus[cpu_count++] = p;
}

static void load_descriptors(struct pcpu *p)
{
	struct cpu_table_reg gdtr = { sizeof(p->gdt) - 1, (u64)p->gdt };
	struct cpu_table_reg idtr = { CPU_IDT_LIMIT, cpu_idt_base() };

	asm volatile("lgdt %0" : : "m"(gdtr));
	asm volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:"
		     : : "i"(CPU_SEL_CODE) : "rax", "memory");
	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %1, %%fs; mov %1, %%gs"
		     : : "r"(CPU_SEL_DATA), "r"(0));
	cpu_wrmsr(MSR_GS_BASE, (u64)p);
	asm volatile("lidt %0" : : "m"(idtr));
	asm volatile("ltr %w0" : : "r"(CPU_SEL_TSS) : "memory");
}

void cpu_enter(struct pcpu *p)
{
	struct cpuid_regs features = cpu_cpuid(1, 0);
	u64 cr4 = CR4_PAE | CR4_PGE;

	if (features.edx & CPUID_1_EDX_MCE)
		cr4 |= CR4_MCE;
	if (features.ecx & CPUID_1_ECX_XSAVE)
		cr4 |= CR4_OSXSAVE;
	/* To read a guest's PKRU; L0 has no user pages. */
	if (cpu_cpuid(0, 0).eax >= 7 && (cpu_cpuid(7, 0).ecx & CPUID_7_ECX_PKU))
		cr4 |= CR4_PKE;
	load_descriptors(p);
	cpu_write_cr4(cr4);
}
