/* See engine_fixture.h: how a world of L1 starts, and ends. */
#include "engine_fixture.h"

#include "nested/caps.h"
#include "nested/slots.h"

#define REGION(i) HPA(0x80000000ull + (u64)(i) * PAGE_SIZE)

static const struct ept_caps ept_caps = {
	.exec_only = true, .pg_2m = true, .pg_1g = true, .ad = true, .adv_exit_info = true,
};

static hpa_t own_page(unsigned i)
{
	return HPA(FX_HOME + i * PAGE_SIZE);
}

static void poke(struct fx *f, u64 gpa1, u64 value)
{
	memcpy(fx_at(f, gpa1), &value, sizeof(value));
}

void fx_load_state(struct fx *f, enum state_base base)
{
	struct state t;

	assert_int_not_equal(base, FULL);	/* has more than L1 is offered */
	state_init(&t, base, &f->vm.memory);
	t.v[VF_EPT_POINTER] = t.v[VF_EPT_POINTER] ? FX_EPT12 | EPTP_WALK_4 | MT_WB : 0;
	t.v[VF_HOST_PAT] = t.v[VF_GUEST_PAT] = 0x0007040600070406;
	t.v[VF_HOST_EFER] = t.v[VF_GUEST_EFER] = t.e.lma ? EFER_LME | EFER_LMA | EFER_NXE :
							   EFER_NXE;
	if (!(t.v[VF_ENTRY_CONTROLS] & ENTRY_IA32E))
		t.v[VF_GUEST_EFER] = EFER_NXE;
	t.v[VF_GUEST_DR7] = DR7_INIT;
	*fx_place01(f, f->n.at.efer) = t.e.lma ? EFER_LME | EFER_LMA | EFER_SCE : EFER_SCE;
	t.v[VF_PROC2_CONTROLS] &= f->n.caps.proc2.may;
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (field_test(&f->n.exists, i))
			fx_vmwrite(f, i, t.v[i]);
}

static void start_memory(struct fx *f)
{
	struct host_memory *m = &f->vm.memory;
	const hpa_t tables = own_page(FX_OWN_PAGES);
	struct ept_caps ept = ept_caps;

	ept.walk5 = f->hw.caps.ept_vpid & EPTCAP_WALK5;
	ept.maxphyaddr = f->hw.caps.maxphyaddr;
	host_memory_init(m, FX_RAM, FX_HOME, FX_RAM);
	mmu_pool_init(&f->pool01, &f->vm, tables, FX_POOL_PAGES);
	mmu_pool_init(&f->pool02, &f->vm, HPA(tables.v + FX_POOL_PAGES * PAGE_SIZE), FX_POOL_PAGES);
	assert_true(ept01_init(&f->ept01, &f->vm, &f->pool01, &ept));
	assert_true(ept01_map(&f->ept01, GPA1(0), FX_L1_RAM, HPA(FX_SHIFT), EPT_RWX, MT_WB));
	m->ept01 = &f->ept01;
	assert_true(ept02_set_init(&f->ept02s, &f->vm, &f->pool02, &f->ept01, &ept, &ept));
	poke(f, VAPIC_PAGE + 0x80, 0x50);
	poke(f, PDPT, 0x8001);
	poke(f, FX_EPT12, (FX_EPT12 + PAGE_SIZE) | EPT_RWX);
	poke(f, FX_EPT12 + PAGE_SIZE, 0 | EPT_RWX | EPT_LARGE | MT_WB << EPT_MT_SHIFT);
	poke(f, FX_VMXON, NESTED_REVISION);
	for (unsigned i = 0; i < FX_VMCSS; i++)
		poke(f, FX_VMCS(i), NESTED_REVISION);
}

static void start_slots(struct fx *f, bool shadow)
{
	struct nested_vcpu *n = &f->n;
	unsigned page = 4;

	n->fields_bitmap = own_page(3);
	n->msr_bitmap01 = own_page(0);
	n->io_bitmap01[0] = own_page(1);
	n->io_bitmap01[1] = own_page(2);
	n->use_shadow = shadow;
	for (unsigned i = 0; i < NESTED_SLOTS; i++) {
		struct nested_vmcs *s = &n->slot[i];

		s->gpa = NESTED_NO_VMPTR;
		s->vmcs02 = REGION(1 + i);
		s->shadow = shadow ? REGION(33 + i) : HPA(0);
		hw_region_add(&f->hw, REGION(1 + i), false);
		hw_region_add(&f->hw, REGION(33 + i), true);
		s->msr_bitmap.page = own_page(page++);
		s->io_bitmap[0].page = own_page(page++);
		s->io_bitmap[1].page = own_page(page++);
		s->field_bitmap[0].page = own_page(page++);
		s->field_bitmap[1].page = own_page(page++);
	}
	assert_true(page <= FX_OWN_PAGES);
}

