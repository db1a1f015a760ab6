/*
 * More VMCSs than anybody caches, each with state, EPT tables and a VPID of its own, run in turns
 * and in disorder, some cleared in between: nothing may be lost or mixed up. A guest's state is its
 * RSP, which grows at every turn, and the word that its EPT tables show in the window.
 */
#include "vmx.h"

#define VMS	300u
#define WINDOW	0x140000000ull

/* Fields that no guest here changes, each with its own value in every VMCS */
static const u16 kept_fields[] = {
	GUEST_FS_BASE, GUEST_GS_BASE, GUEST_SYSENTER_ESP, GUEST_SYSENTER_EIP, GUEST_SYSENTER_CS,
	CR0_SHADOW, CR4_SHADOW, TSC_OFFSET, PF_ERROR_MATCH, CR3_TARGET1, TPR_THRESHOLD, IO_BITMAP_B,
};

static struct vm vms[VMS];
static u64 turns[VMS];
static unsigned int wrong;

asm("guest: mov %rsp, %rbx; lea 16(%rsp), %rsp; movabs 0x140000000, %eax; mov %eax, %ecx; vmcall; jmp guest");
extern const char guest[];

static u64 kept_value(unsigned int vm, unsigned int field)
{
	return (vm * 64 + field) & (kept_fields[field] == TPR_THRESHOLD ? 0xf : 0xffff);
}

static u64 *make_root(u64 *shared_pointers, unsigned int number)
{
	u64 *root = ept_new(), *pointers = page_alloc(), *page = page_alloc();

	memcpy(pointers, shared_pointers, 4 * sizeof(u64));
	root[0] = (u64)pointers | EPT_RWX;
	*page = 0x10000 + number;
	ept_map(root, WINDOW, (u64)page, PAGE_SIZE, EPT_RWX);
	return root;
}

static void make_vm(unsigned int i, u64 *root)
{
	struct vm *vm = &vms[i];

	vm->vmcs = vmx_region();

	must(vmclear((u64)vm->vmcs), "VMCLEAR");
	vm_load(vm);
	vm_reset(vm, guest);
	vm_use_ept(ept_pointer(root));
	control_set(SECONDARY_CONTROLS, SEC_VPID);
	vmwrite(VPID, i + 1);
	vmwrite(GUEST_RSP, 0x1000000ull * i);
	for (unsigned int f = 0; f < ARRAY_SIZE(kept_fields); f++)
		vmwrite(kept_fields[f], kept_value(i, f));
}

static void complain(unsigned int i, const char *what, u64 is, u64 should)
{
	if (wrong++ < 10)
		print("VM %u, turn %lu: %s is %lx and should be %lx\n", i, turns[i], what, is,
		      should);
}

static void run_vm(unsigned int i)
{
	struct vm *vm = &vms[i];
	u64 rsp = 0x1000000ull * i + 16 * turns[i];
	u32 reason;

	vm_load(vm);
	reason = vm_run(vm);
	if (reason != REASON_VMCALL) {
		complain(i, "exit reason", reason, REASON_VMCALL);
		return;
	}
	if (vm->regs[RBX] != rsp)
		complain(i, "RSP in the guest", vm->regs[RBX], rsp);
	if (vm->regs[RCX] != 0x10000 + i)
		complain(i, "word in the window", vm->regs[RCX], 0x10000 + i);
	if (vmread(GUEST_RSP) != rsp + 16)
		complain(i, "GUEST_RSP", vmread(GUEST_RSP), rsp + 16);
	for (unsigned int f = 0; f < ARRAY_SIZE(kept_fields); f++)
		if (vmread(kept_fields[f]) != kept_value(i, f))
			complain(i, "a kept field", vmread(kept_fields[f]), kept_value(i, f));
	vm_skip();
	turns[i]++;
}

static void clear_vm(unsigned int i)
{
	must(vmclear((u64)vms[i].vmcs), "VMCLEAR");
	vms[i].launched = false;
}

/* Moves the VMCS's data to another region, as a hypervisor may that has cleared it. */
static void move_vm(unsigned int i)
{
	u64 *other = vmx_region();

	clear_vm(i);
	memcpy(other, vms[i].vmcs, PAGE_SIZE);
	memset(vms[i].vmcs, 0xff, PAGE_SIZE);
	vms[i].vmcs = other;
}

static void test_rounds(void)
{
	u32 random = 1;

	for (unsigned int i = 0; i < VMS; i++)
		run_vm(i);
	print("in turns: %u wrong\n", wrong);
	for (unsigned int n = 0; n < VMS; n++) {
		random = random * 1664525 + 1013904223;
		run_vm((random >> 16) % VMS);
	}
	print("in disorder: %u wrong\n", wrong);
	for (unsigned int i = 0; i < VMS; i += 3)
		clear_vm(i);
	for (unsigned int i = 1; i < VMS; i += 3)
		move_vm(i);
	for (unsigned int i = VMS; i-- > 0; )
		run_vm(i);
	print("some cleared, some moved: %u wrong\n", wrong);
	for (unsigned int n = 0; n < 50; n++) {
		run_vm(7);
		run_vm(200);
	}
	print("two alternating: %u wrong\n", wrong);
}

int main(void)
{
	u64 *shared = ept_new(), *pointers;
	u64 start;

	window_open(WINDOW);
	vmx_on();
	ept_identity(shared, BIT(32), 2 << 20);
	pointers = (u64 *)(shared[0] & ~(u64)0xfff);
	for (unsigned int i = 0; i < VMS; i++)
		make_vm(i, make_root(pointers, i));
	print("%u VMs made\n", VMS);
	start = rdtsc();
	test_rounds();
	figure("ticks_for_all_turns", rdtsc() - start);
	vmx_off();
	vmx_prepare();
	must(vmxon((u64)vmx_region()), "VMXON");
	for (unsigned int i = 0; i < VMS; i++)
		clear_vm(i);
	print("VMXOFF, VMXON, VMCLEAR of all: ok\n");
	vmx_off();
	return 0;
}
