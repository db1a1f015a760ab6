/*
 * What entries and exits load and save besides the guest's plain registers: MSR lists, PAT, EFER,
 * debug controls, segment bases, descriptor-table limits. SDM: Loading MSRs; Saving MSRs; Loading
 * Host State.
 */
#include "vmx_events.h"

static const u8 no_bits[PAGE_SIZE] __attribute__((aligned(4096)));
static struct { u32 index, zero; u64 value; } 
	entry_load[4] __attribute__((aligned(16))),
	exit_store[4] __attribute__((aligned(16))),
	exit_load[4] __attribute__((aligned(16)));

asm("m_kernel_gs: mov $0xc0000102, %ecx; rdmsr; mov %eax, %ebx;"
    "mov $0x5678, %eax; xor %edx, %edx; wrmsr; vmcall\n"
    "m_pat: mov $0x277, %ecx; rdmsr; mov %eax, %ebx; mov $0x06060606, %eax; mov %eax, %edx; wrmsr; vmcall\n"
    "m_efer: mov $0xc0000080, %ecx; rdmsr; mov %eax, %ebx; or $1, %eax; wrmsr; vmcall\n"
    "m_bases: mov $0xc0000100, %ecx; mov $0x1111, %eax; xor %edx, %edx; wrmsr;"
    "inc %ecx; mov $0x2222, %eax; wrmsr; mov $0x175, %ecx; mov $0x3333, %eax; wrmsr;"
    "mov $0x604, %eax; mov %rax, %db7; vmcall\n");
extern const char m_kernel_gs[], m_pat[], m_efer[], m_bases[];

static void reset(struct vm *vm, const char *code)
{
	event_reset(vm, code);
	vmwrite(MSR_BITMAP, (u64)no_bits);
	control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
}

static void test_lists(struct vm *vm)
{
	u64 star = rdmsr(MSR_STAR);

	reset(vm, m_kernel_gs);
	entry_load[0].index = exit_store[0].index = exit_load[0].index = MSR_KERNEL_GS_BASE;
	entry_load[0].value = 0x1234;
	exit_load[0].value = 0x9999;
	entry_load[1].index = exit_store[1].index = MSR_STAR;
	entry_load[1].value = 0x4321;
	exit_load[1].index = MSR_LSTAR;
	exit_load[1].value = 0x8888;
	vmwrite(ENTRY_MSR_LOAD, (u64)entry_load);
	vmwrite(EXIT_MSR_STORE, (u64)exit_store);
	vmwrite(EXIT_MSR_LOAD, (u64)exit_load);
	vmwrite(ENTRY_MSR_LOAD_COUNT, 2);
	vmwrite(EXIT_MSR_STORE_COUNT, 2);
	vmwrite(EXIT_MSR_LOAD_COUNT, 2);
	print("MSR lists: ");
	print_event_exit(vm, vm_run(vm), m_kernel_gs);
	print(" stored %lx %lx, host has %lx %lx %lx\n", exit_store[0].value, exit_store[1].value,
	      rdmsr(MSR_KERNEL_GS_BASE), rdmsr(MSR_STAR), rdmsr(MSR_LSTAR));
	wrmsr(MSR_STAR, star);
}

