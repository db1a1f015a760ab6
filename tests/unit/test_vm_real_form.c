/* The forms of real mode: hardware must take each, whatever L1 has in its registers. */
#include "check_states.h"
#include "unit.h"
#include "vm/real/form.h"

#define ROUNDS 20000

static struct host_memory memory;

static u32 random_limit(struct unit_random *r)
{
	u32 limit = (u32)unit_random(r) >> (unit_random(r) & 31);

	if (unit_random(r) & 1)
		return 0xffff;
	return limit < BIT32(20) ? limit : limit | 0xfff;
}

/* As protected mode and real mode can leave it. */
static struct real_segment random_segment(struct unit_random *r, enum x86_seg s)
{
	u16 selector = (u16)unit_random(r);
	struct real_segment seg = {
		.selector = selector, .limit = random_limit(r),
		.base = unit_random(r) & 3 ? (u32)selector << 4 : (u32)unit_random(r),
		.ar = AR_S | AR_P | ((u32)unit_random(r) & (AR_TYPE | AR_DPL | AR_DB | AR_G)),
	};

	if (unit_random(r) & 3)
		seg.ar &= ~AR_DB;
	if (s != SEG_CS && unit_random(r) % 16 == 0)
		seg.ar = AR_UNUSABLE;
	return seg;
}

static struct real_cpu random_cpu(struct unit_random *r)
{
	static const u32 shadow[] = { 0, 0, BLOCKED_BY_STI, BLOCKED_BY_MOV_SS };
	const u32 flags = (u32)(RFLAGS_ARITH | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT |
				RFLAGS_AC | RFLAGS_RF | BIT(21));
	struct real_cpu c = {
		.eip = (u32)unit_random(r) >> (unit_random(r) & 31),
		.eflags = ((u32)unit_random(r) & flags) | (u32)(RFLAGS_FIXED | RFLAGS_IOPL),
		.gdtr = { (u32)unit_random(r), (u16)unit_random(r) },
		.idtr = { (u32)unit_random(r), (u16)unit_random(r) },
		.blocking = shadow[unit_random(r) & 3] |
			    (unit_random(r) & 1 ? BLOCKED_BY_NMI : 0),
	};

	for (u32 s = 0; s < REAL_SEGMENTS; s++)
		c.seg[s] = random_segment(r, s);
	return c;
}

static void put(struct state *t, const struct real_image *image)
{
	for (u32 s = 0; s < REAL_SEGMENTS; s++) {
		t->v[VF_GUEST_ES_SELECTOR + s] = image->seg[s].selector;
		t->v[VF_GUEST_ES_BASE + s] = image->seg[s].base;
		t->v[VF_GUEST_ES_LIMIT + s] = image->seg[s].limit;
		t->v[VF_GUEST_ES_AR + s] = image->seg[s].ar;
	}
	t->v[VF_GUEST_LDTR_AR] = AR_UNUSABLE;
	t->v[VF_GUEST_GDTR_LIMIT] = image->gdtr_limit;
	t->v[VF_GUEST_IDTR_LIMIT] = image->idtr_limit;
	t->v[VF_GUEST_RIP] = image->rip;
	t->v[VF_GUEST_RFLAGS] = image->rflags;
	t->v[VF_GUEST_INTERRUPTIBILITY] = image->blocking;
	t->v[VF_GUEST_PENDING_DEBUG] = image->pending_debug;
}

static void check(struct state *t, const char *what, enum real_form form)
{
	struct check_failure f;

	if (!nested_check_guest(&t->e, &f))
		fail_msg("%s, form %d: %s", what, form, nested_check_rows[f.id].id);
}

/* With what L0 itself injects into an L1 that is in this form. */
static void inject(struct state *t, enum real_form form)
{
	t->v[VF_ENTRY_INTR_INFO] = INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_MC;
	check(t, "machine check", form);
	if (t->v[VF_GUEST_INTERRUPTIBILITY] & (BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI))
		return;
	t->v[VF_ENTRY_INTR_INFO] = INTR_VALID | INTR_TYPE_NMI | X86_NMI;
	t->v[VF_GUEST_INTERRUPTIBILITY] &= ~(u64)BLOCKED_BY_STI;
	check(t, "NMI", form);
}

/* Single steps, or branches only: then switch.c leaves no trap pending. */
static void enter(const struct real_cpu *c, enum real_form form, u64 activity, bool branches)
{
	struct real_image image;
	struct state t;

	state_init(&t, B32_MEMORY, &memory);
	real_image_of(c, form, &image);
	put(&t, &image);
	t.v[VF_GUEST_ACTIVITY] = activity;
	if (branches) {
		t.v[VF_GUEST_DEBUGCTL] = DEBUGCTL_BTF;
		t.v[VF_GUEST_PENDING_DEBUG] = 0;
	}
	check(&t, "no event", form);
	if (activity == ACTIVITY_ACTIVE)
		inject(&t, form);
}

/* MOV to CR0 may lead from real mode into long mode. */
static void enter_long(const struct real_cpu *c)
{
	struct real_image image;
	struct state t;

	state_init(&t, B64, &memory);
	real_image_of(c, REAL_LEFT, &image);
	put(&t, &image);
	check(&t, "long mode", REAL_LEFT);
}

static void enterable(void **state)
{
	struct unit_random r = { 1 };
	u32 fitting = 0;

	(void)state;
	for (u32 i = 0; i < ROUNDS; i++) {
		struct real_cpu c = random_cpu(&r);
		bool branches = unit_random(&r) & 1;

		if (real_fits_v86(&c)) {
			enter(&c, REAL_V86, ACTIVITY_ACTIVE, branches);
			fitting++;
		}
		enter(&c, REAL_STEP, ACTIVITY_ACTIVE, false);
		enter(&c, REAL_IDLE, ACTIVITY_ACTIVE, branches);
		enter(&c, REAL_IDLE, ACTIVITY_HLT, branches);
		enter(&c, REAL_LEFT, ACTIVITY_ACTIVE, branches);
		enter_long(&c);
	}
	assert_true(fitting > ROUNDS / 1000);
}

