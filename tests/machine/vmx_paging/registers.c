/*
 * CR0, CR3, CR4 and EFER of the guest: exits by mask, shadow and CR3 targets, what the guest does
 * without one, and entries that must fail. SDM: Changes to Instruction Behavior in VMX Non-Root
 * Operation, Checks on Guest Control Registers, Debug Registers, and MSRs.
 */
#include "vmx_paging.h"

#define NO_WP "mov %cr0, %rax; btr $16, %rax; mov %rax, %cr0; "
asm("r_wp: " NO_WP "movl $7, (%rsi); mov (%rsi), %rbx; bts $16, %rax; mov %rax, %cr0;"
    "	mov %cr0, %rcx; vmcall\n"
    "r_wp_left: " NO_WP "movl $7, (%rsi); mov %cr0, %rcx; vmcall\n"
    "r_wp_fault: " NO_WP "movl $7, (%rsi); bts $16, %rax; mov %rax, %cr0; movl $8, (%rsi); vmcall\n"
    "r_cr4: mov %cr4, %rbx; btc $7, %rbx; mov %rbx, %cr4; mov %cr4, %rcx; vmcall\n"
    "r_cr4_bad: mov %cr4, %rbx; btr $5, %rbx; mov %rbx, %cr4; vmcall\n"
    "r_cr0_bad: mov %cr0, %rbx; btr $31, %rbx; mov %rbx, %cr0; vmcall\n"
    "r_cr3: mov %cr3, %rbx; mov %rdx, %cr3; mov %cr3, %rcx; cmp %rdx, %rcx; setz %cl;"
    "	movzbl %cl, %ecx; sub %rdx, %rbx; vmcall\n"
    "r_cr3_bad: mov %cr3, %rax; bts $60, %rax; xor %ebx, %ebx; mov %rax, %cr3; vmcall\n"
    "r_lmsw: mov $0xf, %eax; lmsw %ax; smsw %ebx; clts; smsw %ecx; vmcall\n"
    "r_nxe: mov $0xc0000080, %ecx; rdmsr; btr $11, %eax; wrmsr; mov (%rsi), %rbx; vmcall\n"
    "r_efer: mov $0xc0000080, %ecx; rdmsr; mov %eax, %ebx; btc $0, %eax; wrmsr; rdmsr;"
    "	mov %eax, %ecx; vmcall\n"
    "r_efer_bad: mov $0xc0000080, %ecx; rdmsr; btr $8, %eax; wrmsr; vmcall\n");
extern const char r_wp[], r_wp_left[], r_wp_fault[], r_cr4[], r_cr4_bad[], r_cr0_bad[], r_cr3[],
	r_cr3_bad[], r_lmsw[], r_nxe[], r_efer[], r_efer_bad[];

static u8 no_msrs[PAGE_SIZE] __attribute__((aligned(4096)));

static void test_masks(struct vm *vm)
{
	print("-- CR0 and CR4\n");
	start_guest(vm, r_wp, 0);
	table[0] &= ~PTE_W;
	run_guest(vm, "WP off and on");
	print("GUEST_CR0.WP %lu, page %lx\n", vmread(GUEST_CR0) >> 16 & 1, *(u64 *)page[0]);
	start_guest(vm, r_wp_left, 0);
	table[0] &= ~PTE_W;
	run_guest(vm, "WP off");
	print("GUEST_CR0.WP %lu\n", vmread(GUEST_CR0) >> 16 & 1);
	start_guest(vm, r_wp_fault, 0);
	table[0] &= ~PTE_W;
	vmwrite(EXCEPTION_BITMAP, BIT(14));
	run_guest(vm, "WP off, on, write");
	start_guest(vm, r_wp, 0);
	vmwrite(CR0_MASK, CR0_WP);
	run_guest(vm, "WP is the VMM's");
	start_guest(vm, r_wp_left, 0);
	table[0] &= ~PTE_W;
	vmwrite(CR0_MASK, CR0_WP);
	vmwrite(CR0_SHADOW, 0);
	vmwrite(EXCEPTION_BITMAP, BIT(14));
	run_guest(vm, "WP is the VMM's and shown clear");
	start_guest(vm, r_cr4, 0);
	run_guest(vm, "CR4.PGE");
	print("GUEST_CR4.PGE %lu\n", vmread(GUEST_CR4) >> 7 & 1);
	start_guest(vm, r_cr4, 0);
	vmwrite(CR4_MASK, CR4_PGE);
	run_guest(vm, "CR4.PGE is the VMM's");
	start_guest(vm, r_cr4_bad, 0);
	vmwrite(EXCEPTION_BITMAP, BIT(13));
	run_guest(vm, "CR4.PAE off in 64-bit mode");
	start_guest(vm, r_cr0_bad, 0);
	vmwrite(EXCEPTION_BITMAP, BIT(13));
	run_guest(vm, "CR0.PG off");
	start_guest(vm, r_lmsw, 0);
	run_guest(vm, "LMSW, CLTS");
	start_guest(vm, r_lmsw, 0);
	vmwrite(CR0_MASK, CR0_TS);
	vmwrite(CR0_SHADOW, 0);
	run_guest(vm, "LMSW with TS the VMM's");
}

