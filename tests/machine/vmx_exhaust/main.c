/*
 * More of everything that a hypervisor below may remember than it can have room for: EPTPs, EPT
 * tables, VPIDs, bitmaps; and EPT tables that lead in circles. What comes of it is what a CPU
 * does, which remembers nothing that it needs. Nothing is timed.
 */
#include "vmx.h"

#define EPTPS		10000u
#define ROOTS_AT	0x4000000ull	/* a page for each */
#define KINDS		16u
#define LINEAR		0x8000000000ull	/* a page of the guest's, which leads where it is told to */
#define HIGH		BIT(39)		/* guest-physical; below 4 GiB EPT is an identity map */

asm("guest_read: mov (%rsi), %rbx; vmcall\n"
    "guest_rdmsr: mov $0xc0000082, %ecx; rdmsr; vmcall\n"
    "guest_end: vmcall\n");
extern const char guest_read[], guest_rdmsr[], guest_end[];

static u64 *guest_leaf;			/* the guest's table entry for LINEAR */
static u64 identity;			/* entry of EPT's top level for the first 4 GiB */
static u64 *kind[KINDS];		/* pages of data, whose first word is their number */
static u64 seed = 1;

static u32 random(void)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (u32)(seed >> 33);
}

static u64 some_high(void)
{
	return HIGH + (u64)(random() & 0x7ffffff) * PAGE_SIZE;
}

static u64 *filled_table(u64 entry, u64 step)
{
	u64 *table = page_alloc();

	for (u64 i = 0; i < 512; i++)
		table[i] = entry + step * (i % KINDS);
	return table;
}

static void prepare(struct vm *vm)
{
	u64 *pages = pages_alloc(KINDS), *pointers = page_alloc(), *directory = page_alloc();
	u64 *top = page_alloc(), *root = ept_new();

	for (u64 i = 0; i < KINDS; i++) {
		kind[i] = pages + 512 * i;
		kind[i][0] = i;
	}
	guest_leaf = page_alloc();
	top[0] = *(u64 *)read_cr3();
	top[1] = (u64)pointers | 7;
	pointers[0] = (u64)directory | 7;
	directory[0] = (u64)guest_leaf | 7;
	ept_identity(root, BIT(32), 2 << 20);
	identity = root[0];
	vm_init(vm);
	vmwrite(GUEST_CR3, (u64)top);
	vmwrite(EXCEPTION_BITMAP, 0xffffffff);
	vm_use_ept(ept_pointer(root));
}

/* The guest's read of this guest-physical address. */
static u32 touch(struct vm *vm, u64 gpa)
{
	*guest_leaf = (gpa & ~0xfffull) | 0x67;
	vmwrite(GUEST_RIP, (u64)guest_read);
	vm->regs[RSI] = LINEAR + gpa % PAGE_SIZE;
	return vm_run(vm);
}

static u64 *root_of(u32 i)
{
	return (u64 *)(ROOTS_AT + i * PAGE_SIZE);
}

static u32 kind_of(u32 i)
{
	return i % 7 + i % 11 / 2;
}

/* An entry to three levels of tables, in which all is the same, but for the page in the last. */
static u64 maze(u64 leaf, u64 step)
{
	u64 *last = filled_table(leaf | EPT_RWX | EPT_WB, step);
	u64 *middle = filled_table((u64)last | EPT_RWX, 0);

	return (u64)filled_table((u64)middle | EPT_RWX, 0) | EPT_RWX;
}

static void make_roots(void)
{
	u64 mazes[KINDS];

	for (u64 i = 0; i < KINDS; i++)
		mazes[i] = maze((u64)kind[i], 0);
	for (u32 i = 0; i < EPTPS; i++) {
		root_of(i)[0] = identity;
		root_of(i)[1] = mazes[kind_of(i)];
	}
}

static void test_eptps(struct vm *vm)
{
	u32 wrong = 0, used = 0;

	make_roots();
	for (u32 i = 0; i < EPTPS + 200; i++) {
		u32 n = i < EPTPS ? i : random() % EPTPS;

		vmwrite(EPTP, ept_pointer(root_of(n)));
		used++;
		if (n % 8) {
			vmwrite(GUEST_RIP, (u64)guest_end);
			wrong += vm_run(vm) != REASON_VMCALL;
			continue;
		}
		wrong += touch(vm, some_high()) != REASON_VMCALL || vm->regs[RBX] != kind_of(n);
	}
	print("EPTPs: %u used, %u wrong\n", used, wrong);
}

/* Each read is in another gibibyte, and so needs tables of its own below the root. */
static void test_spread(struct vm *vm)
{
	u64 *root = ept_new();
	u32 wrong = 0;

	root[0] = identity;
	root[1] = maze((u64)kind[0], PAGE_SIZE);
	vmwrite(EPTP, ept_pointer(root));
	for (u32 i = 0; i < 1000; i++) {
		u64 gpa = some_high();

		wrong += touch(vm, gpa) != REASON_VMCALL ||
			 vm->regs[RBX] != gpa / PAGE_SIZE % KINDS;
	}
	print("reads all over the place: %u wrong\n", wrong);
}

