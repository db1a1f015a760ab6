/*
 * A hypervisor that gives addresses it should not: beyond the physical address width, not aligned,
 * in devices, in reserved memory, where nothing is. What the SDM defines is printed; of the rest
 * only that the machine goes on. Nothing is written where a device or firmware data may be.
 */
#include "vmx.h"

static u64 *region_on;
static unsigned int address_width;

asm("guest_end: vmcall\n"
    "guest_read: mov (%rsi), %rbx; vmcall\n"
    "guest_msr: mov $0xc0000081, %ecx; rdmsr; vmcall\n"
    "guest_io: in $0xe9, %al; vmcall\n");
extern const char guest_end[], guest_read[], guest_msr[], guest_io[];

static void test_width(void)
{
	u64 ok = (u64)vmx_region();
	unsigned int bad_on = 0, bad_load = 0, bad_clear = 0;

	for (unsigned int bit = address_width; bit < 64; bit++)
		bad_on += vmxon(ok | BIT(bit)).kind == DID_FAIL_INVALID;
	must(vmxon((u64)region_on), "VMXON");
	must(vmclear(ok), "VMCLEAR");
	must(vmptrld(ok), "VMPTRLD");
	for (unsigned int bit = address_width; bit < 64; bit++) {
		bad_load += vmptrld(ok | BIT(bit)).number == 9;
		bad_clear += vmclear(ok | BIT(bit)).number == 2;
	}
	for (unsigned int bit = 0; bit < 12; bit++) {
		bad_load += vmptrld(ok | BIT(bit)).number == 9;
		bad_clear += vmclear(ok | BIT(bit)).number == 2;
	}
	print("beyond the width or not aligned: VMXON %s, VMPTRLD %s, VMCLEAR %s\n",
	      bad_on == 64 - address_width ? "fails" : "?",
	      bad_load == 76 - address_width ? "fails" : "?",
	      bad_clear == 76 - address_width ? "fails" : "?");
	print("current VMCS is kept: %s\n", vmptrst() == ok ? "yes" : "no");
}

static void try_region(u64 address, struct vm *vm)
{
	vmptrld(address);
	vmxon(address);
	vm_load(vm);
}

/*
 * Calls f with addresses that are no plain memory: in each reserved range, and beyond all of them.
 * The emulator stops at a read inside a register of the APICs (the first two) or the HPET (left
 * out), so there only region headers are tried.
 */
static unsigned int for_bad_addresses(void (*f)(u64 address, struct vm *vm), struct vm *vm)
{
	static const u64 fixed[] = { APIC_BASE, 0xfec00000, 0xa0000, 0xf0000, 0xd0000000,
				     0xfffff000, 0x200000000, 0x7ffffff000, 0xffffff000 };
	unsigned int count = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(fixed); i++) {
		if (fixed[i] >= BIT(address_width) || (i < 2 && f != try_region))
			continue;
		f(fixed[i], vm);
		count++;
	}
	for (unsigned int i = 0; i < boot.ranges; i++) {
		const struct memory_range *r = &boot.range[i];

		if (r->type == 1)
			continue;
		f((r->base + 4095) & ~(u64)4095, vm);
		f((r->base + r->size / 2) & ~(u64)4095, vm);
		f((r->base + r->size - 1) & ~(u64)4095, vm);
		count += 3;
	}
	figure("bad_addresses", count);
	return count;
}

static void try_ept_root(u64 address, struct vm *vm)
{
	vm_reset(vm, guest_end);
	vm_use_ept(address | 3 << 3 | 6);
	vm_run(vm);
	invept(1, address | 3 << 3 | 6);
}

static u64 *ept_root;
#define WINDOW	0x140000000ull

static void try_ept_leaf(u64 address, struct vm *vm)
{
	vm_reset(vm, guest_read);
	vm->regs[RSI] = WINDOW + 0x20;	/* in the local APIC: its ID, harmless to read */
	ept_map(ept_root, WINDOW, address, PAGE_SIZE, EPT_RWX);
	invept(1, ept_pointer(ept_root));
	vm_use_ept(ept_pointer(ept_root));
	vm_run(vm);
}

