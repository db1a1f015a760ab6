/*
 * IDT, TSS and what happens at an exception or interrupt: caught by TRY(), handed to a hook,
 * counted (interrupts and NMI), the end of a CPL-3 piece, or else the end of the test.
 * Runs on the stack of whoever was interrupted, except from CPL 3.
 */
#include "cpu.h"

struct trap_state trap_last;
volatile u64 trap_resume;
volatile u32 trap_count[256];
void (*trap_hook[256])(struct trap_frame *frame);
u64 trap_rax, trap_rcx, trap_rdx;

struct idt_gate idt[256] __attribute__((aligned(4096)));
struct tss64 tss;

extern const u8 trap_stubs[];	/* 256 of 16 bytes: entry.S */
extern const u8 user_back[];
extern u64 user_back_rsp;
extern u8 user_stack_top[], ring0_stack_top[];
void trap_init(void);
void trap_handle(struct trap_frame *frame);
void user_enter(const void *code);

void trap_set_gate(unsigned int vector, u64 handler, unsigned int dpl, unsigned int ist)
{
	idt[vector].low = (handler & 0xffff) | SEL_CODE << 16 | (u64)ist << 32 |
			  (0x8e00ull | dpl << 13) << 32 | (handler & 0xffff0000) << 32;
	idt[vector].high = handler >> 32;
}

void trap_init(void)
{
	u64 base = (u64)&tss;
	u64 limit = sizeof(tss) - 1;

	for (unsigned int i = 0; i < 256; i++)
		trap_set_gate(i, (u64)trap_stubs + 16 * i, i == 3 || i == 4 || i >= 0x40 ? 3 : 0,
			      0);
	write_idtr((struct table_register){ sizeof(idt) - 1, (u64)idt });

	tss.rsp[0] = (u64)ring0_stack_top;
	tss.io_map = sizeof(tss);
	gdt[SEL_TSS / 8] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 |
			   (base >> 24 & 0xff) << 56;
	gdt[SEL_TSS / 8 + 1] = base >> 32;
	asm volatile("ltr %w0" : : "r" (SEL_TSS));

	outb(0x21, 0xff);	/* PICs: nothing comes from them */
	outb(0xa1, 0xff);
}

static void end_user(struct trap_frame *frame)
{
	frame->cs = SEL_CODE;
	frame->ss = SEL_DATA;
	frame->rip = (u64)user_back;
	frame->rsp = user_back_rsp;
	frame->rflags = 2;
}

static bool in_service(u64 vector)
{
	return apic_read(0x100 + (u32)(vector / 32 * 16)) & BIT(vector % 32);
}

void trap_handle(struct trap_frame *frame)
{
	u64 vector = frame->vector;

	if (trap_hook[vector]) {
		trap_count[vector]++;
		trap_hook[vector](frame);
		return;
	}
	if (vector == 2 || (vector >= 32 && vector != VECTOR_USER_DONE)) {
		trap_count[vector]++;
		if (vector != 2 && in_service(vector))
			apic_eoi();
		return;
	}
	trap_last.vector = vector == VECTOR_USER_DONE ? NO_FAULT : (int)vector;
	trap_last.error = frame->error;
	trap_last.rip = frame->rip;
	trap_last.cr2 = read_cr2();
	if (frame->cs & 3) {
		end_user(frame);
	} else if (trap_resume) {
		frame->rip = trap_resume;
		trap_resume = 0;
	} else {
		die("unexpected exception %s at RIP %#lx, CR2 %#lx", fault_text(), frame->rip,
		    trap_last.cr2);
	}
}

void user_run(const void *code)
{
	trap_last.vector = NO_FAULT;
	user_enter(code);
}

const char *fault_text(void)
{
	static const char *const names[] = {
		"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "#9", "#TS", "#NP",
		"#SS", "#GP", "#PF", "#15", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
	};
	static char text[16];
	char *to = text;
	const char *from;

	if (trap_last.vector == NO_FAULT)
		return "ok";
	from = (u32)trap_last.vector < ARRAY_SIZE(names) ? names[trap_last.vector] : "#?";
	while (*from)
		*to++ = *from++;
	if (BIT(trap_last.vector) & 0x227d00) {
		*to++ = '(';
		for (int shift = 12; shift >= 0; shift -= 4)
			if (shift == 0 || trap_last.error >> shift)
				*to++ = "0123456789abcdef"[trap_last.error >> shift & 15];
		*to++ = ')';
	}
	*to = 0;
	return text;
}
