/*
 * The guest hypervisor in 32-bit and 16-bit code: widths of fields and of memory operands, fields
 * that the shadow VMCS has not got, operands that fault; and the modes without VMREAD and VMWRITE.
 */
#include "vmx_shadow.h"

#define CODE_AT		0x9000u
#define CELL		0x9800u		/* the memory operand */
#define VALUE		0x8899aabbccddeeffull
#define SAVED		0x1122334455667788ull

/* CF and ZF go to BL and BH. */
#define GUEST(name, insn)						\
	asm(".pushsection .rodata; .code16; m16_" #name ": cmp %eax, %eax; stc; " insn	\
	    "; setc %bl; setz %bh; vmcall; .skip 16; .code32; m32_" #name		\
	    ": cmp %eax, %eax; stc; " insn "; setc %bl; setz %bh; vmcall; .skip 16;"	\
	    ".code64; .popsection");					\
	extern const char m16_##name[], m32_##name[]

GUEST(read, "vmread %ecx, %eax");
GUEST(write, "vmwrite %eax, %ecx");
GUEST(read_memory, "vmread %ecx, 4(%esi)");
GUEST(write_memory, "vmwrite 4(%esi), %ecx");

static const struct form {
	const char *text, *code[2];
	bool memory;
} forms[] = {
	{ "read", { m16_read, m32_read }, false },
	{ "write", { m16_write, m32_write }, false },
	{ "read to memory", { m16_read_memory, m32_read_memory }, true },
	{ "write from memory", { m16_write_memory, m32_write_memory }, true },
};

static const struct { const char *text; u32 field; } fields[] = {
	{ "natural width", GUEST_RIP }, { "16 bits", GUEST_ES }, { "32 bits", GUEST_ES_LIMIT },
	{ "64 bits", TSC_OFFSET }, { "their upper half", TSC_OFFSET + 1 }, { "no field", ABSENT },
};

static void prepare(struct vm *vm, const struct guest_mode *m, const struct form *f, u32 field)
{
	shadow_reset(vm);
	memset(vm->regs, 0, sizeof(vm->regs));
	vm_set_mode(m, CODE_AT);
	vmwrite(GUEST_IDTR_LIMIT, 0);
	memcpy((void *)(u64)CODE_AT, f->code[m->wide], 32);
	*(u64 *)(u64)CELL = VALUE;
	if (field != ABSENT)
		shadow_write(vm, shadow, field & ~1u, SAVED);
	shadow_allow(field);
	vm->regs[RAX] = VALUE;
	vm->regs[RCX] = field;
	vm->regs[RSI] = CELL - 4;
}

static void run(struct vm *vm, const struct guest_mode *m, const struct form *f, unsigned int i)
{
	u32 reason;

	print("%s guest, %s, %s: ", m->name, f->text, fields[i].text);
	reason = vm_run(vm);
	if (reason != REASON_VMCALL) {
		print_exit(vm, reason);
		print("\n");
		return;
	}
	print("CF %lu ZF %lu, EAX %lx, memory %lx", vm->regs[RBX] & 1, vm->regs[RBX] >> 8 & 1,
	      vm->regs[RAX], *(u64 *)(u64)CELL);
	if (fields[i].field != ABSENT)
		print(", field %lx", shadow_read(vm, shadow, fields[i].field & ~1u));
	print("\n");
}

static void test_faults(struct vm *vm, const struct guest_mode *m, const struct form *f)
{
	static const char *const text[] = { "beyond the limit", "no field, beyond the limit" };

	for (unsigned int i = 0; i < 2; i++) {
		prepare(vm, m, f, i ? ABSENT : GUEST_RIP);
		vmwrite(GUEST_DS_LIMIT, 0x97ff + (m->wide ? 2 : 1));
		vmwrite(GUEST_DS_RIGHTS, m->data_rights & ~0x8000u);
		print("%s guest, %s, %s: ", m->name, f->text, text[i]);
		print_exit(vm, vm_run(vm));
		print("\n");
	}
}

void test_modes(struct vm *vm)
{
	for (unsigned int i = 0; i < GUEST_MODES; i++) {
		const struct guest_mode *m = &guest_modes[i];

		for (unsigned int j = 0; j < ARRAY_SIZE(forms); j++) {
			for (unsigned int k = 0; k < ARRAY_SIZE(fields); k++) {
				if (m->kind != GUEST_PROTECTED && k)
					break;
				prepare(vm, m, &forms[j], fields[k].field);
				run(vm, m, &forms[j], k);
			}
			if (forms[j].memory && m->kind == GUEST_PROTECTED)
				test_faults(vm, m, &forms[j]);
		}
	}
}
