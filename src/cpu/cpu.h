/*
 * One instruction each: registers, MSRs, ports, TLB, time. The *_safe
 * variants survive a fault of the instruction itself (see extable.h) and say
 * so; the others are for what is known to exist.
 */
#pragma once

#include "types.h"
#include "x86.h"
#include "cpu/extable.h"

/* Selectors of L0's GDT. */
#define CPU_SEL_CODE 0x08
#define CPU_SEL_DATA 0x10
#define CPU_SEL_TSS 0x18

#define CPU_READ_REG(name, reg)						\
	static always_inline u64 cpu_read_##name(void)			\
	{								\
		u64 v;							\
		asm volatile("mov %%" reg ", %0" : "=r"(v));		\
		return v;						\
	}
#define CPU_WRITE_REG(name, reg)					\
	static always_inline void cpu_write_##name(u64 v)		\
	{								\
		asm volatile("mov %0, %%" reg : : "r"(v) : "memory");	\
	}
#define CPU_REG(name, reg) CPU_READ_REG(name, reg) CPU_WRITE_REG(name, reg)

CPU_REG(cr0, "cr0")
CPU_REG(cr2, "cr2")
CPU_REG(cr3, "cr3")
CPU_REG(cr4, "cr4")
CPU_REG(cr8, "cr8")
CPU_REG(dr0, "db0")
CPU_REG(dr1, "db1")
CPU_REG(dr2, "db2")
CPU_REG(dr3, "db3")
CPU_REG(dr6, "db6")
CPU_REG(dr7, "db7")

static always_inline u64 cpu_rdmsr(u32 msr)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static always_inline void cpu_wrmsr(u32 msr, u64 v)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

/* False: the instruction faulted, *v is 0. */
static inline bool cpu_rdmsr_safe(u32 msr, u64 *v)
{
	u32 lo = 0, hi = 0, failed = 1;

	asm volatile("1: rdmsr; xor %[failed], %[failed]; 2:" CPU_FIXUP("1b", "2b")
		     : "+a"(lo), "+d"(hi), [failed] "+r"(failed) : "c"(msr));
	*v = (u64)hi << 32 | lo;
	return !failed;
}

static inline bool cpu_wrmsr_safe(u32 msr, u64 v)
{
	u32 failed = 1;

	asm volatile("1: wrmsr; xor %[failed], %[failed]; 2:" CPU_FIXUP("1b", "2b")
		     : [failed] "+r"(failed)
		     : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
	return !failed;
}

static inline bool cpu_xsetbv_safe(u32 xcr, u64 v)
{
	u32 failed = 1;

	asm volatile("1: xsetbv; xor %[failed], %[failed]; 2:" CPU_FIXUP("1b", "2b")
		     : [failed] "+r"(failed)
		     : "c"(xcr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
	return !failed;
}

static always_inline u64 cpu_xgetbv(u32 xcr)
{
	u32 lo, hi;

	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(xcr));
	return (u64)hi << 32 | lo;
}

/* Needs CR4.PKE. */
static always_inline u32 cpu_rdpkru(void)
{
	u32 v;

	asm volatile("rdpkru" : "=a"(v) : "c"(0) : "rdx");
	return v;
}

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

static always_inline struct cpuid_regs cpu_cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "a"(leaf), "c"(subleaf));
	return r;
}

static always_inline u8 cpu_inb(u16 port)
{
	u8 v;

	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static always_inline u16 cpu_inw(u16 port)
{
	u16 v;

	asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static always_inline u32 cpu_inl(u16 port)
{
	u32 v;

	asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static always_inline void cpu_outb(u16 port, u8 v)
{
	asm volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static always_inline void cpu_outw(u16 port, u16 v)
{
	asm volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static always_inline void cpu_outl(u16 port, u32 v)
{
	asm volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

/* One instruction for the whole buffer. */
static always_inline void cpu_outsb(u16 port, const void *buf, size_t n)
{
	asm volatile("rep outsb" : "+S"(buf), "+c"(n) : "d"(port) : "memory");
}

static always_inline u64 cpu_rdtsc(void)
{
	u64 lo, hi;	/* the upper halves of both registers are zeroed */

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return hi << 32 | lo;
}

static always_inline void cpu_invlpg(u64 addr)
{
	asm volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

static always_inline void cpu_wbinvd(void)
{
	asm volatile("wbinvd" : : : "memory");
}

static always_inline void cpu_pause(void)
{
	asm volatile("pause");
}

struct cpu_table_reg {
	u16 limit;
	u64 base;
} __attribute__((packed));

static inline struct cpu_table_reg cpu_sgdt(void)
{
	struct cpu_table_reg r;

	asm volatile("sgdt %0" : "=m"(r));
	return r;
}

static inline struct cpu_table_reg cpu_sidt(void)
{
	struct cpu_table_reg r;

	asm volatile("sidt %0" : "=m"(r));
	return r;
}

/* Stops this CPU for good; an NMI only wakes it to be stopped again. */
static always_inline void __attribute__((noreturn)) cpu_stop(void)
{
	for (;;)
		asm volatile("cli; hlt");
}
