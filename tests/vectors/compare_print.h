/* compare_print.c: what the judge prints. */
#pragma once

#include "compare_exit.h"
#include "compare_insn.h"

struct totals {
	u64 outcomes[256], instructions[256], vectors, explained, unexplained;
	u64 by_departure[256];
	u64 exits;		/* exit vectors of this report so far */
	/* By check: it fails first; the emulator asks it, too; it does not, and a row says so; of
	 * compare_model.c. */
	u64 fired[CHECK_COUNT], alive[CHECK_COUNT], departs[CHECK_COUNT], modelled[CHECK_COUNT];
};

void print_entry(struct judge *j, u64 seed, u64 number, u8 got, const struct verdict *wanted,
		 const struct verdict *emulator);
void print_insn(u64 seed, u64 number, const struct insn_vector *x, struct insn_outcome got,
		struct insn_outcome wanted);
void print_mode(u64 seed, u64 number, const struct mode_vector *m, struct insn_outcome got,
		struct insn_outcome wanted);
void print_exit(struct judge *j, u64 seed, u64 number, const struct exit_vector *x, u8 outcome);
void print_counts(const struct totals *t);
/* How many checks no vector shows to be alive: those, or all. */
unsigned print_mutants(const struct totals *t, bool all);
/* How many rows of departures.def are of this version, and explained nothing. */
unsigned print_unseen(const struct totals *t, const char *version);

/* compare_model.c: vectors of a machine that no emulator is; how many fail to be right. */
u64 model_run(const struct gen_world *like, struct totals *t);