static void test_cr3(struct vm *vm)
{
	u64 *copy = page_alloc();

	print("-- CR3\n");
	for (unsigned int i = 0; i < 4; i++) {
		start_guest(vm, r_cr3, 0);
		memcpy(copy, root, PAGE_SIZE);
		vm->regs[RDX] = (u64)copy;
		if (i & 1)
			control_set(PRIMARY_CONTROLS, PRI_CR3_LOAD | PRI_CR3_STORE);
		if (i & 2) {
			vmwrite(CR3_TARGET_COUNT, 2);
			vmwrite(CR3_TARGET1, (u64)copy);
		}
		vm->regs[RBX] = (u64)root - (u64)copy;
		print("%s", i & 1 ? "asked for, " : "");
		run_guest(vm, i & 2 ? "a target" : "no target");
		print("GUEST_CR3 %s\n", vmread(GUEST_CR3) == (u64)copy ? "new" : "old");
	}
	start_guest(vm, r_cr3_bad, 0);
	vmwrite(EXCEPTION_BITMAP, BIT(13));
	print("reserved bit:");
	for (u32 reason = vm_run(vm); ; reason = vm_run(vm)) {
		u64 q = vmread(EXIT_QUALIFICATION);

		if (reason == 28 && (q & 0x3f) == 0x13) {
			vm->regs[q >> 8 & 15] = (u64)root;
			vm_skip();
			continue;
		}
		print(" %s\n", reason == 28 ? "MOV to CR3" : reason_name(reason));
		break;
	}
}

static void test_efer(struct vm *vm)
{
	u64 efer = rdmsr(MSR_EFER);

	print("-- EFER\n");
	for (unsigned int i = 0; i < 3; i++) {
		static const char *const names[] = { "SCE", "NXE off", "LME off" };
		static const char *const code[] = { r_efer, r_nxe, r_efer_bad };

		start_guest(vm, code[i], 0);
		table[0] |= i == 1 ? PTE_NX : 0;
		vmwrite(MSR_BITMAP, (u64)no_msrs);
		control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
		vmwrite(EXCEPTION_BITMAP, BIT(14) | BIT(13));
		run_guest(vm, names[i]);
		print("the VMM's EFER: %lx\n", rdmsr(MSR_EFER));
		wrmsr(MSR_EFER, efer);
	}
}

static void fails(struct vm *vm, const char *what)
{
	u32 reason = vm_run(vm);

	print("%s: ", what);
	print_exit(vm, reason);
	print("\n");
}

static void test_bad_state(struct vm *vm)
{
	print("-- entries\n");
	start_guest(vm, r_wp, 0);
	vmwrite(GUEST_CR3, BIT(55));
	fails(vm, "CR3 too wide");
	start_guest(vm, r_wp, 0);
	vmwrite(GUEST_CR3, BIT(55));
	((volatile u8 *)no_msrs)[0] = 0;	/* L0 will protect the page anew, and flush */
	vmwrite(MSR_BITMAP, (u64)no_msrs);
	control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
	fails(vm, "CR3 too wide, with MSR bitmaps");
	start_guest(vm, r_wp, 0);
	vmwrite(GUEST_CR4, vmread(GUEST_CR4) & ~CR4_PAE);
	fails(vm, "64-bit mode without PAE");
	start_guest(vm, r_wp, 0);
	vmwrite(GUEST_CR0, vmread(GUEST_CR0) & ~CR0_PG);
	fails(vm, "no paging");
	start_guest(vm, r_wp, 0);
	vmwrite(GUEST_CR4, vmread(GUEST_CR4) & ~CR4_VMXE);
	fails(vm, "CR4.VMXE clear");
	start_guest(vm, r_wp, 0);
	vmwrite(GUEST_CR0, vmread(GUEST_CR0) & ~CR0_WP);
	run_guest(vm, "CR0.WP clear");
	start_guest(vm, r_wp, 0);
	vmwrite(HOST_CR3, BIT(55));
	fails(vm, "the VMM's CR3 too wide");
}

void test_registers(struct vm *vm)
{
	test_masks(vm);
	test_cr3(vm);
	test_efer(vm);
	test_bad_state(vm);
}
