/*
 * Judges what the runner reported: the same vectors through the engine's entry
 * checks. Prints every difference that departures.def does not explain, then
 * counts; with --mutants a table of checks that a vector shows to be alive.
 *   compare VERSION REPORT... [--mutants]
 * Exit status: 0 no such difference, 1 some, 2 the report is no good.
 */
#include "compare_insn.h"

#include <stdarg.h>
#include <stdlib.h>

#define MOST_SHOWN 20

struct totals {
	u64 outcomes[256], instructions[256], vectors, explained, unexplained;
	u64 by_departure[256], fired[CHECK_COUNT], alive[CHECK_COUNT];
};

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

static const char *outcome_text(u8 o)
{
	static char text[4][48];
	static unsigned next;
	char *to = text[next++ % 4];

	if (o >= OUTCOME_ENTERED)
		snprintf(to, sizeof(text[0]), "entered, then exit %u", o - OUTCOME_ENTERED);
	else if (o == OUTCOME_ENTERS)
		snprintf(to, sizeof(text[0]), "entered");
	else if (o == OUTCOME_MSR_FIRST || o == OUTCOME_MSR_LATER)
		snprintf(to, sizeof(text[0]), "failed entry 34, %s", o == OUTCOME_MSR_FIRST ? "first MSR" : "later MSR");
	else if (o >= OUTCOME_GUEST && o < OUTCOME_MSR_FIRST)
		snprintf(to, sizeof(text[0]), "failed entry 33, qualification %u", o - OUTCOME_GUEST);
	else if (o > OUTCOME_VMFAIL && o < OUTCOME_GUEST)
		snprintf(to, sizeof(text[0]), "VMfailValid %u", o - OUTCOME_VMFAIL);
	else if (o == OUTCOME_VMFAIL_INVALID)
		snprintf(to, sizeof(text[0]), "VMfailInvalid");
	else
		snprintf(to, sizeof(text[0]), "odd (%#x)", o);
	return to;
}

static void print_check(const struct verdict *r)
{
	const struct check_row *row = &nested_check_rows[r->f.id];

	printf("  check %s of %s: %s [SDM 3C %s]\n", row->id, gen_field_name[r->f.field], row->rule,
	       row->section);
}

/* The controls, what decides the mode, and what the vector changed in its valid state. */
static void print_fields(const struct judge *j, u64 seed, u64 number)
{
	static const u16 always[] = {
		VF_PIN_CONTROLS, VF_PROC_CONTROLS, VF_PROC2_CONTROLS, VF_EXIT_CONTROLS,
		VF_ENTRY_CONTROLS, VF_ENTRY_INTR_INFO, VF_GUEST_CR0, VF_GUEST_CR4,
		VF_GUEST_RFLAGS, VF_GUEST_CS_AR,
	};
	u64 base[VF_COUNT];
	unsigned n = 0;

	gen_entry_base(&j->world, seed, number, base);
	for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
		base[always[i]] = ~j->v[always[i]];
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (j->v[i] != base[i])
			printf("%s%s=%#llx", n++ % 4 ? " " : n == 1 ? "  " : "\n  ", gen_field_name[i],
			       (unsigned long long)j->v[i]);
	printf("\n");
}

static void show(struct judge *j, u64 seed, u64 number, u8 got, const struct verdict *wanted,
		 const struct verdict *emulator)
{
	printf("seed %llu vector %llu: the emulator: %s; the engine: %s\n", (unsigned long long)seed,
	       (unsigned long long)number, outcome_text(got), outcome_text(wanted->outcome));
	if (wanted->fails)
		print_check(wanted);
	for (unsigned i = 0; i < emulator->explanations; i++)
		printf("  departure: %s\n", departure_text(emulator->explanation[i]));
	if (emulator->explanations && emulator->fails)
		print_check(emulator);
	print_fields(j, seed, number);
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
		for (unsigned i = 0; i < emulator.explanations; i++)
			t->by_departure[emulator.explanation[i]]++;
		return;
	}
	if (t->unexplained++ < MOST_SHOWN)
		show(j, seed, number, got, &wanted, &emulator);
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
		bad("runner and host made different vectors before %llu", (unsigned long long)number);
}

static const char *insn_text(struct insn_outcome o)
{
	static char text[2][64];
	static unsigned next;
	char *to = text[next++ % 2];

	if (o.did >= INSN_FAULT)
		snprintf(to, sizeof(text[0]), "exception %u (%#x)", o.did - INSN_FAULT, o.error);
	else
		snprintf(to, sizeof(text[0]), "%s", o.did == INSN_OK ? "ok" : outcome_text(o.did));
	return to;
}

static void show_insn(u64 seed, u64 number, const struct insn_vector *x, struct insn_outcome got,
		      struct insn_outcome wanted)
{
	static const char *const names[] = {
		"VMREAD", "VMWRITE", "INVEPT", "INVVPID", "VMPTRLD", "VMCLEAR", "VMPTRST", "VMXON",
		"VMLAUNCH", "VMRESUME", "VMXOFF", "VMCALL",
	};
	static const char *const states[] = { "off", "root", "current VMCS" };

	printf("seed %llu instruction %llu: the emulator: %s; the engine: %s%s\n",
	       (unsigned long long)seed, (unsigned long long)number, insn_text(got), insn_text(wanted),
	       got.did == wanted.did && got.error == wanted.error ? ", with another result" : "");
	printf("  %s, form %u, %s%s, at %#llx: %#llx %#llx, RDX=%#llx RCX=%#llx before %#llx\n",
	       names[x->insn], x->form, states[x->state], x->user ? ", CPL 3" : "",
	       (unsigned long long)x->target, (unsigned long long)x->operand[0],
	       (unsigned long long)x->operand[1], (unsigned long long)x->rdx,
	       (unsigned long long)x->rcx, (unsigned long long)x->prepared);
}

