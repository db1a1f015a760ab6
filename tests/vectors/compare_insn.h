/* The engine's instructions on vectors of gen_insn.h; one L1 at a time. */
#pragma once

#include "compare.h"
#include "gen_insn.h"
#include "gen_mode.h"

/* L1 on the hardware model. */
struct insn_l1 {
	struct gen_world world;
	struct vm vm;
	struct hw_model hw;
	struct nested_vcpu n;
	struct ept02_set ept02s;
	u64 gpr[GPR_COUNT];
};
struct insn_l1 *insn_l1(void);
void insn_l1_64_bit(void);
void insn_l1_bring_into(enum insn_state state);		/* in 64-bit mode */
void insn_l1_prepare(const struct insn_vector *x);	/* all that it needs done before */
struct outcome insn_l1_run(enum insn_kind insn, u32 info, u64 displacement, u64 flags);
u8 insn_l1_did(struct outcome o);

void insn_l1_init(const struct gen_world *world);
void insn_l1_end(void);
/* compare_departures.c: the row that explains this outcome, or -1. */
int departure_of_insn(const struct judge *j, const struct insn_vector *x, struct insn_outcome got);
struct insn_outcome insn_judge(const struct insn_vector *x);
/* compare_mode.c: the same in another mode. */
struct insn_outcome mode_judge(const struct mode_vector *m);
