/* See check.h. */
#include "check.h"

#include "msr_list_judge.h"
#include "x86.h"

#define HAS_ALL(value, bits) assert_false((bits) & ~(u64)(value))
#define HAS_ONLY(value, bits) HAS_ALL(bits, value)

/* What the model puts for L0's host state into a new vmcs02. */
#define L0_HOST 0x5a5a5a5a5a5a5a5aull

static void check_allowed(u64 value, struct vmx_allowed a)
{
	HAS_ALL(value, a.must);
	HAS_ONLY(value, a.may);
}

static void check_exec_controls(struct fx *f)
{
	const struct vmx_caps *hw = &f->hw.caps;
	const u64 *v = FX_SLOT(f)->v;
	u64 proc = FX02(f, PROC_CONTROLS), proc2 = FX02(f, PROC2_CONTROLS);
	u64 io = PROC_IO_BITMAPS | PROC_UNCOND_IO, want2 = nested_proc2(FX_SLOT(f));

	check_allowed(FX02(f, PIN_CONTROLS), hw->pin);
	check_allowed(proc, hw->proc);
	check_allowed(proc2, hw->proc2);
	assert_int_equal(FX02(f, PIN_CONTROLS), v[VF_PIN_CONTROLS] |
			 (f->n.nmi_exits ? PIN_NMI | PIN_VIRTUAL_NMI : 0));
	HAS_ALL(proc, (v[VF_PROC_CONTROLS] & ~io) | PROC_SECONDARY);
	HAS_ONLY(proc, v[VF_PROC_CONTROLS] | PROC_SECONDARY | io);
	/* Either every port, or those of bitmaps. */
	assert_true(!!(proc & PROC_IO_BITMAPS) != !!(proc & PROC_UNCOND_IO));
	if (v[VF_PROC_CONTROLS] & PROC_IO_BITMAPS)
		HAS_ALL(proc, PROC_IO_BITMAPS);
	else if (v[VF_PROC_CONTROLS] & PROC_UNCOND_IO)
		HAS_ALL(proc, PROC_UNCOND_IO);
	/* L0 logs pages, raises #VE and carries out VM functions itself. */
	want2 &= ~(u64)(PROC2_PML | PROC2_EPT_VE);
	assert_int_equal(proc2, want2 | PROC2_EPT | PROC2_VPID);
	if (proc2 & PROC2_VMFUNC)
		assert_int_equal(FX02(f, VMFUNC_CONTROLS), 0);
}

static void check_switch_controls(struct fx *f)
{
	const u64 *v = FX_SLOT(f)->v;
	u64 exit = FX02(f, EXIT_CONTROLS), entry = FX02(f, ENTRY_CONTROLS);

	check_allowed(exit, f->hw.caps.exit);
	check_allowed(entry, f->hw.caps.entry);
	HAS_ALL(exit, EXIT_HOST_64 | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
		      EXIT_SAVE_EFER | EXIT_LOAD_EFER);
	HAS_ALL(entry, ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER);
	if (v[VF_PIN_CONTROLS] & PIN_PREEMPTION_TIMER)
		HAS_ALL(exit, EXIT_SAVE_PREEMPTION);
	assert_int_equal(exit & EXIT_ACK_INTERRUPT, v[VF_EXIT_CONTROLS] & EXIT_ACK_INTERRUPT);
	assert_int_equal(FX02(f, EXIT_MSR_STORE_COUNT), 0);
	assert_int_equal(FX02(f, EXIT_MSR_LOAD_COUNT), 0);
	assert_int_equal(FX02(f, ENTRY_MSR_LOAD_COUNT), 0);
	for (unsigned i = VF_HOST_ES_SELECTOR; i < VF_COUNT; i++)
		if (VMCS_TYPE(nested_field_encoding[i]) == VMCS_TYPE_HOST)
			assert_int_equal(*fx_vmcs02(f, i), L0_HOST & nested_field_bits[i]);
}

static const u64 *words(const u8 *page)
{
	return (const u64 *)(const void *)page;
}

