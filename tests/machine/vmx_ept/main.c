/*
 * Guest memory: EPT tables that the VMM changes, several roots, accessed and dirty bits, the
 * guest's own paging in every mode, with EPT and without. What is printed is defined by the SDM: a
 * stale translation is never asked for.
 */
#include "vmx_ept.h"

u64 *page_a, *page_b, *page_c;

asm(".globl guest_read, guest_write\n"
    "guest_read: mov (%rsi), %ebx; vmcall\n"		/* the same bytes in 32-bit mode */
    "guest_write: mov %ebx, (%rsi); vmcall\n");

static u64 *filled_page(u64 base)
{
	u64 *page = page_alloc();

	for (u64 i = 0; i < 512; i++)
		page[i] = base + i;
	return page;
}

void show_access(struct vm *vm, const char *code, u64 address)
{
	u32 reason;

	vmwrite(GUEST_RIP, (u64)code);
	vm->regs[RBX] = 0;
	vm->regs[RSI] = address;
	reason = vm_run(vm);
	print_rbx_or_exit(vm, reason);
}

void invalidate(const u64 *root)
{
	must(invept(1, ept_pointer(root)), "INVEPT");
}

u64 *identity_root(void)
{
	u64 *root = ept_new();

	ept_identity(root, BIT(32), 2 << 20);
	return root;
}

int main(void)
{
	struct vm vm;

	page_a = filled_page(0xa000);
	page_b = filled_page(0xb000);
	page_c = filled_page(0xc000);
	window_open(WINDOW);
	vmx_on();
	vm_init(&vm);
	test_changes(&vm);
	test_roots(&vm);
	test_accessed_dirty(&vm);
	test_guest_tables(&vm);
	test_modes(&vm);
	vmx_off();
	return 0;
}