static void try_ept_table(u64 address, struct vm *vm)
{
	vm_reset(vm, guest_read);
	vm->regs[RSI] = WINDOW;
	*ept_entry(ept_root, WINDOW, BIT(30)) = address | EPT_RWX;
	invept(1, ept_pointer(ept_root));
	vm_use_ept(ept_pointer(ept_root));
	vm_run(vm);
	*ept_entry(ept_root, WINDOW, BIT(30)) = 0;
}

static void try_guest_cr3(u64 address, struct vm *vm)
{
	vm_reset(vm, guest_end);
	vmwrite(GUEST_CR3, address);
	vm_run(vm);
	if (!has_ept())
		return;
	vm_reset(vm, guest_end);
	vm_use_ept(ept_pointer(ept_root));
	vmwrite(GUEST_CR3, address);
	vm_run(vm);
}

static void try_bitmaps(u64 address, struct vm *vm)
{
	vm_reset(vm, guest_msr);
	control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
	vmwrite(MSR_BITMAP, address);
	vm_run(vm);
	vm_reset(vm, guest_io);
	control_set(PRIMARY_CONTROLS, PRI_IO_BITMAPS);
	vmwrite(IO_BITMAP_A, address);
	vmwrite(IO_BITMAP_B, address);
	vm_run(vm);
}

static void try_msr_list(u64 address, struct vm *vm)
{
	vm_reset(vm, guest_end);
	vmwrite(ENTRY_MSR_LOAD, address);
	vmwrite(ENTRY_MSR_LOAD_COUNT, 4);
	vm_run(vm);
}

static void try_link_pointer(u64 address, struct vm *vm)
{
	vm_reset(vm, guest_end);
	vmwrite(VMCS_LINK, address);
	vm_run(vm);
}

static void test_places(struct vm *vm)
{
	static const struct {
		const char *text;
		void (*f)(u64 address, struct vm *vm);
		bool ept;
	} rows[] = {
		{ "VMCS and VMXON regions", try_region, false },
		{ "MSR and I/O bitmaps", try_bitmaps, false },
		{ "MSR-load list", try_msr_list, false },
		{ "VMCS link pointer", try_link_pointer, false },
		{ "guest's CR3", try_guest_cr3, false },
		{ "EPT root", try_ept_root, true },
		{ "EPT tables", try_ept_table, true },
		{ "EPT leaf", try_ept_leaf, true },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].ept && !has_ept())
			continue;
		for_bad_addresses(rows[i].f, vm);
		vm_reset(vm, guest_end);
		print("%s in bad places: then %s\n", rows[i].text, reason_name(vm_run(vm)));
	}
}

/*
 * Addresses of features that are off, as some hypervisors leave them: SDM, "Checks on VMX
 * Controls".
 */
static void test_features_off(struct vm *vm)
{
	static const u16 fields[] = {
		IO_BITMAP_A, IO_BITMAP_B, MSR_BITMAP, EXIT_MSR_STORE, EXIT_MSR_LOAD, ENTRY_MSR_LOAD,
		EXECUTIVE_VMCS, VIRTUAL_APIC, APIC_ACCESS, EPTP, VMREAD_BITMAP, VMWRITE_BITMAP,
		PML_ADDRESS,
		CR3_TARGET0, CR3_TARGET1, VMFUNC_CONTROLS, EPTP_LIST, POSTED_VECTOR, TPR_THRESHOLD,
		PLE_GAP, PLE_WINDOW, GUEST_PDPTE0, GUEST_PDPTE3, HOST_PAT, HOST_EFER, GUEST_PAT,
		GUEST_EFER,
		ENTRY_INTR_ERROR, ENTRY_INSN_LENGTH, VPID,
	};
	unsigned int ran = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
		u64 old;

		if (vmread_try(fields[i], &old).kind != DID_OK) {
			ran++;
			continue;
		}
		vm_reset(vm, guest_end);
		vmwrite(fields[i], 0xfffffffffffffffb);
		ran += vm_run(vm) == REASON_VMCALL;
		vmwrite(fields[i], old);
	}
	print("odd values with the features off: %u of %u run\n", ran,
	      (unsigned int)ARRAY_SIZE(fields));
}