/* The page that vmcs02 names is L0's own or merged of it, and has L0's bits and L1's. */
static void check_bitmap(struct fx *f, u64 page, hpa_t own, const struct nested_merged_page *merged,
			 bool l1, u64 source, bool still)
{
	/* What changes while L2 runs counts at the next entry. */
	bool exact = l1 && still && merged->valid;
	const u64 *now, *mine = words(fx_page02(f, own.v)), *theirs;

	assert_true(page == own.v || page == merged->page.v);
	now = words(fx_page02(f, page));
	theirs = exact && source < FX_L1_RAM ? words(fx_at(f, source)) : NULL;
	if (l1 && page == own.v)
		fail_msg("L1's bitmap at %#llx is not in use", (unsigned long long)source);
	for (unsigned i = 0; i < PAGE_SIZE / sizeof(u64); i++) {
		assert_false(mine[i] & ~now[i]);
		if (exact)
			assert_int_equal(now[i], theirs ? theirs[i] | mine[i] : ~0ull);
	}
}

/* L2 reads and writes a VMCS of L1's, or none at all, and only fields that L1 has. */
static void check_shadowing(struct fx *f, bool still)
{
	const struct nested_vmcs *s = FX_SLOT(f), *link = nested_link(s);
	u64 pointer = FX02(f, VMCS_LINK_POINTER);

	assert_int_equal(pointer, link ? link->shadow.v : ~0ull);
	if (link)
		assert_true(link != s && link->is_shadow && field_set_empty(&link->shadow_dirty));
	if (!(FX02(f, PROC2_CONTROLS) & PROC2_SHADOW_VMCS))
		return;
	check_bitmap(f, FX02(f, VMREAD_BITMAP), f->n.fields_bitmap, &s->field_bitmap[0], true,
		     s->v[VF_VMREAD_BITMAP], still);
	check_bitmap(f, FX02(f, VMWRITE_BITMAP), f->n.fields_bitmap, &s->field_bitmap[1], true,
		     s->v[VF_VMWRITE_BITMAP], still);
}

static void check_bitmaps(struct fx *f, bool still)
{
	const struct nested_vmcs *s = FX_SLOT(f);
	const u64 *v = s->v;
	u64 proc = FX02(f, PROC_CONTROLS);
	bool io = v[VF_PROC_CONTROLS] & PROC_IO_BITMAPS;

	if (proc & PROC_MSR_BITMAPS)
		check_bitmap(f, FX02(f, MSR_BITMAP), f->n.msr_bitmap01, &s->msr_bitmap,
			     v[VF_PROC_CONTROLS] & PROC_MSR_BITMAPS, v[VF_MSR_BITMAP], still);
	if (!(proc & PROC_IO_BITMAPS))
		return;
	check_bitmap(f, FX02(f, IO_BITMAP_A), f->n.io_bitmap01[0], &s->io_bitmap[0], io,
		     v[VF_IO_BITMAP_A], still);
	check_bitmap(f, FX02(f, IO_BITMAP_B), f->n.io_bitmap01[1], &s->io_bitmap[1], io,
		     v[VF_IO_BITMAP_B], still);
}

/* L1's memory, or where the machine has nothing of anybody's. */
static void check_hpa(u64 hpa)
{
	assert_true(hpa < PAGE_SIZE || (hpa >= FX_SHIFT && hpa < FX_SHIFT + FX_L1_RAM));
}

static void check_addresses(struct fx *f)
{
	if (FX02(f, PROC_CONTROLS) & PROC_TPR_SHADOW)
		check_hpa(FX02(f, VIRTUAL_APIC_ADDR));
	if (FX02(f, PROC2_CONTROLS) & PROC2_APIC_ACCESS)
		check_hpa(FX02(f, APIC_ACCESS_ADDR));
	if (FX02(f, PIN_CONTROLS) & PIN_POSTED_INTERRUPTS)
		check_hpa(FX02(f, POSTED_INTR_DESC));
}

/* SDM 3C "VM-Execution Control Fields": however it got there, an entry would take it. */
static void check_eptp(const struct fx *f, u64 eptp)
{
	u64 type = eptp & EPTP_MT, reserved = 0xf80 | ~(BIT(PHYS_WIDTH) - 1);
	u64 walk = eptp & 7ull << 3;

	assert_true(type == MT_UC || type == MT_WB);
	assert_true(walk == EPTP_WALK_4 ||
		    (walk == EPTP_WALK_5 && (f->n.caps.ept_vpid & EPTCAP_WALK5)));
	assert_int_equal(eptp & reserved, 0);
}

