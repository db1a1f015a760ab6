/*
 * VMCS shadowing: a hypervisor that gives its guest a shadow VMCS. What the guest reads and writes
 * without an exit, what the bitmaps make exit, what fails, and what the hypervisor finds
 * afterwards. Not here: a VM entry with a shadow VMCS current, which the emulator allows (SDM:
 * Basic VM-Entry Checks). SDM: "VMCS Types: Ordinary and Shadow", "VMREAD", "VMWRITE", "Guest
 * Non-Register State".
 */
#include "vmx_shadow.h"

#define UNMAPPED	0x7000000000ul
#define DPL3		(3u << 5)

/* RCX: the field. RAX: the value. RDX: the address. RBX: flags afterwards. */
#define GUEST(name, insn)						\
	asm("guest_" #name ": pushfq; orq $0x8d5, (%rsp); popfq;"	\
	    insn "; pushfq; pop %rbx; vmcall");				\
	extern const char guest_##name[]

GUEST(read, "vmread %rcx, %rax");
GUEST(write, "vmwrite %rax, %rcx");
GUEST(read_memory, "vmread %rcx, 8(%rdx, %rsi, 2)");
GUEST(write_memory, "vmwrite 8(%rdx, %rsi, 2), %rcx");
GUEST(read_rsp, "mov %rsp, %rbp; vmread %rcx, %rsp; mov %rsp, %rax; mov %rbp, %rsp");
GUEST(read_eax, "vmread %rcx, %rcx; mov %rcx, %rax");

static u8 *reads, *writes;		/* the bitmaps */
u64 *shadow;
static u64 *other;	/* another shadow VMCS */
static u64 *root;
static bool with_ept;
static u64 cell[4];

static void allow(u8 *bitmap, u64 field)
{
	bitmap[field / 8] &= (u8)~(1u << field % 8);
}

void shadow_allow(u64 field)
{
	allow(reads, field);
	allow(writes, field);
}

static u64 *new_shadow(void)
{
	u64 *region = vmx_region();

	*(u32 *)region |= BIT(31);
	must(vmclear((u64)region), "VMCLEAR");
	return region;
}

void shadow_reset(struct vm *vm)
{
	vm_load(vm);
	vm_reset(vm, NULL);
	if (with_ept)
		vm_use_ept(ept_pointer(root));
	control_set(SECONDARY_CONTROLS, SEC_SHADOW);
	memset(reads, 0xff, PAGE_SIZE);
	memset(writes, 0xff, PAGE_SIZE);
	vmwrite(VMREAD_BITMAP, (u64)reads);
	vmwrite(VMWRITE_BITMAP, (u64)writes);
	vmwrite(VMCS_LINK, (u64)shadow);
	vmwrite(EXCEPTION_BITMAP, ~0u);
	vmwrite(VM_INSN_ERROR, 0);
}

/*
 * One run of the guest; its exit, and if it came through, flags, and the value where one is read.
 */
static void show(struct vm *vm, const char *text, const char *code, u64 field, u64 value)
{
	u32 reason;

	vmwrite(GUEST_RIP, (u64)code);
	vmwrite(GUEST_RFLAGS, 2);
	vm->regs[RCX] = field;
	vm->regs[RAX] = value;
	vm->regs[RSI] = 4;
	if (!vm->regs[RDX])
		vm->regs[RDX] = (u64)cell - 16 + 8;
	reason = vm_run(vm);
	print("%s: ", text);
	if (reason == REASON_VMCALL)
		print("flags %lx, value %lx, error %lu", vm->regs[RBX] & 0x8d5, vm->regs[RAX],
		      vmread(VM_INSN_ERROR));
	else
		print_exit(vm, reason);
	print("\n");
	vm->regs[RDX] = 0;
}

u64 shadow_read(struct vm *vm, u64 *region, u64 field)
{
	u64 value;

	must(vmptrld((u64)region), "VMPTRLD");
	value = vmread(field);
	vm_load(vm);
	return value;
}

void shadow_write(struct vm *vm, u64 *region, u64 field, u64 value)
{
	must(vmptrld((u64)region), "VMPTRLD");
	vmwrite(field, value);
	vm_load(vm);
}