/* Real mode's own addresses, wherever L1's code runs. */
static void keeps_addresses(void **state)
{
	struct unit_random r = { 2 };

	(void)state;
	for (u32 i = 0; i < ROUNDS; i++) {
		struct real_cpu c = random_cpu(&r);
		enum real_form form = (u32)i % 3 == 0 ? REAL_LEFT : REAL_STEP;
		struct real_image image;

		if ((u32)i % 3 == 1 && real_fits_v86(&c))
			form = REAL_V86;
		real_image_of(&c, form, &image);
		assert_int_equal(image.rip, c.eip);
		for (u32 s = 0; s < REAL_SEGMENTS; s++) {
			if (c.seg[s].ar & AR_UNUSABLE)
				continue;
			assert_int_equal(image.seg[s].base, c.seg[s].base);
			assert_true(image.seg[s].limit == c.seg[s].limit ||
				    (form == REAL_V86 && image.seg[s].limit < c.seg[s].limit));
			if (s != SEG_CS && s != SEG_SS)
				assert_int_equal(image.seg[s].selector, c.seg[s].selector);
		}
	}
}

/* Where L1's descriptors would be of use to it, and nothing else would fault. */
static void has_no_tables(void **state)
{
	struct unit_random r = { 3 };

	(void)state;
	for (u32 i = 0; i < ROUNDS; i++) {
		struct real_cpu c = random_cpu(&r);
		struct real_image image;

		for (enum real_form form = REAL_V86; form <= REAL_IDLE; form++) {
			real_image_of(&c, form, &image);
			assert_int_equal(image.idtr_limit, 0);
			assert_int_equal(image.gdtr_limit, form == REAL_V86 ? c.gdtr.limit : 0);
			assert_int_equal(!!(image.rflags & RFLAGS_VM), form == REAL_V86);
			if (form == REAL_IDLE) {
				assert_true(image.rip > image.seg[SEG_CS].limit);
				assert_true(image.rflags & RFLAGS_RF);
			} else {
				assert_int_equal(image.rflags & RFLAGS_IOPL, RFLAGS_IOPL);
			}
		}
		real_image_of(&c, REAL_LEFT, &image);
		assert_int_equal(image.idtr_limit, c.idtr.limit);
		assert_int_equal(image.gdtr_limit, c.gdtr.limit);
	}
}

/* Flags go into a form and come back; a step's TF, and IF behind STI, are L0's. */
static void keeps_flags(void **state)
{
	struct unit_random r = { 4 };

	(void)state;
	for (u32 i = 0; i < ROUNDS; i++) {
		struct real_cpu c = random_cpu(&r);
		struct real_image image;

		for (enum real_form form = REAL_V86; form <= REAL_IDLE; form++) {
			real_image_of(&c, form, &image);
			assert_int_equal(real_flags_of(&c, form, image.rflags), c.eflags);
			if (form == REAL_STEP)
				assert_true(image.rflags & RFLAGS_TF);
			if (form == REAL_STEP && (c.blocking & BLOCKED_BY_STI))
				assert_false(image.rflags & RFLAGS_IF);
		}
	}
}

/* With VIF and VIP, virtual-8086 mode would fault at each instruction. */
static void drops_virtual_interrupts(void **state)
{
	struct unit_random r = { 5 };
	struct real_cpu c = random_cpu(&r);
	struct real_image image;

	(void)state;
	c.eflags |= 0x001a0000;			/* and VM */
	real_image_of(&c, REAL_STEP, &image);
	assert_int_equal(image.rflags & 0x001a0000, 0);
}

static struct real_cpu flat_cpu(void)
{
	struct real_cpu c = { .eflags = (u32)(RFLAGS_FIXED | RFLAGS_IOPL) };

	for (u32 s = 0; s < REAL_SEGMENTS; s++)
		c.seg[s] = (struct real_segment){ 0x1237, 0x12370, 0xffff, AR_S | AR_P | 3 };
	return c;
}

static void which_form(void **state)
{
	struct real_cpu c = flat_cpu();

	(void)state;
	assert_true(real_fits_v86(&c));
	assert_false(real_is_big(&c));
	c.seg[SEG_DS].limit = 0xffffffff;	/* unreal */
	assert_true(real_fits_v86(&c));
	assert_true(real_is_big(&c));
	c.seg[SEG_DS].limit = 0xfffe;
	assert_false(real_fits_v86(&c));
	c = flat_cpu();
	c.seg[SEG_CS].base = 0xffff0000;	/* after INIT */
	assert_false(real_fits_v86(&c));
	c = flat_cpu();
	c.seg[SEG_SS].ar |= AR_DB;
	assert_false(real_fits_v86(&c));
	c = flat_cpu();
	c.seg[SEG_ES].ar = AR_UNUSABLE;
	assert_false(real_fits_v86(&c));
	c = flat_cpu();
	c.seg[SEG_FS].ar = AR_S | AR_P | 7;	/* expands down */
	assert_false(real_fits_v86(&c));
	c = flat_cpu();
	c.eip = 0x10000;
	assert_false(real_fits_v86(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(enterable), cmocka_unit_test(keeps_addresses),
		cmocka_unit_test(has_no_tables), cmocka_unit_test(keeps_flags),
		cmocka_unit_test(drops_virtual_interrupts), cmocka_unit_test(which_form),
	};
	int failed;

	state_memory(&memory);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	host_memory_free(&memory);
	return failed;
}
