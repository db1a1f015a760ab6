/*
 * EPT violations and misconfigurations, by each kind of access and each page size; the VMM mends
 * the entry, invalidates, and lets the guest go on. The guest's window at 5 GiB is guest-physical
 * memory of the same address, behind which lies one page of the pool.
 */
#include "vmx_exits.h"

#define WINDOW	0x140000000ull

static u64 *root, *page;
static u64 *broken;		/* the entry that a case breaks */
static u64 mended;

asm("ept_read: movabs 0x140001238, %rax; mov %rax, %rbx; vmcall\n"
    "ept_write: movabs %rax, 0x140001238; mov $1, %ebx; vmcall\n"
    "ept_fetch: movabs $0x140001000, %rax; call *%rax; mov $2, %ebx; vmcall\n"
    "ept_split: movabs $0x140000ffc, %rsi; mov (%rsi), %rax; mov $3, %ebx; vmcall");
extern const char ept_read[], ept_write[], ept_fetch[], ept_split[];

static bool mend(struct vm *vm, u32 reason)
{
	(void)vm;
	if (reason != REASON_EPT_VIOLATION && reason != REASON_EPT_MISCONFIG)
		return false;
	*broken = mended;
	must(invept(1, ept_pointer(root)), "INVEPT");
	return true;
}

static void setup(u64 size, u64 clear, u64 set)
{
	if (!root) {
		root = ept_new();
		ept_identity(root, BIT(32), 2 << 20);
		page = page_alloc();
		page[0x238 / 8] = 0x777;
		*(u8 *)page = 0xc3;	/* RET */
		window_open(WINDOW);
	}
	if (size == PAGE_SIZE) {
		*ept_entry(root, WINDOW, BIT(30)) = 0;
		ept_map(root, WINDOW, (u64)page, PAGE_SIZE, EPT_RWX);
		ept_map(root, WINDOW + PAGE_SIZE, (u64)page, PAGE_SIZE, EPT_RWX);
		broken = ept_entry(root, WINDOW + PAGE_SIZE, PAGE_SIZE);
	} else {
		if (size != BIT(30))
			*ept_entry(root, WINDOW, BIT(30)) = 0;
		ept_map(root, WINDOW, 0, size, EPT_RWX);
		broken = ept_entry(root, WINDOW, size);
	}
	mended = *broken;
	*broken = (mended & ~clear) | set;
	must(invept(1, ept_pointer(root)), "INVEPT");
	vm_use_ept(ept_pointer(root));
	handler = mend;
}

#define CASE(id, size, clear, set) \
	static void setup_##id(struct vm *vm) { (void)vm; setup(size, clear, set); }
CASE(all, PAGE_SIZE, EPT_RWX, 0)
CASE(present, PAGE_SIZE, 0, 0)
CASE(no_write, PAGE_SIZE, EPT_W, 0)
CASE(no_fetch, PAGE_SIZE, EPT_X, 0)
CASE(execute_only, PAGE_SIZE, EPT_R | EPT_W, 0)
CASE(all_2m, 2 << 20, EPT_RWX, 0)
CASE(no_write_2m, 2 << 20, EPT_W, 0)
CASE(all_1g, BIT(30), EPT_RWX, 0)
CASE(write_only, PAGE_SIZE, EPT_R | EPT_X, 0)
CASE(write_execute, PAGE_SIZE, EPT_R, 0)
CASE(bad_type, PAGE_SIZE, 7 << 3, 2 << 3)
CASE(reserved, PAGE_SIZE, 0, BIT(51))
CASE(reserved_2m, 2 << 20, 0, BIT(13))
#undef CASE

void test_ept_exits(struct vm *vm)
{
	static const struct exit_case rows[] = {
		{ "EPT, nothing broken", setup_present, ept_read },
		{ "EPT violation, read", setup_all, ept_read },
		{ "EPT violation, write", setup_all, ept_write },
		{ "EPT violation, fetch", setup_all, ept_fetch },
		{ "EPT violation, write to a read-only page", setup_no_write, ept_write },
		{ "EPT read of a read-only page", setup_no_write, ept_read },
		{ "EPT violation, fetch from a no-execute page", setup_no_fetch, ept_fetch },
		{ "EPT violation, read of an execute-only page", setup_execute_only, ept_read },
		{ "EPT fetch from an execute-only page", setup_execute_only, ept_fetch },
		{ "EPT violation, read across pages", setup_all, ept_split },
		{ "EPT violation, read, 2 MiB", setup_all_2m, ept_write },
		{ "EPT violation, write to a read-only page, 2 MiB", setup_no_write_2m, ept_write },
		{ "EPT violation, write, 1 GiB", setup_all_1g, ept_write },
		{ "EPT misconfiguration, write-only", setup_write_only, ept_read },
		{ "EPT misconfiguration, write and execute", setup_write_execute, ept_write },
		{ "EPT misconfiguration, memory type", setup_bad_type, ept_write },
		{ "EPT misconfiguration, reserved bit", setup_reserved, ept_fetch },
		{ "EPT misconfiguration, reserved bit, 2 MiB", setup_reserved_2m, ept_read },
	};
	u64 saved = *(u64 *)0x1238;

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		*(u64 *)0x1238 = 0x888;	/* what the large pages show */
		run_case(vm, &rows[i]);
	}
	*(u64 *)0x1238 = saved;
}
