/* The engine's instructions on vectors of gen_insn.h; one L1 at a time. */
#pragma once

#include "compare.h"
#include "gen_insn.h"

void insn_l1_init(const struct gen_world *world);
void insn_l1_end(void);
/* compare_departures.c: the row that explains this outcome, or -1. */
int departure_of_insn(const struct judge *j, const struct insn_vector *x, struct insn_outcome got);
struct insn_outcome insn_judge(const struct insn_vector *x);
