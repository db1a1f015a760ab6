/*
 * Two worlds for one hypervisor P and its guest L2: an engine alone on the model
 * of the hardware, and an engine that is itself a guest of another engine, which
 * has the model. Both have the same small machine:
 *
 *   FX_VMCS(i)          VMCS regions of the world's engine
 *   WORLD_L1            P's memory, from its address 0 on
 *   WORLD_HOME          the engine's own: bitmaps, tables
 *
 * The hosted world's machine is the memory of the lower engine's L1. A hardware
 * operation of the hosted engine is a VMX instruction there; whatever makes P or
 * its guest exit is an exit of the lower engine's L2.
 */
#pragma once

#include "engine_fixture.h"

#include "nested/caps.h"
#include "nested/slots.h"
#include "x86.h"

#define WORLD_L1 0x400000ull
#define WORLD_L1_RAM SZ_2M
#define WORLD_HOME 0x600000ull
#define WORLD_OWN_PAGES 96u
#define WORLD_POOL_PAGES 80u
#define WORLD_RAM FX_L1_RAM
#define WORLD_OPERAND 0x2f0000ull	/* of the hosted engine's own instructions */

#define P_OPERAND 0x30000ull		/* in P's memory */
#define P_VMXON 0x40000ull
#define P_VMCS(i) (0x50000ull + (u64)(i) * PAGE_SIZE)
#define P_VMCSS 20u
#define P_EPT12 0x1c0000ull
#define P_PML5 (P_EPT12 + 2 * PAGE_SIZE)
#define P_CR3 0x1000ull

struct world {
	struct vm vm;
	struct hw_model hw;
	struct nested_vcpu n;
	struct mmu_pool pool01, pool02;
	struct ept01 ept01;
	struct ept02_set ept02s;
	u64 gpr[GPR_COUNT];
	struct fx *below;	/* the engine that hosts this one; NULL: none */
};

static inline struct ept_caps world_ept(const struct world *w)
{
	return (struct ept_caps){
		.exec_only = true, .pg_2m = true, .pg_1g = true, .ad = true,
		.walk5 = w->hw.caps.ept_vpid & EPTCAP_WALK5, .maxphyaddr = w->hw.caps.maxphyaddr,
	};
}

static inline struct world *world_of(struct hw_model *hw)
{
	return (struct world *)(void *)((char *)hw - offsetof(struct world, hw));
}

/* The VMCS of whoever runs above all engines, as the processor has it. */
static inline u64 *world_cpu(struct world *w)
{
	return w->below ? w->below->hw.loaded->v : w->hw.loaded->v;
}

static inline u8 *world_l1(struct world *w, u64 gpa)
{
	assert_true(gpa < WORLD_L1_RAM);
	return w->vm.memory.ram + WORLD_L1 + gpa;
}

static inline void world_poke(struct world *w, u64 gpa, u64 value)
{
	memcpy(world_l1(w, gpa), &value, sizeof(value));
}

/* The hosted engine's hardware: instructions of the lower engine's L1. */
static inline void hosted_load(struct hw_model *hw, hpa_t at)
{
	fx_vmptrld(world_of(hw)->below, at.v);
}

static inline void hosted_clear(struct hw_model *hw, hpa_t at)
{
	fx_vmclear(world_of(hw)->below, at.v);
}

static inline u64 hosted_read(struct hw_model *hw, u32 encoding)
{
	u64 v = fx_vmread(world_of(hw)->below, (unsigned)nested_field_index(encoding & ~1u));

	return encoding & 1 ? v >> 32 : v;
}

static inline void hosted_write(struct hw_model *hw, u32 encoding, u64 v)
{
	assert_false(encoding & 1);
	fx_vmwrite(world_of(hw)->below, (unsigned)nested_field_index(encoding), v);
}

