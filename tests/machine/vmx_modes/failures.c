/*
 * What the instructions refuse without a fault: VMfailInvalid, and VMfailValid with its number, by
 * default operand size; and what VMREAD and VMWRITE make of a field's width.
 * SDM: VMX Instruction Reference; VM Instruction Error Numbers; Field Encoding in VMCS.
 */
#include "vmx_modes.h"

#define FIELD_NONE	0x6c18u	/* beyond the last host field of that class */
#define VALUE	0x8899aabbccddeeffull
#define OLD	0x1122334455667788ull

static const struct failure {
	const char *text;
	enum insn_id id;
	enum { BEFORE_VMXON, NONE_CURRENT, CURRENT_VMCS } state;
	u64 rcx;		/* field or type */
	enum region region;	/* the operand: its address, and with these bits */
	u64 low, high;
} failures[] = {
	{ "misaligned", VMXON, BEFORE_VMXON, 0, REGION_ON, 8, 0 },
	{ "bit 0", VMXON, BEFORE_VMXON, 0, REGION_ON, 1, 0 },
	{ "beyond the physical addresses", VMXON, BEFORE_VMXON, 0, REGION_ON, BIT(52), 0 },
	{ "bit 63", VMXON, BEFORE_VMXON, 0, REGION_ON, BIT(63), 0 },
	{ "wrong revision", VMXON, BEFORE_VMXON, 0, REGION_WRONG, 0, 0 },
	{ "in VMX operation, misaligned", VMXON, CURRENT_VMCS, 0, REGION_ON, 8, 0 },
	{ "misaligned", VMCLEAR, CURRENT_VMCS, 0, REGION_OTHER, 4, 0 },
	{ "bit 62", VMCLEAR, CURRENT_VMCS, 0, REGION_OTHER, BIT(62), 0 },
	{ "VMXON pointer", VMCLEAR, CURRENT_VMCS, 0, REGION_ON, 0, 0 },
	{ "misaligned, none current", VMCLEAR, NONE_CURRENT, 0, REGION_OTHER, 4, 0 },
	{ "VMXON pointer, none current", VMCLEAR, NONE_CURRENT, 0, REGION_ON, 0, 0 },
	{ "the current one", VMCLEAR, CURRENT_VMCS, 0, REGION_CURRENT, 0, 0 },
	{ "misaligned", VMPTRLD, CURRENT_VMCS, 0, REGION_OTHER, 0x800, 0 },
	{ "bit 62", VMPTRLD, CURRENT_VMCS, 0, REGION_OTHER, BIT(62), 0 },
	{ "VMXON pointer", VMPTRLD, CURRENT_VMCS, 0, REGION_ON, 0, 0 },
	{ "wrong revision", VMPTRLD, CURRENT_VMCS, 0, REGION_WRONG, 0, 0 },
	{ "misaligned, none current", VMPTRLD, NONE_CURRENT, 0, REGION_OTHER, 0x800, 0 },
	{ "wrong revision, none current", VMPTRLD, NONE_CURRENT, 0, REGION_WRONG, 0, 0 },
	{ "the current one", VMPTRLD, CURRENT_VMCS, 0, REGION_CURRENT, 0, 0 },
	{ "no field", VMREAD, CURRENT_VMCS, FIELD_NONE, REGION_NONE, 0, 0 },
	{ "upper half of 32-bit", VMREAD, CURRENT_VMCS, GUEST_ES_LIMIT + 1, REGION_NONE, 0, 0 },
	{ "reserved bit", VMREAD, CURRENT_VMCS, GUEST_RIP | BIT(15), REGION_NONE, 0, 0 },
	{ "no field, operand not mapped", VMREAD, CURRENT_VMCS, FIELD_NONE, REGION_UNMAPPED, 0, 0 },
	{ "no field, none current", VMREAD, NONE_CURRENT, FIELD_NONE, REGION_NONE, 0, 0 },
	{ "no field", VMWRITE, CURRENT_VMCS, FIELD_NONE, REGION_NONE, 0, 0 },
	{ "upper half of natural width", VMWRITE, CURRENT_VMCS, GUEST_RIP + 1, REGION_NONE, 0, 0 },
	{ "no field, operand not mapped", VMWRITE, CURRENT_VMCS, FIELD_NONE, REGION_UNMAPPED,
	  0, 0 },
	{ "no field, none current", VMWRITE, NONE_CURRENT, FIELD_NONE, REGION_NONE, 0, 0 },
	{ "type 0", INVEPT, CURRENT_VMCS, 0, REGION_NONE, 0, 0 },
	{ "type 3", INVEPT, CURRENT_VMCS, 3, REGION_NONE, 0, 0 },
	{ "single, bad EPTP", INVEPT, CURRENT_VMCS, 1, REGION_NONE, 0x123, 0 },
	{ "single", INVEPT, CURRENT_VMCS, 1, REGION_OTHER, 3 << 3 | 6, 0 },
	{ "all, any descriptor", INVEPT, CURRENT_VMCS, 2, REGION_NONE, 0x123, 0 },
	{ "type 3, none current", INVEPT, NONE_CURRENT, 3, REGION_NONE, 0, 0 },
	{ "address", INVVPID, CURRENT_VMCS, 0, REGION_NONE, 1, 0x1000 },
	{ "address, VPID 0", INVVPID, CURRENT_VMCS, 0, REGION_NONE, 0, 0x1000 },
	{ "address, not canonical", INVVPID, CURRENT_VMCS, 0, REGION_NONE, 1, BIT(63) },
	{ "address, reserved bits", INVVPID, CURRENT_VMCS, 0, REGION_NONE, BIT(16) | 1, 0 },
	{ "single", INVVPID, CURRENT_VMCS, 1, REGION_NONE, 0xffff, 0 },
	{ "single, VPID 0", INVVPID, CURRENT_VMCS, 1, REGION_NONE, 0, 0 },
	{ "single, reserved bits", INVVPID, CURRENT_VMCS, 1, REGION_NONE, BIT(63) | 1, 0 },
	{ "retaining globals", INVVPID, CURRENT_VMCS, 3, REGION_NONE, 1, 0 },
	{ "retaining globals, VPID 0", INVVPID, CURRENT_VMCS, 3, REGION_NONE, 0, 0 },
	{ "type 4", INVVPID, CURRENT_VMCS, 4, REGION_NONE, 1, 0 },
	{ "type 4, none current", INVVPID, NONE_CURRENT, 4, REGION_NONE, 1, 0 },
};

