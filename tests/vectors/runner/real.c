/*
 * Executes vectors of gen_real.h in real mode, outside VMX operation. Each ends in a
 * handler of the vector table, which keeps what it finds.
 */
#include "real.h"

void legacy_enter(const void *code32);

static void prepare(const struct real_vector *x, struct real_case *c)
{
	memset(c, 0, sizeof(*c));
	for (unsigned int i = 0; i < 8; i++)
		c->gpr[i] = x->gpr[i];
	for (unsigned int i = 0; i < 6; i++) {
		c->seg[i] = x->seg[i];
		c->limits[i] = x->big[i] ? SEL_DATA32 : SEL_DATA16;
	}
	c->flags = x->eflags;
	c->target[0] = x->ip;
	c->target[1] = x->seg[1];
	c->gdtr.limit = REAL_GDT_LIMIT;
	c->gdtr.base = REAL_GDT_BASE;
	c->idtr.limit = x->idt_limit;
	c->idtr.base = REAL_IVT;
	gen_real_place(x, (u8 *)0);
}

static void report(const struct real_outcome *o)
{
	const u32 *word = (const u32 *)o;

	for (unsigned int i = 0; i < REAL_OUTCOME_WORDS; i++)
		print("%x%c", word[i], i + 1 < REAL_OUTCOME_WORDS ? ' ' : '\n');
}

void real_run(const struct gen_world *world, u64 seed, u64 from, u64 count)
{
	struct real_case *c = (void *)(REAL_BLOCK + ((u64)&real_case - (u64)real_block));
	struct real_vector x;
	u32 sum = 0;

	insn_init(world);
	insn_bring_into(STATE_OFF);
	memcpy((void *)REAL_BLOCK, real_block, (size_t)(real_block_end - real_block));
	for (u64 i = from; i < from + count; i++) {
		gen_real_vector(seed, i, &x);
		sum = gen_real_sum(sum, &x);
		prepare(&x, c);
		legacy_enter(real_enter);
		c->saw.memory = gen_real_memory((const u8 *)0);
		report(&c->saw);
		if ((i + 1 - from) % GEN_BLOCK == 0 || i + 1 == from + count) {
			print("\n%08x\n", sum);
			sum = 0;
		}
	}
	insn_bring_into(STATE_ROOT);
}
