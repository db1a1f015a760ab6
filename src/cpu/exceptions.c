/*
 * Exceptions in L0 itself (a guest's exceptions are VM exits and never come
 * here): counts NMIs and machine checks, applies fixups, and hands everything
 * else to whoever prints the dump.
 */
#include "cpu/cpu.h"
#include "cpu/idt.h"
#include "cpu/kick.h"
#include "cpu/pcpu.h"
#include "x86.h"

struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, reserved;
};

#define GATE_INTERRUPT 0x8e

struct fixup {
	u64 insn, to;
};

struct restart {
	u64 start, end, to;
};

extern const u8 cpu_exception_stubs[];
extern const struct fixup cpu_ex_table_start[], cpu_ex_table_end[];
extern const struct restart cpu_nmi_table_start[], cpu_nmi_table_end[];

static struct gate idt[CPU_VECTORS];
void (*cpu_unexpected)(const struct cpu_frame *frame);
void (*cpu_stopped)(const char *why);

void cpu_exception(struct cpu_frame *frame);

void cpu_give_up(const char *why)
{
	if (cpu_stopped)
		cpu_stopped(why);
	cpu_stop();
}

u64 cpu_idt_base(void)
{
	return (u64)idt;
}

static u8 stack_of(unsigned int vector)
{
	switch (vector) {
	case X86_NMI:
		return CPU_IST_NMI;
	case X86_MC:
		return CPU_IST_MC;
	case X86_DF:
		return CPU_IST_DF;
	default:
		return 0;
	}
}

void cpu_idt_init(void)
{
	for (unsigned int i = 0; i < CPU_VECTORS; i++) {
		u64 at = (u64)(cpu_exception_stubs + i * CPU_STUB_SIZE);

		idt[i] = (struct gate){
			.offset_low = (u16)at, .offset_mid = (u16)(at >> 16),
			.offset_high = (u32)(at >> 32), .selector = CPU_SEL_CODE,
			.ist = stack_of(i), .type = GATE_INTERRUPT,
		};
	}
}

static bool apply_fixup(struct cpu_frame *frame)
{
	for (const struct fixup *f = cpu_ex_table_start; f < cpu_ex_table_end; f++)
		if (f->insn == frame->rip) {
			frame->rip = f->to;
			return true;
		}
	return false;
}

/* Whoever is about to enter a guest looks once more. */
static void tell(void)
{
	u32 *again = cpu_this()->again;

	if (again)
		__atomic_store_n(again, 1, __ATOMIC_RELAXED);
}

static void take_nmi(struct cpu_frame *frame)
{
	if (!cpu_kick_arrived())
		cpu_this()->nmi_pending++;
	tell();
	for (const struct restart *r = cpu_nmi_table_start; r < cpu_nmi_table_end; r++)
		if (frame->rip >= r->start && frame->rip < r->end)
			frame->rip = r->to;
}

void cpu_exception(struct cpu_frame *frame)
{
	switch (frame->vector) {
	case X86_NMI:
		take_nmi(frame);
		return;
	case X86_MC:
		cpu_this()->mc_pending++;
		tell();
		return;
	}
	if (apply_fixup(frame))
		return;
	if (cpu_unexpected)
		cpu_unexpected(frame);
	cpu_stop();
}
