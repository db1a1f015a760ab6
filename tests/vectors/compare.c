/*
 * Judges what the runner reported: the same vectors through the engine. Prints
 * every difference that departures.def does not explain, then counts; with
 * --mutants a table of checks that a vector shows to be alive. With --whole the
 * reports are a whole test: every check must be shown to be alive, and every row
 * of departures.def to be of use.
 *   compare VERSION REPORT... [--mutants] [--whole] [--hosted]
 * --hosted: the runner was L1 of a Plastron on the emulator.
 * Exit status: 0 as it must be, 1 not so, 2 a report is no good.
 */
#include "compare_print.h"
#include "compare_real.h"

#include <stdarg.h>
#include <stdlib.h>

#define MOST_SHOWN 20

static void __attribute__((noreturn, format(printf, 1, 2))) bad(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "compare: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(2);
}

static void judge_one(struct judge *j, struct totals *t, u64 seed, u64 number, u8 got)
{
	struct verdict wanted = judge_vector(j, 0), emulator;

	t->vectors++;
	t->outcomes[got]++;
	if (wanted.fails) {
		struct verdict without = judge_vector(j, wanted.f.id + 1u);

		t->fired[wanted.f.id]++;
		if (judge_same(wanted.outcome, got) && !judge_same(without.outcome, got))
			t->alive[wanted.f.id]++;
	}
	if (judge_same(wanted.outcome, got))
		return;
	emulator = judge_emulator(j, got);
	if (judge_same(emulator.outcome, got) && emulator.explanations) {
		t->explained++;
		for (unsigned i = 0; i < emulator.explanations; i++) {
			t->by_departure[emulator.explanation[i]]++;
			if (wanted.fails && departure_check(emulator.explanation[i]) == wanted.f.id)
				t->departs[wanted.f.id]++;
		}
		return;
	}
	if (t->unexplained++ < MOST_SHOWN)
		print_entry(j, seed, number, got, &wanted, &emulator);
}

static int next_byte(FILE *f)
{
	int c = fgetc(f);

	if (c == EOF)
		bad("the report ends in the middle: the runner did not reach its end");
	return c;
}

static void check_sum(FILE *f, u32 sum, u64 number)
{
	unsigned theirs;

	if (next_byte(f) != '\n' || fscanf(f, "%x", &theirs) != 1 || next_byte(f) != '\n')
		bad("no sum where one should be, before vector %llu", (unsigned long long)number);
	if (theirs != sum)
		bad("runner and host made different vectors before %llu",
		    (unsigned long long)number);
}

static struct insn_outcome read_insn(FILE *f)
{
	struct insn_outcome o = { .did = (u8)next_byte(f) };

	o.error = (u8)(next_byte(f) - 0x30);
	for (unsigned i = 0; i < 4; i++)
		o.rest |= (u32)(next_byte(f) - 0x30) << 6 * i;
	return o;
}

/* True: they differ, and that is neither explained nor more than can be shown. */
static bool insn_differs(struct judge *j, struct totals *t, const struct insn_vector *x,
			 struct insn_outcome got, struct insn_outcome wanted)
{
	int row;

	t->vectors++;
	t->instructions[got.did]++;
	if (wanted.did == got.did && wanted.error == got.error && wanted.rest == got.rest)
		return false;
	row = departure_of_insn(j, x, got);
	if (row < 0)
		return t->unexplained++ < MOST_SHOWN;
	t->explained++;
	t->by_departure[row]++;
	return false;
}

static void judge_insn(struct judge *j, struct totals *t, u64 seed, u64 number, FILE *f, u32 *sum)
{
	struct insn_outcome wanted, got;
	struct insn_vector x;

	gen_insn(&j->world, seed, number, &x);
	*sum = gen_insn_sum(*sum, &x);
	wanted = insn_judge(&x);
	got = read_insn(f);
	if (insn_differs(j, t, &x, got, wanted))
		print_insn(seed, number, &x, got, wanted);
}

static void judge_mode(struct judge *j, struct totals *t, u64 seed, u64 number, FILE *f, u32 *sum)
{
	struct insn_outcome wanted, got;
	struct mode_vector m;

	gen_mode_vector(&j->world, seed, number, &m);
	*sum = gen_mode_sum(*sum, &m);
	wanted = mode_judge(&m);
	got = read_insn(f);
	if (insn_differs(j, t, &m.x, got, wanted))
		print_mode(seed, number, &m, got, wanted);
}

static void judge_entry(struct judge *j, struct totals *t, u64 seed, u64 number, FILE *f, u32 *sum)
{
	j->host32 = gen_entry(&j->world, seed, number, j->v);
	*sum = gen_sum(*sum, j->v);
	judge_one(j, t, seed, number, (u8)next_byte(f));
}

/* Bochs 2.7 has a debugger, which tells on lines of its own where a guest triple-faults. */
static u8 outcome_byte(FILE *f)
{
	int c = next_byte(f);

	while (c == '(') {
		while (next_byte(f) != '\n')
			;
		c = next_byte(f);
	}
	return (u8)c;
}

/* The values that changed: up to the line's end. */
static void read_values(FILE *f, u64 *now)
{
	for (int c = next_byte(f); c != '\n'; c = next_byte(f)) {
		unsigned place = (unsigned)(c - EXIT_PLACE) * EXIT_PLACES +
				 (unsigned)(next_byte(f) - EXIT_PLACE);
		unsigned long long value;

		if (place >= EXIT_PLACE_COUNT || fscanf(f, "%llx", &value) != 1 ||
		    next_byte(f) != ' ')
			bad("a value that is none");
		now[place] = value;
	}
}