static void test_pat(struct vm *vm)
{
	u64 pat = rdmsr(MSR_PAT);

	reset(vm, m_pat);
	print("PAT without controls: ");
	print_event_exit(vm, vm_run(vm), m_pat);
	print(" host has %lx\n", rdmsr(MSR_PAT));
	wrmsr(MSR_PAT, pat);
	if (!control_can(ENTRY_CONTROLS, ENTRY_LOAD_PAT))
		return;
	reset(vm, m_pat);
	control_set(ENTRY_CONTROLS, ENTRY_LOAD_PAT);
	control_set(EXIT_CONTROLS, EXIT_SAVE_PAT | EXIT_LOAD_PAT);
	vmwrite(GUEST_PAT, 0x0606060606060000);
	vmwrite(HOST_PAT, pat);
	print("PAT with controls: ");
	print_event_exit(vm, vm_run(vm), m_pat);
	print(" saved %lx, host's is back: %u\n", vmread(GUEST_PAT), rdmsr(MSR_PAT) == pat);
	reset(vm, m_pat);
	control_set(ENTRY_CONTROLS, ENTRY_LOAD_PAT);
	vmwrite(GUEST_PAT, 2);
	print("bad guest PAT: ");
	print_event_exit(vm, vm_run(vm), m_pat);
	reset(vm, m_pat);
	control_set(EXIT_CONTROLS, EXIT_LOAD_PAT);
	vmwrite(HOST_PAT, 2);
	print("\nbad host PAT: ");
	print_event_exit(vm, vm_run(vm), m_pat);
	print("\n");
}

static void test_efer(struct vm *vm)
{
	u64 efer = rdmsr(MSR_EFER);

	reset(vm, m_efer);
	print("EFER without controls: ");
	print_event_exit(vm, vm_run(vm), m_efer);
	print(" host has %lx\n", rdmsr(MSR_EFER));
	wrmsr(MSR_EFER, efer);
	if (!control_can(ENTRY_CONTROLS, ENTRY_LOAD_EFER))
		return;
	reset(vm, m_efer);
	control_set(ENTRY_CONTROLS, ENTRY_LOAD_EFER);
	control_set(EXIT_CONTROLS, EXIT_SAVE_EFER | EXIT_LOAD_EFER);
	vmwrite(GUEST_EFER, EFER_LME | EFER_LMA);
	vmwrite(HOST_EFER, efer);
	print("EFER with controls: ");
	print_event_exit(vm, vm_run(vm), m_efer);
	print(" saved %lx, host has %lx\n", vmread(GUEST_EFER), rdmsr(MSR_EFER));
	reset(vm, m_efer);
	control_set(ENTRY_CONTROLS, ENTRY_LOAD_EFER);
	vmwrite(GUEST_EFER, EFER_LME);
	print("guest EFER without LMA: ");
	print_event_exit(vm, vm_run(vm), m_efer);
	reset(vm, m_efer);
	control_set(EXIT_CONTROLS, EXIT_LOAD_EFER);
	vmwrite(HOST_EFER, EFER_SCE);
	print("\nhost EFER without LMA: ");
	print_event_exit(vm, vm_run(vm), m_efer);
	print("\n");
}

static void test_bases(struct vm *vm)
{
	u64 dr7;
	u16 ldtr;

	reset(vm, m_bases);
	control_set(EXIT_CONTROLS, EXIT_SAVE_DEBUG);
	vmwrite(HOST_FS_BASE, 0x7000);
	vmwrite(HOST_GS_BASE, 0x8000);
	vmwrite(HOST_SYSENTER_ESP, 0x9000);
	vmwrite(GUEST_GDTR_LIMIT, 0x77);
	print("bases: ");
	print_event_exit(vm, vm_run(vm), m_bases);
	asm volatile("mov %%dr7, %0; sldt %1" : "=r" (dr7), "=r" (ldtr));
	print(" saved FS %lx GS %lx SYSENTER_ESP %lx DR7 %lx GDTR limit %lx\n",
	      vmread(GUEST_FS_BASE), vmread(GUEST_GS_BASE), vmread(GUEST_SYSENTER_ESP),
	      vmread(GUEST_DR7), vmread(GUEST_GDTR_LIMIT));
	print("host: FS %lx GS %lx SYSENTER_ESP %lx DR7 %lx LDTR %x GDTR limit %x IDTR limit %x\n",
	      rdmsr(MSR_FS_BASE), rdmsr(MSR_GS_BASE), rdmsr(MSR_SYSENTER_ESP), dr7, ldtr,
	      read_gdtr().limit, read_idtr().limit);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, 0);
}

void test_msrs(struct vm *vm)
{
	test_lists(vm);
	test_pat(vm);
	test_efer(vm);
	test_bases(vm);
}
