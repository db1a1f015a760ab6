/*
 * Random sequences of VMX instructions against a model that has no cache: a
 * VMCS is an array, however many there are. Entries are replaced by one that
 * changes guest state as L2 would; with hardware shadowing, L1's accesses to
 * shadowed fields bypass the engine as they would on a processor.
 */
#include "nested_kit.h"

#include "nested/slots.h"

#define VMCSS 40
#define STEPS 20000

struct model {
	bool vmxon;
	int current;		/* -1: none */
	bool launched[VMCSS];
	u64 v[VMCSS][VF_COUNT];
};

static struct kit k;
static struct model m;
static struct unit_random r;

static u64 below(u64 n)
{
	return unit_random(&r) % n;
}

/* Run L2 for a while: hot fields come back at once, cold ones stay in vmcs02. */
struct outcome nested_enter(struct nested_vcpu *n)
{
	struct nested_vmcs *s = n->current;
	struct hw_region *vmcs02 = hw_region_at(&k.hw, s->vmcs02);

	nested_shadow_pull(n, s);
	for (unsigned f = 0; f < VF_COUNT; f++) {
		if (!field_test(&n->exists, f))
			continue;
		if (!field_test(&s->stale, f))
			assert_int_equal(s->v[f], m.v[m.current][f]);
		if (field_test(&s->dirty, f) || !s->ready02)
			vmcs02->v[f] = s->v[f];
	}
	s->dirty = (struct field_set){ { 0 } };
	s->ready02 = s->launched02 = s->launched = true;
	vmcs02->clear = false;
	m.launched[m.current] = true;
	for (unsigned i = 0; i < 6; i++) {
		unsigned f = (unsigned)below(VF_COUNT);
		u64 value = unit_random(&r) & nested_field_bits[f];

		if (!field_test(&n->exists, f))
			continue;
		if (field_test(&nested_fields_cold, f)) {
			field_set(&s->stale, f);
		} else if (field_test(&nested_fields_hot, f)) {
			s->v[f] = value;
			if (field_test(&nested_fields_shadow_rw, f))
				field_set(&s->shadow_dirty, f);
		} else {
			continue;
		}
		vmcs02->v[f] = m.v[m.current][f] = value;
	}
	nested_shadow_push(n, s);
	return OUTCOME_ENTER_L2;
}

static void expect(struct outcome o, bool current, u32 error)
{
	if (!error)
		assert_ok(o);
	else if (current)
		assert_vmfail(o, error);
	else
		assert_kind(o, OUT_VMFAIL_INVALID);
	if (error && current)
		m.v[m.current][VF_VM_INSTRUCTION_ERROR] = error;
}

/* Would the hardware serve this access of L1 from the shadow VMCS? */
static u64 *in_shadow(unsigned f, bool write)
{
	u64 link = kit_get(&k, VMCS_VMCS_LINK_POINTER);

	if (link == ~0ull || (!field_test(&nested_fields_shadow_rw, f) &&
			      (write || !field_test(&nested_fields_shadow_ro, f))))
		return NULL;
	return &hw_region_at(&k.hw, HPA(link))->v[f];
}

static void step_read(void)
{
	unsigned f = (unsigned)below(VF_COUNT);
	u32 e = nested_field_encoding[f];
	bool exists = field_test(&k.n.exists, f);
	u64 *shadow, v;

	if (m.current < 0) {
		assert_kind(kit_vmread(&k, e, &v), OUT_VMFAIL_INVALID);
		return;
	}
	shadow = exists ? in_shadow(f, false) : NULL;
	if (shadow && below(4)) {
		assert_int_equal(*shadow, m.v[m.current][f]);
		return;
	}
	expect(kit_vmread(&k, e, &v), true, exists ? 0 : VMERR_UNSUPPORTED_FIELD);
	if (exists)
		assert_int_equal(v, m.v[m.current][f]);
}

static void step_write(void)
{
	unsigned f = (unsigned)below(VF_COUNT);
	u32 e = nested_field_encoding[f];
	bool exists = field_test(&k.n.exists, f);
	u64 *shadow, v = below(4) ? unit_random(&r) : below(3);

	if (m.current < 0) {
		assert_kind(kit_vmwrite(&k, e, v), OUT_VMFAIL_INVALID);
		return;
	}
	shadow = exists ? in_shadow(f, true) : NULL;
	if (exists)
		m.v[m.current][f] = v & nested_field_bits[f];
	if (shadow && below(4))
		*shadow = v & nested_field_bits[f];
	else
		expect(kit_vmwrite(&k, e, v), true, exists ? 0 : VMERR_UNSUPPORTED_FIELD);
}

static void step_vmptrld(void)
{
	int i = (int)below(VMCSS);

	if (!below(10)) {
		expect(kit_m64(&k, EXIT_VMPTRLD, KIT_VMXON), m.current >= 0, VMERR_VMPTRLD_VMXON);
		return;
	}
	expect(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(i)), m.current >= 0, 0);
	m.current = i;
}

