/*
 * A hypervisor in 32-bit protected mode, with 32-bit paging and with PAE: its guests in each mode
 * that they can have, the host state that exits give it, and what VM entry refuses it.
 * SDM: Checks Related to Address-Space Size; Loading Host State; Loading Guest State.
 */
#include "vmx_modes.h"

#define STACK	(CASE_PAGE + 0x400)	/* the guests' */

extern const u8 trip_exit[];
extern u8 trip_stack_top[];
extern u64 trip_idt[];
static u64 *ept_root;
static bool lacking;
static u32 fs_page[4] = { 0xf5f5f5f5 };

/* In 16-bit code the first of these is "mov $0x5678, %bx; xor $0x12, %al". */
asm(".code32\n"
    "host32_code: mov $0x12345678, %ebx; cpuid; .byte 0x0f, 0x01, 0xc1; ud2\n"
    "host32_fault: mov 0x50002004, %ebx; ud2\n"
    "host32_io: in $0x80, %al; ud2\n"
    "host32_cr3: mov %cr3, %eax; mov %eax, %cr3; mov $1, %ebx; ud2\n"
    "host32_int: int $0x40; ud2\n"
    "host32_hlt: hlt; ud2\n"
    "host32_end:\n"
    ".code64");
extern const u8 host32_code[], host32_fault[], host32_io[], host32_cr3[], host32_int[],
		host32_hlt[], host32_end[];

static u64 code(const u8 *label)
{
	return CASE_PAGE + 0x100 + (u64)(label - host32_code);
}

static void host_state(void)
{
	static const u16 data[] = { HOST_ES, HOST_SS, HOST_DS, HOST_FS, HOST_GS };

	control_clear(EXIT_CONTROLS, EXIT_HOST_64);
	vmwrite(HOST_CS, SEL_CODE32);
	for (unsigned int i = 0; i < ARRAY_SIZE(data); i++)
		vmwrite(data[i], SEL_DATA32);
	vmwrite(HOST_TR, SEL_TSS32);
	vmwrite(HOST_TR_BASE, trip_gdt[SEL_TSS32 / 8] >> 16 & 0xffffff);
	vmwrite(HOST_CR0, trip.cr0);
	vmwrite(HOST_CR3, trip.cr3);
	vmwrite(HOST_CR4, trip.cr4);
	vmwrite(HOST_FS_BASE, (u64)fs_page);
	vmwrite(HOST_GS_BASE, 0);
	vmwrite(HOST_GDTR_BASE, (u64)trip_gdt);
	vmwrite(HOST_IDTR_BASE, (u64)trip_idt);
	vmwrite(HOST_RSP, (u64)trip_stack_top);
	vmwrite(HOST_RIP, (u64)trip_exit);
}

/* A flat 32-bit guest at CPL 0 with the host's paging. Every exception is an exit. */
static void guest_state(const u8 *label)
{
	static const u16 selector[8] = { SEL_DATA32, SEL_CODE32, SEL_DATA32, SEL_DATA32, SEL_DATA32,
					 SEL_DATA32, 0, SEL_TSS32 };

	control_clear(ENTRY_CONTROLS, ENTRY_GUEST_64);
	for (unsigned int i = 0; i < 6; i++) {
		vmwrite(GUEST_ES + 2 * i, selector[i]);
		vmwrite(GUEST_ES_RIGHTS + 2 * i, i == CS ? 0xc09b : 0xc093);
		vmwrite(GUEST_ES_LIMIT + 2 * i, 0xffffffff);
		vmwrite(GUEST_ES_BASE + 2 * i, 0);
	}
	vmwrite(GUEST_TR, SEL_TSS32);
	vmwrite(GUEST_IDTR_LIMIT, 0);
	vmwrite(EXCEPTION_BITMAP, ~0u);
	vmwrite(GUEST_CR0, trip.cr0);
	vmwrite(GUEST_CR3, trip.cr3);
	vmwrite(GUEST_CR4, trip.cr4);
	vmwrite(GUEST_RIP, code(label));
	vmwrite(GUEST_RSP, STACK);
}

static void paging(const struct mode *m)
{
	u32 cr4 = (u32)vmread(GUEST_CR4) & ~(u32)(CR4_PAE | CR4_PSE);

	vmwrite(GUEST_CR3, space_cr3(m));
	vmwrite(GUEST_CR4, cr4 | (m->format == PAE ? CR4_PAE : CR4_PSE));
}

/* A case whose controls the processor has not got is left out. */
static void want(u64 field, u32 bits)
{
	if (control_can(field, bits))
		control_set(field, bits);
	else
		lacking = true;
}

static void use_ept(u32 more)
{
	want(SECONDARY_CONTROLS, SEC_EPT | more);
	if (!lacking)
		vmwrite(EPTP, ept_pointer(ept_root));
}

static void unpaged(void)
{
	use_ept(SEC_UNRESTRICTED);
	vmwrite(GUEST_CR0, trip.cr0 & ~CR0_PG);
}

static void sixteen_bits(u32 rights)
{
	for (unsigned int i = 0; i < 6; i++) {
		vmwrite(GUEST_ES + 2 * i, 0);
		vmwrite(GUEST_ES_RIGHTS + 2 * i, i == CS && !(rights & 0x60) ? rights | 8 : rights);
		vmwrite(GUEST_ES_LIMIT + 2 * i, 0xffff);
	}
}

static void real(void)
{
	unpaged();
	vmwrite(GUEST_CR0, trip.cr0 & ~(CR0_PG | CR0_PE));
	sixteen_bits(0x93);
}

