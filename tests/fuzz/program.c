/*
 * Programs of L1 and L2, each run with hardware VMCS shadowing for L1 and without:
 * whatever L1 and L2 can see is the same. And once more with shadowing that L1 may
 * use for its own guest hypervisors.
 */
#include "program_steps.h"

#define STEPS_MAX 200

static struct fuzz_trace traces[2];

static void run(const u8 *data, size_t size, enum fuzz_shadow shadow, struct fuzz_trace *trace)
{
	struct fuzz_input in = { data, size };
	u32 base = fuzz_below(&in, BASES);
	struct program p = { .in = &in, .still = true };

	p.f = fuzz_machine(base == FULL ? B64 : (enum state_base)base, shadow);
	program_good_addresses(p.f);
	fuzz_trace = trace;
	if (trace)
		trace->rows = 0;
	for (unsigned i = 0; i < STEPS_MAX && in.left && !p.over; i++)
		program_step(&p);
	program_read_all(&p);
	fuzz_trace = NULL;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	run(data, size, SHADOW_NONE, &traces[0]);
	run(data, size, SHADOW_KEPT, &traces[1]);
	fuzz_same(&traces[0], &traces[1]);
	run(data, size, SHADOW_OFFERED, NULL);
	return 0;
}