static void test_registers(struct vm *vm)
{
	shadow_reset(vm);
	shadow_write(vm, shadow, GUEST_RIP, 0x1111222233334444);
	shadow_write(vm, shadow, GUEST_ES, 0x18);
	shadow_write(vm, shadow, GUEST_ES_RIGHTS, 0x1c093);
	shadow_write(vm, shadow, TSC_OFFSET, 0x123456789abcdef0);
	show(vm, "all bits set, read", guest_read, GUEST_RIP, 1);
	show(vm, "all bits set, write", guest_write, GUEST_RIP, 1);
	show(vm, "all bits set, read of no field", guest_read, ABSENT, 1);
	allow(reads, GUEST_RIP);
	show(vm, "read allowed", guest_read, GUEST_RIP, 1);
	show(vm, "read to RSP", guest_read_rsp, GUEST_RIP, 1);
	show(vm, "read to the register with the field", guest_read_eax, GUEST_RIP, 1);
	show(vm, "write not allowed", guest_write, GUEST_RIP, 2);
	allow(writes, GUEST_RIP);
	show(vm, "write allowed", guest_write, GUEST_RIP, 0x5555666677778888);
	print("the hypervisor reads %lx\n", shadow_read(vm, shadow, GUEST_RIP));
	show(vm, "the guest reads it", guest_read, GUEST_RIP, 1);
	allow(reads, GUEST_ES);
	allow(writes, GUEST_ES);
	show(vm, "read of 16 bits", guest_read, GUEST_ES, ~0ul);
	show(vm, "write of 16 bits", guest_write, GUEST_ES, 0xabcdef0123456789);
	show(vm, "read again", guest_read, GUEST_ES, ~0ul);
	allow(reads, GUEST_ES_RIGHTS);
	show(vm, "read of 32 bits", guest_read, GUEST_ES_RIGHTS, ~0ul);
	allow(reads, TSC_OFFSET);
	show(vm, "read of 64 bits", guest_read, TSC_OFFSET, 1);
	show(vm, "its high half, not allowed", guest_read, TSC_OFFSET + 1, 1);
	allow(reads, TSC_OFFSET + 1);
	allow(writes, TSC_OFFSET + 1);
	show(vm, "its high half", guest_read, TSC_OFFSET + 1, 1);
	show(vm, "write of its high half", guest_write, TSC_OFFSET + 1, 0xffffffff11111111);
	print("the hypervisor reads %lx\n", shadow_read(vm, shadow, TSC_OFFSET));
}

static void test_fields(struct vm *vm)
{
	static const u16 field[] = {
		VPID, HOST_RIP, PIN_CONTROLS, VM_INSN_ERROR, EXIT_REASON, GUEST_PHYSICAL, IO_RIP,
		VMCS_LINK, VMREAD_BITMAP, HOST_CR3, CR3_TARGET1,
	};

	shadow_reset(vm);
	memset(reads, 0, PAGE_SIZE);
	memset(writes, 0, PAGE_SIZE);
	for (unsigned int i = 0; i < ARRAY_SIZE(field); i++) {
		print("field %x ", field[i]);
		show(vm, "write", guest_write, field[i], 0x100 + i);
		print("field %x ", field[i]);
		show(vm, "read", guest_read, field[i], 1);
		print("the hypervisor reads %lx\n", shadow_read(vm, shadow, field[i]));
	}
	show(vm, "read of no field", guest_read, ABSENT, 1);
	vmwrite(VM_INSN_ERROR, 0);
	show(vm, "write of no field", guest_write, ABSENT, 1);
	vmwrite(VM_INSN_ERROR, 0);
	show(vm, "high half of 32 bits", guest_read, PIN_CONTROLS + 1, 1);
	vmwrite(VM_INSN_ERROR, 0);
	show(vm, "bit 15", guest_read, GUEST_RIP | BIT(15), 1);
	show(vm, "bit 31", guest_write, GUEST_RIP | BIT(31), 1);
	show(vm, "bit 63", guest_read, GUEST_RIP | BIT(63), 1);
	print("the ordinary VMCS has its RSP: %d\n", vmread(HOST_RSP) != 0);
}

static void test_memory(struct vm *vm)
{
	shadow_reset(vm);
	allow(reads, GUEST_RSP);
	allow(writes, GUEST_RSP);
	cell[0] = cell[2] = ~0ul;
	cell[1] = 0x123456789;
	show(vm, "write from memory", guest_write_memory, GUEST_RSP, 1);
	print("the hypervisor reads %lx\n", shadow_read(vm, shadow, GUEST_RSP));
	shadow_write(vm, shadow, GUEST_RSP, 0x987654321);
	show(vm, "read to memory", guest_read_memory, GUEST_RSP, 1);
	print("memory has %lx %lx %lx\n", cell[0], cell[1], cell[2]);
	show(vm, "read to memory, not allowed", guest_read_memory, GUEST_RIP, 1);
	show(vm, "write from memory, not allowed", guest_write_memory, GUEST_RIP, 1);
	vm->regs[RDX] = UNMAPPED;
	show(vm, "write from nowhere", guest_write_memory, GUEST_RSP, 1);
	vm->regs[RDX] = UNMAPPED;
	show(vm, "read to nowhere", guest_read_memory, GUEST_RSP, 1);
	vm->regs[RDX] = UNMAPPED;
	show(vm, "read to nowhere, not allowed", guest_read_memory, GUEST_RIP, 1);
	vm->regs[RDX] = BIT(63);
	show(vm, "read to no canonical address", guest_read_memory, GUEST_RSP, 1);
	print("the hypervisor reads %lx\n", shadow_read(vm, shadow, GUEST_RSP));
}

