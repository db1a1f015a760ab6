/* compare_real.c: the judge's side of gen_real.h. Its struct vm is not the engine's. */
#pragma once

#include "gen_real.h"
#include "types.h"

/* False: L0 would not execute it. */
bool real_judge(const struct real_vector *x, struct real_outcome *o);
void print_real(u64 seed, u64 number, const struct real_vector *x, const struct real_outcome *got,
		const struct real_outcome *wanted);
