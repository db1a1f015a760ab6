/*
 * Executes vectors of gen_mode.h, by trips of tests/machine/vmx_modes. Legacy modes
 * cannot be got to in VMX operation: the trip enters it there and leaves it.
 */
#include "../gen_mode.h"
#include "runner.h"
#include "trip.h"

static u64 vmxon_pointer, vmcs_pointer;
static u8 *area;

static u64 page(enum gen_page n)
{
	return (u64)area + n * PAGE_SIZE;
}

static bool is_legacy(const struct mode_vector *m)
{
	return gen_modes[m->mode].format != FORMAT_LONG;
}

static bool exists(const struct mode_vector *m)
{
	const struct gen_mode *mode = &gen_modes[m->mode];

	return is_legacy(m) && !mode->user && !mode->real;
}

static void compare_tables(void)
{
	for (unsigned int i = 0; i < MODES; i++) {
		const struct mode *m = &modes[i];
		const struct gen_mode *g = &gen_modes[i];

		if (m->user != g->user || m->v86 != g->v86 || m->paging != g->paging ||
		    m->real != g->real || m->bits != g->bits || m->format != g->format)
			die("mode %u is not what the generator believes", i);
	}
}

/* VMX operation and the current VMCS, now or when the trip is there. */
static void prepare_vmx(const struct mode_vector *m)
{
	insn_bring_into(m->x.state);
	if (m->x.insn == INSN_VMREAD && m->x.state == STATE_CURRENT)
		vmwrite_try(m->x.rdx, m->x.prepared);
	if (!is_legacy(m))
		return;
	if (m->x.state == STATE_CURRENT)
		must(vmclear(page(PAGE_VMCS)), "VMCLEAR before the trip");
	insn_bring_into(STATE_OFF);
	vmxon_pointer = page(PAGE_VMXON);
	vmcs_pointer = page(PAGE_VMCS);
	if (m->x.state != STATE_OFF)
		trip.vmxon = (u32)(u64)&vmxon_pointer;
	if (m->x.state == STATE_CURRENT)
		trip.vmcs = (u32)(u64)&vmcs_pointer;
}

static void prepare_trip(const struct gen_world *world, const struct mode_vector *m)
{
	static const u8 done[] = { 0xcd, VECTOR_USER_DONE };
	const struct mode_segment *s = &m->segment;

	trip_reset(&modes[m->mode]);
	memcpy((void *)CASE_PAGE, m->code, m->length);
	memcpy((u8 *)CASE_PAGE + m->length, done, sizeof(done));
	for (unsigned int i = 0; i < 8; i++)
		if (i != RSP)
			trip.gpr[i] = m->gpr[i];
	if (!exists(m))
		return;
	trip.cr3 = gen_mode_cr3(world, &gen_modes[m->mode]);
	if (!s->own)
		return;
	trip_gdt[SEL_CASE_A / 8] = segment(s->base, s->limit, s->type);
	trip.seg[s->index] = s->null ? 0 : SEL_CASE_A;
}

static u8 what_it_did(void)
{
	if (trip.after.vector != VECTOR_USER_DONE)
		return (u8)(INSN_FAULT + trip.after.vector);
	switch (trip.after.rflags & 0x8d5) {
	case 0:
		return INSN_OK;
	case BIT(0):
		return OUTCOME_VMFAIL_INVALID;
	case BIT(6):
		return (u8)(OUTCOME_VMFAIL + trip.after.number);
	}
	return OUTCOME_ODD;
}

static struct insn_outcome execute(const struct gen_world *world, const struct mode_vector *m)
{
	struct insn_outcome o = { 0 };
	u64 value = 0;

	prepare_trip(world, m);
	prepare_vmx(m);
	gen_mode_place(world, area, m);
	trip_run(&modes[m->mode]);
	o.did = what_it_did();
	if (o.did >= INSN_FAULT) {
		o.error = (u8)trip.after.error;
		value = o.did == INSN_FAULT + 14 ? trip.after.cr2 : 0;
	} else {
		value = (u32)trip.after.gpr[RCX];
	}
	o.rest = gen_insn_rest(value, is_legacy(m) ? trip.after.was_on : 0, gen_insn_memory(area));
	if (!is_legacy(m))
		insn_bring_into(STATE_OFF);
	return o;
}

void modes_run(const struct gen_world *world, u64 seed, u64 from, u64 count)
{
	struct mode_vector m;
	u32 sum = 0;

	area = (u8 *)world->w[W_SCRATCH];
	insn_init(world);
	compare_tables();
	trip_init();
	for (u64 i = from; i < from + count; i++) {
		gen_mode_vector(world, seed, i, &m);
		sum = gen_mode_sum(sum, &m);
		insn_put_outcome(execute(world, &m));
		if ((i + 1 - from) % GEN_BLOCK == 0 || i + 1 == from + count) {
			print("\n%08x\n", sum);
			sum = 0;
		}
	}
}
