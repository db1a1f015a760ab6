/*
 * The dump of an L0 that stops: registers, and the words on the stack that
 * point into code. Prints addresses only; tools/symbolize makes names of them.
 */
#include "debug/dump.h"

#include <stdarg.h>

#include "cpu/memory.h"
#include "debug/console.h"
#include "debug/console_ports.h"
#include "lib/format.h"

#define SHUTDOWN_PORT 0x8900
#define STACK_WORDS 16
#define CALLERS_MAX 24

extern const u8 image_start[], image_text_end[];

static bool in_text(u64 a)
{
	return a >= (u64)image_start && a < (u64)image_text_end;
}

/* The stack words that may be read: up to the end of the page RSP is in, and one more. */
static size_t words_at(u64 sp)
{
	bool ours = sp >= CPU_DIRECT_MAP && !(sp & 7);

	return ours ? (ALIGN_UP(sp + 1, PAGE_SIZE) - sp) / 8 : 0;
}

static void dump_stack(u64 sp)
{
	const u64 *word = (const u64 *)sp;
	size_t n = words_at(sp), callers = 0;

	for (size_t i = 0; i < MIN(n, STACK_WORDS); i += 4)
		con_printf("stack %016lx: %016lx %016lx %016lx %016lx\n", sp + i * 8,
			   word[i], i + 1 < n ? word[i + 1] : 0,
			   i + 2 < n ? word[i + 2] : 0, i + 3 < n ? word[i + 3] : 0);
	for (size_t i = 0; i < n && callers < CALLERS_MAX; i++)
		if (in_text(word[i])) {
			con_printf("called from? %016lx\n", word[i]);
			callers++;
		}
}

static void dump_registers(const struct cpu_frame *f)
{
	con_printf("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	con_printf("rsi %016lx rdi %016lx rbp %016lx rsp %016lx\n", f->rsi, f->rdi, f->rbp, f->rsp);
	con_printf("r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n", f->r8, f->r9, f->r10, f->r11);
	con_printf("r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n", f->r12, f->r13, f->r14, f->r15);
	con_printf("cr0 %016lx cr2 %016lx cr3 %016lx cr4 %016lx rflags %lx\n",
		   cpu_read_cr0(), cpu_read_cr2(), cpu_read_cr3(), cpu_read_cr4(), f->rflags);
}

/* Bochs ends when it reads this word from this port; only emulators have port 0xE9. */
void debug_end(void)
{
	static const char word[] = "Shutdown";

	if (con_e9_present())
		cpu_outsb(SHUTDOWN_PORT, word, sizeof(word) - 1);
	cpu_stop();
}

void debug_exception(const struct cpu_frame *f)
{
	con_break_lock();
	con_printf("STOPPED: exception %lu (error code %lx) in Plastron at %016lx\n",
		   f->vector, f->error_code, f->rip);
	dump_registers(f);
	dump_stack(f->rsp);
	debug_end();
}

void debug_stop(const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	lib_vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	con_break_lock();
	con_printf("STOPPED: Plastron's own state is wrong: %s\n", text);
	dump_stack((u64)__builtin_frame_address(0));
	debug_end();
}

void debug_stopped(const char *why)
{
	debug_stop("%s", why);
}

void debug_refuse(const char *fmt, ...)
{
	char text[400];
	va_list args;

	va_start(args, fmt);
	lib_vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	con_also(CON_VGA);	/* there may be no other that somebody sees */
	con_printf("%s\n", text);
	debug_end();
}
