/*
 * Every field of a VMCS that holds a physical address, with the address of the memory.
 */
#include "hostile.h"

#define MSR_TEST	MSR_LSTAR

asm("guest_rdmsr: mov $0xc0000082, %ecx; rdmsr; vmcall\n"
    "guest_in: in $0xe9, %al; vmcall\n"
    "guest_in_high: mov $0x8889, %edx; in %dx, %al; vmcall\n"
    "guest_cr8: mov %rbx, %cr8; vmcall\n"
    "guest_vmread: mov $0x681e, %eax; vmread %rax, %rbx; vmcall\n"
    "guest_vmwrite: mov $0x681e, %eax; vmwrite %rbx, %rax; vmcall\n"
    "guest_vmfunc: xor %eax, %eax; xor %ecx, %ecx; vmfunc; mov (%rsi), %rbx; vmcall\n");
extern const char guest_rdmsr[], guest_in[], guest_in_high[], guest_cr8[], guest_vmread[],
	guest_vmwrite[], guest_vmfunc[];

/* All bits set, and clear: the guest exits, or does not. */
static bool bitmap(u64 page, struct vm *vm, const char *code, u32 exit)
{
	bool good;

	memset(words(page), 0xff, PAGE_SIZE);
	good = run_at(vm, code, 0, 0) == exit;
	memset(words(page), 0, PAGE_SIZE);
	return good && run_at(vm, code, 0, 0) == REASON_VMCALL;
}

static bool try_msr_bitmap(const struct home *home, u64 page, struct vm *vm)
{
	vm_reset(vm, guest_end);
	control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
	vmwrite(MSR_BITMAP, page);
	return bitmap(page, vm, guest_rdmsr, REASON_RDMSR) && everywhere(home, 0, 0);
}

static bool try_io_bitmaps(const struct home *home, u64 page, struct vm *vm)
{
	u64 *other = page_alloc();

	vm_reset(vm, guest_end);
	control_set(PRIMARY_CONTROLS, PRI_IO_BITMAPS);
	vmwrite(IO_BITMAP_A, page);
	vmwrite(IO_BITMAP_B, (u64)other);
	if (!bitmap(page, vm, guest_in, REASON_IO))
		return false;
	vmwrite(IO_BITMAP_A, (u64)other);
	vmwrite(IO_BITMAP_B, page);
	return bitmap(page, vm, guest_in_high, REASON_IO) && everywhere(home, 0, 0);
}

static void list_of_one(u64 page, u64 value)
{
	words(page)[6] = MSR_TEST;
	words(page)[7] = value;
}

static bool try_msr_lists(const struct home *home, u64 page, struct vm *vm)
{
	u64 old = rdmsr(MSR_TEST), value = fresh() & 0x7fffffffffff;
	bool good;

	vm_reset(vm, guest_end);
	list_of_one(page, value);
	vmwrite(ENTRY_MSR_LOAD, page + 48);
	vmwrite(ENTRY_MSR_LOAD_COUNT, 1);
	good = run_at(vm, guest_end, 0, 0) == REASON_VMCALL && rdmsr(MSR_TEST) == value;
	vmwrite(ENTRY_MSR_LOAD_COUNT, 0);
	list_of_one(page, 0);
	vmwrite(EXIT_MSR_STORE, page + 48);
	vmwrite(EXIT_MSR_STORE_COUNT, 1);
	good = good && run_at(vm, guest_end, 0, 0) == REASON_VMCALL && everywhere(home, 56, value);
	vmwrite(EXIT_MSR_STORE_COUNT, 0);
	list_of_one(page, old);
	vmwrite(EXIT_MSR_LOAD, page + 48);
	vmwrite(EXIT_MSR_LOAD_COUNT, 1);
	good = good && run_at(vm, guest_end, 0, 0) == REASON_VMCALL && rdmsr(MSR_TEST) == old;
	vmwrite(EXIT_MSR_LOAD_COUNT, 0);
	wrmsr(MSR_TEST, old);
	return good;
}

/* The longest list that is recommended, through several pages that are one. */
static bool try_long_list(const struct home *home, u64 page, struct vm *vm)
{
	u32 most = 512 * ((u32)(vmx_caps.misc >> 25 & 7) + 1);

	vm_reset(vm, guest_end);
	for (unsigned int i = 0; i < 512; i += 2)
		words(page)[i] = MSR_TEST;
	vmwrite(EXIT_MSR_STORE, page + 0x3000 > home->base + home->size ? home->base : page);
	vmwrite(EXIT_MSR_STORE_COUNT, most);
	return run_at(vm, guest_end, 0, 0) == REASON_VMCALL &&
	       everywhere(home, 0xff8, rdmsr(MSR_TEST));
}

static bool try_virtual_apic(const struct home *home, u64 page, struct vm *vm)
{
	vm_reset(vm, guest_end);
	control_set(PRIMARY_CONTROLS, PRI_TPR_SHADOW);
	vmwrite(VIRTUAL_APIC, page);
	vmwrite(TPR_THRESHOLD, 0);
	return run_at(vm, guest_cr8, 0, 9) == REASON_VMCALL && everywhere(home, 0x80, 0x90);
}

static bool try_apic_access(const struct home *home, u64 page, struct vm *vm)
{
	u64 value = fresh();
	bool good;

	vm_reset(vm, guest_end);
	control_set(SECONDARY_CONTROLS, SEC_APIC_ACCESS);
	vmwrite(APIC_ACCESS, page);
	good = run_at(vm, guest_write, page + 0x80, value) == REASON_APIC_ACCESS;
	ept_map(ept_root, WINDOW, page, PAGE_SIZE, EPT_RWX);
	vm_use_ept(ept_pointer(ept_root));
	must(invept(2, 0), "INVEPT");
	good = good && run_at(vm, guest_write, WINDOW + 0x80, value) == REASON_APIC_ACCESS;
	return good && everywhere(home, 0x80, 0);
}