static inline void hosted_invalidate(struct hw_model *hw, u32 reason, u64 type, u64 low, u64 high)
{
	struct fx *f = world_of(hw)->below;
	const u64 operand[2] = { low, high };

	fx_l1_writes(f, WORLD_OPERAND, operand, sizeof(operand));
	f->gpr[GPR_RDX] = type;
	FX01(f, EXIT_INSTR_INFO) = (u32)GPR_RDX << 28 | 2u << 7 | (u32)SEG_DS << 15 | BIT32(22) |
				   BIT32(27);
	FX01(f, EXIT_QUALIFICATION) = WORLD_OPERAND;
	assert_int_equal(fx_instruction(f, reason).kind, OUT_OK);
}

static inline void hosted_invept(struct hw_model *hw, u64 eptp)
{
	hosted_invalidate(hw, EXIT_INVEPT, INVEPT_SINGLE, eptp, 0);
}

static inline void hosted_invvpid(struct hw_model *hw, u32 type, u16 vpid, gva_t a)
{
	hosted_invalidate(hw, EXIT_INVVPID, type, vpid, a.v);
}

/* Fields of a VMCS of the world's engine that vm/ would write. */
static inline void world_write(struct world *w, unsigned i, u64 value)
{
	if (w->hw.exists[i])
		hw_write(&w->hw, nested_field_encoding[i], value);
}

static inline void world_host_state(struct world *w)
{
	static struct state t;

	state_init(&t, B64, &w->vm.memory);
	t.v[VF_HOST_PAT] = 0x0007040600070406;
	t.v[VF_HOST_EFER] = EFER_LME | EFER_LMA | EFER_SCE;
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (VMCS_TYPE(nested_field_encoding[i]) == VMCS_TYPE_HOST)
			world_write(w, i, t.v[i]);
	world_write(w, VF_EXIT_MSR_STORE_COUNT, 0);
	world_write(w, VF_EXIT_MSR_LOAD_COUNT, 0);
	world_write(w, VF_ENTRY_MSR_LOAD_COUNT, 0);
	world_write(w, VF_ENTRY_INTR_INFO, 0);
}

static inline void hosted_init_vmcs02(struct hw_model *hw)
{
	world_host_state(world_of(hw));
}

static const struct hw_host hosted = {
	hosted_load, hosted_clear, hosted_read, hosted_write, hosted_init_vmcs02, hosted_invept,
	hosted_invvpid,
};

static inline hpa_t world_page(unsigned i)
{
	return HPA(WORLD_HOME + i * PAGE_SIZE);
}

static inline void world_start_memory(struct world *w)
{
	struct host_memory *m = &w->vm.memory;
	const hpa_t tables = world_page(WORLD_OWN_PAGES);
	const struct ept_caps ept = world_ept(w);

	*m = (struct host_memory){ .ram_size = WORLD_RAM, .home = WORLD_HOME, .home_end = WORLD_RAM };
	m->ram = w->below ? w->below->vm.memory.ram + FX_SHIFT : calloc(1, WORLD_RAM);
	assert_non_null(m->ram);
	mmu_pool_init(&w->pool01, &w->vm, tables, WORLD_POOL_PAGES);
	mmu_pool_init(&w->pool02, &w->vm, HPA(tables.v + WORLD_POOL_PAGES * PAGE_SIZE),
		      WORLD_POOL_PAGES);
	assert_true(ept01_init(&w->ept01, &w->vm, &w->pool01, &ept));
	assert_true(ept01_map(&w->ept01, GPA1(0), WORLD_L1_RAM, HPA(WORLD_L1), EPT_RWX, MT_WB));
	m->ept01 = &w->ept01;
	assert_true(ept02_set_init(&w->ept02s, &w->vm, &w->pool02, &w->ept01, &ept, &ept));
}