/* The operand of a VMWRITE comes before its field. Who stands below may have to read it. */
static void test_absent(struct vm *vm)
{
	static u64 *hole;
	u32 reason;

	hole = hole ? hole : page_alloc();
	shadow_reset(vm);
	shadow_allow(ABSENT);
	show(vm, "write of no field from memory", guest_write_memory, ABSENT, 1);
	vm->regs[RDX] = UNMAPPED;
	show(vm, "write of no field from nowhere", guest_write_memory, ABSENT, 1);
	vm->regs[RDX] = BIT(63);
	show(vm, "write of no field from no canonical address", guest_write_memory, ABSENT, 1);
	vm->regs[RDX] = UNMAPPED;
	show(vm, "read of no field to nowhere", guest_read_memory, ABSENT, 1);
	if (!with_ept)
		return;
	ept_map(root, (u64)hole, (u64)hole, PAGE_SIZE, 0);
	must(invept(1, ept_pointer(root)), "INVEPT");
	vmwrite(GUEST_RIP, (u64)guest_write_memory);
	vm->regs[RDX] = (u64)hole;
	reason = vm_run(vm);
	print("write of no field from a page not in EPT: %s q=%lx, at its address: %u\n",
	      reason_name(reason), vmread(EXIT_QUALIFICATION) & 0x1ff,
	      vmread(GUEST_PHYSICAL) == (u64)hole + 16 && vmread(GUEST_LINEAR) == (u64)hole + 16);
	vm->regs[RDX] = 0;
	ept_map(root, (u64)hole, (u64)hole, PAGE_SIZE, EPT_RWX);
	must(invept(1, ept_pointer(root)), "INVEPT");
}

static void test_privilege(struct vm *vm)
{
	shadow_reset(vm);
	allow(reads, GUEST_RIP);
	vmwrite(GUEST_CS_RIGHTS, vmread(GUEST_CS_RIGHTS) | DPL3);
	vmwrite(GUEST_SS_RIGHTS, vmread(GUEST_SS_RIGHTS) | DPL3);
	vmwrite(GUEST_CS, vmread(GUEST_CS) | 3);
	vmwrite(GUEST_SS, vmread(GUEST_SS) | 3);
	show(vm, "CPL 3, allowed", guest_read, GUEST_RIP, 1);
	show(vm, "CPL 3, not allowed", guest_read, GUEST_RSP, 1);
	show(vm, "CPL 3, write", guest_write, GUEST_RIP, 1);
}

static void test_links(struct vm *vm)
{
	shadow_reset(vm);
	allow(reads, GUEST_RIP);
	allow(writes, GUEST_RIP);
	allow(reads, ABSENT);
	show(vm, "one shadow VMCS", guest_write, GUEST_RIP, 0x11);
	vmwrite(VMCS_LINK, (u64)other);
	show(vm, "another", guest_write, GUEST_RIP, 0x22);
	vmwrite(VMCS_LINK, ~0ul);
	show(vm, "none, read", guest_read, GUEST_RIP, 1);
	show(vm, "none, write", guest_write, GUEST_RIP, 1);
	show(vm, "none, read of no field", guest_read, ABSENT, 1);
	show(vm, "none, not allowed", guest_read, GUEST_RSP, 1);
	vmwrite(VMCS_LINK, (u64)shadow);
	show(vm, "the first again", guest_read, GUEST_RIP, 1);
	print("the hypervisor reads %lx and %lx\n", shadow_read(vm, shadow, GUEST_RIP),
	      shadow_read(vm, other, GUEST_RIP));
	must(vmclear((u64)shadow), "VMCLEAR");
	show(vm, "cleared and read", guest_read, GUEST_RIP, 1);
	must(vmclear((u64)shadow), "VMCLEAR");
	print("the hypervisor reads %lx\n", shadow_read(vm, shadow, GUEST_RIP));
	control_clear(SECONDARY_CONTROLS, SEC_SHADOW);
	vmwrite(VMCS_LINK, ~0ul);
	show(vm, "shadowing off, read", guest_read, GUEST_RIP, 1);
	show(vm, "shadowing off, write", guest_write, GUEST_RIP, 1);
}

