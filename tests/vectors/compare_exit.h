/* Exit vectors: the emulator's own exits, fed to the engine. */
#pragma once

#include "compare.h"
#include "gen_exit.h"

#define EXIT_PLACE_COUNT (VF_COUNT + SEEN_COUNT)

/* What the emulator reported of one vector. */
struct exit_report {
	u8 outcome;
	u64 was[VF_COUNT];	/* before L1 wrote its fields */
	u64 now[EXIT_PLACE_COUNT];
};

void exit_l1_init(const struct gen_world *world);
void exit_l1_end(void);
/* How many values differ; prints them if asked to. */
unsigned exit_judge(const u64 *v, const struct exit_vector *x, const struct exit_report *r,
		    bool say);

/* compare_exit_rules.c: whether the SDM says what this field holds after an exit. */
bool exit_defines(const u64 *now, unsigned field);
