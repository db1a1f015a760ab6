/*
 * Guest states that the SDM forbids and the emulator enters (docs/emulator-departures.md): with
 * nested.checks=all a hypervisor that is developed on the emulator gets the SDM's verdict all the
 * same. SDM: Checks on the Guest State Area.
 */
#include "vmx.h"

asm("c_nop: nop; vmcall");
extern const char c_nop[];

static const struct row {
	const char *text;
	struct { u32 field; u64 value; } set[4];	/* up to the first field 0 */
	u32 inject;
} rows[] = {
	{ "a good state", { { 0, 0 } }, 0 },
	{ "reserved bits of DEBUGCTL", { { GUEST_DEBUGCTL, BIT(4) } }, 0 },
	{ "RIP beyond linear addresses", { { GUEST_RIP, BIT(48) } }, 0 },
	{ "SS not present", { { GUEST_SS, 0 }, { GUEST_SS_RIGHTS, 0xc013 } }, 0 },
	{ "SS of a system type", { { GUEST_SS, 0 }, { GUEST_SS_RIGHTS, 0xc083 } }, 0 },
	{ "virtual NMIs blocked, NMI injected", { { GUEST_INTERRUPTIBILITY, BLOCK_NMI } },
	  INTR_NMI | 2 },
	{ "HLT, #UD injected", { { GUEST_ACTIVITY, 1 } }, INTR_HARDWARE | 6 },
	{ "pending debug exceptions' reserved bits", { { GUEST_PENDING_DEBUG, BIT(40) } }, 0 },
	{ "TF, blocking by STI, no step pending", { { GUEST_RFLAGS, 2 | RFLAGS_TF | RFLAGS_IF },
	  { GUEST_INTERRUPTIBILITY, BLOCK_STI } }, 0 },
	{ "no TF, blocking by STI, a step pending", { { GUEST_RFLAGS, 2 | RFLAGS_IF },
	  { GUEST_INTERRUPTIBILITY, BLOCK_STI }, { GUEST_PENDING_DEBUG, BIT(14) } }, 0 },
	{ "a good state again", { { 0, 0 } }, 0 },
};

int main(void)
{
	struct vm vm;
	u32 reason;

	vmx_on();
	vm_init(&vm);
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		vm_reset(&vm, c_nop);
		control_set(PIN_CONTROLS, PIN_NMI | PIN_VIRTUAL_NMI);
		control_set(ENTRY_CONTROLS, ENTRY_LOAD_DEBUG);
		for (unsigned int k = 0; k < ARRAY_SIZE(rows[i].set) && rows[i].set[k].field; k++)
			vmwrite(rows[i].set[k].field, rows[i].set[k].value);
		vmwrite(ENTRY_INTR_INFO, rows[i].inject ? INTR_VALID | rows[i].inject : 0);
		reason = vm_run(&vm);
		print("%s: ", rows[i].text);
		print_exit(&vm, reason);
		print("\n");
	}
	vmx_off();
	return 0;
}