static bool try_log(const struct home *home, u64 page, struct vm *vm)
{
	u64 eptp = ept_pointer(ept_root) | BIT(6);

	ept_map(ept_root, WINDOW, (u64)data, PAGE_SIZE, EPT_RWX);
	vm_reset(vm, guest_end);
	vm_use_ept(eptp);
	must(invept(2, 0), "INVEPT");
	control_set(SECONDARY_CONTROLS, SEC_PML);
	vmwrite(PML_ADDRESS, page);
	vmwrite(PML_INDEX, 300);
	if (run_at(vm, guest_write, WINDOW + 8, 0) != REASON_VMCALL)
		return false;
	for (unsigned int i = 0; i < 512; i++)
		if (words(page)[i] == WINDOW)
			return everywhere(home, 8 * i, WINDOW);
	return false;
}

/* An EPT violation that becomes an exception, whose information goes there. */
static bool try_information(const struct home *home, u64 page, struct vm *vm)
{
	ept_map(ept_root, WINDOW, 0, PAGE_SIZE, 0);
	*ept_entry(ept_root, WINDOW, PAGE_SIZE) = 0;
	use_root(vm, ept_root);
	control_set(SECONDARY_CONTROLS, SEC_VE);
	vmwrite(VE_INFO, page);
	vmwrite(EXCEPTION_BITMAP, BIT(20));
	return run_at(vm, guest_read, WINDOW, 0) == REASON_EXCEPTION &&
	       everywhere(home, 0, 0xffffffff00000000 | REASON_EPT_VIOLATION) &&
	       everywhere(home, 24, WINDOW);
}

static bool try_eptp_list(const struct home *home, u64 page, struct vm *vm)
{
	static u64 *other;

	if (!other) {
		other = ept_new();
		other[0] = (u64)page_alloc() | EPT_RWX;
		memcpy((u64 *)(other[0] & ~0xfffull), (u64 *)(ept_root[0] & ~0xfffull), 32);
		ept_map(other, WINDOW, (u64)data, PAGE_SIZE, EPT_RWX);
	}
	words(page)[0] = ept_pointer(other);
	use_root(vm, ept_root);
	control_set(SECONDARY_CONTROLS, SEC_VMFUNC);
	vmwrite(VMFUNC_CONTROLS, 1);
	vmwrite(EPTP_LIST, page);
	return run_at(vm, guest_vmfunc, WINDOW, 0) == REASON_VMCALL && vm->regs[RBX] == DATA_WORD &&
	       everywhere(home, 0, ept_pointer(other));
}

/* With a shadow VMCS: bits set, so that both exit, and clear, so that neither does. */
static bool try_shadow_bitmaps(const struct home *home, u64 page, struct vm *vm)
{
	static u64 *shadow;
	bool good;

	if (!shadow) {
		shadow = vmx_region();
		*(u32 *)shadow |= BIT(31);
		must(vmclear((u64)shadow), "VMCLEAR");
	}
	vm_reset(vm, guest_end);
	control_set(SECONDARY_CONTROLS, SEC_SHADOW);
	vmwrite(VMCS_LINK, (u64)shadow);
	vmwrite(VMREAD_BITMAP, page);
	vmwrite(VMWRITE_BITMAP, page);
	memset(words(page), 0xff, PAGE_SIZE);
	good = run_at(vm, guest_vmread, 0, 0) == 23 && run_at(vm, guest_vmwrite, 0, 7) == 25;
	memset(words(page), 0, PAGE_SIZE);
	vmwrite(VMREAD_BITMAP, page);
	vmwrite(VMWRITE_BITMAP, page);
	good = good && run_at(vm, guest_vmwrite, 0, 7) == REASON_VMCALL;
	return good && run_at(vm, guest_vmread, 0, 0) == REASON_VMCALL && vm->regs[RBX] == 7 &&
	       everywhere(home, 0, 0);
}

static bool try_link(const struct home *home, u64 page, struct vm *vm)
{
	bool good;

	vm_reset(vm, guest_end);
	vmwrite(VMCS_LINK, page);
	words(page)[0] = vmx_caps.revision ^ 1;
	good = vm_run(vm) == (REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
	words(page)[0] = vmx_caps.revision;
	return good && vm_run(vm) == REASON_VMCALL && everywhere(home, 0, vmx_caps.revision);
}

const struct attack fields_attacks[] = {
	{ "MSR bitmap", try_msr_bitmap, 0 },
	{ "I/O bitmaps", try_io_bitmaps, 0 },
	{ "MSR lists", try_msr_lists, 0 },
	{ "long MSR list", try_long_list, 0 },
	{ "virtual-APIC page", try_virtual_apic, 0 },
	{ "APIC-access page", try_apic_access, SEC_APIC_ACCESS | SEC_EPT },
	{ "log of modified pages", try_log, SEC_PML | SEC_EPT },
	{ "virtualization-exception information", try_information, SEC_VE | SEC_EPT },
	{ "EPTP list", try_eptp_list, SEC_VMFUNC | SEC_EPT },
	{ "VMREAD and VMWRITE bitmaps", try_shadow_bitmaps, SEC_SHADOW },
	{ "VMCS link pointer", try_link, 0 },
	{ NULL, NULL, 0 },
};