static void check_tables(struct fx *f)
{
	const struct nested_vmcs *s = FX_SLOT(f);
	const struct ept02 *e = s->ept02;
	u64 eptp = FX02(f, EPT_POINTER), vpid = FX02(f, VPID);

	assert_true(vpid == NESTED_VPID_FIRST - 1 ||
		    (vpid >= NESTED_VPID_FIRST && vpid < NESTED_VPID_FIRST + NESTED_VPIDS));
	if (vpid >= NESTED_VPID_FIRST)
		assert_int_equal(f->n.vpids.vpid12[vpid - NESTED_VPID_FIRST], s->v[VF_VPID]);
	if (!nested_uses_ept(s)) {
		assert_int_equal(eptp, f->n.eptp01);
		return;
	}
	check_eptp(f, s->v[VF_EPT_POINTER]);
	assert_true(e >= f->ept02s.roots && e < f->ept02s.roots + EPT02_ROOTS);
	assert_int_equal(e->role, s->v[VF_EPT_POINTER] |
			 (nested_proc2(s) & PROC2_MODE_BASED_EXEC ? EPT02_ROLE_MBEC : 0));
	assert_int_equal(e->eptp, eptp);
	assert_int_equal(f->n.ept02_flushed[e - f->ept02s.roots], e->stamp);
	assert_int_equal(eptp & 0xfff, (s->v[VF_EPT_POINTER] & EPTP_AD) | EPTP_WALK_4 | MT_WB);
	assert_true((eptp & PAGE_MASK) > f->pool02.base.v &&
		    (eptp & PAGE_MASK) < f->pool02.base.v + FX_POOL_PAGES * PAGE_SIZE);
}

void fuzz_check_vmcs02(struct fx *f, bool still)
{
	assert_true(nested_invariant(&f->n));
	assert_true(f->n.in_l2);
	check_exec_controls(f);
	check_switch_controls(f);
	check_bitmaps(f, still);
	check_shadowing(f, still);
	check_addresses(f);
	check_tables(f);
}

void fuzz_check_copied(struct fx *f)
{
	const struct nested_vmcs *s = FX_SLOT(f);

	/* L1's event is injected, and no other. */
	assert_int_equal(FX02(f, ENTRY_INTR_INFO) & INTR_VALID,
			 s->v[VF_ENTRY_INTR_INFO] & INTR_VALID);
	if (s->v[VF_ENTRY_INTR_INFO] & INTR_VALID)
		assert_int_equal(FX02(f, ENTRY_INTR_INFO), s->v[VF_ENTRY_INTR_INFO]);
	if (s->v[VF_PROC_CONTROLS] & PROC_MSR_BITMAPS)
		assert_true(s->msr_bitmap.valid);
	if (s->v[VF_PROC_CONTROLS] & PROC_IO_BITMAPS)
		assert_true(s->io_bitmap[0].valid && s->io_bitmap[1].valid);
	if (nested_proc2(s) & PROC2_SHADOW_VMCS)
		assert_true(s->field_bitmap[0].valid && s->field_bitmap[1].valid);
	if (s->v[VF_ENTRY_MSR_LOAD_COUNT])
		return;		/* then some are the list's */
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (nested_is_copied(&f->n, i) && field_test(&f->n.exists, i) &&
		    !field_test(&s->stale, i) && !field_test(&s->dirty, i) &&
		    *fx_vmcs02(f, i) != s->v[i])
			fail_msg("%s is %#llx, but vmcs02 has %#llx", nested_field_name[i],
				 (unsigned long long)s->v[i],
				 (unsigned long long)*fx_vmcs02(f, i));
}

void fuzz_check_vpids(struct fx *f, const struct nested_vpids *before)
{
	for (unsigned i = 0; i < NESTED_VPIDS; i++) {
		u64 vpid = NESTED_VPID_FIRST + i;
		unsigned k = 0;

		if (!before->vpid12[i] || before->vpid12[i] == f->n.vpids.vpid12[i])
			continue;
		while (k < f->hw.flushes && f->hw.flush[k].what != vpid)
			k++;
		assert_true(k < f->hw.flushes && f->hw.flush[k].type == INVVPID_SINGLE);
	}
}

bool fuzz_exit_aborts(struct fx *f)
{
	const u64 *v = f->n.current->v;
	return msr_list_bad(f, v[VF_EXIT_MSR_LOAD_ADDR], v[VF_EXIT_MSR_LOAD_COUNT], true,
			    v[VF_EXIT_CONTROLS] & EXIT_HOST_64);
}

