/*
 * What the engine's entry checks say of a vector, on the machine that the runner
 * reported. Here stands the nested_check_fails() that they are linked with; the
 * engine's own is strict_check_fails().
 */
#include "compare.h"

bool strict_check_fails(const struct check_env *e, struct check_failure *f, enum check_id id,
			unsigned field);

/* Whom nested_check_fails() works for, while the emulator's verdict is wanted. */
static struct judge *departing;
static struct verdict *collecting;
static u8 changed_outcome;

static void explain(struct verdict *r, int row)
{
	if (r->explanations < MOST_EXPLANATIONS)
		r->explanation[r->explanations++] = row;
}

bool nested_check_fails(const struct check_env *e, struct check_failure *f, enum check_id id,
			unsigned field)
{
	int row;

	if (!strict_check_fails(e, f, id, field))
		return false;
	if (!departing)
		return true;
	row = departure_of_check(departing, id, field, &changed_outcome);
	if (row < 0)
		return true;
	explain(collecting, row);
	return changed_outcome != 0;
}

void judge_init(struct judge *j)
{
	u64 end = j->world.w[W_SCRATCH] + PAGE_COUNT * GEN_PAGE_SIZE;

	gen_caps(&j->world, &j->caps);
	host_memory_init(&j->memory, end, 0, 0);
	gen_fill(&j->world, j->memory.ram + j->world.w[W_SCRATCH]);
	j->vm = (struct vm){ .memory = j->memory };
}

/* The lists here are good to the end, or bad from the start, or where no memory is. */
static u8 msr_list(struct judge *j)
{
	u64 address = j->v[VF_ENTRY_MSR_LOAD_ADDR];
	u32 msr;

	for (u64 i = 0; i < j->v[VF_ENTRY_MSR_LOAD_COUNT]; i++)
		if (!op_gpa1_read(&j->vm, GPA1(address + 16 * i), &msr, sizeof(msr)) ||
		    msr != GEN_MSR)
			return i ? OUTCOME_MSR_LATER : OUTCOME_MSR_FIRST;
	return OUTCOME_ENTERS;
}

static void run_checks(struct judge *j, u32 disabled, struct verdict *r)
{
	const u64 *w = j->world.w;
	struct check_env e = {
		.vm = &j->vm, .caps = &j->caps, .v = j->v, .lma = !j->host32,
		.vmptr = w[W_SCRATCH] + PAGE_VMCS * GEN_PAGE_SIZE,
		.vmxon_region = w[W_SCRATCH] + PAGE_VMXON * GEN_PAGE_SIZE,
		.perf_global = w[W_PERF_GLOBAL],
		.disabled = disabled,
	};

	r->fails = true;
	if (!nested_check_controls(&e, &r->f)) {
		r->outcome = OUTCOME_VMFAIL + VMERR_ENTRY_CONTROLS;
	} else if (!nested_check_host(&e, &r->f)) {
		r->outcome = OUTCOME_VMFAIL + VMERR_ENTRY_HOST;
	} else if (!nested_check_guest(&e, &r->f)) {
		r->outcome = (u8)(OUTCOME_GUEST + r->f.qualification);
	} else {
		r->fails = false;
		r->outcome = msr_list(j);
	}
}

struct verdict judge_vector(struct judge *j, u32 disabled)
{
	struct verdict r = { 0 };

	run_checks(j, disabled, &r);
	return r;
}

struct verdict judge_emulator(struct judge *j, u8 got)
{
	struct verdict r = { 0 };
	int row;

	departing = j;
	collecting = &r;
	changed_outcome = 0;
	run_checks(j, 0, &r);
	departing = NULL;
	if (r.fails && changed_outcome)
		r.outcome = changed_outcome;
	row = judge_same(r.outcome, got) ? -1 : departure_refusal(j, got);
	if (row >= 0) {
		explain(&r, row);
		r.outcome = got;
	}
	return r;
}
