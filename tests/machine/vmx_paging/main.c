/*
 * Guests without EPT, with page tables of their own: every fault and flag, every flush, the
 * control registers that paging depends on, modes of paging, and events that meet page faults. On a
 * processor without EPT (penryn_paging) L0 shadows all these tables.
 */
#include "vmx_paging.h"

u64 *root, *directory, *table;
u8 *page[PAGES];

static u64 *pointers;
static u64 seen_faults, seen_error, seen_cr2;

asm("fault_over: vmcall");
extern const char fault_over[];

/* A #PF that the guest gets itself: it is noted, and the guest ends. */
static void guest_fault(struct trap_frame *frame)
{
	seen_faults++;
	seen_error = frame->error;
	seen_cr2 = read_cr2();
	frame->rip = (u64)fault_over;
	frame->cs = SEL_CODE;
	frame->ss = SEL_DATA;
}

static void make_tables(void)
{
	root = page_alloc();
	pointers = page_alloc();
	directory = page_alloc();
	table = page_alloc();
	for (unsigned int i = 0; i < PAGES; i++)
		page[i] = page_alloc();
	memcpy(pointers, pdpt, 4 * sizeof(u64));
	/* The VMM looks at the window through tables of its own, so that no flag is its doing. */
	root[0] = (u64)pointers | PTE_ALL;
	pointers[5] = (u64)directory | PTE_ALL;
}

u64 *window_entry(unsigned int i)
{
	return &table[i];
}

void start_guest(struct vm *vm, const void *rip, u64 at)
{
	directory[0] = (u64)table | PTE_ALL;
	for (unsigned int i = 0; i < PAGES; i++) {
		table[i] = (u64)page[i] | PTE_ALL;
		memset(page[i], 0, PAGE_SIZE);
		*(u64 *)page[i] = 0xd0 + i;
		memcpy(page[i] + 0x800, "\x0f\x01\xc1", 3);	/* VMCALL */
	}
	vm_reset(vm, rip);
	vmwrite(GUEST_CR3, (u64)root);
	vmwrite(HOST_CR3, read_cr3());
	vmwrite(CR0_SHADOW, vmread(GUEST_CR0));
	vmwrite(CR4_SHADOW, vmread(GUEST_CR4));
	vm->regs[RSI] = WINDOW + at;
	vm->regs[RDI] = (u64)&table[at / PAGE_SIZE];
	seen_faults = 0;
}

/* What a VMM does that only wanted to see it. */
static bool emulate(struct vm *vm, u32 reason)
{
	u64 q = vmread(EXIT_QUALIFICATION);
	u64 *gpr = &vm->regs[q >> 8 & 15];

	if (reason == 28 && (q & 0x3f) == 0x03)
		vmwrite(GUEST_CR3, *gpr);
	else if (reason == 28 && (q & 0x3f) == 0x13)
		*gpr = vmread(GUEST_CR3);
	else if (reason != 14)
		return false;
	vm_skip();
	return true;
}

void run_guest(struct vm *vm, const char *what)
{
	u32 reason;

	print("%s:", what);
	trap_hook[14] = guest_fault;
	do {
		reason = vm_run(vm);
		if (reason != REASON_VMCALL && reason != 28 && reason != 14) {
			print(" ");
			print_exit(vm, reason);
		}
	} while (emulate(vm, reason));
	trap_hook[14] = NULL;
	if (seen_faults)
		print(" %lu #PF, error %lx, CR2 %lx", seen_faults, seen_error, seen_cr2);
	print(" rbx=%lx rcx=%lx", vm->regs[RBX] & 0xffffffff, vm->regs[RCX] & 0xffffffff);
	print(" pte");
	for (unsigned int i = 0; i < 3; i++)
		print(" %lx", table[i] & 0x67);
	print("\n");
}

int main(void)
{
	static struct vm vm;

	make_tables();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	test_own_paging();
	vmx_on();
	vm_init(&vm);
	test_faults(&vm);
	test_flushes(&vm);
	test_registers(&vm);
	test_modes(&vm);
	test_delivery(&vm);
	vmx_off();
	return 0;
}
