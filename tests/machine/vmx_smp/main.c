/*
 * Two CPUs, both in VMX operation: each with a VMCS and a guest of its own, a VMCS that goes from one to
 * the other and back, and (ept.c, shared.c, signals.c) what one does to what the other's guest uses.
 * The lines say what must hold whichever CPU is faster.
 * SDM: Software Use of Virtual-Machine Control Structures; Multi-Processor Considerations.
 */
#include "vmx_smp.h"

#define LONG		3000000u
#define TRIPS		500u

u32 self, other;
struct vm vm_here, vm_there;
static void (*volatile job)(void);

/* Counts in RBX, and tells of each count. */
asm("g_count: inc %rbx; vmcall; jmp g_count\n");
extern const char g_count[];

bool wait_for(volatile const u64 *what, u64 value)
{
	for (u32 i = 0; i < LONG && *what != value; i++)
		cpu_relax(1);
	return *what == value;
}

bool wait_beyond(volatile const u64 *what, u64 value)
{
	for (u32 i = 0; i < LONG && *what <= value; i++)
		cpu_relax(1);
	return *what > value;
}

void expect(const char *text, bool holds)
{
	print("%s: %s\n", text, holds ? "yes" : "NO");
}

void begin(void (*what)(void))
{
	job = what;
}

bool wait_done(void)
{
	for (u32 i = 0; i < LONG && job; i++)
		cpu_relax(1);
	return !job;
}

void ask(void (*what)(void))
{
	begin(what);
	if (!wait_done())
		die("the other CPU does not end what it was asked for");
}

static void do_jobs(void)
{
	vmx_on();
	vm_init(&vm_there);
	for (;;) {
		while (!job)
			cpu_relax(1);
		job();
		job = NULL;
	}
}

static void nothing(void)
{
}

void restart_other(void)
{
	job = nothing;
	cpu_start(other, do_jobs);
	if (!wait_done())
		die("the other CPU does not enter VMX operation");
}

/* So many exits, all by VMCALL and in order. */
static bool count_to(struct vm *vm, u64 from, u64 to)
{
	for (u64 i = from + 1; i <= to; i++) {
		if (vm_run(vm) != REASON_VMCALL || vm->regs[RBX] != i)
			return false;
		vm_skip();
	}
	return true;
}

static bool counted;

static void count_there(void)
{
	vm_reset(&vm_there, g_count);
	counted = count_to(&vm_there, 0, TRIPS);
}

static void test_side_by_side(void)
{
	bool here;

	vm_reset(&vm_here, g_count);
	begin(count_there);
	here = count_to(&vm_here, 0, TRIPS);
	expect("each its guest, at the same time", wait_done() && here && counted);
}

/* The guest that moves. */
static struct vm wanderer;

static void give(void)
{
	must(vmclear((u64)wanderer.vmcs), "VMCLEAR");
	wanderer.launched = false;
}

/* Host state is the CPU's own. */
static bool run_wanderer(u64 from, u64 to)
{
	bool right;

	vm_load(&wanderer);
	vmwrite(HOST_GDTR_BASE, read_gdtr().base);
	right = count_to(&wanderer, from, to);
	give();
	return right;
}

static void run_it_there(void)
{
	u64 reached = wanderer.regs[RBX];

	counted = run_wanderer(reached, reached + 3);
	vm_load(&vm_there);
}

static void test_moves(void)
{
	bool here;

	vm_init(&wanderer);
	vm_reset(&wanderer, g_count);
	give();
	for (u32 i = 0; i < 4; i++) {
		u64 reached = wanderer.regs[RBX];

		here = run_wanderer(reached, reached + 2);
		ask(run_it_there);
		print("VMCS here and there: %s, %s, %lu\n", here ? "right" : "WRONG",
		      counted ? "right" : "WRONG", wanderer.regs[RBX]);
	}
	vm_load(&vm_here);
}

static void leave(void)
{
	vmx_off();
}

int main(void)
{
	self = cpu_id();
	other = 1 - self;
	apic_enable();
	vmx_on();
	vm_init(&vm_here);
	restart_other();
	test_side_by_side();
	test_moves();
	test_ept();
	test_bitmaps();
	test_mtrrs();
	test_signals();
	ask(leave);
	vmx_off();
	return 0;
}
