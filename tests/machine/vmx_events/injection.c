/*
 * Each type of event injected by VM entry: what the guest's handler finds on its stack, and which
 * injections the guest's state forbids. SDM: Event Injection; Checks on Guest RIP and RFLAGS;
 * Checks on Guest Non-Register State.
 */
#include "vmx_events.h"

asm("three_nops: nop; nop; nop; mov $0xabc, %ebx; vmcall");
extern const char three_nops[];

static const struct {
	const char *text;
	u64 info;
	u32 error, length;
	u64 rflags, interruptibility, activity;
} rows[] = {
	{ "external interrupt", INTR_EXTERNAL | 0x60, 0, 0, RFLAGS_IF, 0, 0 },
	{ "external interrupt, IF clear", INTR_EXTERNAL | 0x60, 0, 0, 0, 0, 0 },
	{ "external interrupt, blocking by STI", INTR_EXTERNAL | 0x60, 0, 0, RFLAGS_IF, BLOCK_STI,
	  0 },
	{ "external interrupt, blocking by MOV SS", INTR_EXTERNAL | 0x60, 0, 0, RFLAGS_IF,
	  BLOCK_MOV_SS, 0 },
	{ "external interrupt, HLT", INTR_EXTERNAL | 0x60, 0, 0, RFLAGS_IF, 0, 1 },
	{ "NMI", INTR_NMI | 2, 0, 0, 0, 0, 0 },
	{ "NMI, blocking by MOV SS", INTR_NMI | 2, 0, 0, 0, BLOCK_MOV_SS, 0 },
	{ "NMI, HLT", INTR_NMI | 2, 0, 0, 0, 0, 1 },
	{ "#DE", INTR_HARDWARE | 0, 0, 0, RFLAGS_IF, 0, 0 },
	{ "#UD", INTR_HARDWARE | 6, 0, 0, 0, 0, 0 },
	{ "#DF", INTR_HARDWARE | INTR_ERROR | 8, 0, 0, 0, 0, 0 },
	{ "#GP", INTR_HARDWARE | INTR_ERROR | 13, 0x1230, 0, 0, 0, 0 },
	{ "#PF", INTR_HARDWARE | INTR_ERROR | 14, 7, 0, 0, 0, 0 },
	{ "#DB", INTR_HARDWARE | 1, 0, 0, 0, 0, 0 },
	{ "#DB, HLT", INTR_HARDWARE | 1, 0, 0, 0, 0, 1 },
	{ "#UD, HLT", INTR_HARDWARE | 6, 0, 0, 0, 0, 1 },
	{ "INT 0x61", INTR_SOFT_INT | 0x61, 0, 2, RFLAGS_IF, 0, 0 },
	{ "INT3", INTR_SOFT_EXC | 3, 0, 1, 0, 0, 0 },
	{ "INTO", INTR_SOFT_EXC | 4, 0, 1, 0, 0, 0 },
	{ "INT1", INTR_PRIV_SOFT | 1, 0, 1, 0, 0, 0 },
	{ "INT 0x61 of 3 bytes", INTR_SOFT_INT | 0x61, 0, 3, 0, 0, 0 },
	{ "#UD with blocking by MOV SS", INTR_HARDWARE | 6, 0, 0, 0, BLOCK_MOV_SS, 0 },
};

void test_injection(struct vm *vm)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		event_reset(vm, three_nops);
		vmwrite(ENTRY_INTR_INFO, INTR_VALID | rows[i].info);
		vmwrite(ENTRY_INTR_ERROR, rows[i].error);
		vmwrite(ENTRY_INSN_LENGTH, rows[i].length);
		vmwrite(GUEST_RFLAGS, 2 | rows[i].rflags);
		vmwrite(GUEST_INTERRUPTIBILITY, rows[i].interruptibility);
		vmwrite(GUEST_ACTIVITY, rows[i].activity);
		print("inject %s: ", rows[i].text);
		print_event_exit(vm, vm_run(vm), three_nops);
		print("\n");
	}
	event_reset(vm, three_nops);
	control_set(PIN_CONTROLS, PIN_NMI | PIN_VIRTUAL_NMI);
	vmwrite(ENTRY_INTR_INFO, INTR_VALID | INTR_NMI | 2);
	print("inject NMI with virtual NMIs: ");
	print_event_exit(vm, vm_run(vm), three_nops);
	vm_skip();
	print(", IRET, ");
	print_event_exit(vm, vm_run(vm), three_nops);
	print(" blocking=%lx\n", vmread(GUEST_INTERRUPTIBILITY));
}
