/*
 * Programs of L1 and L2 while somebody else writes to L1's memory: before each
 * read of it by the engine, what is read may change. Whatever was checked is what
 * is used, or the checks of check.h find what was not.
 */
#include "program_steps.h"

#define STEPS_MAX 100
#define CHANGES_MAX 2000

static struct fuzz_input changes;
static unsigned changed;

/* SDM 3A "Accessed and dirty flags" are set by compare-and-exchange: that may fail, too. */
static void before_read(struct vm *vm, gpa1_t a, size_t len)
{
	u8 how = fuzz_u8(&changes);
	u64 at = a.v + (len > 8 ? 8ull * (how >> 3) % (len - 7) : 0), value;

	if (!(how & 1) || ++changed > CHANGES_MAX || len > FX_L1_RAM || at > FX_L1_RAM - len)
		return;
	value = how & 2 ? fuzz_value(&changes) : 1ull << (how >> 2);
	for (unsigned i = 0; i < MIN(len, 8u); i++)
		vm->memory.ram[FX_SHIFT + at + i] ^= (u8)(value >> (8 * i));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_input in = { data, size };
	u8 how = fuzz_u8(&in);
	struct program p = { .in = &in, .still = false };

	/* A third of what is left are the changes. */
	changes = (struct fuzz_input){ in.at + in.left - in.left / 3, in.left / 3 };
	in.left -= changes.left;
	changed = 0;
	p.f = fuzz_machine(how % BASES == FULL ? B64 : (enum state_base)(how % BASES),
			   (enum fuzz_shadow)((how >> 4) % SHADOWS));
	program_good_addresses(p.f);
	p.f->vm.memory.before_read = before_read;
	p.f->vm.memory.before_write = NULL;	/* operands are where L1's page tables say now */
	for (unsigned i = 0; i < STEPS_MAX && in.left && !p.over; i++)
		program_step(&p);
	program_read_all(&p);
	return 0;
}
