/*
 * The table of entry checks as data, what a failed one comes to, and the line
 * that tells a user about it. No rule is evaluated here.
 */
#include "engine_ops.h"
#include "nested/check_run.h"

const struct check_row nested_check_rows[CHECK_COUNT] = {
#define C(id, stage, field, rule, section) \
	[CHECK_##id] = { #id, #field, rule, section, STAGE_##stage },
#include "nested/entry_checks.def"
#undef C
};

/* SDM 3C "VM-Entry Failures During or After Loading Guest State". */
static const u8 qualifications[] = {
	[STAGE_PDPTE] = 2,
	[STAGE_NMI] = 3,
	[STAGE_LINK] = 4,
};

bool nested_check_fails(const struct check_env *e, struct check_failure *f,
			enum check_id id, unsigned field)
{
	if (e->disabled == (u32)id + 1)
		return false;
	f->id = id;
	f->field = field;
	f->qualification = qualifications[nested_check_rows[id].stage];
	return true;
}

void nested_explain_failure(struct nested_vcpu *n, const char *what,
			    const struct check_env *e, const struct check_failure *f)
{
	const struct check_row *row = &nested_check_rows[f->id];
	const char *field = nested_field_name[f->field];
	unsigned long long value = e->v[f->field];

	if (row->stage == STAGE_CONTROLS || row->stage == STAGE_HOST)
		op_log(n, "L1 %s: VMfail %u: %s=%#llx: %s [SDM 3C %s]\n", what,
		       row->stage == STAGE_CONTROLS ? VMERR_ENTRY_CONTROLS : VMERR_ENTRY_HOST,
		       field, value, row->rule, row->section);
	else
		op_log(n, "L1 %s: failed entry (33, qualification %u): %s=%#llx: %s [SDM 3C %s]\n",
		       what, (unsigned)f->qualification, field, value, row->rule, row->section);
}
