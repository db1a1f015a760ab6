/*
 * The decoder of vm/real/ beside another, Zydis, on random bytes: lengths,
 * operands in memory, and that no instruction is left to hardware which may not
 * be: one that loads a segment register, writes through CS, or is privileged.
 */
#include <Zydis/Zydis.h>

#include "real_machine.h"
#include "vm/real/emulate_run.h"

#define BYTES 20u		/* more than an instruction has */

struct other {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	bool good, too_long;
};

static struct real_machine machine, *m = &machine;

static struct other decode_other(const u8 *code, bool wide)
{
	ZydisDecoder decoder;
	ZyanStatus status;
	struct other o = { 0 };

	status = ZydisDecoderInit(&decoder,
				  wide ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_REAL_16,
				  wide ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
	assert_true(ZYAN_SUCCESS(status));
	status = ZydisDecoderDecodeFull(&decoder, code, BYTES, &o.insn, o.op);
	o.good = ZYAN_SUCCESS(status);
	o.too_long = status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG;
	return o;
}

/*
 * They end the same in all forms: exits, or undefined outside of 64-bit mode. And
 * those that no processor has which has no unrestricted guest.
 */
static bool is_left(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_VMREAD: case ZYDIS_MNEMONIC_VMWRITE: case ZYDIS_MNEMONIC_VMPTRLD:
	case ZYDIS_MNEMONIC_VMPTRST: case ZYDIS_MNEMONIC_VMCLEAR: case ZYDIS_MNEMONIC_VMXON:
	case ZYDIS_MNEMONIC_VMLAUNCH: case ZYDIS_MNEMONIC_VMRESUME: case ZYDIS_MNEMONIC_VMXOFF:
	case ZYDIS_MNEMONIC_SYSCALL: case ZYDIS_MNEMONIC_SYSRET: case ZYDIS_MNEMONIC_SYSEXIT:
	case ZYDIS_MNEMONIC_XSAVES: case ZYDIS_MNEMONIC_XRSTORS: case ZYDIS_MNEMONIC_BNDMOV:
	case ZYDIS_MNEMONIC_STAC: case ZYDIS_MNEMONIC_CLAC: case ZYDIS_MNEMONIC_CLRSSBSY:
	case ZYDIS_MNEMONIC_PCONFIG: case ZYDIS_MNEMONIC_TDCALL: case ZYDIS_MNEMONIC_ENCLS:
	case ZYDIS_MNEMONIC_TLBSYNC: case ZYDIS_MNEMONIC_INVLPGB: case ZYDIS_MNEMONIC_INVLPGA:
		return true;
	default:
		return false;
	}
}

/* In the form of protected mode. */
static bool needs_emulation(const struct other *o)
{
	if (o->insn.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED)
		return true;
	for (u32 i = 0; i < o->insn.operand_count; i++) {
		const ZydisDecodedOperand *op = &o->op[i];

		if (!(op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.segment == ZYDIS_REGISTER_CS)
			return true;
		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(op->reg.value) == ZYDIS_REGCLASS_SEGMENT)
			return true;
	}
	return false;
}

static u32 value_of(ZydisRegister reg)
{
	ZyanI8 id = ZydisRegisterGetId(reg);

	return reg == ZYDIS_REGISTER_NONE ? 0 : m->cpu.gpr[id];
}

