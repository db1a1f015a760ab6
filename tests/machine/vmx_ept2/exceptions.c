/*
 * EPT violations that the guest gets as #VE: which, when, with what information, and which are
 * exits after all. The index is shown after EPTP switching only: the emulator loads no other. SDM:
 * Virtualization Exceptions.
 */
#include "vmx_ept2.h"

#define SUPPRESS	BIT(63)
#define VECTOR_VE	20
#define HOLE	0xe0000000ull	/* linear address without paging */

static u64 *root, *list;
static u32 *area;
static struct trap_frame seen;
static u64 seen_cr2;

asm("guest_index: vmfunc; mov (%rsi), %ebx; vmcall\n");
extern const char guest_index[];

/* In the guest. */
static void handler(struct trap_frame *frame)
{
	seen = *frame;
	seen_cr2 = read_cr2();
	asm volatile("vmcall");
}

static void start(struct vm *vm)
{
	for (unsigned int n = 1; n < 6; n++)
		map(root, n, page_a, EPT_RWX);
	reset(vm, root);
	control_set(SECONDARY_CONTROLS, SEC_VE);
	vmwrite(VE_INFO, (u64)area);
	vmwrite(EPTP_INDEX, 0);
	memset(area, 0, PAGE_SIZE);
}

static void show_area(void)
{
	const u64 *wide = (const u64 *)area;
	u64 mask = wide[1] & 0x100 ? 0xfff : 0x1ff;

	if (!area[0] && !area[1]) {
		print(" area untouched\n");
		return;
	}
	print(" area %u %x q=%lx", area[0], area[1], wide[1] & mask);
	if (wide[1] & BIT(7))
		print(" gla=%lx", wide[2]);
	print(" gpa=%lx\n", wide[3]);
}

static void one(struct vm *vm, const char *text, const char *code, u64 address)
{
	u32 reason;

	memset(&seen, 0, sizeof(seen));
	write_cr2(0x1234);
	print("%s:", text);
	reason = run(vm, code, address);
	if (reason == REASON_VMCALL && seen.vector == VECTOR_VE)
		print(" #VE at %s, RF %lu CR2 %lx",
		      seen.rip == (u64)code ? "the first instruction" :
		      seen.rip == address ? "the target" : "another",
		      seen.rflags >> 16 & 1, seen_cr2);
	else if (reason == REASON_VMCALL)
		print(" %lx", vm->regs[RBX]);
	else {
		print(" [");
		print_exit(vm, reason);
		print("]");
	}
	show_area();
}

static void test_delivered(struct vm *vm)
{
	start(vm);
	map(root, 1, page_a, 0);
	one(vm, "page missing", guest_read, linear(1) + 8);
	one(vm, "the same, area in use", guest_read, linear(1) + 8);
	area[1] = 1;
	one(vm, "area's second word 1", guest_read, linear(1) + 8);
	area[1] = 0;
	one(vm, "area free again", guest_write, linear(1) + 16);
	start(vm);
	map(root, 1, page_a, EPT_R);
	one(vm, "not writable", guest_write, linear(1));
	start(vm);
	map(root, 1, page_a, EPT_R);
	one(vm, "not executable", guest_jump, linear(1));
	start(vm);
	map(root, 1, page_a, EPT_W);
	one(vm, "misconfigured", guest_read, linear(1));
	start(vm);
	map(root, 1, page_a, 0);
	vmwrite(EXCEPTION_BITMAP, BIT(VECTOR_VE));
	one(vm, "intercepted", guest_read, linear(1));
	start(vm);
	map(root, 1, page_a, 0);
	vmwrite(EXCEPTION_BITMAP, ~BIT(VECTOR_VE) & 0xffffffff);
	one(vm, "all others intercepted", guest_read, linear(1));
	start(vm);
	map(root, 1, page_a, 0);
	control_clear(SECONDARY_CONTROLS, SEC_VE);
	one(vm, "control off", guest_read, linear(1));
}

static void test_suppressed(struct vm *vm)
{
	u64 *directory;

	start(vm);
	map(root, 1, page_a, SUPPRESS);
	*ept_entry(root, WINDOW + PAGE_SIZE, PAGE_SIZE) = SUPPRESS;
	one(vm, "suppressed, missing", guest_read, linear(1));
	start(vm);
	map(root, 1, page_a, EPT_R | SUPPRESS);
	one(vm, "suppressed, not writable", guest_write, linear(1));
	one(vm, "suppressed, allowed", guest_read, linear(1));
	start(vm);
	directory = ept_entry(root, WINDOW, 2 << 20);
	*directory |= SUPPRESS;
	map(root, 1, page_a, 0);
	one(vm, "bit set in a table above", guest_read, linear(1));
	start(vm);
	*directory &= ~(EPT_RWX | SUPPRESS);
	invalidate(root);
	one(vm, "table missing", guest_read, linear(1));
	start(vm);
	*directory &= ~(u64)EPT_RWX;
	*directory |= SUPPRESS;
	invalidate(root);
	one(vm, "table missing, suppressed", guest_read, linear(1));
	*directory = (*directory & ~SUPPRESS) | EPT_RWX;
	invalidate(root);
}

