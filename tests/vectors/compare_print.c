/* What the judge prints: outcomes, vectors that differ, and counts. */
#include "compare_print.h"

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
		snprintf(to, sizeof(text[0]), "failed entry 34, %s",
			 o == OUTCOME_MSR_FIRST ? "first MSR" : "later MSR");
	else if (o >= OUTCOME_GUEST && o < OUTCOME_MSR_FIRST)
		snprintf(to, sizeof(text[0]), "failed entry 33, qualification %u",
			 o - OUTCOME_GUEST);
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
static void print_fields(const struct judge *j, u64 *base)
{
	static const u16 always[] = {
		VF_PIN_CONTROLS, VF_PROC_CONTROLS, VF_PROC2_CONTROLS, VF_EXIT_CONTROLS,
		VF_ENTRY_CONTROLS, VF_ENTRY_INTR_INFO, VF_GUEST_CR0, VF_GUEST_CR4,
		VF_GUEST_RFLAGS, VF_GUEST_CS_AR,
	};
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
		base[always[i]] = ~j->v[always[i]];
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (j->v[i] != base[i])
			printf("%s%s=%#llx", n++ % 4 ? " " : n == 1 ? "  " : "\n  ",
			       gen_field_name[i], (unsigned long long)j->v[i]);
	printf("\n");
}

void print_entry(struct judge *j, u64 seed, u64 number, u8 got, const struct verdict *wanted,
		 const struct verdict *emulator)
{
	u64 base[VF_COUNT];

	printf("seed %llu vector %llu: the emulator: %s; the engine: %s\n",
	       (unsigned long long)seed, (unsigned long long)number, outcome_text(got),
	       outcome_text(wanted->outcome));
	if (wanted->fails)
		print_check(wanted);
	for (unsigned i = 0; i < emulator->explanations; i++)
		printf("  departure: %s\n", departure_text(emulator->explanation[i]));
	if (emulator->explanations && emulator->fails)
		print_check(emulator);
	gen_entry_base(&j->world, seed, number, base);
	print_fields(j, base);
}

void print_exit(struct judge *j, u64 seed, u64 number, const struct exit_vector *x, u8 outcome)
{
	u64 base[VF_COUNT];

	printf("seed %llu exit %llu: %s; RAX=%#llx RCX=%#llx RDX=%#llx code",
	       (unsigned long long)seed, (unsigned long long)number, outcome_text(outcome),
	       (unsigned long long)x->rax, (unsigned long long)x->rcx, (unsigned long long)x->rdx);
	for (unsigned i = 0; i < 8; i++)
		printf(" %02x", x->code[i]);
	printf("\n");
	memcpy(base, j->v, sizeof(base));
	print_fields(j, base);
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

void print_insn(u64 seed, u64 number, const struct insn_vector *x, struct insn_outcome got,
		      struct insn_outcome wanted)
{
	static const char *const names[] = {
		"VMREAD", "VMWRITE", "INVEPT", "INVVPID", "VMPTRLD", "VMCLEAR", "VMPTRST", "VMXON",
		"VMLAUNCH", "VMRESUME", "VMXOFF", "VMCALL",
	};
	static const char *const states[] = { "off", "root", "current VMCS", "shadow VMCS" };

	printf("seed %llu instruction %llu: the emulator: %s; the engine: %s%s\n",
	       (unsigned long long)seed, (unsigned long long)number, insn_text(got),
	       insn_text(wanted),
	       got.did == wanted.did && got.error == wanted.error ? ", with another result" : "");
	printf("  %s, form %u, %s%s, at %#llx: %#llx %#llx, RDX=%#llx RCX=%#llx before %#llx\n",
	       names[x->insn], x->form, states[x->state], x->user ? ", CPL 3" : "",
	       (unsigned long long)x->target, (unsigned long long)x->operand[0],
	       (unsigned long long)x->operand[1], (unsigned long long)x->rdx,
	       (unsigned long long)x->rcx, (unsigned long long)x->prepared);
}

void print_mode(u64 seed, u64 number, const struct mode_vector *m, struct insn_outcome got,
		struct insn_outcome wanted)
{
	const struct gen_mode *mode = &gen_modes[m->mode];
	const struct mode_segment *s = &m->segment;
	static const char *const formats[] = { "32-bit", "PAE", "64-bit" };

	print_insn(seed, number, &m->x, got, wanted);
	printf("  %u-bit%s%s, %s paging%s%s; error %#x and %#x; code", mode->bits,
	       mode->user ? ", CPL 3" : "",
	       mode->v86 ? ", virtual-8086" : mode->real ? ", real" : "",
	       mode->paging ? formats[mode->format] : "no", s->own ? ", own segment" : "",
	       s->null ? " (null)" : "", got.error, wanted.error);
	for (unsigned i = 0; i < m->length; i++)
		printf(" %02x", m->code[i]);
	printf("\n  segment %u base %#x limit %#x type %#x\n ", s->index, s->base, s->limit,
	       s->type);
	for (unsigned i = 0; i < 8; i++)
		printf(" %x", m->gpr[i]);
	printf("\n");
}

void print_counts(const struct totals *t)
{
	for (unsigned o = 0; o < 256; o++)
		if (t->outcomes[o])
			printf("%9llu  %s\n", (unsigned long long)t->outcomes[o],
			       outcome_text((u8)o));
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

/* Of the check id, for the table of mutants; NULL: no vector misses it. */
static const char *how_alive(const struct totals *t, unsigned id)
{
	if (t->alive[id])
		return "";
	if (t->departs[id])
		return "  by the row that says that the emulator does not ask it";
	return t->modelled[id] ? "  on the made-up machine only" : NULL;
}

unsigned print_mutants(const struct totals *t, bool all)
{
	unsigned dead = 0;

	if (all)
		printf("check                          fired   vectors that differ without it\n");
	for (unsigned i = 0; i < CHECK_COUNT; i++) {
		const char *alive = how_alive(t, i);

		dead += !alive;
		if (all || !alive)
			printf("%-28s %7llu %9llu%s\n", nested_check_rows[i].id,
			       (unsigned long long)t->fired[i],
			       (unsigned long long)(t->alive[i] ? t->alive[i] :
						    t->departs[i] ? t->departs[i] : t->modelled[i]),
			       alive ? alive : t->fired[i] ? "  NOT MISSED" : "  NEVER FIRED");
	}
	printf("%u of %u checks shown to be alive\n", CHECK_COUNT - dead, CHECK_COUNT);
	return dead;
}

unsigned print_unseen(const struct totals *t, const char *version)
{
	unsigned unseen = 0;

	for (unsigned i = 0; i < departure_count; i++)
		if (!t->by_departure[i] && departure_is_of(i, version)) {
			printf("no vector shows this departure: %s\n", departure_text((int)i));
			unseen++;
		}
	return unseen;
}
