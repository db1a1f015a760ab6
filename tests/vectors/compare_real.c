/*
 * What vm/real/ makes of a vector of gen_real.h: one instruction after another, and
 * faults where they lead, until a handler of the vector table has been entered.
 */
#include "compare_real.h"

#include <stdio.h>
#include <string.h>

#include "types.h"
#include "vm/real/emulate.h"

#define MEMORY 0x40000u
#define MOST_STEPS 8

/* All that a vector reaches. What lies above reads as ones. */
struct vm {
	u8 memory[MEMORY + 4];
};

static struct vm vm;

void real_read(struct vm *v, u32 at, void *to, u32 len)
{
	for (u32 i = 0; i < len; i++)
		((u8 *)to)[i] = at + i < MEMORY ? v->memory[at + i] : 0xff;
}

void real_write(struct vm *v, u32 at, const void *from, u32 len)
{
	for (u32 i = 0; i < len; i++)
		if (at + i < MEMORY)
			v->memory[at + i] = ((const u8 *)from)[i];
}

bool real_exchange(struct vm *v, u32 at, u32 len, u32 from, u32 to)
{
	(void)from;
	real_write(v, at, &to, len);
	return true;
}

static void prepare(const struct real_vector *x, struct real_cpu *cpu)
{
	*cpu = (struct real_cpu){
		.eip = x->ip,
		.eflags = x->eflags,
		.gdtr = { REAL_GDT_BASE, REAL_GDT_LIMIT },
		.idtr = { REAL_IVT, x->idt_limit },
	};
	memcpy(cpu->gpr, x->gpr, sizeof(cpu->gpr));
	for (u32 i = 0; i < REAL_SEGMENTS; i++)
		cpu->seg[i] = (struct real_segment){
			.selector = x->seg[i], .base = (u32)x->seg[i] << 4,
			.limit = x->big[i] ? 0xffffffff : 0xffff,
			.ar = i == SEG_CS ? 0x9b : x->big[i] ? 0xc093 : 0x93,
		};
	gen_real_place(x, vm.memory);
}

static bool step(struct real_cpu *cpu)
{
	struct real_insn insn;

	switch (real_emulate(&vm, cpu, &insn)) {
	case REAL_DONE:
		return true;
	case REAL_FAULT:
		return real_deliver(&vm, cpu, INTR_VALID | INTR_TYPE_HW_EXCEPTION | insn.vector,
				    0) == REAL_DONE;
	default:
		return false;
	}
}

static void look(const struct real_cpu *cpu, struct real_outcome *o)
{
	u32 frame = cpu->seg[SEG_SS].base;

	o->vector = (cpu->eip - REAL_BLOCK) / 16;
	memcpy(o->gpr, cpu->gpr, sizeof(o->gpr));
	for (u32 i = 0; i < REAL_SEGMENTS; i++)
		o->seg[i] = cpu->seg[i].selector;
	for (u32 i = 0; i < 3; i++)
		real_read(&vm, frame + (u16)(cpu->gpr[GPR_RSP] + 2 * i), &o->frame[i], 2);
	o->gdt_limit = cpu->gdtr.limit;
	o->gdt_base = cpu->gdtr.base;
	o->idt_limit = cpu->idtr.limit;
	o->idt_base = cpu->idtr.base;
	o->memory = gen_real_memory(vm.memory);
}

bool real_judge(const struct real_vector *x, struct real_outcome *o)
{
	struct real_cpu cpu;

	memset(o, 0, sizeof(*o));
	prepare(x, &cpu);
	for (u32 i = 0; i < MOST_STEPS && cpu.seg[SEG_CS].selector; i++)
		if (!step(&cpu))
			return false;
	look(&cpu, o);
	return !cpu.seg[SEG_CS].selector;
}

static void print_outcome(const char *who, const struct real_outcome *o)
{
	const u32 *word = (const u32 *)o;

	printf("  %-8s", who);
	for (u32 i = 0; i < REAL_OUTCOME_WORDS; i++)
		printf(" %x", word[i]);
	printf("\n");
}

void print_real(u64 seed, u64 number, const struct real_vector *x, const struct real_outcome *got,
		const struct real_outcome *wanted)
{
	printf("seed %llu vector %llu: real mode, code", (unsigned long long)seed,
	       (unsigned long long)number);
	for (u32 i = 0; i < x->length; i++)
		printf(" %02x", x->code[i]);
	printf("\n  IP %x flags %x IDT limit %x; segments", x->ip, x->eflags, x->idt_limit);
	for (u32 i = 0; i < REAL_SEGMENTS; i++)
		printf(" %x%s", x->seg[i], x->big[i] ? "*" : "");
	printf("; registers");
	for (u32 i = 0; i < 8; i++)
		printf(" %x", x->gpr[i]);
	printf("\n");
	for (u32 i = 0; i < x->puts; i++)
		printf("  [%x] = %x\n", x->put[i].at, x->put[i].value);
	print_outcome("emulator", got);
	print_outcome("SDM", wanted);
}