static void test_features_on(struct vm *vm)
{
	static const struct { const char *text; u64 controls; u32 bit; u32 field; } rows[] = {
		{ "I/O bitmap A", PRIMARY_CONTROLS, PRI_IO_BITMAPS, IO_BITMAP_A },
		{ "I/O bitmap B", PRIMARY_CONTROLS, PRI_IO_BITMAPS, IO_BITMAP_B },
		{ "MSR bitmap", PRIMARY_CONTROLS, PRI_MSR_BITMAPS, MSR_BITMAP },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		vm_reset(vm, guest_end);
		vmwrite(IO_BITMAP_A, 0);
		vmwrite(IO_BITMAP_B, 0);
		control_set(rows[i].controls, (u32)rows[i].bit);
		vmwrite(rows[i].field, 0x1008);
		print("%s not aligned: ", rows[i].text);
		print_exit(vm, vm_run(vm));
		vmwrite(rows[i].field, BIT(address_width));
		print(", beyond the width: ");
		print_exit(vm, vm_run(vm));
		print("\n");
	}
}

static void test_eptp(struct vm *vm)
{
	vm_reset(vm, guest_end);
	control_set(SECONDARY_CONTROLS, SEC_EPT);
	print("EPTP with one bit changed:");
	for (unsigned int bit = 3; bit < 64; bit++) {
		vmwrite(EPTP, ept_pointer(ept_root) ^ BIT(bit));
		if (bit == 6 || bit == 7 || (bit >= 12 && bit < address_width))
			continue;	/* depend on capabilities, or are good */
		print(" %s", vm_run(vm) == NO_EXIT && vm->entry.number == 7 ? "7" : "?");
	}
	print("\n");
}

/* Every encoding read and written, with nothing ever entered. */
static void test_encodings(void)
{
	u64 value;
	u32 odd = 0;

	for (u64 field = 0; field < 0x10000; field++) {
		struct outcome o;

		if (field & 0x1380 && field & 0x7f)	/* beyond any index: one of 128 will do */
			continue;
		o = vmread_try(field, &value);
		if (o.kind != DID_OK && o.number != 12)
			odd++;
		o = vmwrite_try(field, field * 0x0101010101010101);
		if (o.kind != DID_OK && o.number != 12 && o.number != 13)
			odd++;
	}
	print("all encodings: %u odd answers\n", odd);
}

/*
 * The region's data is the CPU's while the VMCS is active; what software puts there may do anything
 * to it.
 */
static void test_overwritten(struct vm *vm)
{
	struct vm other;

	vm_init(&other);
	vm_load(vm);
	memset(other.vmcs + 2, 0xff, PAGE_SIZE - 16);
	vmclear((u64)other.vmcs);
	vmptrld((u64)other.vmcs);
	vm_load(vm);
	vm_reset(vm, guest_end);
	vm_run(vm);
	for (unsigned int i = 0; i < 64; i++) {
		for (u64 *p = vm->vmcs + 2; p < vm->vmcs + 512; p++)
			*p = *p * 6364136223846793005 + i;
		vmlaunch_only();
	}
	must(vmclear((u64)vm->vmcs), "VMCLEAR");
	print("regions overwritten: still here\n");
}

int main(void)
{
	struct vm vm;

	vmx_prepare();
	address_width = cpuid(0x80000008, 0).eax & 0xff;
	region_on = vmx_region();
	test_width();
	vm_init(&vm);
	ept_root = ept_new();
	ept_identity(ept_root, BIT(32), 2 << 20);
	window_open(WINDOW);
	test_features_off(&vm);
	test_features_on(&vm);
	if (has_ept())
		test_eptp(&vm);
	test_places(&vm);
	must(vmclear((u64)vm.vmcs), "VMCLEAR");
	vm.vmcs = vmx_region();
	must(vmclear((u64)vm.vmcs), "VMCLEAR");
	vm_load(&vm);
	test_encodings();
	vm_init(&vm);
	test_overwritten(&vm);
	vm_init(&vm);
	vm_reset(&vm, guest_end);
	print("after all that: %s\n", reason_name(vm_run(&vm)));
	vmx_off();
	return 0;
}
