/*
 * A whole engine for tests of entries, exits and what lies between: L1 in VMX
 * root operation with a current VMCS, its memory mapped away from where it
 * claims to be (so that an address nobody translated leads astray), ept02, and
 * a processor that runs L2 as far as a test says.
 *
 * The processor checks vmcs02 as hardware does, by the engine's own checks but
 * with the machine's capabilities; it refuses what they refuse. What L1 does to
 * shadowed fields never reaches the engine, as on a machine.
 */
#pragma once

#include "../unit/check_states.h"
#include "../unit/unit.h"
#include "nested/engine.h"
#include "nested/fields.h"

#define FX_RAM (32ull << 20)
#define FX_SHIFT (8ull << 20)		/* GPA1 plus this is the HPA */
#define FX_L1_RAM (8ull << 20)		/* GPA1 from here on: nothing */
#define FX_HOME (16ull << 20)		/* HPA */
#define FX_OWN_PAGES 96u		/* of L0, before the pools */
#define FX_POOL_PAGES 1024u
#define FX_NOWHERE FX_HOME		/* a GPA1 that has no memory, and is L0's home as HPA */

#define FX_VMXON 0x300000ull
#define FX_VMCS(i) (0x310000ull + (u64)(i) * PAGE_SIZE)
#define FX_VMCSS 64u
#define FX_PAGE(i) (0x100000ull + (u64)(i) * PAGE_SIZE)	/* as check_states.h uses them */
#define FX_EPT12 0x200000ull		/* maps the first GiB of GPA2 to the same GPA1 */
#define FX_VPID01 1

struct fx {
	struct vm vm;
	struct hw_model hw;
	struct nested_vcpu n;
	struct mmu_pool pool01, pool02;
	struct ept01 ept01;
	struct ept02_set ept02s;
	struct vtlb vtlb;
	u64 gpr[GPR_COUNT];
	struct unit_random random;
};

/* L1's current VMCS has the state base; vmcs01 is in the mode it needs. */
void fx_start(struct fx *f, enum state_base base, bool shadow);
/* The same on one whose addresses have 52 bits, and its EPT five levels. */
void fx_start_wide(struct fx *f, enum state_base base, bool shadow);
struct vmx_caps fx_wide_machine(void);
/* The same on a processor without EPT. */
void fx_start_without_ept(struct fx *f, enum state_base base);
/* On this machine (or the model's own), and without a current VMCS. */
void fx_start_root(struct fx *f, const struct vmx_caps *machine, bool shadow);
void fx_end(struct fx *f);

/* L1's memory. A write of L1 to a page that the engine watches is told to it. */
u8 *fx_at(struct fx *f, u64 gpa1);
void fx_l1_writes(struct fx *f, u64 gpa1, const void *src, size_t len);
/* A page of L0, by what vmcs02 would hold. */
u8 *fx_page02(struct fx *f, u64 hpa);
/* Where the processor would find GPA2 by vmcs02's tables; 0: nowhere. */
u64 fx_translate(struct fx *f, u64 gpa2);

/* L1's instructions. vmcs01 is current before and after. */
void fx_vmptrld(struct fx *f, u64 gpa1);
void fx_vmclear(struct fx *f, u64 gpa1);
u64 fx_vmread(struct fx *f, unsigned index);
void fx_vmwrite(struct fx *f, unsigned index, u64 value);
/* All fields that L1's VMCS has; 0 for others. */
void fx_vmread_all(struct fx *f, u64 v[VF_COUNT]);
void fx_vmwrite_bits(struct fx *f, unsigned index, u64 clear, u64 set);
/* The event that the next entry injects. */
void fx_inject(struct fx *f, u32 info, u32 code, u32 length);
/* What fx_vmread() would find in an active VMCS, wherever that is; nothing moves. */
u64 fx_seen(struct fx *f, const struct nested_vmcs *s, unsigned index);
void fx_load_state(struct fx *f, enum state_base base);
struct outcome fx_launch(struct fx *f);		/* VMLAUNCH, or VMRESUME if launched */
void fx_enter(struct fx *f);			/* the same; it must succeed */
struct outcome fx_instruction(struct fx *f, u32 reason);

/* The current slot, vmcs02 of it, vmcs01: without a trace in the model's counters. */
#define FX_SLOT(f) ((f)->n.current)
u64 *fx_vmcs02(struct fx *f, unsigned index);
u64 *fx_vmcs01(struct fx *f, unsigned index);
/* Where a field's value is kept that the processor may lack: f->n.at. */
u64 *fx_place01(struct fx *f, u32 encoding);
u64 *fx_place02(struct fx *f, u32 encoding);
/* Before fx_exit(): what L2 did, and what the exit tells. */
#define FX02(f, name) (*fx_vmcs02(f, VF_##name))
#define FX01(f, name) (*fx_vmcs01(f, VF_##name))
#define FX12_WRITE(f, name, value) fx_vmwrite(f, VF_##name, value)
#define FX12_READ(f, name) fx_vmread(f, VF_##name)

/* L2 exits; exit information is what the test put in vmcs02. */
enum nested_verdict fx_exit(struct fx *f, u32 reason);
/* L0 absorbed an exit: L2 goes on, which the processor must not refuse. */
void fx_resume(struct fx *f);
/* An exit that L1 always gets. */
void fx_exit_to_l1(struct fx *f);
/* What an entry with this vmcs12 deserves, by the checks alone. */
struct outcome fx_verdict(struct fx *f, const u64 *v);

static inline u64 fx_random(struct fx *f)
{
	return unit_random(&f->random);
}

static inline u64 fx_below(struct fx *f, u64 n)
{
	return fx_random(f) % n;
}
