/* See engine_fixture.h: what a world of L1 does. */
#include "engine_fixture.h"

#include "nested/slots.h"

u8 *fx_at(struct fx *f, u64 gpa1)
{
	assert_true(gpa1 < FX_L1_RAM);
	return f->vm.memory.ram + FX_SHIFT + gpa1;
}

u8 *fx_page02(struct fx *f, u64 hpa)
{
	assert_true(hpa >= FX_HOME && hpa < FX_RAM && !(hpa & ~PAGE_MASK));
	return f->vm.memory.ram + hpa;
}

void fx_l1_writes(struct fx *f, u64 gpa1, const void *src, size_t len)
{
	memcpy(fx_at(f, gpa1), src, len);
	for (u64 page = gpa1 & PAGE_MASK; page < gpa1 + len; page += PAGE_SIZE)
		nested_page_written(&f->n, GPA1(page));
}

u64 *fx_vmcs01(struct fx *f, unsigned index)
{
	return &hw_region_at(&f->hw, f->n.vmcs01)->v[index];
}

u64 *fx_vmcs02(struct fx *f, unsigned index)
{
	return &hw_region_at(&f->hw, FX_SLOT(f)->vmcs02)->v[index];
}

u64 *fx_place01(struct fx *f, u32 encoding)
{
	return fx_vmcs01(f, (unsigned)nested_field_index(encoding));
}

u64 *fx_place02(struct fx *f, u32 encoding)
{
	return fx_vmcs02(f, (unsigned)nested_field_index(encoding));
}

/* An event that waits in a vmcs02 would be injected by whatever entry comes next. */
static void assert_no_event_waits(struct fx *f)
{
	for (unsigned i = 0; i < NESTED_SLOTS; i++) {
		const struct nested_vmcs *s = &f->n.slot[i];

		if (s->ready02)
			assert_false(hw_region_at(&f->hw, s->vmcs02)->v[VF_ENTRY_INTR_INFO] &
				     INTR_VALID);
	}
}

static void assert_in_root(struct fx *f)
{
	assert_no_event_waits(f);
	assert_true(nested_invariant(&f->n));
	assert_false(f->n.in_l2);
	assert_int_equal(f->hw.loaded->at.v, f->n.vmcs01.v);
}

void fx_vmptrld(struct fx *f, u64 gpa1)
{
	struct nested_vmcs *s = nested_slot_find(&f->n, GPA1(gpa1));
	u32 revision;

	memcpy(&revision, fx_at(f, gpa1), sizeof(revision));
	if (!s)
		s = nested_slot_load(&f->n, GPA1(gpa1), revision & VMCS_SHADOW_INDICATOR);
	s->last_used = ++f->n.clock;
	if (s != f->n.current) {
		f->n.current = s;
		nested_slot_link(&f->n);
	}
	assert_in_root(f);
}

void fx_vmclear(struct fx *f, u64 gpa1)
{
	struct nested_vmcs *s = nested_slot_find(&f->n, GPA1(gpa1));

	if (s) {
		s->launched = false;
		nested_slot_flush(&f->n, s);
	} else {
		nested_region_clear(&f->n, GPA1(gpa1));
	}
	assert_in_root(f);
}

/* The shadow VMCS's copy of a field, if the processor would go there; else NULL. */
static u64 *shadowed(struct fx *f, unsigned index, bool write)
{
	bool rw = FX_SLOT(f)->is_shadow || field_test(&nested_fields_shadow_rw, index) ||
		  (FX_SLOT(f)->wide && field_test(&nested_fields_cold, index));

	if (!f->n.use_shadow || !field_test(&f->n.exists, index) ||
	    !(rw || (!write && field_test(&nested_fields_shadow_ro, index))))
		return NULL;
	assert_int_equal(FX01(f, VMCS_LINK_POINTER), FX_SLOT(f)->shadow.v);
	assert_true(FX01(f, PROC2_CONTROLS) & PROC2_SHADOW_VMCS);
	return &hw_region_at(&f->hw, FX_SLOT(f)->shadow)->v[index];
}