static struct insn_outcome read_insn(FILE *f)
{
	struct insn_outcome o = { .did = (u8)next_byte(f) };

	o.error = (u8)(next_byte(f) - 0x30);
	for (unsigned i = 0; i < 4; i++)
		o.rest |= (u32)(next_byte(f) - 0x30) << 6 * i;
	return o;
}

static void judge_insn(struct judge *j, struct totals *t, u64 seed, u64 number, FILE *f, u32 *sum)
{
	struct insn_outcome wanted, got;
	struct insn_vector x;
	int row;

	gen_insn(&j->world, seed, number, &x);
	*sum = gen_insn_sum(*sum, &x);
	wanted = insn_judge(&x);
	got = read_insn(f);
	t->vectors++;
	t->instructions[got.did]++;
	if (wanted.did == got.did && wanted.error == got.error && wanted.rest == got.rest)
		return;
	row = departure_of_insn(j, &x, got);
	if (row >= 0) {
		t->explained++;
		t->by_departure[row]++;
	} else if (t->unexplained++ < MOST_SHOWN) {
		show_insn(seed, number, &x, got, wanted);
	}
}

static void judge_entry(struct judge *j, struct totals *t, u64 seed, u64 number, FILE *f, u32 *sum)
{
	j->host32 = gen_entry(&j->world, seed, number, j->v);
	*sum = gen_sum(*sum, j->v);
	judge_one(j, t, seed, number, (u8)next_byte(f));
}

static void read_report(struct judge *j, struct totals *t, FILE *f)
{
	unsigned long long seed, from, count, item;
	bool instructions;
	char kind[16];
	u32 sum = 0;

	if (fscanf(f, "%15s seed %llu from %llu count %llu", kind, &seed, &from, &count) != 4)
		bad("the report does not begin with a line about itself");
	instructions = !strcmp(kind, "instructions");
	for (unsigned i = 0; i < W_COUNT; i++) {
		if (fscanf(f, "%llx", &item) != 1)
			bad("the report's description of the machine is too short");
		j->world.w[i] = item;
	}
	if (fscanf(f, "%*s") == EOF || next_byte(f) != '\n')
		bad("the report has no list of fields");
	judge_init(j);
	insn_l1_init(&j->world);
	for (u64 i = from; i < from + count; i++) {
		if (instructions)
			judge_insn(j, t, seed, i, f, &sum);
		else
			judge_entry(j, t, seed, i, f, &sum);
		if ((i + 1 - from) % GEN_BLOCK == 0 || i + 1 == from + count) {
			check_sum(f, sum, i + 1);
			sum = 0;
		}
	}
	insn_l1_end();
	host_memory_free(&j->memory);
}

static void print_counts(const struct totals *t)
{
	for (unsigned o = 0; o < 256; o++)
		if (t->outcomes[o])
			printf("%9llu  %s\n", (unsigned long long)t->outcomes[o], outcome_text((u8)o));
	for (unsigned o = 0; o < 256; o++)
		if (t->instructions[o])
			printf("%9llu  %s\n", (unsigned long long)t->instructions[o],
			       o >= INSN_FAULT ? insn_text((struct insn_outcome){ .did = (u8)o }) :
			       o == INSN_OK ? "ok" : outcome_text((u8)o));
	if (t->explained)
		printf("differences that are the emulator's (tests/vectors/departures.def):\n");
	for (unsigned i = 0; i < departure_count; i++)
		if (t->by_departure[i])
			printf("%9llu  %s\n", (unsigned long long)t->by_departure[i],
			       departure_text((int)i));
}

static void print_mutants(const struct totals *t)
{
	unsigned alive = 0;

	printf("check                          fired   vectors that differ without it\n");
	for (unsigned i = 0; i < CHECK_COUNT; i++) {
		printf("%-28s %7llu %9llu%s\n", nested_check_rows[i].id, (unsigned long long)t->fired[i],
		       (unsigned long long)t->alive[i], t->alive[i] ? "" :
		       !t->fired[i] ? "  no vector breaks it on these machines" :
		       departure_has((enum check_id)i) ? "  the emulator does not ask it" :
		       "  NOT MISSED");
		alive += t->alive[i] != 0;
	}
	printf("%u of %u checks shown to be alive\n", alive, CHECK_COUNT);
}

int main(int argc, char **argv)
{
	static struct totals t;
	bool mutants = false;

	if (argc < 3)
		bad("usage: compare VERSION REPORT... [--mutants]");
	for (int i = 2; i < argc; i++) {
		static struct judge j;
		FILE *f;

		if (!strcmp(argv[i], "--mutants")) {
			mutants = true;
			continue;
		}
		f = fopen(argv[i], "rb");
		if (!f)
			bad("cannot read %s", argv[i]);
		j.version = argv[1];
		read_report(&j, &t, f);
		fclose(f);
	}
	print_counts(&t);
	if (mutants)
		print_mutants(&t);
	printf("%llu vectors: %llu as the SDM has it, %llu explained, %llu not explained\n",
	       (unsigned long long)t.vectors, (unsigned long long)(t.vectors - t.explained - t.unexplained),
	       (unsigned long long)t.explained, (unsigned long long)t.unexplained);
	return t.unexplained != 0;
}
