/*
 * The log of pages that the guest modifies: what is logged, when, where, and what happens when it
 * is full. Everything but the window is dirty from the start, so that the guest's own code and
 * tables are not logged. Not shown: an entry with a full log where no flag is to be set, which in
 * the emulator exits at once. SDM: Page-Modification Logging.
 */
#include "vmx_ept2.h"

static u64 *root, *list;

asm("guest_two_writes: mov %ebx, (%rsi); mov %ebx, (%rdi); vmcall\n"
    "guest_write_read: mov %ebx, (%rsi); mov (%rdi), %ebx; vmcall\n");
extern const char guest_two_writes[], guest_write_read[];

static void start(struct vm *vm, u64 ad, u64 index)
{
	reset(vm, root);
	vmwrite(EPTP, ept_pointer(root) | ad);
	control_set(SECONDARY_CONTROLS, SEC_PML);
	vmwrite(PML_ADDRESS, (u64)list);
	vmwrite(PML_INDEX, index);
	memset(list, 0, PAGE_SIZE);
	must(invept(1, ept_pointer(root) | ad), "INVEPT");
}

/* Index, and the entries that are not 0, relative to the window. */
static void show_log(void)
{
	print(" index %lx", vmread(PML_INDEX));
	for (unsigned int i = 0; i < 512; i++)
		if (list[i])
			print(" %u:%lx", i, (u64)(list[i] - WINDOW));
	print("\n");
}

static void show_flags(unsigned int n)
{
	print(" flags %lx", *ept_entry(root, WINDOW + n * PAGE_SIZE, PAGE_SIZE) & EPT_FLAGS);
}

static void test_pages(struct vm *vm)
{
	for (unsigned int n = 0; n < 6; n++)
		map(root, n, page_b, EPT_RWX);
	start(vm, EPTP_AD, 511);
	print("read:");
	show(vm, guest_read, linear(1) + 8);
	show_flags(1);
	show_log();
	print("write:");
	show(vm, guest_write, linear(1) + 0x123);
	show_flags(1);
	show_log();
	print("the same again:");
	show(vm, guest_write, linear(1) + 0x456);
	show_log();
	print("another:");
	show(vm, guest_write, linear(2));
	show_log();
	print("read-only:");
	map(root, 3, page_b, EPT_R);
	show(vm, guest_write, linear(3));
	show_log();
	print("without accessed and dirty flags:");
	start(vm, 0, 511);
	show(vm, guest_write, linear(4));
	show_flags(4);
	show_log();
}

static void test_full(struct vm *vm, const char *text, const char *code)
{
	u32 reason;

	for (unsigned int n = 0; n < 6; n++)
		map(root, n, page_b, EPT_RWX);
	start(vm, EPTP_AD, 0);
	vm->regs[RDI] = linear(2) + 0x10;
	print("%s:", text);
	reason = run(vm, code, linear(1) + 8);
	print(" [");
	print_exit(vm, reason);
	print("] at +%lx", vmread(GUEST_RIP) - (u64)code);
	show_flags(1);
	show_flags(2);
	show_log();
	vmwrite(PML_INDEX, 511);
	print("  and on: %s", reason_name(vm_run(vm)));
	show_flags(2);
	show_log();
}

static void test_large(struct vm *vm)
{
	u64 size = 2 << 20, offset = (u64)page_b % size;

	print("a large page:");
	start(vm, EPTP_AD, 1);
	*ept_entry(root, WINDOW, size) = ((u64)page_b - offset) | EPT_RWX | EPT_WB | EPT_LARGE;
	must(invept(1, ept_pointer(root) | EPTP_AD), "INVEPT");
	show(vm, guest_write, linear((unsigned int)(offset / PAGE_SIZE)) + 0xabc);
	print(" flags %lx index %lx entry %s\n", *ept_entry(root, WINDOW, size) & EPT_FLAGS,
	      vmread(PML_INDEX), list[1] == WINDOW + offset ? "right" : "wrong");
	*ept_entry(root, WINDOW, size) = 0;
}

/* A log where there is no memory takes entries like one where there is. */
static void test_nowhere(struct vm *vm)
{
	map(root, 1, page_b, EPT_RWX);
	start(vm, EPTP_AD, 5);
	vmwrite(PML_ADDRESS, 0x3000000000);
	print("no memory there:");
	show(vm, guest_write, linear(1));
	show_flags(1);
	show_log();
}

static void test_entries(struct vm *vm)
{
	start(vm, EPTP_AD, 511);
	vmwrite(PML_ADDRESS, (u64)list + 8);
	show_entry(vm, "address not aligned");
	start(vm, EPTP_AD, 511);
	vmwrite(PML_ADDRESS, BIT(52));
	show_entry(vm, "address too high");
	start(vm, EPTP_AD, 511);
	control_clear(SECONDARY_CONTROLS, SEC_EPT);
	show_entry(vm, "without EPT");
}

void test_log(struct vm *vm)
{
	bool offered = control_can(SECONDARY_CONTROLS, SEC_PML);

	print("page-modification logging: %s\n", offered ? "yes" : "no");
	if (!offered)
		return;
	root = new_root();
	list = page_alloc();
	for (unsigned int n = 0; n < 6; n++)
		allow(n, PTE_W);
	test_pages(vm);
	test_full(vm, "full before a write", guest_two_writes);
	test_full(vm, "full before a read", guest_write_read);
	test_large(vm);
	test_nowhere(vm);
	test_entries(vm);
}
