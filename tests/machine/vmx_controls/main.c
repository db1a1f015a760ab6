/*
 * Controls that not every emulator has or that count time: monitor trap flag, PAUSE-loop exiting,
 * TSC scaling, XSAVES, the saved preemption timer.
 */
#include "vmx.h"

asm("steps: nop; nop; mov $3, %ecx; rep lodsb; nop; cpuid; nop; vmcall\n"
    "spin: pause; jmp spin\n"
    "time: rdtsc; shl $32, %rdx; or %rdx, %rax; mov %rax, %rbx; vmcall\n"
    "save: mov $3, %eax; xor %edx, %edx; xsaves64 (%rsi); mov $1, %ebx; vmcall\n"
    "xsaves: xsaves64 0x40(%rsi); mov $1, %ebx; vmcall\n"
    "xrstors: xrstors64 0x80(%rsi, %rcx, 2); mov $1, %ebx; vmcall\n"
    "work: mov $10000, %ecx; 1: dec %ecx; jnz 1b; vmcall\n");
extern const char steps[], spin[], time[], save[], xsaves[], xrstors[], work[];

static void end_line(struct vm *vm, u32 reason)
{
	print_exit(vm, reason);
	print("\n");
}

static void test_mtf(struct vm *vm)
{
	static const u64 data = 0;
	u32 reason;

	vm_reset(vm, steps);
	vm->regs[RSI] = (u64)&data;
	control_set(PRIMARY_CONTROLS, PRI_MTF);
	print("monitor trap flag:");
	for (int i = 0; i < 20; i++) {
		reason = vm_run(vm);
		print(" +%lu", vmread(GUEST_RIP) - (u64)steps);
		if (reason == REASON_VMCALL)
			break;
		if (reason != REASON_MTF) {
			print("(%s)", reason_name(reason));
			vm_skip();
		}
	}
	print("\ninjected trap flag exit: ");
	vm_reset(vm, steps);
	vmwrite(ENTRY_INTR_INFO, INTR_VALID | 7 << 8);
	print_exit(vm, vm_run(vm));
	print(" +%lu\n", vmread(GUEST_RIP) - (u64)steps);
	vm_reset(vm, steps);
	control_set(PRIMARY_CONTROLS, PRI_MTF);
	vmwrite(ENTRY_INTR_INFO, INTR_VALID | INTR_HARDWARE | 6);
	print("trap flag and an injected exception: ");
	print_exit(vm, vm_run(vm));
	print(" in the handler: %s\n",
	      vmread(GUEST_RIP) < (u64)steps || vmread(GUEST_RIP) > (u64)work ? "yes" : "no");
}

static void test_pause_loop(struct vm *vm)
{
	vm_reset(vm, spin);
	control_set(SECONDARY_CONTROLS, SEC_PLE);
	vmwrite(PLE_GAP, 1000);
	vmwrite(PLE_WINDOW, 100000);
	print("PAUSE loop: ");
	end_line(vm, vm_run(vm));
}

static void test_scaling(struct vm *vm, u64 multiplier, u64 offset)
{
	u64 before, after;

	vm_reset(vm, time);
	control_set(SECONDARY_CONTROLS, SEC_TSC_SCALING);
	control_set(PRIMARY_CONTROLS, PRI_TSC_OFFSET);
	vmwrite(TSC_MULTIPLIER, multiplier);
	vmwrite(TSC_OFFSET, offset);
	before = rdtsc();
	print("TSC multiplier %lx, offset %lx: %s", multiplier, offset, reason_name(vm_run(vm)));
	after = rdtsc();
	multiplier >>= 44;	/* in sixteenths */
	print(", in between: %s\n", vm->regs[RBX] >= before * multiplier / 16 + offset &&
	      vm->regs[RBX] <= after * multiplier / 16 + offset ? "yes" : "no");
}

static void test_xsaves(struct vm *vm)
{
	static u8 area[4096] __attribute__((aligned(64)));

	vm_reset(vm, save);
	vm->regs[RSI] = (u64)area;
	control_set(SECONDARY_CONTROLS, SEC_XSAVES);
	vmwrite(XSS_BITMAP, ~(u64)0);
	vmwrite(GUEST_CR4, read_cr4() | CR4_OSXSAVE);
	print("XSAVES: ");
	print_exit(vm, vm_run(vm));
	print(" rbx=%lx, compacted %lu\n", vm->regs[RBX], *(u64 *)(area + 520) >> 63);
}

/* The first of the state components that IA32_XSS can have here, asked for and in the bitmap, or not. */
static void test_xss(struct vm *vm)
{
	static u8 area[8192] __attribute__((aligned(64)));
	u64 component = cpuid(0xd, 1).ecx & -cpuid(0xd, 1).ecx;

	if (!component)
		return;
	for (unsigned int i = 0; i < 16; i++) {
		const char *code = i & 8 ? xrstors : xsaves;
		u64 mask = i & 1 ? component : 3;

		vm_reset(vm, code);
		memset(area, 0, sizeof(area));
		area[520 + 0x80 + 7] = 0x80;	/* compacted, for XRSTORS */
		vm->regs[RSI] = (u64)area;
		vm->regs[RAX] = (u32)mask;
		vm->regs[RDX] = mask >> 32;
		control_set(SECONDARY_CONTROLS, SEC_XSAVES);
		vmwrite(XSS_BITMAP, i & 2 ? component : ~component);
		vmwrite(GUEST_CR4, read_cr4() | CR4_OSXSAVE);
		wrmsr(MSR_XSS, i & 4 ? component : 0);
		print("%s, asked for %u, in the bitmap %u, in IA32_XSS %u: ",
		      code == xsaves ? "XSAVES" : "XRSTORS", i & 1, i >> 1 & 1, i >> 2 & 1);
		end_line(vm, vm_run(vm));
	}
	wrmsr(MSR_XSS, 0);
}

static void test_saved_timer(struct vm *vm)
{
	u64 left;
	unsigned int rate = vmx_caps.misc & 31;

	vm_reset(vm, work);
	control_set(PIN_CONTROLS, PIN_TIMER);
	control_set(EXIT_CONTROLS, EXIT_SAVE_TIMER);
	vmwrite(PREEMPTION_TIMER, 100000000);
	print("saved preemption timer: ");
	print_exit(vm, vm_run(vm));
	left = vmread(PREEMPTION_TIMER);
	print(" went down: %s\n", left < 100000000 && left > 1000 &&
	      100000000 - left >= 20000u >> rate >> 1 ? "yes" : "no");
	vmwrite(GUEST_RIP, (u64)work);
	vmwrite(PREEMPTION_TIMER, 1000u >> rate);
	print("expired: ");
	print_exit(vm, vm_run(vm));
	print(" left %lu\n", vmread(PREEMPTION_TIMER));
	vm_reset(vm, work);
	control_set(PIN_CONTROLS, PIN_TIMER);
	vmwrite(PREEMPTION_TIMER, 100000000);
	print("not saved: ");
	print_exit(vm, vm_run(vm));
	print(" left %lu\n", vmread(PREEMPTION_TIMER));
}

int main(void)
{
	struct vm vm;

	vmx_on();
	vm_init(&vm);
	test_mtf(&vm);
	test_pause_loop(&vm);
	test_scaling(&vm, BIT(48), 0);
	test_scaling(&vm, BIT(49), 0);
	test_scaling(&vm, BIT(47) + BIT(46), 0x123456789000);
	test_scaling(&vm, BIT(46), 0);
	test_xsaves(&vm);
	test_xss(&vm);
	test_saved_timer(&vm);
	vmx_off();
	return 0;
}