/* The same segment, and the same offset for the registers there are. */
static bool has_operand(const struct other *o)
{
	struct real_insn insn = { 0 };
	struct real_run r = { .vm = &m->vm, .cpu = m->cpu, .insn = &insn };
	const struct real_row *row;
	u32 offset;

	assert_true(real_decode(&r, &row));
	for (u32 i = 0; i < o->insn.operand_count_visible; i++) {
		const ZydisDecodedOperandMem *mem = &o->op[i].mem;

		if (o->op[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		offset = (u32)mem->disp.value + value_of(mem->base) +
			 value_of(mem->index) * mem->scale;
		if (o->insn.address_width == 16)
			offset = (u16)offset;
		if (!real_is_memory(&r) || r.seg != ZydisRegisterGetId(mem->segment) ||
		    offset != real_offset(&r))
			return false;
	}
	return true;
}

/* In real mode. */
static bool is_undefined(const struct other *o)
{
	switch (o->insn.mnemonic) {
	case ZYDIS_MNEMONIC_ARPL: case ZYDIS_MNEMONIC_LAR: case ZYDIS_MNEMONIC_LSL:
	case ZYDIS_MNEMONIC_SLDT: case ZYDIS_MNEMONIC_STR: case ZYDIS_MNEMONIC_LLDT:
	case ZYDIS_MNEMONIC_LTR: case ZYDIS_MNEMONIC_VERR: case ZYDIS_MNEMONIC_VERW:
		return true;
	default:
		return o->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY;
	}
}

/* What Zydis does not know: too long, or a prefix forbidden, of which hardware says so. */
static bool is_bad_here(enum real_end end)
{
	bool prefix = end == REAL_MACHINE && (m->insn.op == REAL_XSETBV ||
		      m->insn.op == REAL_MONITOR || m->insn.op == REAL_MWAIT);

	if (end == REAL_FAULT && m->insn.vector == X86_GP)
		return m->insn.count == REAL_MAX_INSN;
	return end == REAL_NATIVE || end == REAL_UNSUPPORTED || prefix ||
	       (end == REAL_FAULT && m->insn.vector == X86_UD);
}

/* Do both say the same of what the emulator has just come to? */
static bool agrees(const struct other *o, enum real_end end)
{
	if (!o->good)
		return is_bad_here(end) && (!o->too_long || m->insn.count == REAL_MAX_INSN ||
					    end == REAL_NATIVE || end == REAL_UNSUPPORTED);
	if (end == REAL_NATIVE)
		return is_left(o->insn.mnemonic) || !needs_emulation(o);
	if (end == REAL_UNSUPPORTED)
		return true;
	if (end == REAL_FAULT && m->insn.vector == X86_UD)
		return is_undefined(o);
	return m->insn.length == o->insn.length && has_operand(o);
}

static void compare(const u8 *code, bool wide)
{
	struct other o = decode_other(code, wide);
	struct real_cpu cpu = m->cpu;
	enum real_end end;

	real_code(m, code, BYTES);
	end = real_step(m);
	m->cpu = cpu;
	if (agrees(&o, end))
		return;
	fail_msg("%s%s: end %u, vector %u, length %u; %02x %02x %02x %02x %02x %02x %02x %02x",
		 o.good ? ZydisMnemonicGetString(o.insn.mnemonic) : "none", wide ? ", wide" : "",
		 end, m->insn.vector, m->insn.length, code[0], code[1], code[2], code[3], code[4],
		 code[5], code[6], code[7]);
}

static void some_code(struct unit_random *r, u8 *code)
{
	static const u8 prefix[] = { 0x66, 0x67, 0x2e, 0x2e, 0x36, 0x64, 0xf0, 0xf3 };
	u64 how = unit_random(r);
	u32 n = 0;

	for (u32 i = 0; i < BYTES; i++)
		code[i] = (u8)unit_random(r);
	for (; how & 1; how >>= 4)
		code[n++] = prefix[how >> 1 & 7];
	if (how & 2)
		code[n] = 0x0f;
}

static void any_bytes(void **state)
{
	struct unit_random r = { 4 };
	u8 code[BYTES + 8];

	(void)state;
	real_init(m);
	for (u32 i = 0; i < REAL_SEGMENTS; i++)
		m->cpu.seg[i].limit = 0xffffffff;
	for (u32 i = 0; i < 400000; i++) {
		for (u32 n = 0; n < REAL_GPRS; n++)
			m->cpu.gpr[n] = (u32)unit_random(&r);
		m->cpu.seg[SEG_CS].ar ^= AR_DB;
		some_code(&r, code);
		compare(code, m->cpu.seg[SEG_CS].ar & AR_DB);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
