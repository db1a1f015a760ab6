/*
 * The entry checks: good states pass, every check fires by its id, and random
 * states crash nothing and give the same verdict twice.
 */
#include "check_states.h"
#include "unit.h"

struct vector {
	enum check_id id;
	enum state_base base;
	int line;		/* of check_vectors.def */
	void (*change)(struct state *t);
};

#define NAME_(line) change_##line
#define NAME(line) NAME_(line)
#define V(id, base, ...) static void NAME(__LINE__)(struct state *t) { __VA_ARGS__; }
#include "check_vectors.def"
#undef V

static const struct vector vectors[] = {
#define V(id, base, ...) { CHECK_##id, base, __LINE__, NAME(__LINE__) },
#include "check_vectors.def"
#undef V
};

static struct host_memory memory;

static const char *id_name(const struct check_failure *f)
{
	return nested_check_rows[f->id].id;
}

static void good_states(void **state)
{
	struct check_failure f;
	struct state t;
	int base;

	(void)state;
	for (base = 0; base < BASES; base++) {
		state_init(&t, (enum state_base)base, &memory);
		if (!state_check(&t, &f))
			fail_msg("good state %d fails %s", base, id_name(&f));
	}
}

/* A vector may write to the memory: it gets a copy. */
static void vector_init(struct state *t, const struct vector *x, u8 *ram)
{
	state_init(t, x->base, &memory);
	memcpy(ram, memory.ram, STATE_RAM);
	t->vm.memory.ram = ram;
	x->change(t);
}

static void each_fires(void **state)
{
	static u8 ram[STATE_RAM];
	bool fired[CHECK_COUNT] = { false };
	struct check_failure f;
	struct state t;
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		const struct vector *x = &vectors[i];
		const char *want = nested_check_rows[x->id].id;

		vector_init(&t, x, ram);
		if (state_check(&t, &f))
			fail_msg("check_vectors.def:%d: passes, not %s", x->line, want);
		if (f.id != x->id)
			fail_msg("check_vectors.def:%d: %s, not %s", x->line, id_name(&f), want);
		fired[f.id] = true;
		t.e.disabled = x->id + 1u;
		if (!state_check(&t, &f) && f.id == x->id)
			fail_msg("check_vectors.def:%d: %s fires disabled", x->line, want);
	}
	for (i = 0; i < CHECK_COUNT; i++)
		if (!fired[i])
			fail_msg("check_vectors.def has no vector for %s", nested_check_rows[i].id);
}

/* With its check off, at least one vector of each id is a good state. */
static void each_alone(void **state)
{
	static u8 ram[STATE_RAM];
	bool alone[CHECK_COUNT] = { false };
	struct check_failure f;
	struct state t;
	unsigned i, bad = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		vector_init(&t, &vectors[i], ram);
		t.e.disabled = vectors[i].id + 1u;
		alone[vectors[i].id] |= state_check(&t, &f);
	}
	for (i = 0; i < CHECK_COUNT; i++)
		if (!alone[i]) {
			print_error("no vector breaks %s alone\n", nested_check_rows[i].id);
			bad++;
		}
	assert_int_equal(bad, 0);
}

static void stages_and_qualifications(void **state)
{
	static const u64 qualification[] = {
		[STAGE_PDPTE] = 2, [STAGE_NMI] = 3, [STAGE_LINK] = 4,
	};
	static u8 ram[STATE_RAM];
	struct check_failure f;
	struct state t;
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		unsigned stage = nested_check_rows[vectors[i].id].stage;

		vector_init(&t, &vectors[i], ram);
		assert_int_equal(nested_check_controls(&t.e, &f), stage != STAGE_CONTROLS);
		if (stage == STAGE_CONTROLS)
			continue;
		assert_int_equal(nested_check_host(&t.e, &f), stage != STAGE_HOST);
		if (stage == STAGE_HOST)
			continue;
		assert_false(nested_check_guest(&t.e, &f));
		assert_int_equal(f.qualification, qualification[stage]);
	}
}

