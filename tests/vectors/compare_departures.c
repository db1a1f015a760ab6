/* Which differences are known: departures.def. */
#include "compare_insn.h"

#define PASSES 0

static const struct row {
	enum check_id id;
	u8 outcome;
	const char *version, *text;
} rows[] = {
#define D(id, outcome, version, condition, text) { CHECK_##id, outcome, version, #id " " text },
#define R(outcome, version, condition, text) { CHECK_COUNT, outcome, version, text },
#define I(outcome, version, condition, text) { CHECK_COUNT, outcome, version, text },
#include "departures.def"
#undef D
#undef R
#undef I
	{ CHECK_COUNT, 0, "", NULL },
};
const unsigned departure_count = ARRAY_SIZE(rows) - 1;

#define CAN(control, bits) (!!(j->caps.control.may & (bits)))


static bool of_version(const struct judge *j, int row)
{
	return departure_is_of((unsigned)row, j->version);
}

int departure_of_check(const struct judge *j, enum check_id id, unsigned field, u8 *outcome)
{
	int n = 0;

	(void)field;
#define D(check, result, version, condition, text) \
	if (id == CHECK_##check && of_version(j, n) && (condition)) { \
		*outcome = result; \
		return n; \
	} \
	n++;
#define R(result, version, condition, text) n++;
#define I(result, version, condition, text)
#include "departures.def"
#undef D
#undef R
#undef I
	return -1;
}

int departure_refusal(const struct judge *j, u8 got)
{
	int n = 0;

#define D(check, result, version, condition, text) n++;
#define R(result, version, condition, text) \
	if (got == (result) && of_version(j, n) && (condition)) \
		return n; \
	n++;
#define I(result, version, condition, text)
#include "departures.def"
#undef D
#undef R
#undef I
	(void)j, (void)got, (void)n;
	return -1;
}

int departure_of_insn(const struct judge *j, const struct insn_vector *x, struct insn_outcome got)
{
	int n = 0;

#define D(check, result, version, condition, text) n++;
#define R(result, version, condition, text) n++;
#define I(result, version, condition, text) \
	if (((result) == PASSES || got.did == (result)) && of_version(j, n) && (condition)) \
		return n; \
	n++;
#include "departures.def"
#undef D
#undef R
#undef I
	(void)j, (void)x, (void)got, (void)n;
	return -1;
}

enum check_id departure_check(int row)
{
	return rows[row].id;
}

bool departure_is_of(unsigned row, const char *version)
{
	return !rows[row].version[0] || !strcmp(rows[row].version, version);
}

const char *departure_text(int row)
{
	return rows[row].text;
}
