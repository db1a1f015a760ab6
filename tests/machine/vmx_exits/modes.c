/*
 * The guest's modes: what each exit tells of 16- and 32-bit code, and which instructions do not
 * exist there or fault first. The code lies at one place below 64 KiB, in a CS with that base.
 * SDM: Information for VM Exits Due to Instruction Execution; Relative Priority of Faults and VM
 * Exits.
 */
#include "vmx_exits.h"

#define CODE_AT		0x9000u
#define CODE_SIZE	32
#define OVERFLOW	BIT(11)
#define LMSW_SOURCE	(CODE_AT + 0x40)

#define SNIPPET(id, text, code)						\
	asm(".pushsection .rodata; .code16; s16_" #id ": " code "; vmcall; ud2; .skip 16;"	\
	    ".code32; s32_" #id ": " code "; vmcall; ud2; .skip 16; .code64; .popsection");	\
	extern const char s16_##id[], s32_##id[];
#include "modes.def"
#undef SNIPPET

static const struct snippet {
	const char *text, *code[2];
} snippets[] = {
#define SNIPPET(id, text, code)	{ text, { s16_##id, s32_##id } },
#include "modes.def"
#undef SNIPPET
};

static const struct guest_mode *mode;
static u64 *root;

static void set_controls(void)
{
	vm_use_ept(ept_pointer(root));
	control_set(SECONDARY_CONTROLS, SEC_UNRESTRICTED | SEC_TABLES | SEC_RDRAND | SEC_WBINVD |
		    SEC_VMFUNC);
	vmwrite(VMFUNC_CONTROLS, 0);
	control_set(PRIMARY_CONTROLS, PRI_HLT | PRI_PAUSE | PRI_RDTSC | PRI_INVLPG | PRI_CR3_LOAD |
		    PRI_CR3_STORE | PRI_MOV_DR | PRI_IO);
	vmwrite(CR0_MASK, CR0_PE | CR0_MP | CR0_TS);
	vmwrite(CR0_SHADOW, CR0_TS);
	vmwrite(EXCEPTION_BITMAP, ~0u);
	vmwrite(GUEST_IDTR_LIMIT, 0);
}

static void set_mode(struct vm *vm)
{
	static const u64 registers[8] = { 5, 3, 0x80, 0x10, 0, 0x40, 0x20, 0x30 };

	memcpy(vm->regs, registers, sizeof(registers));
	set_controls();
	vm_set_mode(mode, CODE_AT);
	vmwrite(GUEST_RFLAGS, vmread(GUEST_RFLAGS) | OVERFLOW);
}

/* MOV DR exits before it asks for the CPL; INT n shows its #GP as met in a delivery. */
static bool departs(const struct snippet *s)
{
	return mode->kind == GUEST_V86 && (s->code[0] == s16_dr || s->code[0] == s16_int);
}

static void run_mode(struct vm *vm, const struct guest_mode *m)
{
	mode = m;
	for (unsigned int i = 0; i < ARRAY_SIZE(snippets); i++) {
		struct exit_case c = { snippets[i].text, set_mode, NULL };

		if (departs(&snippets[i]))
			continue;
		memcpy((void *)(u64)CODE_AT, snippets[i].code[m->wide], CODE_SIZE);
		print("%s, ", m->name);
		run_case(vm, &c);
	}
}

void test_modes(struct vm *vm)
{
	*(u16 *)(u64)LMSW_SOURCE = 0xb;
	root = ept_new();
	ept_identity(root, BIT(32), 2 << 20);
	for (unsigned int i = 0; i < GUEST_MODES; i++)
		run_mode(vm, &guest_modes[i]);
}
