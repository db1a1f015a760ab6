/*
 * The test kit: what a small freestanding test hypervisor or kernel needs, on one page.
 *
 * The image runs in 64-bit mode at CPL 0 with the first 4 GiB identity-mapped (user pages, 2 MiB
 * each), interrupts off, its own GDT, IDT and TSS, and both PICs masked.
 * It is no library for hypervisors and knows nothing of Plastron: it must run on a bare machine.
 * What a test prints is compared between machines, so nothing here prints an address, a tick or
 * a capability by itself, except on lines that begin with "# ".
 */
#ifndef KIT_H
#define KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "selectors.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)		((u64)1 << (n))
#define PAGE_SIZE	((u64)4096)

/* print.c */
void put_char(char c);
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void figure(const char *name, u64 value);
void shut_down(void) __attribute__((noreturn));
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* memory.c: a pool that is never freed; pages are zero. */
void *page_alloc(void);
void *pages_alloc(unsigned int count);
void *memset(void *to, int byte, size_t n);
void *memcpy(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* boot.c: what the loader told, copied out of its memory before main() runs. */
struct memory_range {
	u64 base;
	u64 size;
	u32 type;	/* 1 is available */
};

struct boot_info {
	u32 magic;
	char command_line[128];
	unsigned int ranges;
	struct memory_range range[32];
	unsigned int modules;
	u32 module_start;	/* of the first */
	u32 module_end;
	char module_line[128];
	u64 rsdp;		/* address of a copy, or 0 */
};

extern struct boot_info boot;
extern char image_start[], image_end[];
bool memory_is_available(u64 start, u64 end);
void report_boot(void);	/* report.c */

/* paging.c */
extern u64 pml4[], pdpt[], pd[];	/* start.S: one, one, and four pages of tables */
/*
 * Maps the GiB at `base`, from 4 GiB on, to itself in supervisor pages of 2 MiB; its page
 * directory.
 */
u64 *window_open(u64 base);

/* trap.c */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error, rip, cs, rflags, rsp, ss;
};

#define NO_FAULT	(-1)

struct trap_state {
	int vector;	/* of the last caught exception, or NO_FAULT */
	u64 error;
	u64 rip;
	u64 cr2;
};

extern struct trap_state trap_last;
extern volatile u64 trap_resume;		/* where a caught exception continues */
extern volatile u32 trap_count[256];		/* interrupts and NMIs, and hooked exceptions */
extern void (*trap_hook[256])(struct trap_frame *frame);

struct idt_gate {
	u64 low, high;
};
extern struct idt_gate idt[256];
extern u64 gdt[];
struct tss64 {
	u32 reserved;
	u64 rsp[3];
	u64 reserved2;
	u64 ist[7];
	u64 reserved3;
	u16 reserved4, io_map;
} __attribute__((packed));
extern struct tss64 tss;

void trap_set_gate(unsigned int vector, u64 handler, unsigned int dpl, unsigned int ist);
/* Runs code at CPL 3 until it faults or executes "int $0x81"; the result is in trap_last. */
void user_run(const void *code);
/* "#GP(0)", "#UD", "ok": for trap_last; the text is good until the next call. */
const char *fault_text(void);

/*
 * Executes one instruction and catches its exception in trap_last. The instruction may use and
 * change RAX and RDX (trap_rax, trap_rdx) and gets RCX; further inputs follow as asm operands.
 */
extern u64 trap_rax, trap_rcx, trap_rdx;
#define TRY(insn, ...) ({						\
	trap_last.vector = NO_FAULT;					\
	asm volatile("movq $77f, trap_resume\n\t" insn "\n77:\t"	\
		     "movq $0, trap_resume"				\
		     : "+a" (trap_rax), "+d" (trap_rdx), "+c" (trap_rcx)	\
		     : __VA_ARGS__					\
		     : "memory", "cc", "rbx");				\
	trap_last.vector == NO_FAULT;					\
})

/* apic.c: the local APIC in xAPIC mode */
#define APIC_BASE	0xfee00000ul
void apic_enable(void);
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 value);
void apic_self_ipi(unsigned int vector);
void apic_self_nmi(void);
void apic_timer(unsigned int vector, u32 count);
void apic_eoi(void);

/* cpus.c: other CPUs, in xAPIC mode */
#define IPI_FIXED	0x4000
#define IPI_NMI		0x4400
#define IPI_INIT	0x4500
#define IPI_STARTUP	0x4600
u32 cpu_id(void);			/* of the APIC */
void cpu_send(u32 id, u32 command);
void cpu_relax(unsigned int times);
/* INIT and SIPI: run() begins there, with interrupts off and the APIC on. Ends the test if it does not. */
void cpu_start(u32 id, void (*run)(void));
/* The parts of it: what a startup IPI for the page at 0x8000 leads to, and whether it has. */
void cpu_prepare(void (*run)(void));
bool cpu_arrives(void);
void print_cpu_start(void);		/* what the CPU found */

int main(void);

#endif
