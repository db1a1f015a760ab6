/*
 * Two guests on the same EPT. INVEPT is for the CPU that executes it (SDM: Operations that Invalidate
 * Cached Mappings), so what one changes holds for both once each has executed its own.
 */
#include "vmx_smp.h"

#define WINDOW		((u64)0x40000000)	/* nothing else of the guests is here */
#define CHANGES		40u
#define ROOTS		70u

/* Reads RDI's memory into RAX; reads and counts until told to end; writes. */
asm("g_read: mov (%rdi), %rax; vmcall; jmp g_read\n"
    "g_watch: mov (%rdi), %rax; mov %rax, (%rsi); inc %rbx; mov %rbx, (%rdx); cmpq $0, (%rcx); je g_watch;"
    "vmcall; jmp g_watch\n"
    "g_write: mov %rdi, (%rdi); vmcall; jmp g_write\n");
extern const char g_read[], g_watch[], g_write[];

static u64 *root, *page[2];
static volatile u64 seen, turns, enough;	/* of the guest that watches */
static u64 read_there;
static u32 reason_there;

static void invalidate(void)
{
	must(invept(1, ept_pointer(root)), "INVEPT");
}

static void map(const u64 *to, u32 rights)
{
	ept_map(root, WINDOW, (u64)to, PAGE_SIZE, rights);
}

static u64 read_by(struct vm *vm)
{
	vm_reset(vm, g_read);
	vm_use_ept(ept_pointer(root));
	vm->regs[RDI] = WINDOW;
	return vm_run(vm) == REASON_VMCALL ? vm->regs[RAX] : ~0ull;
}

static void invalidate_and_read(void)
{
	invalidate();
	read_there = read_by(&vm_there);
}

static void test_changes(void)
{
	u32 right = 0;

	for (u32 i = 0; i < CHANGES; i++) {
		u64 here;

		map(page[i % 2], EPT_RWX);
		invalidate();
		here = read_by(&vm_here);
		ask(invalidate_and_read);
		right += here == page[i % 2][0] && read_there == page[i % 2][0];
	}
	print("both see what was mapped: %u of %u\n", right, CHANGES);
}

static void write_there(void)
{
	invalidate();
	vm_reset(&vm_there, g_write);
	vm_use_ept(ept_pointer(root));
	vm_there.regs[RDI] = WINDOW;
	reason_there = vm_run(&vm_there);
}

static void test_rights(void)
{
	map(page[0], EPT_RWX);
	ask(write_there);
	print("writable there: %s\n", reason_name(reason_there));
	map(page[0], EPT_R);
	invalidate();
	ask(write_there);
	print("read-only there: %s\n", reason_name(reason_there));
	map(page[0], EPT_RWX);
	invalidate();
	ask(write_there);
	print("writable again: %s\n", reason_name(reason_there));
	page[0][0] = 0xa;
}

/* Interrupts come back to the VMM, which executes INVEPT and goes on. */
static void watch_there(void)
{
	vm_reset(&vm_there, g_watch);
	vm_use_ept(ept_pointer(root));
	control_set(PIN_CONTROLS, PIN_EXTERNAL);
	control_set(EXIT_CONTROLS, EXIT_ACK);
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_IF);
	vm_there.regs[RDI] = WINDOW;
	vm_there.regs[RSI] = (u64)&seen;
	vm_there.regs[RDX] = (u64)&turns;
	vm_there.regs[RCX] = (u64)&enough;
	while ((reason_there = vm_run(&vm_there)) == REASON_EXTERNAL) {
		apic_eoi();
		invalidate();
	}
}

static void test_running(void)
{
	u32 right = 0;

	enough = turns = 0;
	map(page[0], EPT_RWX);
	begin(watch_there);
	wait_beyond(&turns, 0);
	for (u32 i = 0; i < CHANGES; i++) {
		map(page[i % 2], EPT_RWX);
		invalidate();
		cpu_send(other, IPI_FIXED | 0x60);
		right += wait_for(&seen, page[i % 2][0]);
	}
	print("seen by a guest that runs: %u of %u\n", right, CHANGES);
}

/* More roots here than any cache holds, while the other guest stays on its own. */
static void test_roots(void)
{
	u64 *mine = root, before, right = 0;

	map(page[1], EPT_RWX);
	invalidate();
	cpu_send(other, IPI_FIXED | 0x60);
	wait_for(&seen, page[1][0]);
	for (u32 i = 0; i < ROOTS; i++) {
		root = ept_new();
		ept_identity(root, BIT(32), BIT(30));
		map(page[0], EPT_RWX);
		before = turns;
		right += read_by(&vm_here) == page[0][0] && wait_beyond(&turns, before) &&
			 seen == page[1][0];
	}
	root = mine;
	enough = 1;
	expect("many EPTs here, one there", wait_done() && right == ROOTS);
	print("it ends by %s\n", reason_name(reason_there));
}

void test_ept(void)
{
	page[0] = page_alloc();
	page[1] = page_alloc();
	page[0][0] = 0xa;
	page[1][0] = 0xb;
	root = ept_new();
	ept_identity(root, BIT(32), BIT(30));
	test_changes();
	test_rights();
	test_running();
	test_roots();
	vm_reset(&vm_here, NULL);
}