static void step_vmclear(void)
{
	int i = (int)below(VMCSS);

	if (!below(10)) {
		expect(kit_m64(&k, EXIT_VMCLEAR, 1), m.current >= 0, VMERR_VMCLEAR_ADDRESS);
		return;
	}
	expect(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(i)), m.current >= 0, 0);
	m.launched[i] = false;
	if (m.current == i)
		m.current = -1;
}

static void step_entry(void)
{
	bool launch = below(2);
	struct outcome o = kit_plain(&k, launch ? EXIT_VMLAUNCH : EXIT_VMRESUME);

	if (m.current >= 0 && o.kind == OUT_ENTER_L2)
		return;	/* nested_enter() looked at it */
	assert_true(m.current < 0 || m.launched[m.current] == launch);
	expect(o, m.current >= 0, launch ? VMERR_VMLAUNCH_NOT_CLEAR : VMERR_VMRESUME_NOT_LAUNCHED);
}

static void step_off_and_on(void)
{
	assert_ok(kit_plain(&k, EXIT_VMXOFF));
	kit_enter_root(&k);
	m.current = -1;
}

static void step(void)
{
	switch (below(40)) {
	case 0:
		step_off_and_on();
		break;
	case 1 ... 5:
		step_vmptrld();
		break;
	case 6 ... 7:
		step_vmclear();
		break;
	case 8 ... 11:
		step_entry();
		break;
	case 12 ... 25:
		step_read();
		break;
	default:
		step_write();
	}
}

static void sequence(u64 seed, bool shadow)
{
	r.state = seed;
	memset(&m, 0, sizeof(m));
	m.current = -1;
	kit_start(&k);
	if (shadow)
		kit_use_shadow(&k);
	kit_enter_root(&k);
	for (unsigned i = 0; i < VMCSS; i++)
		assert_ok(kit_m64(&k, EXIT_VMCLEAR, KIT_VMCS(i)));
	for (unsigned i = 0; i < STEPS; i++)
		step();
	for (int i = 0; i < VMCSS; i++) {	/* nothing was lost */
		assert_ok(kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(i)));
		assert_int_equal(k.n.current->launched, m.launched[i]);
		for (unsigned f = 0; f < VF_COUNT; f++)
			assert_int_equal(nested_field_read(&k.n, k.n.current, f), m.v[i][f]);
	}
	kit_end(&k);
}

static void without_shadowing(void **state)
{
	(void)state;
	for (u64 seed = 1; seed <= 8; seed++)
		sequence(seed, false);
}

static void with_shadowing(void **state)
{
	(void)state;
	for (u64 seed = 101; seed <= 108; seed++)
		sequence(seed, true);
}

/* Whatever the operands and the mode: a fault or a failure, and a legal state. */
static void random_operands(void **state)
{
	static const u32 reasons[] = {
		EXIT_VMCALL, EXIT_VMCLEAR, EXIT_VMPTRLD, EXIT_VMPTRST, EXIT_VMREAD,
		EXIT_VMWRITE, EXIT_VMXON, EXIT_VMXOFF, EXIT_INVEPT, EXIT_INVVPID,
	};

	(void)state;
	r.state = 5;
	memset(&m, 0, sizeof(m));
	kit_start(&k);
	k.n.explain = true;
	for (unsigned i = 0; i < 100000; i++) {
		u32 reason = reasons[below(ARRAY_SIZE(reasons))];
		struct outcome o;

		if (!below(8))
			kit_protected_mode(&k);
		else
			kit_long_mode(&k);
		for (unsigned g = 0; g < GPR_COUNT; g++)
			k.gpr[g] = below(2) ? below(KIT_RAM) : unit_random(&r);
		kit_set(&k, VMCS_GUEST_ES_AR + 2 * (u32)below(6), unit_random(&r));
		kit_set(&k, VMCS_GUEST_FS_BASE, below(2) ? below(KIT_RAM) : unit_random(&r));
		/* Segments 6 and 7 and address sizes above 2 do not occur. */
		kit_set(&k, VMCS_EXIT_INSTR_INFO,
			((u32)unit_random(&r) & ~(7u << 7 | 7u << 15)) |
			(u32)below(3) << 7 | (u32)below(6) << 15);
		kit_set(&k, VMCS_EXIT_QUALIFICATION, below(2) ? below(KIT_RAM) : unit_random(&r));
		o = nested_vmx_instruction(&k.n, reason);
		nested_commit_flags(&k.n, o);
		assert_true(o.kind == OUT_OK || o.kind == OUT_FAULT ||
			    o.kind == OUT_VMFAIL_INVALID || o.kind == OUT_VMFAIL_VALID);
		assert_true(nested_invariant(&k.n));
		kit_page_tables(&k);	/* what was written may have hit them */
		kit_poke(&k, KIT_VMXON, NESTED_REVISION);
		if (!k.n.vmxon && below(4)) {
			kit_long_mode(&k);
			kit_enter_root(&k);
			kit_m64(&k, EXIT_VMPTRLD, KIT_VMCS(below(4)));
		}
	}
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_shadowing),
		cmocka_unit_test(with_shadowing),
		cmocka_unit_test(random_operands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