static void judge_exit(struct judge *j, struct totals *t, u64 seed, u64 number, FILE *f, u32 *sum)
{
	static struct exit_report r;
	struct exit_vector x;

	if (!t->exits)
		memset(&r, 0, sizeof(r));
	memcpy(r.was, r.now, sizeof(r.was));
	gen_exit_vector(&j->world, seed, number, j->v, &x);
	*sum = gen_exit_sum(gen_sum(*sum, j->v), &x);
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (VMCS_TYPE(gen_encoding[i]) != VMCS_TYPE_INFO)
			r.now[i] = j->v[i];
	r.outcome = outcome_byte(f);
	read_values(f, r.now);
	t->vectors++;
	t->exits++;
	t->outcomes[r.outcome]++;
	if (exit_judge(j->v, &x, &r, t->unexplained < MOST_SHOWN))
		if (t->unexplained++ < MOST_SHOWN)
			print_exit(j, seed, number, &x, r.outcome);
}

static void judge_real(struct judge *j, struct totals *t, u64 seed, u64 number, FILE *f, u32 *sum)
{
	struct real_outcome wanted, got;
	struct real_vector x;
	u32 *word = (u32 *)&got;
	bool ends;

	gen_real_vector(seed, number, &x);
	*sum = gen_real_sum(*sum, &x);
	for (unsigned i = 0; i < REAL_OUTCOME_WORDS; i++)
		if (fscanf(f, "%x", &word[i]) != 1)
			bad("an outcome of real mode that is none");
	if (next_byte(f) != '\n')
		bad("an outcome of real mode that is too long");
	ends = real_judge(&x, &wanted);
	t->vectors++;
	if (j->hosted && x.v86_differs)
		return;
	if (j->hosted)
		got.idt_limit = wanted.idt_limit;	/* L0's is empty */
	if ((!ends || memcmp(&wanted, &got, sizeof(got))) && t->unexplained++ < MOST_SHOWN)
		print_real(seed, number, &x, &got, &wanted);
}

static const struct kind {
	const char *name;
	void (*init)(const struct gen_world *world);
	void (*judge)(struct judge *, struct totals *, u64 seed, u64 number, FILE *, u32 *sum);
	void (*end)(void);
} kinds[] = {
	{ "entries", NULL, judge_entry, NULL },
	{ "exits", exit_l1_init, judge_exit, exit_l1_end },
	{ "instructions", insn_l1_init, judge_insn, insn_l1_end },
	{ "real", NULL, judge_real, NULL },
	{ "modes", insn_l1_init, judge_mode, insn_l1_end },
};

static const struct kind *kind_of(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	bad("no vectors are called %s", name);
}

/* One kind of vectors; false: the report says that there are no more. */
static bool read_section(struct judge *j, struct totals *t, FILE *f)
{
	unsigned long long seed, from, count, item;
	const struct kind *kind;
	char name[16];
	u32 sum = 0;
	int got = fscanf(f, "%15s seed %llu from %llu count %llu", name, &seed, &from, &count);

	if (got == 1 && !strcmp(name, "done"))
		return false;
	if (got != 4)
		bad("no line about the vectors that follow");
	kind = kind_of(name);
	for (unsigned i = 0; i < W_COUNT; i++) {
		if (fscanf(f, "%llx", &item) != 1)
			bad("the report's description of the machine is too short");
		j->world.w[i] = item;
	}
	if (fscanf(f, "%*s") == EOF || next_byte(f) != '\n')
		bad("the report has no list of fields");
	judge_init(j);
	if (kind->init)
		kind->init(&j->world);
	t->exits = 0;
	for (u64 i = from; i < from + count; i++) {
		kind->judge(j, t, seed, i, f, &sum);
		if ((i + 1 - from) % GEN_BLOCK == 0 || i + 1 == from + count) {
			check_sum(f, sum, i + 1);
			sum = 0;
		}
	}
	if (kind->end)
		kind->end();
	host_memory_free(&j->memory);
	return true;
}

static void read_report(struct judge *j, struct totals *t, const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f)
		bad("cannot read %s", path);
	while (read_section(j, t, f))
		;
	fclose(f);
}

static bool has_option(char **argv, const char *name)
{
	while (*argv && strcmp(*argv, name))
		argv++;
	return *argv;
}

int main(int argc, char **argv)
{
	bool mutants = has_option(argv, "--mutants"), whole = has_option(argv, "--whole");
	bool hosted = has_option(argv, "--hosted");
	static struct gen_world first;
	static struct totals t;
	u64 wrong = 0;

	if (argc < 3)
		bad("usage: compare VERSION REPORT... [--mutants] [--whole] [--hosted]");
	for (int i = 2; i < argc; i++) {
		static struct judge j;

		if (argv[i][0] == '-')
			continue;
		j.version = argv[1];
		j.hosted = hosted;
		read_report(&j, &t, argv[i]);
		if (!first.w[W_SCRATCH])
			first = j.world;
	}
	print_counts(&t);
	if (mutants || whole) {
		wrong = model_run(&first, &t);
		wrong += print_mutants(&t, mutants);
	}
	if (whole)
		wrong += print_unseen(&t, argv[1]);
	printf("%llu vectors: %llu as the SDM has it, %llu explained, %llu not explained\n",
	       (unsigned long long)t.vectors,
	       (unsigned long long)(t.vectors - t.explained - t.unexplained),
	       (unsigned long long)t.explained, (unsigned long long)t.unexplained);
	return t.unexplained || (whole && wrong);
}