static void test_vpids(struct vm *vm)
{
	u32 wrong = 0;

	control_set(SECONDARY_CONTROLS, SEC_VPID);
	for (u32 i = 0; i < 600; i++) {
		u32 page = random() % KINDS;
		u32 vpid = i < 300 ? i + 1 : 65535 - random() % 300;

		vmwrite(VPID, vpid);
		must(invvpid(1, (u16)vpid, 0), "INVVPID");
		wrong += touch(vm, (u64)kind[page]) != REASON_VMCALL || vm->regs[RBX] != page;
	}
	control_clear(SECONDARY_CONTROLS, SEC_VPID);
	print("VPIDs: %u wrong\n", wrong);
}

/* Bit 0x82 of the high range of reads, set or not; changed now and then, also while in use. */
static void test_bitmaps(struct vm *vm)
{
	enum { BITMAPS = 300, BYTE = 0x400 + 0x82 / 8 };
	u8 *bitmaps = pages_alloc(BITMAPS);
	u32 wrong = 0;

	control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
	for (u32 i = 0; i < 2 * BITMAPS; i++) {
		u8 *byte = &bitmaps[(i < BITMAPS ? i : random() % BITMAPS) * PAGE_SIZE + BYTE];

		vmwrite(MSR_BITMAP, (u64)(byte - BYTE));
		for (u32 change = random() % 3; change > 0; change--) {
			*byte ^= BIT(2);
			vmwrite(GUEST_RIP, (u64)guest_rdmsr);
			wrong += vm_run(vm) != (*byte ? REASON_RDMSR : REASON_VMCALL);
		}
	}
	control_clear(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
	print("MSR bitmaps: %u wrong\n", wrong);
}

struct counts {
	u32 read, violation, misconfigured, other;
};

static void count(struct counts *c, u32 reason)
{
	c->read += reason == REASON_VMCALL;
	c->violation += reason == REASON_EPT_VIOLATION;
	c->misconfigured += reason == REASON_EPT_MISCONFIG;
	c->other += reason != REASON_VMCALL && reason != REASON_EPT_VIOLATION &&
		    reason != REASON_EPT_MISCONFIG;
}

static void print_counts(const char *text, const struct counts *c)
{
	print("%s: %u reads, %u violations, %u misconfigurations, %u others\n", text, c->read,
	      c->violation, c->misconfigured, c->other);
}

/* A table whose every entry is itself, below a root: all levels, and the page read. */
static void test_self(struct vm *vm)
{
	u64 *root = ept_new(), *itself = page_alloc();
	struct counts c = { 0 };

	for (u64 i = 0; i < 512; i++)
		itself[i] = (u64)itself | EPT_RWX;
	root[0] = identity;
	root[1] = (u64)itself | EPT_RWX;
	vmwrite(EPTP, ept_pointer(root));
	for (u32 i = 0; i < 200; i++)
		count(&c, touch(vm, some_high()));
	print_counts("a table that is its own", &c);
}

/* One of the entries that lead among a few tables, to data, or nowhere. */
static u64 some_entry(u64 *const *tables)
{
	u32 how = random() % 16;

	if (how == 0)
		return 0;
	if (how == 1)
		return BIT(50) | EPT_RWX;
	if (how == 2)
		return (u64)kind[0] | 2;
	if (how == 3)
		return EPT_LARGE | EPT_RWX | EPT_WB;	/* the first 2 MiB, or GiB; or nonsense */
	if (how < 6)
		return (u64)kind[random() % KINDS] | EPT_RWX | EPT_WB;
	return (u64)tables[random() % 8] | (how < 8 ? EPT_R : EPT_RWX);
}

/*
 * Eight tables, each at every level, changed all the time. The root keeps the way to the guest's
 * own memory.
 */
static void test_circles(struct vm *vm)
{
	u64 *tables[8];
	struct counts c = { 0 };

	for (u32 i = 0; i < 8; i++)
		tables[i] = page_alloc();
	for (u32 i = 0; i < 8; i++)
		for (u32 n = 1; n < 512; n++)
			tables[i][n] = some_entry(tables);
	for (u32 i = 0; i < 800; i++) {
		u64 *root = tables[random() % 8];
		u32 index = 1 + random() % 511;
		u64 *changed = tables[random() % 8];

		changed[index] = some_entry(tables);
		root[0] = identity;
		vmwrite(EPTP, ept_pointer(root));
		must(i % 2 ? invept(2, 0) : invept(1, ept_pointer(root)), "INVEPT");
		count(&c, touch(vm, some_high()));
		root[0] = 0;
	}
	print_counts("tables in circles", &c);
}

int main(void)
{
	struct vm vm;

	if (!memory_is_available(ROOTS_AT, ROOTS_AT + EPTPS * PAGE_SIZE))
		die("there is no memory at %#llx", ROOTS_AT);
	vmx_on();
	prepare(&vm);
	test_eptps(&vm);
	test_spread(&vm);
	test_vpids(&vm);
	test_bitmaps(&vm);
	test_self(&vm);
	test_circles(&vm);
	vmx_off();
	return 0;
}