/* While an event is delivered there is none; and its own delivery may fail. */
static void test_delivery(struct vm *vm)
{
	start(vm);
	map(root, 2, page_a, 0);
	vmwrite(GUEST_RSP, linear(2) + 0x800);
	vmwrite(ENTRY_INTR_INFO, INTR_VALID | INTR_HARDWARE | 6);
	one(vm, "no stack for an event", guest_read, linear(1));
	start(vm);
	map(root, 1, page_a, 0);
	map(root, 2, page_a, 0);
	vmwrite(GUEST_RSP, linear(2) + 0x800);
	one(vm, "no stack for #VE", guest_read, linear(1));
}

static void test_unpaged(struct vm *vm, bool protected)
{
	static const u16 data[] = { GUEST_ES, GUEST_SS, GUEST_DS };
	u32 rights = protected ? 0xc093 : 0x93, limit = protected ? 0xffffffff : 0xffff;

	start(vm);
	ept_map(root, HOLE, 0, PAGE_SIZE, 0);
	*ept_entry(root, HOLE, PAGE_SIZE) = 0;
	invalidate(root);
	control_clear(ENTRY_CONTROLS, ENTRY_GUEST_64);
	control_set(SECONDARY_CONTROLS, SEC_UNRESTRICTED);
	vmwrite(EXCEPTION_BITMAP, BIT(VECTOR_VE));
	vmwrite(GUEST_EFER, 0);
	vmwrite(GUEST_CR0, read_cr0() & ~(protected ? BIT(31) : BIT(31) | 1));
	vmwrite(GUEST_CR4, BIT(13));
	vmwrite(GUEST_CS_RIGHTS, protected ? 0xc09b : 0x9b);
	vmwrite(GUEST_CS_LIMIT, limit);
	vmwrite(GUEST_CS_BASE, protected ? 0 : HOLE);
	for (unsigned int i = 0; i < ARRAY_SIZE(data); i++) {
		vmwrite(data[i] - GUEST_ES + GUEST_ES_RIGHTS, rights);
		vmwrite(data[i] - GUEST_ES + GUEST_ES_LIMIT, limit);
	}
	one(vm, protected ? "no paging" : "real mode", protected ? guest_read : NULL, HOLE);
}

static void test_index(struct vm *vm)
{
	start(vm);
	map(root, 1, page_a, 0);
	control_set(SECONDARY_CONTROLS, SEC_VMFUNC);
	vmwrite(VMFUNC_CONTROLS, 1);
	vmwrite(EPTP_LIST, (u64)list);
	list[300] = ept_pointer(root);
	vm->regs[RCX] = 300;
	one(vm, "after EPTP switching", guest_index, linear(1));
	print("  index %u, in the VMCS %lu\n", area[8] & 0xffff, vmread(EPTP_INDEX));
	list[0] = ept_pointer(root);
	vm->regs[RAX] = vm->regs[RCX] = 0;
	area[1] = 0;
	vmwrite(EXCEPTION_BITMAP, BIT(VECTOR_VE));
	one(vm, "and back, intercepted", guest_index, linear(1));
	print("  index %u, in the VMCS %lu\n", area[8] & 0xffff, vmread(EPTP_INDEX));
}

static void test_entries(struct vm *vm)
{
	start(vm);
	vmwrite(VE_INFO, (u64)area + 8);
	show_entry(vm, "address not aligned");
	start(vm);
	vmwrite(VE_INFO, BIT(52));
	show_entry(vm, "address too high");
	start(vm);
	map(root, 1, page_a, 0);
	vmwrite(VE_INFO, 0x3000000000);
	one(vm, "area where there is no memory", guest_read, linear(1));
}

void test_exceptions(struct vm *vm)
{
	bool offered = control_can(SECONDARY_CONTROLS, SEC_VE);

	print("EPT violations as #VE: %s\n", offered ? "yes" : "no");
	if (!offered)
		return;
	root = new_root();
	list = page_alloc();
	area = page_alloc();
	trap_hook[VECTOR_VE] = handler;
	test_delivered(vm);
	test_suppressed(vm);
	test_delivery(vm);
	test_unpaged(vm, true);
	test_unpaged(vm, false);
	test_index(vm);
	test_entries(vm);
}
