/* Between the files of the judge. */
#pragma once

#include "engine_ops.h"
#include "gen_state.h"
#include "nested/check_run.h"

#define MOST_EXPLANATIONS 8

/* What a vector comes to, by the engine's tables. */
struct verdict {
	u8 outcome;		/* OUTCOME_* */
	bool fails;		/* then f says which check */
	struct check_failure f;
	unsigned explanations;	/* rows of departures.def that had a say */
	int explanation[MOST_EXPLANATIONS];
};

struct judge {
	struct gen_world world;
	struct vmx_caps caps;
	struct host_memory memory;
	struct vm vm;
	const char *version;	/* of the emulator */
	bool hosted;		/* the runner was an L1 of Plastron's: real mode was vm/real/'s */
	u64 v[VF_COUNT];
	bool host32;
};

void judge_init(struct judge *j);
/* By the SDM, less the check disabled - 1 if that is not 0. */
struct verdict judge_vector(struct judge *j, u32 disabled);
/* The same with the emulator's known departures, of which got may decide. */
struct verdict judge_emulator(struct judge *j, u8 got);

/* Whether outcomes agree; the exit that follows an entry is L2's business. */
static inline bool judge_same(u8 wanted, u8 got)
{
	return wanted == got || (wanted == OUTCOME_ENTERS && got >= OUTCOME_ENTERED);
}

/*
 * compare_departures.c. The row that lets check id of this field pass or come out otherwise, or -1.
 */
int departure_of_check(const struct judge *j, enum check_id id, unsigned field, u8 *outcome);
/* The row of a refusal that is none of the SDM's, or -1. */
int departure_refusal(const struct judge *j, u8 got);
extern const unsigned departure_count;
enum check_id departure_check(int row);	/* which it is about, or CHECK_COUNT */
bool departure_is_of(unsigned row, const char *version);
const char *departure_text(int row);

/* For conditions on a judge's vector j. */
#undef V
#define V(name) (j->v[VF_##name])
#define SET(name, bits) (!!(V(name) & (bits)))
