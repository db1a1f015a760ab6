/*
 * Page faults of the guest, intercepted or its own; accessed and dirty flags. SDM: Exception
 * Bitmap.
 */
#include "vmx_paging.h"

asm("f_read: mov (%rsi), %rbx; vmcall\n"
    "f_write: mov $7, %ebx; mov %rbx, (%rsi); vmcall\n"
    "f_read_write: mov (%rsi), %rbx; mov %rbx, 8(%rsi); mov (%rsi), %rcx; vmcall\n"
    "f_fetch: add $0x800, %rsi; jmp *%rsi\n"
    "f_touch: mov (%rsi), %rbx; mov $1, %ebx; vmcall\n"
    "f_cross: mov -4(%rsi), %rbx; vmcall\n"
    "f_cross_write: mov %rsi, -4(%rsi); vmcall\n");
extern const char f_read[], f_write[], f_read_write[], f_fetch[], f_touch[], f_cross[],
	f_cross_write[];

static const struct {
	const char *name;
	const char *code;
	u64 bits;		/* of the page's entry */
	bool user;
} cases[] = {
	{ "read", f_read, PTE_ALL, false },
	{ "write", f_write, PTE_ALL, false },
	{ "read, write", f_read_write, PTE_ALL, false },
	{ "fetch", f_fetch, PTE_ALL, false },
	{ "read of nothing", f_read, 0, false },
	{ "write to nothing", f_write, 0, false },
	{ "fetch from nothing", f_fetch, 0, false },
	{ "write to a read-only page", f_write, PTE_P | PTE_U, false },
	{ "read of a read-only page, write", f_read_write, PTE_P | PTE_U, false },
	{ "no execution", f_fetch, PTE_ALL | PTE_NX, false },
	{ "read where nothing executes", f_read, PTE_ALL | PTE_NX, false },
	{ "reserved bit", f_read, PTE_ALL | BIT(51), false },
	{ "user, read", f_read, PTE_ALL, true },
	{ "user, write", f_write, PTE_ALL, true },
	{ "user, fetch", f_fetch, PTE_ALL, true },
	{ "user, read of a supervisor page", f_read, PTE_P | PTE_W, true },
	{ "user, write to a supervisor page", f_write, PTE_P | PTE_W, true },
	{ "user, fetch from a supervisor page", f_fetch, PTE_P | PTE_W, true },
	{ "user, write to a read-only page", f_write, PTE_P | PTE_U, true },
	{ "user, read of nothing", f_read, 0, true },
	{ "user, reserved bit", f_write, PTE_ALL | BIT(51), true },
	{ "user, no execution", f_fetch, PTE_ALL | PTE_NX, true },
};

static void user(void)
{
	vmwrite(GUEST_CS, SEL_USER_CODE | 3);
	vmwrite(GUEST_CS_RIGHTS, 0xa0fb);
	vmwrite(GUEST_SS, SEL_USER_DATA | 3);
	vmwrite(GUEST_SS_RIGHTS, 0xc0f3);
}

static void run_cases(struct vm *vm, u64 bitmap, u64 mask, u64 match)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		start_guest(vm, cases[i].code, PAGE_SIZE);
		table[1] = (table[1] & ~PTE_ALL) | cases[i].bits;
		if (cases[i].user)
			user();
		vmwrite(EXCEPTION_BITMAP, bitmap);
		vmwrite(PF_ERROR_MASK, mask);
		vmwrite(PF_ERROR_MATCH, match);
		run_guest(vm, cases[i].name);
	}
}

void test_faults(struct vm *vm)
{
	print("-- page faults exit\n");
	run_cases(vm, BIT(14), 0, 0);
	print("-- page faults are the guest's\n");
	run_cases(vm, 0, 0, 0);
	print("-- only those of users exit\n");
	run_cases(vm, BIT(14), 4, 4);
	print("-- only those of pages that are there do not\n");
	run_cases(vm, 0, 1, 1);
	print("-- over two pages\n");
	for (unsigned int i = 0; i < 4; i++) {
		start_guest(vm, i & 1 ? f_cross_write : f_cross, PAGE_SIZE);
		table[i / 2] = 0;
		vmwrite(EXCEPTION_BITMAP, BIT(14));
		run_guest(vm, i & 1 ? "write" : "read");
	}
	print("-- what is wrong above\n");
	start_guest(vm, f_write, 0);
	directory[0] &= ~PTE_W;
	vmwrite(EXCEPTION_BITMAP, BIT(14));
	run_guest(vm, "a directory entry without W");
	start_guest(vm, f_fetch, 0);
	directory[0] |= PTE_NX;
	vmwrite(EXCEPTION_BITMAP, BIT(14));
	run_guest(vm, "a directory entry with NX");
	start_guest(vm, f_read, 0);
	directory[0] |= BIT(50);
	vmwrite(EXCEPTION_BITMAP, BIT(14));
	run_guest(vm, "a directory entry with a reserved bit");
	start_guest(vm, f_read, 0);
	directory[0] = 0;
	vmwrite(EXCEPTION_BITMAP, BIT(14));
	run_guest(vm, "no directory entry");
	start_guest(vm, f_read, 0);
	directory[0] = (u64)page[2] | PTE_ALL;
	run_guest(vm, "a page of data as a table");
	start_guest(vm, f_touch, 0);
	directory[0] = (u64)directory | PTE_ALL;
	vmwrite(EXCEPTION_BITMAP, BIT(14));
	run_guest(vm, "a directory that is its own table");
}
