/*
 * What things cost, in ticks of the TSC: mean of many repetitions, loop included. Under an emulator
 * whose TSC counts instructions the figures are exact and the same every time. L1 here is minimal:
 * its handler (handlers.S) reads what it needs, moves RIP and resumes, so that the figures are
 * nearly those of the layer below.
 */
#include "vmx.h"

#define REPEAT	1000ull
#define WINDOW	0x140000000ull	/* 512 guest pages of 4 KiB */

extern const u8 on_instruction[], on_ud[], on_vmcall_inject[], on_ept_violation[], interrupt_stub[];
extern u64 window_table[512];
extern u32 expected_reason;

/*
 * The guest leaves the ticks of its loop in R13 and ends by an exit that the handler does not
 * expect.
 */
#define GUEST_LOOP(id, op, end)						\
	asm("guest_" #id ": rdtsc; shl $32, %rdx; or %rdx, %rax; mov %rax, %r12;"	\
	    "mov $1000, %r15d; 1:" op "; dec %r15d; jnz 1b;"		\
	    "rdtsc; shl $32, %rdx; or %rdx, %rax; sub %r12, %rax; mov %rax, %r13;" end);	\
	extern const char guest_##id[]

GUEST_LOOP(empty, "", "vmcall");
GUEST_LOOP(cpuid, "cpuid", "vmcall");
GUEST_LOOP(vmcall, "vmcall", "cpuid");
GUEST_LOOP(io, "out %al, $0x80", "vmcall");
GUEST_LOOP(rdmsr, "mov $0xc0000081, %ecx; rdmsr", "vmcall");
GUEST_LOOP(hlt, "hlt", "vmcall");
GUEST_LOOP(ud, "ud2", "vmcall");
asm("guest_pages: rdtsc; shl $32, %rdx; or %rdx, %rax; mov %rax, %r12;"
    "mov $512, %r15d; mov %r14, %rbx; 1: mov (%rbx), %rcx; add $4096, %rbx; dec %r15d; jnz 1b;"
    "rdtsc; shl $32, %rdx; or %rdx, %rax; sub %r12, %rax; mov %rax, %r13; vmcall");
extern const char guest_pages[];

static u64 *root;

static u64 run_loop(struct vm *vm, const char *name, u32 reason)
{
	u32 end;

	expected_reason = reason;
	end = vm_run(vm);
	if (end != (reason == REASON_VMCALL ? (u32)REASON_CPUID : (u32)REASON_VMCALL))
		die("%s: the loop ended by %s", name, reason_name(end));
	return vm->regs[R13];
}

static void l2_cost(struct vm *vm, const char *name, const char *guest, const u8 *handler,
		    u32 reason)
{
	vm_reset(vm, guest);
	if (has_ept())
		vm_use_ept(ept_pointer(root));
	vmwrite(HOST_RIP, (u64)handler);
	control_set(PRIMARY_CONTROLS, PRI_HLT | PRI_IO);
	vmwrite(EXCEPTION_BITMAP, BIT(6));
	vmwrite(GUEST_RFLAGS, 2 | RFLAGS_IF);
	figure(name, run_loop(vm, name, reason) / REPEAT);
}

#define L1_COST(name, code) do {					\
	u64 start_ = rdtsc();						\
									\
	for (u64 i = 0; i < REPEAT; i++)				\
		code;							\
	figure(name, (rdtsc() - start_) / REPEAT);			\
} while (0)

static inline void quick_vmwrite(u64 field, u64 value)
{
	asm volatile("vmwrite %1, %0" : : "r" (field), "r" (value) : "cc");
}

static inline void quick_vmptrld(const u64 *address)
{
	asm volatile("vmptrld (%0)" : : "r" (address) : "cc", "memory");
}