static void start(const struct mode *m, u64 rcx)
{
	trip_reset(m);
	trip.gpr[RDI] = CASE_DATA;
	trip.gpr[RCX] = rcx;
	trip.gpr[RAX] = VALUE;
}

static void run_failure(const struct mode *m, const struct failure *f)
{
	struct address at_rdi = { RDI, NO_REG, 0, m->bits == 16 ? 32 : 0, NO_REG, 0 };
	const struct insn *insn = &insns[f->id];
	bool mapped = f->region != REGION_UNMAPPED;
	bool field = mapped && (insn->kind == READS_VALUE || insn->kind == WRITES_VALUE);
	u64 *data = (u64 *)CASE_DATA;
	unsigned int length;

	start(m, f->rcx);
	data[0] = region_address(f->region) | f->low;
	data[1] = f->high;
	if (!mapped)
		trip.gpr[RDI] = WINDOW_END;
	if (f->state != BEFORE_VMXON)
		vmx_enter_for(m, f->state == CURRENT_VMCS);
	length = insn_make(insn, field ? NULL : &at_rdi, m);
	insn_run(m);
	vmx_leave_for(m);
	print("%s | %s, %s: ", m->name, insn->name, f->text);
	insn_print(insn, m, length);
	if (insn->kind == WRITES_VALUE && (u32)trip.after.gpr[RAX] != (u32)VALUE)
		print(", EAX %lx", trip.after.gpr[RAX]);
	print("\n");
}

static const struct { const char *name; u32 encoding; } fields[] = {
	{ "16-bit", GUEST_ES }, { "32-bit", GUEST_ES_LIMIT }, { "64-bit", TSC_OFFSET },
	{ "upper half of 64-bit", TSC_OFFSET + 1 }, { "natural-width", GUEST_RIP },
	{ "64-bit guest", GUEST_DEBUGCTL }, { "upper half of 64-bit guest", GUEST_DEBUGCTL + 1 },
	{ "natural-width host", HOST_RSP },
};

static bool succeeded(void)
{
	return trip.after.vector == VECTOR_USER_DONE && !(trip.after.rflags & STATUS_FLAGS);
}

static void run_field(const struct mode *m, unsigned int i, enum insn_id id)
{
	u32 whole = fields[i].encoding & ~1u;

	start(m, fields[i].encoding);
	exchange_field(whole, OLD);
	vmx_enter_for(m, true);
	insn_make(&insns[id], NULL, m);
	insn_run(m);
	vmx_leave_for(m);
	print("%s | %s, %s field: %s, RAX %lx, field %lx\n", m->name, insns[id].name,
	      fields[i].name, succeeded() ? "ok" : "failed",
	      m->bits == 64 ? trip.after.gpr[RAX] : (u32)trip.after.gpr[RAX],
	      exchange_field(whole, 0));
}

void test_failures(void)
{
	static const char *const where[] = { "64-bit", "32-bit", "16-bit" };

	for (unsigned int i = 0; i < ARRAY_SIZE(where); i++) {
		const struct mode *m = mode_named(where[i]);

		for (unsigned int j = 0; j < ARRAY_SIZE(failures); j++)
			if (have_insn(failures[j].id))
				run_failure(m, &failures[j]);
		for (unsigned int j = 0; j < ARRAY_SIZE(fields); j++) {
			run_field(m, j, VMREAD);
			run_field(m, j, VMWRITE);
		}
	}
}
