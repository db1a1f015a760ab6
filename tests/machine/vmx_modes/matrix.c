/*
 * Every VMX instruction in every mode: with CR4.VMXE clear, outside VMX operation, and in it
 * without and with a current VMCS. Then those with a memory operand again, with one that is not
 * mapped: what comes before the page fault? SDM: VMX Instruction Reference, "Operation" of each.
 *
 * Left out, since the emulator departs (docs/emulator-departures.md): see departs().
 */
#include "vmx_modes.h"

enum state { VMXE_CLEAR, OUTSIDE, NO_CURRENT, CURRENT, STATES };

static const char *const state_names[] = {
	"CR4.VMXE clear", "outside", "no current VMCS", "current VMCS",
};

/* VMCALL in root operation stops the emulator; VMXON does not ask for paging. */
static bool departs(enum insn_id id, const struct mode *m, enum state state)
{
	return m->vmx && !m->user && ((id == VMCALL && state == CURRENT) ||
				      (id == VMXON && state == OUTSIDE && !m->paging));
}

/* A hypervisor below that has no unrestricted guest may have to do without real mode. */
static bool possible(enum insn_id id, const struct mode *m, enum state state)
{
	return (state < NO_CURRENT || m->paging) && have_insn(id) &&
	       (!m->real || vmx_caps.secondary.may & SEC_UNRESTRICTED);
}

static void prepare(enum insn_id id, const struct mode *m, enum state state)
{
	u64 *data = (u64 *)CASE_DATA;

	trip_reset(m);
	if (state == VMXE_CLEAR)
		trip.cr4 &= ~(u32)CR4_VMXE;
	operand_for(id, data);
	trip.gpr[RDI] = CASE_DATA;
	trip.gpr[RCX] = insns[id].kind == READS_DESCRIPTOR ? 2 : GUEST_RIP;
	trip.gpr[RAX] = 0;
	if (state >= NO_CURRENT)
		vmx_enter_for(m, state == CURRENT);
}

static void run(enum insn_id id, const struct mode *m, enum state state, bool mapped)
{
	struct address at_rdi = { RDI, NO_REG, 0, mapped || m->bits > 16 ? 0 : 32, NO_REG, 0 };
	const struct insn *insn = &insns[id];
	bool field = insn->kind == READS_VALUE || insn->kind == WRITES_VALUE;
	unsigned int length;

	prepare(id, m, state);
	if (!mapped)
		trip.gpr[RDI] = WINDOW_END;
	length = insn_make(insn, field && mapped ? NULL : &at_rdi, m);
	insn_run(m);
	vmx_leave_for(m);
	print("%s, %s%s | %s: ", m->name, state_names[state], mapped ? "" : ", operand not mapped",
	      insn->name);
	insn_print(insn, m, length);
	if (trip.after.was_on != (state >= NO_CURRENT))
		print(", VMX operation %s", trip.after.was_on ? "on" : "off");
	print("\n");
}

static void run_mode(const struct mode *m, enum state state, enum insn_id first, bool mapped)
{
	for (enum insn_id id = first; id < INSNS; id++)
		if (possible(id, m, state) && !departs(id, m, state))
			run(id, m, state, mapped);
}

void test_matrix(void)
{
	for (unsigned int i = 0; i < MODES; i++) {
		for (enum state state = 0; state < STATES; state++)
			run_mode(&modes[i], state, 0, true);
		for (enum state state = OUTSIDE; state < STATES; state++)
			run_mode(&modes[i], state, VMXON, false);
	}
}