u64 fx_vmread(struct fx *f, unsigned index)
{
	const u64 *at = shadowed(f, index, false);
	u64 value = at ? *at : nested_field_read(&f->n, FX_SLOT(f), index);

	assert_in_root(f);
	return value;
}

u64 fx_seen(struct fx *f, const struct nested_vmcs *s, unsigned i)
{
	bool held = f->n.use_shadow && field_test(&f->n.exists, i) &&
		    !field_test(&s->shadow_dirty, i) &&
		    (s->is_shadow || field_test(&nested_fields_shadow_rw, i) ||
		     (s->wide && field_test(&nested_fields_cold, i)));

	if (field_test(&s->stale, i))
		return hw_region_at(&f->hw, s->vmcs02)->v[i];
	return held ? hw_region_at(&f->hw, s->shadow)->v[i] : s->v[i];
}

void fx_vmwrite(struct fx *f, unsigned index, u64 value)
{
	u64 *at = shadowed(f, index, true);

	assert_true(field_test(&f->n.exists, index));
	if (at)
		*at = value & nested_field_bits[index];
	else
		nested_field_write(&f->n, FX_SLOT(f), index, value);
	assert_in_root(f);
}

void fx_vmread_all(struct fx *f, u64 v[VF_COUNT])
{
	for (unsigned i = 0; i < VF_COUNT; i++)
		v[i] = field_test(&f->n.exists, i) ? fx_vmread(f, i) : 0;
}

void fx_vmwrite_bits(struct fx *f, unsigned index, u64 clear, u64 set)
{
	fx_vmwrite(f, index, (fx_vmread(f, index) & ~clear) | set);
}

void fx_inject(struct fx *f, u32 info, u32 code, u32 length)
{
	FX12_WRITE(f, ENTRY_INTR_INFO, info);
	FX12_WRITE(f, ENTRY_ERROR_CODE, code);
	FX12_WRITE(f, ENTRY_INSTR_LENGTH, length);
}

/* The processor's own checks of vmcs02. L0's host state is always good. */
static bool hw_checks(struct fx *f, bool guest, struct check_failure *failure)
{
	struct vm flat = { .memory = { .ram = f->vm.memory.ram, .ram_size = FX_RAM } };
	u64 v[VF_COUNT];
	const struct check_env e = {
		.vm = &flat, .caps = &f->hw.caps, .v = v, .lma = true,
	};

	/* The model's VMCSs are not in its memory: a shadow VMCS is good if it may be one. */
	memcpy(v, fx_vmcs02(f, 0), sizeof(v));
	if (v[VF_VMCS_LINK_POINTER] != ~0ull &&
	    hw_region_at(&f->hw, HPA(v[VF_VMCS_LINK_POINTER]))->shadow &&
	    (v[VF_PROC2_CONTROLS] & PROC2_SHADOW_VMCS))
		v[VF_VMCS_LINK_POINTER] = ~0ull;
	return guest ? nested_check_guest(&e, failure) : nested_check_controls(&e, failure);
}

static struct outcome hw_enter(struct fx *f)
{
	struct check_failure failure;
	struct outcome o;

	assert_true(f->n.in_l2);
	assert_int_equal(f->hw.loaded->at.v, FX_SLOT(f)->vmcs02.v);
	if (!hw_checks(f, false, &failure)) {
		o = nested_entry_refused(&f->n, VMERR_ENTRY_CONTROLS);
		nested_commit_flags(&f->n, o);
		return o;
	}
	if (hw_checks(f, true, &failure))
		return OUTCOME_ENTER_L2;
	FX02(f, EXIT_QUALIFICATION) = failure.qualification;
	o = OUTCOME_ENTRY_FAIL(EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE,
			       failure.qualification);
	FX02(f, EXIT_REASON) = o.error_code;
	assert_int_equal(nested_l2_exit(&f->n, o.error_code), NESTED_REFLECTED);
	o.value = FX_SLOT(f)->v[VF_EXIT_QUALIFICATION];
	return o;
}

