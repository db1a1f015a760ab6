/*
 * NMI and INIT from one CPU to the other, in its VMM and in its guest: whatever the guest's controls say of
 * NMIs, none is lost and none comes twice, while L0 (if there is one) may stop the CPU for its own ends.
 * SDM: Other Causes of VM Exits; Virtual NMIs; Information for VM Exits Due to Vectored Events.
 * Left out, since the emulator departs (docs/emulator-departures.md): INIT in VMX root operation.
 */
#include "vmx_smp.h"

#define NMIS		12u

/* Counts until told to end; the same behind IRET, which ends blocking by NMI. */
asm("s_count: inc %rbx; mov %rbx, (%rdx); cmpq $0, (%rcx); je s_count; vmcall\n"
    "s_iret: mov %ss, %eax; push %rax; lea 8(%rsp), %rax; push %rax; pushf; mov %cs, %eax; push %rax;"
    "lea s_count(%rip), %rax; push %rax; iretq\n");
extern const char s_count[], s_iret[];

static u8 *bitmap;
static volatile u64 turns, enough, exits, nmis;
static u64 pin, interruptibility;
static const char *code;
static u32 reason_there;
static u64 blocked_there;

static void count_nmi(struct trap_frame *frame)
{
	(void)frame;
	nmis++;
}

/* An exit by an NMI leaves NMIs blocked in the VMM; IRET ends that. */
static void unblock_nmis(void)
{
	asm volatile("mov %%ss, %%eax; push %%rax; lea 8(%%rsp), %%rax; push %%rax; pushf;"
		     "mov %%cs, %%eax; push %%rax; lea 1f(%%rip), %%rax; push %%rax; iretq; 1:"
		     : : : "rax", "memory", "cc");
}

static void run_there(void)
{
	vm_reset(&vm_there, code);
	control_set(PIN_CONTROLS, (u32)pin);
	vmwrite(GUEST_INTERRUPTIBILITY, interruptibility);
	vm_there.regs[RDX] = (u64)&turns;
	vm_there.regs[RCX] = (u64)&enough;
	for (;;) {
		reason_there = vm_run(&vm_there);
		if (reason_there != REASON_EXCEPTION)
			break;
		exits++;
		unblock_nmis();
	}
	blocked_there = vmread(GUEST_INTERRUPTIBILITY) & BLOCK_NMI;
	unblock_nmis();
}

/* What an L0 may have to stop the other CPU for: a bitmap that it has merged is written and used again. */
static void disturb(void)
{
	vm_reset(&vm_here, s_count);
	control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
	vmwrite(MSR_BITMAP, (u64)bitmap);
	vm_here.regs[RDX] = (u64)&bitmap[8];
	vm_here.regs[RCX] = (u64)&bitmap[8];
	bitmap[2048]++;
	if (vm_run(&vm_here) != REASON_VMCALL)
		die("the guest here does not end");
}

static void start(u64 pins, u64 state, const char *what)
{
	turns = enough = exits = nmis = 0;
	pin = pins;
	interruptibility = state;
	code = what;
	begin(run_there);
	wait_beyond(&turns, 0);
}

static void stop(void)
{
	enough = 1;
	if (!wait_done())
		die("the other guest does not end");
}

static void test_free(u64 pins, const char *text)
{
	volatile u64 *counter = pins & PIN_NMI ? &exits : &nmis;
	u32 right = 0;

	start(pins, 0, s_count);
	for (u64 i = 0; i < NMIS; i++) {
		disturb();
		cpu_send(other, IPI_NMI);
		right += wait_for(counter, i + 1);
		disturb();
	}
	stop();
	print("%s: %u of %u NMIs, in the end %lu exits, %lu of the CPU's own, by %s\n", text, right, NMIS,
	      (u64)exits, (u64)nmis, reason_name(reason_there));
}

/* The guest runs with NMIs blocked, and with real ones only IRET of a guest that takes them ends that. */
static void test_blocked(u64 pins, const char *what, const char *text)
{
	start(pins, BLOCK_NMI, what);
	disturb();
	cpu_send(other, IPI_NMI);
	cpu_relax(20000);
	disturb();
	print("%s: %lu exits, %lu of the CPU's own;", text, (u64)exits, (u64)nmis);
	stop();
	print(" blocked at the end: %s; then %lu and %lu\n", blocked_there ? "yes" : "no", (u64)exits, (u64)nmis);
}

static void test_nmis(void)
{
	test_free(0, "not intercepted");
	test_free(PIN_NMI, "intercepted");
	test_free(PIN_NMI | PIN_VIRTUAL_NMI, "virtual NMIs");
	test_blocked(0, s_count, "not intercepted, blocked");
	test_blocked(0, s_iret, "not intercepted, blocked until IRET");
	test_blocked(PIN_NMI, s_count, "intercepted, blocked");
	test_blocked(PIN_NMI, s_iret, "intercepted, blocked whatever IRET does");
	test_blocked(PIN_NMI | PIN_VIRTUAL_NMI, s_count, "virtual NMIs, blocked");
}

static void sleep_there(void)
{
	nmis = 0;
	turns = 1;
	while (!enough)
		cpu_relax(1);
}

static void test_vmm(void)
{
	u32 right = 0;

	turns = enough = 0;
	begin(sleep_there);
	wait_for(&turns, 1);
	for (u64 i = 0; i < NMIS; i++) {
		disturb();
		cpu_send(other, IPI_NMI);
		right += wait_for(&nmis, i + 1);
	}
	stop();
	print("in the VMM: %u of %u NMIs, in the end %lu\n", right, NMIS, (u64)nmis);
}

static void test_init(void)
{
	start(0, 0, s_count);
	cpu_send(other, IPI_INIT);
	expect("INIT is an exit", wait_done());
	print("  %s\n", reason_name(reason_there));
	begin(run_there);
	cpu_relax(20000);
	stop();
	print("  then %s\n", reason_name(reason_there));
}

void test_signals(void)
{
	bitmap = page_alloc();
	bitmap[8] = 1;
	trap_hook[2] = count_nmi;
	test_nmis();
	test_vmm();
	test_init();
}