#define FIELD_IS(name, ...) \
	do { \
		struct state t_, *t = &t_; \
		struct check_failure f_; \
		state_init(t, B64, &memory); \
		__VA_ARGS__; \
		assert_false(state_check(t, &f_)); \
		assert_int_equal(f_.field, VF_##name); \
	} while (0)

static void names_the_register(void **state)
{
	(void)state;
	FIELD_IS(HOST_GS_SELECTOR, S(HOST_GS_SELECTOR) |= 1);
	FIELD_IS(HOST_GDTR_BASE, S(HOST_GDTR_BASE) = NOT_CANONICAL);
	FIELD_IS(GUEST_GS_AR, S(GUEST_GS_AR) &= ~(u64)AR_P);
	FIELD_IS(GUEST_CS_AR, S(GUEST_CS_AR) |= BIT(8));
	FIELD_IS(GUEST_DS_BASE, S(GUEST_DS_BASE) |= BIT(40));
	FIELD_IS(GUEST_IDTR_LIMIT, S(GUEST_IDTR_LIMIT) |= BIT(16));
	FIELD_IS(GUEST_TR_AR, S(GUEST_TR_AR) |= AR_UNUSABLE);
}

#define PASSES(base, ...) \
	do { \
		struct state t_, *t = &t_; \
		struct check_failure f_; \
		state_init(t, base, &memory); \
		__VA_ARGS__; \
		if (!state_check(t, &f_)) \
			fail_msg("%s", id_name(&f_)); \
	} while (0)
#define INJECT(info) (S(ENTRY_INTR_INFO) = INTR_VALID | (u32)(info))

static void off_is_not_checked(void **state)
{
	(void)state;
	PASSES(B64, S(IO_BITMAP_A) = S(MSR_BITMAP) = S(VIRTUAL_APIC_ADDR) = ~0ull);
	PASSES(B64, S(PROC2_CONTROLS) = ~0ull; S(PROC_CONTROLS) &= ~(u64)PROC_SECONDARY);
	PASSES(B64, S(EXIT_MSR_STORE_ADDR) = S(ENTRY_MSR_LOAD_ADDR) = ~0ull);
	PASSES(B64, S(GUEST_PAT) = S(GUEST_EFER) = S(HOST_EFER) = S(GUEST_DR7) = ~0ull);
	PASSES(B64, S(GUEST_PDPTE0) = S(GUEST_PDPTE3) = ~0ull);
	PASSES(B32, S(GUEST_CR4) &= ~CR4_PAE; S(GUEST_PDPTE0) = ~0ull);
	PASSES(B32, S(GUEST_PDPTE1) = ~1ull);
	PASSES(B64, S(ENTRY_INTR_INFO) = ~(u64)INTR_VALID);
	PASSES(B64, S(GUEST_ES_AR) = S(GUEST_SS_AR) = S(GUEST_LDTR_AR) = AR_UNUSABLE;
	       S(GUEST_LDTR_BASE) = NOT_CANONICAL; S(GUEST_SS_BASE) = ~0ull);
	PASSES(B64, S(GUEST_CS_AR) |= AR_UNUSABLE);
}

static void limits_of_rules(void **state)
{
	(void)state;
	PASSES(B64, S(GUEST_RIP) = BIT(47));	/* not canonical, yet bits 63:48 are equal */
	PASSES(B64, S(HOST_SS_SELECTOR) = 0);
	PASSES(B64, S(HOST_RIP) = NOT_CANONICAL; t->caps.cr4_fixed1 |= CR4_LA57);
	PASSES(B64, S(GUEST_CS_AR) |= 4; S(GUEST_SS_AR) |= 3 << AR_DPL_SHIFT;
	       S(GUEST_SS_SELECTOR) |= 3; S(GUEST_CS_SELECTOR) |= 3);
	PASSES(B64, S(GUEST_FS_SELECTOR) |= 3; S(GUEST_FS_AR) = 0xc09f);
	PASSES(REAL, S(GUEST_SS_SELECTOR) |= 3; S(GUEST_CS_AR) = 0x93);
	PASSES(B64, S(GUEST_CS_AR) |= 4);	/* conforming, of the same DPL */
	PASSES(B32, S(GUEST_CS_AR) |= AR_L);
	PASSES(B64, S(GUEST_LDTR_AR) |= AR_G; S(GUEST_LDTR_LIMIT) = 0x10fff);
	PASSES(B64, S(GUEST_RFLAGS) = 0x3f7fd7 & ~RFLAGS_VM);
	PASSES(B64, S(HOST_CR4) |= CR4_CET; S(GUEST_CR4) |= CR4_CET);
	PASSES(B32_MEMORY, S(GUEST_CR3) |= 0x18);
	PASSES(FULL, S(PROC2_CONTROLS) &= ~(u64)(PROC2_VIRTUAL_INTR | PROC2_APIC_ACCESS);
	       S(PIN_CONTROLS) &= ~(u64)PIN_POSTED_INTERRUPTS; S(TPR_THRESHOLD) = 15;
	       S(VIRTUAL_APIC_ADDR) = STATE_RAM);	/* no memory there: reads ones */
	PASSES(B32, S(GUEST_TR_AR) = 0x83);
	PASSES(B64, S(EPT_POINTER) &= ~7ull);
	PASSES(FULL, S(EXIT_MSR_STORE_ADDR) = TOO_HIGH - 48);
	PASSES(FULL, S(POSTED_INTR_VECTOR) = 255);
	PASSES(FULL, S(PROC2_CONTROLS) &= ~(u64)(PROC2_VIRTUAL_INTR | PROC2_APIC_ACCESS);
	       S(PIN_CONTROLS) &= ~(u64)PIN_POSTED_INTERRUPTS; S(TPR_THRESHOLD) = 5);
	PASSES(FULL, S(GUEST_PENDING_DEBUG) = BIT(16) | BIT(12));
	PASSES(FULL, S(GUEST_PENDING_DEBUG) = BIT(11) | BIT(12) | 1);
	PASSES(FULL, S(GUEST_INTERRUPTIBILITY) = BIT(4));
	PASSES(B64, S(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_STI; S(GUEST_RFLAGS) |= RFLAGS_TF;
	       S(GUEST_PENDING_DEBUG) = BIT(14));
}

static void events_that_pass(void **state)
{
	(void)state;
	PASSES(B64, INJECT(INTR_TYPE_SW_INTERRUPT | 3));
	PASSES(B64, INJECT(INTR_TYPE_SW_INTERRUPT | 3); S(ENTRY_INSTR_LENGTH) = 15);
	PASSES(B64, INJECT(INTR_TYPE_OTHER));
	PASSES(B64, INJECT(INTR_TYPE_NMI | X86_NMI); S(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_NMI);
	PASSES(B64, t->caps.basic |= BASIC_ANY_ERRCODE; INJECT(INTR_TYPE_HW_EXCEPTION | X86_GP));
	PASSES(B64, t->caps.basic |= BASIC_ANY_ERRCODE;
	       INJECT(INTR_TYPE_HW_EXCEPTION | INTR_ERROR_CODE | X86_CP));
	PASSES(REAL, INJECT(INTR_TYPE_HW_EXCEPTION | X86_GP));
	PASSES(B64, INJECT(INTR_TYPE_HW_EXCEPTION | 31));
	PASSES(B64, INJECT(INTR_TYPE_HW_EXCEPTION | INTR_ERROR_CODE | X86_PF);
	       S(ENTRY_ERROR_CODE) = 0xffff);
	PASSES(B64, S(PROC2_CONTROLS) |= PROC2_UNRESTRICTED;
	       INJECT(INTR_TYPE_HW_EXCEPTION | INTR_ERROR_CODE | X86_PF));
	PASSES(B64, t->caps.basic |= BASIC_ANY_ERRCODE;
	       INJECT(INTR_TYPE_HW_EXCEPTION | INTR_ERROR_CODE | 31));
	PASSES(FULL, INJECT(INTR_TYPE_NMI | X86_NMI));
}

static void inactive_states_let_in(void **state)
{
	(void)state;
	PASSES(B64, S(GUEST_ACTIVITY) = ACTIVITY_HLT; INJECT(INTR_TYPE_EXTERNAL | 0x20));
	PASSES(B64, S(GUEST_ACTIVITY) = ACTIVITY_HLT; INJECT(INTR_TYPE_NMI | X86_NMI));
	PASSES(B64, S(GUEST_ACTIVITY) = ACTIVITY_HLT; INJECT(INTR_TYPE_HW_EXCEPTION | X86_DB));
	PASSES(B64, S(GUEST_ACTIVITY) = ACTIVITY_HLT; INJECT(INTR_TYPE_HW_EXCEPTION | X86_MC));
	PASSES(B64, S(GUEST_ACTIVITY) = ACTIVITY_HLT; INJECT(INTR_TYPE_OTHER));
	PASSES(B64, S(GUEST_ACTIVITY) = ACTIVITY_SHUTDOWN; INJECT(INTR_TYPE_NMI | X86_NMI));
	PASSES(B64, S(GUEST_ACTIVITY) = ACTIVITY_SHUTDOWN; INJECT(INTR_TYPE_HW_EXCEPTION | X86_MC));
	PASSES(B64, S(GUEST_ACTIVITY) = ACTIVITY_WAIT_SIPI);
}

static u64 odd_value(struct unit_random *r, u64 old)
{
	static const u64 odd[] = {
		0, 1, ~0ull, 0x80000000, 0xffff, BIT(47), BIT(48), BIT(63), 0x7ffffffff000,
		INTR_VALID, INTR_VALID | INTR_TYPE_NMI | 2,
		INTR_VALID | INTR_TYPE_HW_EXCEPTION | 14,
	};

	switch (unit_random(r) % 4) {
	case 0:
		return odd[unit_random(r) % ARRAY_SIZE(odd)];
	case 1:
		return unit_random(r);
	default:
		return old ^ BIT(unit_random(r) % 64);
	}
}

static void random_states(void **state)
{
	struct unit_random r = { 20240607 };
	struct check_failure f, again;
	struct state t;
	u64 v[VF_COUNT];
	int round;

	(void)state;
	for (round = 0; round < 100000; round++) {
		unsigned changes = (unsigned)(unit_random(&r) % 4);
		bool passed;

		state_init(&t, (enum state_base)(unit_random(&r) % BASES), &memory);
		t.e.disabled = (u32)(unit_random(&r) % (CHECK_COUNT + 1));
		while (changes--) {
			unsigned i = (unsigned)(unit_random(&r) % VF_COUNT);

			t.v[i] = odd_value(&r, t.v[i]);
		}
		memcpy(v, t.v, sizeof(v));
		passed = state_check(&t, &f);
		assert_int_equal(state_check(&t, &again), passed);
		assert_memory_equal(v, t.v, sizeof(v));
		if (passed)
			continue;
		assert_int_equal(f.id, again.id);
		assert_int_equal(f.field, again.field);
		assert_true(f.id < CHECK_COUNT && f.field < VF_COUNT);
		assert_int_not_equal(f.id + 1, t.e.disabled);
	}
}

static void explains(void **state)
{
	static struct nested_vcpu n;
	static struct hw_model hw;
	struct check_failure f;
	struct state s, *t = &s;

	(void)state;
	state_init(t, B64, &memory);
	t->vm.hw = &hw;
	n.vm = &t->vm;
	S(GUEST_CS_AR) = 0x1;
	assert_false(state_check(t, &f));
	nested_explain_failure(&n, "vmlaunch", &t->e, &f);
	assert_non_null(strstr(hw.log, "L1 vmlaunch: failed entry (33, qualification 0): "
			       "GUEST_CS_AR=0x1: type must be accessed code"));
	assert_non_null(strstr(hw.log, "[SDM 3C Checks on Guest Segment Registers]"));
	S(PIN_CONTROLS) = 0;
	assert_false(state_check(t, &f));
	nested_explain_failure(&n, "vmresume", &t->e, &f);
	assert_non_null(strstr(hw.log, "L1 vmresume: VMfail 7: PIN_CONTROLS=0: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_states),
		cmocka_unit_test(each_fires),
		cmocka_unit_test(each_alone),
		cmocka_unit_test(stages_and_qualifications),
		cmocka_unit_test(names_the_register),
		cmocka_unit_test(off_is_not_checked),
		cmocka_unit_test(limits_of_rules),
		cmocka_unit_test(events_that_pass),
		cmocka_unit_test(inactive_states_let_in),
		cmocka_unit_test(random_states),
		cmocka_unit_test(explains),
	};
	int failed;

	state_memory(&memory);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	host_memory_free(&memory);
	return failed;
}