static void test_bitmaps(struct vm *vm)
{
	u8 *second = page_alloc();

	shadow_reset(vm);
	show(vm, "not allowed", guest_read, CR0_MASK, 1);
	allow(reads, CR0_MASK);
	show(vm, "allowed now", guest_read, CR0_MASK, 1);
	reads[CR0_MASK / 8] = 0xff;
	show(vm, "no more", guest_read, CR0_MASK, 1);
	vmwrite(VMREAD_BITMAP, (u64)second);
	show(vm, "another bitmap", guest_read, CR0_MASK, 1);
	vmwrite(VMWRITE_BITMAP, (u64)second);
	show(vm, "the same for writes", guest_write, CR0_MASK, 0x77);
	show(vm, "and read", guest_read, CR0_MASK, 1);
	memset(second, 0xff, PAGE_SIZE);
	show(vm, "filled", guest_read, CR0_MASK, 1);
	show(vm, "and write", guest_write, CR0_MASK, 0x78);
}

static void show_entry(struct vm *vm, const char *text, u64 link)
{
	vmwrite(VMCS_LINK, link);
	vmwrite(GUEST_RIP, (u64)guest_read);
	vm->regs[RCX] = GUEST_RIP;
	print("%s: ", text);
	print_exit(vm, vm_run(vm));
	print("\n");
}

static void test_entries(struct vm *vm)
{
	u64 *ordinary = vmx_region(), *wrong = new_shadow();

	must(vmclear((u64)ordinary), "VMCLEAR");
	*(u32 *)wrong ^= 1;
	shadow_reset(vm);
	show_entry(vm, "link to a shadow VMCS", (u64)shadow);
	show_entry(vm, "link to an ordinary VMCS", (u64)ordinary);
	show_entry(vm, "link to another revision", (u64)wrong);
	show_entry(vm, "link to the current VMCS", (u64)vm->vmcs);
	show_entry(vm, "link not aligned", (u64)shadow + 8);
	show_entry(vm, "link too wide", BIT(50));
	control_clear(SECONDARY_CONTROLS, SEC_SHADOW);
	show_entry(vm, "shadowing off, link to a shadow VMCS", (u64)shadow);
	show_entry(vm, "shadowing off, link to an ordinary VMCS", (u64)ordinary);
	control_set(SECONDARY_CONTROLS, SEC_SHADOW);
	vmwrite(VMREAD_BITMAP, (u64)reads + 1);
	show_entry(vm, "VMREAD bitmap not aligned", (u64)shadow);
	vmwrite(VMREAD_BITMAP, (u64)reads);
	vmwrite(VMWRITE_BITMAP, BIT(51));
	show_entry(vm, "VMWRITE bitmap too wide", (u64)shadow);
	vmwrite(VMWRITE_BITMAP, (u64)writes);
	show_entry(vm, "all good again", (u64)shadow);
}

/* More shadow VMCSs than any cache holds, each with its own value. */
static void test_many(struct vm *vm)
{
	static u64 *region[40];
	unsigned int wrong = 0;

	shadow_reset(vm);
	allow(writes, GUEST_RIP);
	for (unsigned int i = 0; i < ARRAY_SIZE(region); i++) {
		region[i] = new_shadow();
		vmwrite(VMCS_LINK, (u64)region[i]);
		vmwrite(GUEST_RIP, (u64)guest_write);
		vm->regs[RCX] = GUEST_RIP;
		vm->regs[RAX] = 0x1000 + i;
		wrong += vm_run(vm) != REASON_VMCALL;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(region); i++)
		wrong += shadow_read(vm, region[i], GUEST_RIP) != 0x1000 + i;
	print("%u of %lu shadow VMCSs wrong\n", wrong, ARRAY_SIZE(region));
}

int main(void)
{
	struct vm vm;

	vmx_on();
	vm_init(&vm);
	if (!control_can(SECONDARY_CONTROLS, SEC_SHADOW))
		die("this CPU has no VMCS shadowing");
	reads = page_alloc();
	writes = page_alloc();
	shadow = new_shadow();
	other = new_shadow();
	root = ept_new();
	ept_identity(root, BIT(32), 2 << 20);
	for (unsigned int i = 0; i < 2; i++) {
		with_ept = i;
		print("%s EPT\n", with_ept ? "with" : "without");
		test_registers(&vm);
		test_fields(&vm);
		test_memory(&vm);
	test_absent(&vm);
		test_privilege(&vm);
		test_links(&vm);
		test_bitmaps(&vm);
		test_entries(&vm);
	}
	test_modes(&vm);
	test_many(&vm);
	vmx_off();
	print("all done\n");
	return 0;
}
