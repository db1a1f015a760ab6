/*
 * What EPT can do beyond mapping: advanced exit information, mode-based execute control,
 * page-modification logging, EPTP switching,
 * EPT violations as exceptions. Each part needs the processor to have it;
 * a machine that offers it on a processor must do what that processor does.
 */
#include "vmx_ept2.h"

u64 *page_a, *page_b;

static u64 *top, *table;

/* The same bytes in 32-bit mode. */
asm(".globl guest_read, guest_write, guest_jump\n"
    "guest_read: mov (%rsi), %ebx; vmcall\n"
    "guest_write: mov %ebx, (%rsi); vmcall\n"
    "guest_jump: jmp *%rsi\n");

static u64 *filled_page(u64 base)
{
	/* mov $0xc0de, %ebx; vmcall */
	static const u8 code[] = { 0xbb, 0xde, 0xc0, 0, 0, 0x0f, 0x01, 0xc1 };
	u64 *page = page_alloc();

	for (u64 i = 0; i < 512; i++)
		page[i] = base + i;
	memcpy(&page[511], code, sizeof(code));
	return page;
}

static void make_guest_tables(void)
{
	u64 *pointers = page_alloc(), *directory = page_alloc();

	top = page_alloc();
	table = page_alloc();
	top[0] = *(u64 *)read_cr3();
	top[1] = (u64)pointers | 7;
	pointers[0] = (u64)directory | 7;
	directory[0] = (u64)table | 7;
	for (unsigned int n = 0; n < 512; n++)
		allow(n, PTE_W);
}

void allow(unsigned int n, u64 rights)
{
	table[n] = (WINDOW + n * PAGE_SIZE) | rights | 0x61;	/* present, accessed, dirty */
}

void invalidate(const u64 *root)
{
	must(invept(1, ept_pointer(root)), "INVEPT");
}

void map(u64 *root, unsigned int n, const u64 *page, u64 rights)
{
	ept_map(root, WINDOW + n * PAGE_SIZE, (u64)page, PAGE_SIZE, 0);
	*ept_entry(root, WINDOW + n * PAGE_SIZE, PAGE_SIZE) |= rights;
	if (!rights)
		*ept_entry(root, WINDOW + n * PAGE_SIZE, PAGE_SIZE) = 0;
	invalidate(root);
}

static void set_below(u64 *of, unsigned int level, u64 bits)
{
	for (unsigned int i = 0; i < 512; i++) {
		if (!(of[i] & EPT_RWX))
			continue;
		of[i] |= bits;
		if (level > 1 && !(of[i] & EPT_LARGE))
			set_below((u64 *)(of[i] & 0xffffffffff000), level - 1, bits);
	}
}

void set_everywhere(u64 *root, u64 bits)
{
	set_below(root, 4, bits);
}

u64 *new_root(void)
{
	u64 *root = ept_new();

	ept_identity(root, BIT(32), 2 << 20);
	set_everywhere(root, EPT_FLAGS);
	return root;
}

void reset(struct vm *vm, const u64 *root)
{
	vm_reset(vm, NULL);
	vmwrite(GUEST_CR3, (u64)top);
	control_set(ENTRY_CONTROLS, ENTRY_LOAD_EFER);
	vmwrite(GUEST_EFER, rdmsr(MSR_EFER) | BIT(11));
	vm_use_ept(ept_pointer(root));
}

u32 run(struct vm *vm, const char *code, u64 address)
{
	vmwrite(GUEST_RIP, (u64)code);
	vm->regs[RBX] = 0;
	vm->regs[RSI] = address;
	return vm_run(vm);
}

void show(struct vm *vm, const char *code, u64 address)
{
	u32 reason = run(vm, code, address);

	print_rbx_or_exit(vm, reason);
}

void show_entry(struct vm *vm, const char *text)
{
	print("%s: %s\n", text,
	      run(vm, guest_read, (u64)page_a) == NO_EXIT ? outcome_text(vm->entry) : "ok");
}

int main(void)
{
	struct vm vm;

	page_a = filled_page(0xa000);
	page_b = filled_page(0xb000);
	make_guest_tables();
	vmx_on();
	vm_init(&vm);
	test_advanced(&vm);
	test_mode_exec(&vm);
	test_log(&vm);
	test_switching(&vm);
	test_exceptions(&vm);
	vmx_off();
	return 0;
}
