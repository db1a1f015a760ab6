/*
 * A vmcs12 as L1's memory holds it, in a region that anybody may have written:
 * VMPTRLD, the checks, the merge, and then exits of L2 as long as it runs.
 */
#include "program_steps.h"

#define REGION FX_VMCS(0)
#define VALUES 16u		/* where they start in a region (slots.c) */
#define L2_STEPS 6

/* The good state of the base, in its region; no VMCS is current. */
static void put_region(struct program *p)
{
	fuzz_allow_regions(p->f);
	program_instruction(p, EXIT_VMCLEAR, REGION, 0, 0);
	assert_ptr_equal(p->f->n.current, NULL);
}

static void change_region(struct program *p)
{
	u8 *region = fx_at(p->f, REGION);
	u8 count = fuzz_u8(p->in);

	for (unsigned k = 0; k < (count & 31); k++) {
		u8 i = fuzz_u8(p->in);
		u64 value = fuzz_value(p->in), was;
		u64 *at = (u64 *)(void *)(region + VALUES + 8 * (i % VF_COUNT));

		memcpy(&was, at, sizeof(was));
		*at = i >= VF_COUNT ? value : was ^ value;
	}
	/* And now and then its head, or all of it. */
	if (count & 0x80)
		for (u32 at = fuzz_below(p->in, PAGE_SIZE); p->in->left && at < PAGE_SIZE; at++)
			region[at] = fuzz_u8(p->in);
	else if (count & 0x40)
		memcpy(region + 8, &(u64){ fuzz_bytes(p->in, 8) }, 8);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_input in = { data, size };
	u8 how = fuzz_u8(&in);
	u32 base = how % BASES;
	struct program p = { .in = &in, .still = true };

	p.f = fuzz_machine(base == FULL ? B64 : (enum state_base)base,
			   (enum fuzz_shadow)((how >> 4) % SHADOWS));
	p.f->n.explain = how >> 3 & 1;
	p.f->n.nmi_exits = how >> 7;
	program_good_addresses(p.f);
	put_region(&p);
	change_region(&p);
	program_instruction(&p, EXIT_VMPTRLD, REGION, 0, 0);
	if (!p.f->n.current)
		return 0;
	program_enter(&p, false);
	for (unsigned i = 0; i < L2_STEPS && p.f->n.in_l2 && !p.over; i++)
		program_l2_step(&p);
	program_read_all(&p);
	if (!p.over && !p.f->n.in_l2)
		program_enter(&p, false);
	return 0;
}