static void start_l1(struct fx *f)
{
	FX01(f, GUEST_CR0) = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	FX01(f, GUEST_CR4) = CR4_PAE | CR4_VMXE;
	FX01(f, CR0_SHADOW) = FX01(f, GUEST_CR0);
	*fx_place01(f, f->n.at.efer) = EFER_LME | EFER_LMA | EFER_SCE;
	*fx_place01(f, f->n.at.pat) = 0x0007040600070406;
	FX01(f, GUEST_DR7) = DR7_INIT;
	FX01(f, GUEST_RFLAGS) = RFLAGS_FIXED;
	FX01(f, GUEST_CS_AR) = 0xa09b;
	FX01(f, GUEST_SS_AR) = 0xc093;
	FX01(f, VMCS_LINK_POINTER) = ~0ull;
	FX01(f, VPID) = FX_VPID01;
}

static void start_vtlb(struct fx *f)
{
	assert_true(vtlb_init(&f->vtlb, &f->vm, &f->ept01, f->pool02.base, f->pool02.pages));
	f->n.vtlb = &f->vtlb;
}

void fx_start_root(struct fx *f, const struct vmx_caps *machine, bool shadow)
{
	struct nested_vcpu *n = &f->n;
	bool ept;

	memset(f, 0, sizeof(*f));
	hw_model_init(&f->hw);
	if (machine)
		f->hw.caps = *machine;
	hw_model_fields(&f->hw);
	ept = f->hw.caps.proc2.may & PROC2_EPT;
	f->vm.hw = &f->hw;
	start_memory(f);
	if (!ept)
		start_vtlb(f);
	n->vm = &f->vm;
	n->hw = &f->hw.caps;
	n->gpr = f->gpr;
	n->ept02s = &f->ept02s;
	n->eptp01 = ept ? f->ept01.eptp : 0;
	n->entry_controls01 = (0x11fb | ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER) &
			      f->hw.caps.entry.may;
	n->vpid01 = FX_VPID01;
	n->vmcs01 = REGION(0);
	hw_region_add(&f->hw, n->vmcs01, false);
	start_slots(f, shadow);
	nested_caps_init(n);
	nested_fields_bitmap(n, fx_page02(f, n->fields_bitmap.v));
	hw_load(&f->hw, n->vmcs01);
	start_l1(f);
	nested_slots_reset(n);
	n->vmxon = true;
	n->vmxon_region = GPA1(FX_VMXON);
}

struct vmx_caps fx_wide_machine(void)
{
	struct hw_model hw;

	hw_model_init(&hw);
	hw.caps.ept_vpid |= EPTCAP_WALK5;
	hw.caps.maxphyaddr = 52;
	return hw.caps;
}

static void start(struct fx *f, const struct vmx_caps *machine, enum state_base base, bool shadow)
{
	fx_start_root(f, machine, shadow);
	fx_vmptrld(f, FX_VMCS(0));
	fx_load_state(f, base);
}

void fx_start(struct fx *f, enum state_base base, bool shadow)
{
	start(f, NULL, base, shadow);
}

void fx_start_wide(struct fx *f, enum state_base base, bool shadow)
{
	struct vmx_caps caps = fx_wide_machine();

	start(f, &caps, base, shadow);
}

void fx_start_without_ept(struct fx *f, enum state_base base)
{
	struct vmx_caps caps;

	hw_model_init(&f->hw);
	caps = f->hw.caps;
	vmx_caps_without_ept(&caps);
	caps.proc2.may &= ~PROC2_SHADOW_VMCS;
	start(f, &caps, base, false);
}

void fx_end(struct fx *f)
{
	assert_true(nested_invariant(&f->n));
	host_memory_free(&f->vm.memory);
}