void fx_resume(struct fx *f)
{
	struct check_failure failure;

	assert_true(f->n.in_l2);
	if (!hw_checks(f, false, &failure) || !hw_checks(f, true, &failure))
		fail_msg("the processor refuses vmcs02: %s", nested_check_rows[failure.id].rule);
}

struct outcome fx_instruction(struct fx *f, u32 reason)
{
	struct outcome o;

	hw_save_lma(&f->hw, f->n.at.efer);
	o = nested_vmx_instruction(&f->n, reason);
	if (o.kind == OUT_ENTER_L2)
		o = hw_enter(f);
	else
		nested_commit_flags(&f->n, o);
	assert_true(nested_invariant(&f->n));
	if (o.kind != OUT_ENTER_L2)
		assert_in_root(f);
	return o;
}

struct outcome fx_launch(struct fx *f)
{
	return fx_instruction(f, FX_SLOT(f)->launched ? EXIT_VMRESUME : EXIT_VMLAUNCH);
}

void fx_enter(struct fx *f)
{
	struct outcome o;

	f->n.explain = true;
	o = fx_launch(f);
	f->n.explain = false;
	if (o.kind != OUT_ENTER_L2)
		fail_msg("the entry fails: kind %d, error or reason %#x, %s", o.kind, o.error_code,
			 f->hw.log);
}

enum nested_verdict fx_exit(struct fx *f, u32 reason)
{
	enum nested_verdict verdict;

	assert_true(f->n.in_l2);
	assert_int_equal(f->hw.loaded->at.v, FX_SLOT(f)->vmcs02.v);
	hw_save_lma(&f->hw, f->n.at.efer);
	FX02(f, ENTRY_INTR_INFO) &= ~(u64)INTR_VALID;
	FX02(f, EXIT_REASON) = reason;
	verdict = nested_l2_exit(&f->n, reason);
	assert_true(nested_invariant(&f->n));
	if (verdict == NESTED_REFLECTED)
		assert_in_root(f);
	else
		assert_int_equal(f->hw.loaded->at.v, FX_SLOT(f)->vmcs02.v);
	return verdict;
}

void fx_exit_to_l1(struct fx *f)
{
	FX02(f, IDT_VECTORING_INFO) = 0;
	assert_int_equal(fx_exit(f, EXIT_CPUID), NESTED_REFLECTED);
}

struct outcome fx_verdict(struct fx *f, const u64 *v)
{
	struct check_failure failure;
	struct check_env e;

	nested_check_env(&f->n, FX_SLOT(f), &e);
	e.v = v;
	if (!nested_check_controls(&e, &failure))
		return OUTCOME_VALID(VMERR_ENTRY_CONTROLS);
	if (!nested_check_host(&e, &failure))
		return OUTCOME_VALID(VMERR_ENTRY_HOST);
	if (!nested_check_guest(&e, &failure))
		return OUTCOME_ENTRY_FAIL(EXIT_INVALID_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE,
					  failure.qualification);
	return OUTCOME_ENTER_L2;
}

u64 fx_translate(struct fx *f, u64 gpa2)
{
	u64 table = FX02(f, EPT_POINTER) & EPT_ADDR;

	for (u32 level = ept_levels(FX02(f, EPT_POINTER)); level; level--) {
		u64 entry;

		memcpy(&entry, fx_page02(f, table) + 8 * ept_index(gpa2, level), sizeof(entry));
		if (!ept_present(entry, false))
			return 0;
		table = entry & EPT_ADDR;
		if (ept_is_leaf(entry, level))
			return table + (gpa2 & (BIT(ept_shift(level)) - 1));
	}
	return 0;
}