static void l1_costs(struct vm *vm)
{
	u64 pointer[2], descriptor[2] = { ept_pointer(root), 0 };
	u64 value;

	L1_COST("l1_cpuid", asm volatile("cpuid" : : "a" (0) : "rbx", "rcx", "rdx", "memory"));
	L1_COST("l1_vmread_rip", asm volatile("vmread %1, %0" : "=r" (value) : "r" ((u64)GUEST_RIP) : "cc"));
	L1_COST("l1_vmwrite_rip", quick_vmwrite(GUEST_RIP, i));
	if (has_ept())
		L1_COST("l1_vmwrite_eptp", quick_vmwrite(EPTP, i << 12));
	pointer[0] = (u64)vm->vmcs;
	pointer[1] = (u64)vmx_region();
	must(vmclear(pointer[1]), "VMCLEAR");
	L1_COST("l1_vmptrld", quick_vmptrld(&pointer[i % 2]));
	vm_load(vm);
	if (has_ept())
		L1_COST("l1_invept", asm volatile("invept (%0), %1" : : "r" (descriptor), "r" (1ul) : "cc", "memory"));
	L1_COST("l1_empty_loop", asm volatile("" : : : "memory"));
}

/* The last variable MTRR makes a page of each of a hundred large pages uncacheable, in turn. */
static void mtrr_cost(void)
{
	u32 msr = 0x200 + 2 * ((rdmsr(MSR_MTRR_CAP) & 0xff) - 1), bits = cpuid(0x80000008, 0).eax & 0xff;
	u64 old_base = rdmsr(msr), old_mask = rdmsr(msr + 1);

	wrmsr(msr + 1, ((BIT(bits) - 1) & ~(PAGE_SIZE - 1)) | BIT(11));
	L1_COST("l1_wrmsr_mtrr", wrmsr(msr, (16ull << 20) + (i % 100 << 21)));
	wrmsr(msr + 1, old_mask);
	wrmsr(msr, old_base);
}

static void map_window(u32 rights)
{
	u64 *target = page_alloc();

	for (u64 i = 0; i < 512; i++)
		window_table[i] = rights ? (u64)target | rights | EPT_WB : 0;
	must(invept(1, ept_pointer(root)), "INVEPT");
}

static u64 pages_cost(struct vm *vm, const char *name)
{
	vm_reset(vm, guest_pages);
	vm_use_ept(ept_pointer(root));
	vmwrite(HOST_RIP, (u64)on_ept_violation);
	vm->regs[R14] = WINDOW;
	return run_loop(vm, name, REASON_EPT_VIOLATION);
}

static void ept_costs(struct vm *vm)
{
	window_open(WINDOW);
	*ept_entry(root, WINDOW, 2 << 20) = (u64)window_table | EPT_RWX;
	map_window(0);
	figure("l2_ept_violation", pages_cost(vm, "l2_ept_violation") / 512);
	figure("l2_touch_512_pages_again", pages_cost(vm, "l2_touch_512_pages_again"));
	map_window(EPT_RWX);
	figure("l2_touch_512_pages_after_invept",
	       pages_cost(vm, "l2_touch_512_pages_after_invept"));
	must(invept(1, ept_pointer(root)), "INVEPT");
	figure("l2_touch_512_pages_revalidated", pages_cost(vm, "l2_touch_512_pages_revalidated"));
}

int main(void)
{
	struct vm vm;

	vmx_on();
	root = ept_new();
	ept_identity(root, BIT(32), 2 << 20);
	trap_set_gate(0x60, (u64)interrupt_stub, 0, 0);
	vm_init(&vm);
	l1_costs(&vm);
	mtrr_cost();
	l2_cost(&vm, "l2_loop", guest_empty, on_instruction, REASON_CPUID);
	l2_cost(&vm, "l2_cpuid", guest_cpuid, on_instruction, REASON_CPUID);
	l2_cost(&vm, "l2_vmcall", guest_vmcall, on_instruction, REASON_VMCALL);
	l2_cost(&vm, "l2_io", guest_io, on_instruction, REASON_IO);
	l2_cost(&vm, "l2_rdmsr", guest_rdmsr, on_instruction, REASON_RDMSR);
	l2_cost(&vm, "l2_hlt", guest_hlt, on_instruction, REASON_HLT);
	l2_cost(&vm, "l2_ud", guest_ud, on_ud, REASON_EXCEPTION);
	l2_cost(&vm, "l2_inject_and_vmcall", guest_vmcall, on_vmcall_inject, REASON_VMCALL);
	if (has_ept())
		ept_costs(&vm);
	vmx_off();
	print("all costs measured\n");
	return 0;
}