static void v86(void)
{
	paging(mode_named("32-bit CPL 3"));
	sixteen_bits(0xf3);
	vmwrite(GUEST_RFLAGS, 2 | BIT(17) | 3 << 12);
}

static void user(void)
{
	for (unsigned int i = 0; i < 6; i++) {
		vmwrite(GUEST_ES + 2 * i, i == CS ? SEL_USER_CODE32 | 3 : SEL_USER_DATA | 3);
		vmwrite(GUEST_ES_RIGHTS + 2 * i, i == CS ? 0xc0fb : 0xc0f3);
	}
}

static void pdptes(void)
{
	const u64 *pointers = (u64 *)vmread(GUEST_CR3);

	for (unsigned int i = 0; i < 4 && !lacking; i++)
		vmwrite(GUEST_PDPTE0 + 2 * i, pointers[i]);
}

static u64 *bad_pdptes(void)
{
	static u64 pointers[4] __attribute__((aligned(32)));

	pointers[1] = 1 | BIT(1);
	return pointers;
}

#define FLAT_SPACE	paging(mode_named("32-bit"))
#define PAE_SPACE	paging(mode_named("PAE"))
#define USER_SPACE	paging(mode_named("PAE CPL 3"))

#define CASE(id, text, code, setup) static void setup_##id(void) { setup; }
#include "host32.def"
#undef CASE

static const struct host_case {
	const char *text;
	const u8 *code;
	void (*setup)(void);
} cases[] = {
#define CASE(id, text, code, setup)	{ text, host32_##code, setup_##id },
#include "host32.def"
#undef CASE
};

static const char *good(u64 is, u64 wanted)
{
	return is == wanted ? "ok" : "bad";
}

static void print_host(const struct mode *m)
{
	const struct trip_host *h = &trip_host;

	print("%s hypervisor, host state: CS %x SS %x DS %x ES %x FS %x GS %x TR %x LDTR %x, ",
	      m->name, h->seg[0], h->seg[1], h->seg[2], h->seg[3], h->seg[4], h->seg[5], h->tr,
	      h->ldtr);
	print("GDTR %s limit %x, IDTR %s limit %x, CR0 %s CR3 %s CR4 %s, FS:0 %x, EFER %x",
	      good(h->gdtr.base, (u64)trip_gdt), h->gdtr.limit, good(h->idtr.base, (u64)trip_idt),
	      h->idtr.limit, good(h->cr[0], trip.cr0), good(h->cr[1], trip.cr3),
	      good(h->cr[2], trip.cr4), h->fs_value, h->efer);
	print(", flags %lx\n", trip.after.rflags);
}

/* In 64-bit mode again: the VMCS tells the rest. */
static void print_case(struct vm *vm)
{
	if (trip.after.vector == VECTOR_USER_DONE) {
		print("%s\n", trip.after.rflags & BIT(0) ? "VMfailInvalid" :
		      outcome_text((struct outcome){ DID_FAIL_VALID, trip.after.number }));
		return;
	}
	if (trip.after.vector != VECTOR_EXIT) {
		print("broken, vector %x\n", trip.after.vector);
		return;
	}
	vmx_on();
	vm_load(vm);
	print_exit(vm, (u32)vmread(EXIT_REASON));
	print("; CPUID exits %u, EBX %lx ECX %lx, rip=+%lx\n", trip.after.error,
	      trip.after.gpr[RBX], trip.after.gpr[RCX], vmread(GUEST_RIP) - code(host32_code));
	must(vmclear((u64)vm->vmcs), "VMCLEAR");
	vmx_off();
	write_cr4(read_cr4() | CR4_VMXE);
}

static void run_case(struct vm *vm, const struct host_case *c, const struct mode *m)
{
	static u64 pointer_on, pointer_vm;

	trip_reset(m);
	pointer_on = (u64)region_address(REGION_ON);
	pointer_vm = (u64)vm->vmcs;
	must(vmxon(pointer_on), "VMXON");
	vm_load(vm);
	vm_reset(vm, NULL);
	host_state();
	guest_state(c->code);
	lacking = false;
	c->setup();
	must(vmclear((u64)vm->vmcs), "VMCLEAR");
	must(vmxoff(), "VMXOFF");
	if (lacking)
		return;
	insn_make(&insns[VMLAUNCH], NULL, m);
	memcpy((void *)code(host32_code), host32_code, (size_t)(host32_end - host32_code));
	trip.vmxon = (u32)(u64)&pointer_on;
	trip.vmcs = (u32)(u64)&pointer_vm;
	trip.gpr[RBX] = trip.gpr[RCX] = 0;
	trip_run(m);
	print("%s hypervisor, %s: ", m->name, c->text);
	print_case(vm);
}

void test_host32(void)
{
	static const char *const where[] = { "32-bit", "PAE" };
	struct vm vm = { 0 };

	vm.vmcs = vmx_region();
	vm.stack = pages_alloc(GUEST_STACK / PAGE_SIZE);
	ept_root = ept_new();
	ept_identity(ept_root, BIT(32), 2 << 20);
	for (unsigned int i = 0; i < ARRAY_SIZE(where); i++) {
		for (unsigned int j = 0; j < ARRAY_SIZE(cases); j++)
			run_case(&vm, &cases[j], mode_named(where[i]));
		run_case(&vm, &cases[0], mode_named(where[i]));
		print_host(mode_named(where[i]));
	}
}
