/*
 * One TLB miss in each way to have memory: a load, alone between two magic breakpoints of the
 * emulator (xchg %bx,%bx), whose page was used before and then lost its place in the TLB to another
 * page. `plastron bench walks` counts the page-table entries that the processor reads between them.
 * As a test it shows that the loads get what they should.
 */
#include "vmx.h"

#define LINEAR		0x8000000000ull		/* the second entry of the top level */
#define SMALL_PAGES	(64ull << 20)		/* ept12 maps as much by 4-KiB pages, and all that counts */
#define SZ_2M		(2ull << 20)

/*
 * RSI: the page; RDI: one with the same low address bits, which takes its place in a TLB that is
 * indexed by those. The breakpoints are in the code's own page, so that nothing but the load can
 * miss.
 */
asm("walk_guest: call walk; vmcall\n"
    "walk: mov (%rsi), %ebx; mov (%rdi), %eax; xor %ebx, %ebx; xchg %bx, %bx; mov (%rsi), %ebx; xchg %bx, %bx; ret");
extern const char walk_guest[];

static u64 top[512] __attribute__((aligned(4096)));
static u64 level3[512] __attribute__((aligned(4096)));
static u64 level2[512] __attribute__((aligned(4096)));
static u64 level1[512] __attribute__((aligned(4096)));
static u32 word[1024] __attribute__((aligned(4096)));

static u64 window(void)
{
	return LINEAR + (u64)word;
}

/* The window at LINEAR repeats all of the first GiB that word[] needs, by pages of this size. */
static void map_window(u64 page)
{
	u64 at = (u64)word;

	top[0] = *(u64 *)(read_cr3() & ~0xfffull);
	top[1] = (u64)level3 | 7;
	level3[0] = (u64)level2 | 7;
	level2[at / SZ_2M] = page == SZ_2M ? (at & ~(SZ_2M - 1)) | 0xe7 : (u64)level1 | 7;
	level1[at / PAGE_SIZE % 512] = at | 0x67;
}

static void say(const char *what, u64 page)
{
	print("%s, %s:", what, page == SZ_2M ? "2 MiB" : "4 KiB");
}

static void walk_in_l1(u64 page)
{
	u64 cr3 = read_cr3();
	u32 found;

	say("L1", page);
	map_window(page);
	write_cr3((u64)top);
	asm volatile("call walk" : "=b" (found) : "S" (window()), "D" (word) : "rax", "memory", "cc");
	write_cr3(cr3);
	print(" 0x%x\n", found);
}

static void walk_in_l2(struct vm *vm, const char *what, u64 page, const u64 *ept)
{
	u32 reason;

	vm_reset(vm, walk_guest);
	vmwrite(GUEST_CR3, (u64)top);
	if (ept)
		vm_use_ept(ept_pointer(ept));
	map_window(page);
	vm->regs[RSI] = window();
	vm->regs[RDI] = (u64)word;
	say(what, page);
	reason = vm_run(vm);
	if (reason != REASON_VMCALL)
		die(" ended by %s", reason_name(reason));
	print(" 0x%x\n", (u32)vm->regs[RBX]);
}

static u64 *tables_of(u64 page)
{
	u64 *root = ept_new();

	ept_identity(root, BIT(32), SZ_2M);
	if (page == PAGE_SIZE)
		ept_identity(root, SMALL_PAGES, page);
	return root;
}

int main(void)
{
	static const u64 sizes[] = { PAGE_SIZE, SZ_2M };
	struct vm vm;

	word[0] = 0x600d;
	if ((u64)image_end > SMALL_PAGES)
		die("the image is larger than what 4-KiB pages of EPT map");
	vmx_on();
	vm_init(&vm);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		walk_in_l1(sizes[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		walk_in_l2(&vm, "L2 without EPT", sizes[i], NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes) && (vmx_caps.secondary.may & SEC_EPT); i++)
		walk_in_l2(&vm, "L2 with EPT", sizes[i], tables_of(sizes[i]));
	vmx_off();
	return 0;
}