static inline void world_start_engine(struct world *w)
{
	struct nested_vcpu *n = &w->n;
	unsigned page = 3;

	n->vm = &w->vm;
	n->hw = &w->hw.caps;
	n->gpr = w->gpr;
	n->ept02s = &w->ept02s;
	n->eptp01 = w->ept01.eptp;
	n->entry_controls01 = 0x11fb | ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER;
	n->vpid01 = 1;
	n->vmcs01 = HPA(FX_VMCS(1));
	n->msr_bitmap01 = world_page(0);
	n->io_bitmap01[0] = world_page(1);
	n->io_bitmap01[1] = world_page(2);
	for (unsigned i = 0; i < NESTED_SLOTS; i++) {
		struct nested_vmcs *s = &n->slot[i];

		s->vmcs02 = HPA(FX_VMCS(2 + i));
		s->msr_bitmap.page = world_page(page++);
		s->io_bitmap[0].page = world_page(page++);
		s->io_bitmap[1].page = world_page(page++);
	}
	if (!w->below)
		for (unsigned i = 0; i <= NESTED_SLOTS; i++)
			hw_region_add(&w->hw, HPA(FX_VMCS(1 + i)), false);
	nested_caps_init(n);
	nested_slots_reset(n);
}

/* vmcs01: P in 64-bit mode, as vm/ would set it up. */
static inline void world_start_vmcs01(struct world *w)
{
	static struct state t;
	u64 *v = t.v;

	hw_load(&w->hw, w->n.vmcs01);
	world_host_state(w);
	state_init(&t, B64, &w->vm.memory);
	v[VF_PROC_CONTROLS] |= PROC_MSR_BITMAPS | PROC_IO_BITMAPS;
	v[VF_PROC2_CONTROLS] |= PROC2_VPID | PROC2_UNRESTRICTED;
	v[VF_EXIT_CONTROLS] |= EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER |
			       EXIT_LOAD_EFER;
	v[VF_ENTRY_CONTROLS] = w->n.entry_controls01 | ENTRY_IA32E;
	v[VF_MSR_BITMAP] = w->n.msr_bitmap01.v;
	v[VF_IO_BITMAP_A] = w->n.io_bitmap01[0].v;
	v[VF_IO_BITMAP_B] = w->n.io_bitmap01[1].v;
	v[VF_EPT_POINTER] = w->n.eptp01;
	v[VF_VPID] = w->n.vpid01;
	v[VF_GUEST_CR3] = P_CR3;
	v[VF_GUEST_EFER] = EFER_LME | EFER_LMA | EFER_SCE;
	v[VF_GUEST_PAT] = 0x0007040600070406;
	v[VF_GUEST_DR7] = DR7_INIT;
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (VMCS_TYPE(nested_field_encoding[i]) != VMCS_TYPE_HOST &&
		    VMCS_TYPE(nested_field_encoding[i]) != VMCS_TYPE_INFO)
			world_write(w, i, v[i]);
}

/* P's memory: its page tables, its regions, the EPT of its guests. */
static inline void world_start_p(struct world *w)
{
	world_poke(w, P_CR3, (P_CR3 + PAGE_SIZE) | 0x27);
	world_poke(w, P_CR3 + PAGE_SIZE, 0xe7);
	world_poke(w, VAPIC_PAGE + 0x80, 0x50);
	world_poke(w, P_EPT12, (P_EPT12 + PAGE_SIZE) | EPT_RWX);
	world_poke(w, P_EPT12 + PAGE_SIZE, EPT_RWX | EPT_LARGE | MT_WB << EPT_MT_SHIFT);
	world_poke(w, P_PML5, P_EPT12 | EPT_RWX);
	world_poke(w, P_PML5 + 8, P_EPT12 | EPT_R);
	world_poke(w, P_VMXON, NESTED_REVISION);
	for (unsigned i = 0; i < P_VMCSS; i++)
		world_poke(w, P_VMCS(i), NESTED_REVISION);
}

/* below: in its start state, with paging as its L1 needs it for its own operands; or NULL. */
static inline void world_start(struct world *w, struct fx *below, bool wide)
{
	memset(w, 0, sizeof(*w));
	hw_model_init(&w->hw);
	if (wide)
		w->hw.caps = fx_wide_machine();
	w->vm.hw = &w->hw;
	w->below = below;
	if (below) {
		w->hw.host = &hosted;
		w->hw.caps = below->n.caps;
		hw_model_fields(&w->hw);
	}
	world_start_memory(w);
	world_start_engine(w);
	world_start_p(w);
	world_start_vmcs01(w);
}

static inline void world_end(struct world *w)
{
	if (!w->below)
		free(w->vm.memory.ram);
}
