/*
 * What a guest sees after each thing that flushes its TLB: MOV to CR3, INVLPG, CR4.PGE, VM
 * entries and exits. SDM: Operations that Invalidate TLBs and Paging-Structure Caches.
 */
#include "vmx_paging.h"

/* Reads the page, puts RDX into its entry at RDI, flushes in one way, reads again. */
#define CHANGE(flush) "mov (%rsi), %rbx; mov %rdx, (%rdi); " flush "; mov (%rsi), %rcx; vmcall\n"
asm("l_invlpg: " CHANGE("invlpg (%rsi)")
    "l_cr3: " CHANGE("mov %cr3, %rax; mov %rax, %cr3")
    "l_pge: " CHANGE("mov %cr4, %rax; btc $7, %rax; mov %rax, %cr4; btc $7, %rax; mov %rax, %cr4")
    "l_exit: " CHANGE("vmcall")
    "l_write: movq $9, (%rsi); mov %rdx, (%rdi); invlpg (%rsi); mov (%rsi), %rcx; vmcall\n"
    "l_two: mov (%rsi), %rbx; vmcall; mov (%rsi), %rcx; vmcall\n"
    "l_switch: mov (%rsi), %rbx; mov %cr3, %rdi; mov %rdx, %cr3; mov (%rsi), %rcx; mov %rdi, %cr3;"
    "	shl $8, %rcx; or (%rsi), %rcx; vmcall\n");
extern const char l_invlpg[], l_cr3[], l_pge[], l_exit[], l_write[], l_two[], l_switch[];

static const struct { const char *name, *code; } ways[] = {
	{ "INVLPG", l_invlpg }, { "MOV to CR3", l_cr3 }, { "CR4.PGE", l_pge },
};

static void change(struct vm *vm, const char *code, const char *name, u64 from, u64 to)
{
	start_guest(vm, code, PAGE_SIZE);
	table[1] |= from;
	vmwrite(EXCEPTION_BITMAP, BIT(14));
	vm->regs[RDX] = to;
	run_guest(vm, name);
}

/* Two entries, and in between the VMM changes something. The second looks at WINDOW + at. */
static void between(struct vm *vm, const char *name, u64 *entry, u64 value, u64 at)
{
	start_guest(vm, l_two, PAGE_SIZE);
	vmwrite(EXCEPTION_BITMAP, BIT(14));
	vm_run(vm);
	vm_skip();
	*entry = value;
	vm->regs[RSI] = WINDOW + at;
	run_guest(vm, name);
}

void test_flushes(struct vm *vm)
{
	u64 *other_root = page_alloc(), *other_pointers = page_alloc();
	u64 *other_directory = page_alloc(), *other_table = page_alloc();
	u64 frame = (u64)page[9];

	print("-- the guest changes its tables\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(ways); i++) {
		change(vm, ways[i].code, ways[i].name, 0, frame | PTE_ALL);
		change(vm, ways[i].code, ways[i].name, 0, 0);
		change(vm, ways[i].code, ways[i].name, 0, frame | PTE_P);
	}
	change(vm, l_pge, "a global page, CR4.PGE", PTE_G, frame | PTE_ALL);
	change(vm, l_invlpg, "a global page, INVLPG", PTE_G, frame | PTE_ALL);
	change(vm, l_exit, "an exit", 0, frame | PTE_ALL);
	change(vm, l_write, "flags taken away", 0, (u64)page[1] | PTE_ALL);

	print("-- the VMM does\n");
	between(vm, "another page", &table[1], frame | PTE_ALL, PAGE_SIZE);
	between(vm, "no page", &table[1], 0, PAGE_SIZE);
	between(vm, "another table", &directory[0], (u64)page[2] | PTE_ALL, PAGE_SIZE);
	*(u64 *)(page[3] + 8) = frame | PTE_ALL;
	between(vm, "another table that is one", &directory[0], (u64)page[3] | PTE_ALL, PAGE_SIZE);
	between(vm, "a large page", &directory[0], (frame & ~(u64)0x1fffff) | PTE_ALL | PTE_PS,
		frame & 0x1fffff);

	print("-- two address spaces\n");
	start_guest(vm, l_switch, PAGE_SIZE);
	memcpy(other_root, root, PAGE_SIZE);
	memcpy(other_pointers, (void *)(root[0] & ~(u64)0xfff), PAGE_SIZE);
	other_root[0] = (u64)other_pointers | PTE_ALL;
	other_pointers[5] = (u64)other_directory | PTE_ALL;
	other_directory[0] = (u64)other_table | PTE_ALL;
	other_table[1] = frame | PTE_ALL;
	vm->regs[RDX] = (u64)other_root;
	run_guest(vm, "there and back");
	print("flags there: %lx %lx\n", other_directory[0] & 0x67, other_table[1] & 0x67);
	other_table[1] = (u64)page[4] | PTE_ALL;
	start_guest(vm, l_switch, PAGE_SIZE);
	vm->regs[RDX] = (u64)other_root;
	run_guest(vm, "again, with another page");
}
