/*
 * Encoding (SDM 2A: Instruction Format) and judgement. RIP must be behind the instruction, or at
 * it after a fault; the six status flags must be exactly those of the outcome, or untouched after a
 * fault; no register may have changed but the one that VMREAD names.
 */
#include "insn.h"

const struct insn insns[INSNS] = {
	[VMCALL] = { "VMCALL", PLAIN, 0, { 0x0f, 0x01, 0xc1 }, 0 },
	[VMLAUNCH] = { "VMLAUNCH", PLAIN, 0, { 0x0f, 0x01, 0xc2 }, 0 },
	[VMRESUME] = { "VMRESUME", PLAIN, 0, { 0x0f, 0x01, 0xc3 }, 0 },
	[VMXOFF] = { "VMXOFF", PLAIN, 0, { 0x0f, 0x01, 0xc4 }, 0 },
	[VMFUNC] = { "VMFUNC", PLAIN, 0, { 0x0f, 0x01, 0xd4 }, 0 },
	[VMXON] = { "VMXON", READS_POINTER, 0xf3, { 0x0f, 0xc7 }, 6 },
	[VMCLEAR] = { "VMCLEAR", READS_POINTER, 0x66, { 0x0f, 0xc7 }, 6 },
	[VMPTRLD] = { "VMPTRLD", READS_POINTER, 0, { 0x0f, 0xc7 }, 6 },
	[VMPTRST] = { "VMPTRST", WRITES_POINTER, 0, { 0x0f, 0xc7 }, 7 },
	[VMREAD] = { "VMREAD", WRITES_VALUE, 0, { 0x0f, 0x78 }, RCX },
	[VMWRITE] = { "VMWRITE", READS_VALUE, 0, { 0x0f, 0x79 }, RCX },
	[INVEPT] = { "INVEPT", READS_DESCRIPTOR, 0x66, { 0x0f, 0x38, 0x80 }, RCX },
	[INVVPID] = { "INVVPID", READS_DESCRIPTOR, 0x66, { 0x0f, 0x38, 0x81 }, RCX },
};

static u8 *at;

bool insn_writes(const struct insn *insn)
{
	return insn->kind == WRITES_POINTER || insn->kind == WRITES_VALUE;
}

unsigned int insn_operand_size(const struct insn *insn, const struct mode *m)
{
	switch (insn->kind) {
	case PLAIN:
		return 0;
	case READS_DESCRIPTOR:
		return 16;
	case READS_VALUE:
	case WRITES_VALUE:
		return m->bits == 64 ? 8 : 4;
	default:
		return 8;
	}
}

static void emit(u32 value, unsigned int bytes)
{
	for (; bytes; bytes--, value >>= 8)
		*at++ = (u8)value;
}

/* 16-bit forms: [BX + SI], [BP + DI], or a base alone, always with a displacement. */
static void emit_modrm16(unsigned int reg, const struct address *a)
{
	unsigned int rm = a->index == RSI ? 0 : a->index == RDI ? 3 :
			  a->base == RSI ? 4 : a->base == RDI ? 5 : a->base == RBP ? 6 : 7;

	emit(a->base == NO_REG ? reg << 3 | 6 : 0x80 | reg << 3 | rm, 1);
	emit((u32)a->disp, 2);
}

static void emit_modrm(unsigned int reg, const struct address *a, const struct mode *m)
{
	unsigned int base = a->base == NO_REG ? 5 : a->base & 7;
	unsigned int mod = a->base == NO_REG || a->base == RIP ? 0 : 0x80;
	bool sib = a->index != NO_REG || (base == 4 && mod) ||
		   (a->base == NO_REG && m->bits == 64);

	if (a->base == RIP)
		base = 5;
	emit(mod | reg << 3 | (sib ? 4 : base), 1);
	if (sib)
		emit(a->scale << 6 | (a->index == NO_REG ? 4 : a->index & 7) << 3 | base, 1);
	emit((u32)a->disp, 4);
}

static void emit_operand(const struct insn *insn, const struct address *a, const struct mode *m)
{
	unsigned int opcode = insn->kind == READS_DESCRIPTOR ? 3 : 2;
	unsigned int rex = 0x40 | (a && a->base >= R8 && a->base < RIP ? 1 : 0) |
			   (a && a->index >= R8 ? 2 : 0);

	if (insn->prefix)
		emit(insn->prefix, 1);
	if (rex != 0x40)
		emit(rex, 1);
	for (unsigned int i = 0; i < opcode; i++)
		emit(insn->bytes[i], 1);
	if (!a)
		emit(0xc0u | (unsigned int)insn->reg << 3 | RAX, 1);
	else if (a->size == 16 || (!a->size && m->bits == 16))
		emit_modrm16(insn->reg, a);
	else
		emit_modrm(insn->reg, a, m);
}

unsigned int insn_make(const struct insn *insn, const struct address *a, const struct mode *m)
{
	static const u8 override[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	unsigned int length;

	at = (u8 *)CASE_PAGE;
	if (insn->kind == PLAIN) {
		for (unsigned int i = 0; i < 3; i++)
			emit(insn->bytes[i], 1);
	} else {
		if (a && a->seg != NO_REG)
			emit(override[a->seg], 1);
		if (a && a->size && a->size != m->bits)
			emit(0x67, 1);
		emit_operand(insn, a, m);
	}
	length = (unsigned int)(at - (u8 *)CASE_PAGE);
	emit(0x81cd, 2);
	return length;
}

bool insn_run(const struct mode *m)
{
	trip_run(m);
	return trip.after.vector == VECTOR_USER_DONE;
}

static const char *completed(u64 flags)
{
	static struct outcome o;

	switch (flags & STATUS_FLAGS) {
	case 0:
		return "ok";
	case BIT(0):
		return "VMfailInvalid";
	case BIT(6):
		o = (struct outcome){ DID_FAIL_VALID, trip.after.number };
		return outcome_text(o);
	}
	return "flags that mean nothing";
}

static void print_registers(const struct insn *insn, const struct mode *m)
{
	u64 mask = m->bits == 64 ? ~0ull : ~0u;

	for (unsigned int i = 0; i < (m->bits == 64 ? 16 : 8); i++) {
		if (m->real && i != RAX && i != RCX && i != RDI)
			continue;
		if (i == RSP || (i == RAX && insn->kind == WRITES_VALUE))
			continue;
		if ((trip.gpr[i] ^ trip.after.gpr[i]) & mask)
			print(", register %u is %lx", i, trip.after.gpr[i]);
	}
}

void insn_print(const struct insn *insn, const struct mode *m, unsigned int length)
{
	bool done = trip.after.vector == VECTOR_USER_DONE;
	u64 rip = CASE_PAGE + (done ? length + 2 : 0);

	if (done) {
		print("%s", completed(trip.after.rflags));
	} else {
		trap_last.vector = (int)trip.after.vector;
		trap_last.error = trip.after.error;
		print("%s", fault_text());
		if (trip.after.vector == 14)
			print(" CR2 %lx", trip.after.cr2);
		if ((trip.after.rflags ^ trip.rflags) & STATUS_FLAGS)
			print(", flags %lx", trip.after.rflags);
		if (!m->real && !(trip.after.rflags & RFLAGS_RF))
			print(", RF clear");
	}
	if (trip.after.rip != rip)
		print(", at +%ld", trip.after.rip - CASE_PAGE);
	if ((trip.after.rflags ^ trip.rflags) & ~(STATUS_FLAGS | RFLAGS_RF))
		print(", flags %lx", trip.after.rflags);
	print_registers(insn, m);
}