bool fuzz_exit_is_judged(struct fx *f)
{
	const struct nested_vmcs *s = f->n.current;

	return !s->v[VF_EXIT_MSR_STORE_COUNT] && (s->v[VF_EXIT_CONTROLS] & EXIT_HOST_64) &&
	       !(nested_proc2(s) & (PROC2_PML | PROC2_EPT_VE));
}

struct outcome fuzz_verdict(struct fx *f)
{
	u64 v[VF_COUNT], bad;
	struct outcome o;

	for (unsigned i = 0; i < VF_COUNT; i++)
		v[i] = fx_seen(f, f->n.current, i);
	o = fx_verdict(f, v);
	if (o.kind != OUT_ENTER_L2)
		return o;
	bad = msr_list_bad(f, v[VF_ENTRY_MSR_LOAD_ADDR], v[VF_ENTRY_MSR_LOAD_COUNT],
			   v[VF_GUEST_CR0] & CR0_PG, v[VF_ENTRY_CONTROLS] & ENTRY_IA32E);
	return bad ? OUTCOME_ENTRY_FAIL(EXIT_MSR_LOADING | EXIT_REASON_ENTRY_FAILURE, bad) : o;
}

/* What the engine changes in vmcs01 outside its guest-state area. */
static bool is_free01(unsigned i)
{
	return i == VF_ENTRY_CONTROLS || i == VF_PROC2_CONTROLS || i == VF_VMREAD_BITMAP ||
	       i == VF_VMWRITE_BITMAP ||
	       VMCS_TYPE(nested_field_encoding[i]) == VMCS_TYPE_GUEST ||
	       VMCS_TYPE(nested_field_encoding[i]) == VMCS_TYPE_INFO;
}

/* L1 reads and writes its current VMCS, and only the fields that L0 lets it. */
static void check_own_shadowing(struct fx *f)
{
	const struct nested_vmcs *s = f->n.current;
	u64 link = FX01(f, VMCS_LINK_POINTER);
	hpa_t reads = f->n.vmread_bitmap, writes = f->n.vmwrite_bitmap;

	if (!(FX01(f, PROC2_CONTROLS) & PROC2_SHADOW_VMCS)) {
		assert_int_equal(link, ~0ull);
		return;
	}
	assert_true(s && link == s->shadow.v);
	if (s->is_shadow)
		reads = writes = f->n.fields_bitmap;
	else if (s->wide)
		reads = f->n.wide_bitmap[0], writes = f->n.wide_bitmap[1];
	assert_int_equal(FX01(f, VMREAD_BITMAP), reads.v);
	assert_int_equal(FX01(f, VMWRITE_BITMAP), writes.v);
}

/* No vmcs02 injects what was to be injected once. */
static void check_no_event(struct fx *f)
{
	for (unsigned i = 0; i < NESTED_SLOTS; i++) {
		const struct nested_vmcs *s = &f->n.slot[i];

		if (s->ready02)
			assert_false(hw_region_at(&f->hw, s->vmcs02)->v[VF_ENTRY_INTR_INFO] &
				     INTR_VALID);
	}
}

void fuzz_check_vmcs01(struct fx *f)
{
	const u64 *v = fx_vmcs01(f, 0), *start = fuzz_start_vmcs01(f)->v;
	u64 guest[VF_COUNT];
	const struct check_env e = {
		.vm = &f->vm, .caps = &f->hw.caps, .v = guest, .lma = true, .vmptr = f->n.vmcs01.v,
	};
	struct check_failure failure;

	assert_true(nested_invariant(&f->n));
	assert_false(f->n.in_l2);
	check_no_event(f);
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (!is_free01(i) && v[i] != start[i])
			fail_msg("%s of vmcs01 changed to %#llx", nested_field_name[i],
				 (unsigned long long)v[i]);
	HAS_ONLY(FX01(f, ENTRY_CONTROLS) ^ start[VF_ENTRY_CONTROLS], ENTRY_IA32E);
	HAS_ONLY(FX01(f, PROC2_CONTROLS) ^ start[VF_PROC2_CONTROLS], PROC2_SHADOW_VMCS);
	check_own_shadowing(f);
	memcpy(guest, v, sizeof(guest));
	guest[VF_VMCS_LINK_POINTER] = ~0ull;	/* a shadow VMCS is no page of L1's */
	if (!nested_check_guest(&e, &failure))
		fail_msg("L1 cannot run: %s (%s)", nested_check_rows[failure.id].id,
			 nested_check_rows[failure.id].rule);
}
