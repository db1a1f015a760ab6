/*
 * Inline wrappers of single instructions, for code that does not expect them to fault.
 * Holds no state. What may fault goes through TRY() of kit.h.
 */
#ifndef KIT_CPU_H
#define KIT_CPU_H

#include "kit.h"

#define MSR_TSC			0x10
#define MSR_APIC_BASE		0x1b
#define MSR_FEATURE_CONTROL	0x3a
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_MTRR_CAP		0xfe
#define MSR_DEBUGCTL		0x1d9
#define MSR_PAT			0x277
#define MSR_XSS			0xda0
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_FMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_AUX		0xc0000103

#define EFER_SCE	BIT(0)
#define EFER_LME	BIT(8)
#define EFER_LMA	BIT(10)
#define EFER_NXE	BIT(11)

#define CR0_PE	BIT(0)
#define CR0_MP	BIT(1)
#define CR0_TS	BIT(3)
#define CR0_ET	BIT(4)
#define CR0_NE	BIT(5)
#define CR0_WP	BIT(16)
#define CR0_CD	BIT(30)
#define CR0_PG	BIT(31)
#define CR4_TSD	BIT(2)
#define CR4_DE	BIT(3)
#define CR4_PSE	BIT(4)
#define CR4_PAE	BIT(5)
#define CR4_PGE	BIT(7)
#define CR4_VMXE	BIT(13)
#define CR4_OSXSAVE	BIT(18)

#define RFLAGS_TF	BIT(8)
#define RFLAGS_IF	BIT(9)
#define RFLAGS_RF	BIT(16)

#define PTE_P	BIT(0)
#define PTE_W	BIT(1)
#define PTE_U	BIT(2)
#define PTE_A	BIT(5)
#define PTE_D	BIT(6)
#define PTE_PS	BIT(7)
#define PTE_G	BIT(8)
#define PTE_NX	BIT(63)

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(u32 leaf, u32 sub)
{
	struct cpuid_regs r;

	asm volatile("cpuid" : "=a" (r.eax), "=b" (r.ebx), "=c" (r.ecx), "=d" (r.edx)
		     : "a" (leaf), "c" (sub));
	return r;
}

static inline u64 rdmsr(u32 msr)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (msr) : "memory");
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 msr, u64 value)
{
	asm volatile("wrmsr" : : "c" (msr), "a" ((u32)value), "d" ((u32)(value >> 32)) : "memory");
}

/* In order with what stands before and after it, as LFENCE is on every CPU of interest. */
static inline u64 rdtsc(void)
{
	u32 low, high;

	asm volatile("lfence; rdtsc; lfence" : "=a" (low), "=d" (high) : : "memory");
	return (u64)high << 32 | low;
}

static inline void outb(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a" (value), "Nd" (port));
}

static inline u8 inb(u16 port)
{
	u8 value;

	asm volatile("inb %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

#define DEFINE_CR(n)							\
static inline u64 read_cr##n(void)					\
{									\
	u64 v;								\
									\
	asm volatile("mov %%cr" #n ", %0" : "=r" (v) : : "memory");	\
	return v;							\
}									\
static inline void write_cr##n(u64 v)					\
{									\
	asm volatile("mov %0, %%cr" #n : : "r" (v) : "memory");		\
}
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)
DEFINE_CR(8)
#undef DEFINE_CR

static inline void invlpg(u64 address)
{
	asm volatile("invlpg (%0)" : : "r" (address) : "memory");
}

struct table_register {
	u16 limit;
	u64 base;
} __attribute__((packed));

static inline struct table_register read_gdtr(void)
{
	struct table_register r;

	asm volatile("sgdt %0" : "=m" (r));
	return r;
}

static inline struct table_register read_idtr(void)
{
	struct table_register r;

	asm volatile("sidt %0" : "=m" (r));
	return r;
}

static inline void write_idtr(struct table_register r)
{
	asm volatile("lidt %0" : : "m" (r));
}

#endif
