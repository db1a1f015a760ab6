/*
 * Programs and events of real mode on any processor state: what the emulator
 * does not execute changes nothing, what it does stays within segments. Faults
 * go on to their handlers, as L0 would let them.
 */
#include "fuzz.h"
#include "real_machine.h"

#define STEPS 16u
#define CODE_BYTES 16u

static struct real_machine machine, *m = &machine;

static void choose_segment(struct fuzz_input *in, u32 i)
{
	u8 how = fuzz_u8(in);

	real_load_segment(&m->cpu, i, (u16)fuzz_bytes(in, 2));
	if (how & 1)
		m->cpu.seg[i].limit = (u32)fuzz_value(in);
	if (how & 2)
		m->cpu.seg[i].base = (u32)fuzz_value(in);
	m->cpu.seg[i].ar |= (how & 4 ? AR_DB : 0) | (how & 8) | (how & 16 ? 4 : 0);
}

static void choose_processor(struct fuzz_input *in)
{
	for (u32 i = 0; i < REAL_GPRS; i++)
		m->cpu.gpr[i] = (u32)fuzz_value(in);
	for (u32 i = 0; i < REAL_SEGMENTS; i++)
		choose_segment(in, i);
	m->cpu.eip = (u32)fuzz_value(in);
	m->cpu.eflags |= (u32)fuzz_value(in) & 0x250fd5;
	m->cpu.idtr = (struct real_table){ (u32)fuzz_value(in), (u16)fuzz_value(in) };
	m->cpu.blocking = fuzz_u8(in) & 0xb;
	m->vm.interfere = (fuzz_u8(in) & 7) == 7;
}

/* New code where it goes on, or what memory holds by now. */
static void step(struct fuzz_input *in)
{
	u8 how = fuzz_u8(in), code[CODE_BYTES];
	enum real_end end;

	if (how & 1) {
		for (u32 i = 0; i < CODE_BYTES; i++)
			code[i] = fuzz_u8(in);
		real_code(m, code, CODE_BYTES);
	}
	end = real_step(m);
	if (end == REAL_FAULT)
		real_event(m, INTR_VALID | INTR_TYPE_HW_EXCEPTION | m->insn.vector, 0);
	if ((how & 0xe0) == 0xe0)
		real_event(m, (u32)fuzz_bytes(in, 2), m->insn.length);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_input in = { data, size };

	real_init(m);
	choose_processor(&in);
	for (u32 i = 0; i < STEPS && in.left; i++)
		step(&in);
	return 0;
}
