/*
 * The state of nested VMX for one vcpu of L1, and the engine's entry points.
 *
 * The engine is told of L1's VMX instructions and of L2's exits; it works on
 * this structure and on ops (engine_ops.h) and knows nothing else: no current
 * CPU, no globals. Zeroed state means "L1 is not in VMX operation".
 *
 * Legal combinations (nested_invariant() in state.c):
 *   vmxon  current  in_l2   meaning
 *   no     NULL     no      not in VMX operation
 *   yes    NULL     no      VMX root, no current VMCS
 *   yes    slot     no      VMX root, current VMCS
 *   yes    slot     yes     L2 runs on the current slot's vmcs02
 */
#pragma once

#include "mmu/ept02.h"
#include "mmu/vtlb.h"
#include "mmu/guest_memo.h"
#include "nested/outcome.h"
#include "vmx_caps.h"

struct vm;

#define NESTED_SLOTS 16
#define VF_WORDS ((VF_COUNT + 63) / 64)
#define NESTED_NO_VMPTR GPA1(~0ull)

struct field_set { u64 w[VF_WORDS]; };

/*
 * A page of L0 merged from a bitmap page of L1 and L0's own. L1's page is
 * write-protected (op_gpa1_watch) while the copy is valid.
 */
struct nested_merged_page {
	hpa_t page;
	gpa1_t source;
	bool valid;
};

/* One active VMCS of L1: vmcs12 in L0's memory, and the vmcs02 made from it. */
struct nested_vmcs {
	gpa1_t gpa;			/* L1's VMCS region; NESTED_NO_VMPTR: slot is free */
	bool launched;			/* L1's launch state */
	bool launched02;		/* the hardware's, of vmcs02 */
	bool ready02;			/* vmcs02 was initialised for this slot */
	bool is_shadow;			/* of L1's type "shadow": never entered */
	u32 unchecked;			/* bit per vmcs_group: changed since it passed */
	u64 efer_checked;		/* L1's when the host state was last checked */
	hpa_t vmcs02, shadow;		/* hardware regions of this slot; shadow.v == 0: none */
	u64 last_used;			/* for eviction */
	struct ept02 *ept02;		/* of the last entry, if its role is still right */
	u64 eptp02;			/* what vmcs02 holds */
	gpa2_t awaited;			/* of L1's last EPT violation: it may map it now */
	bool prefill;			/* the next entry is to map it, too */
	bool prefill_vain;		/* L1 maps nothing then: it emulates */
	u64 own_cr0, own_cr4;		/* without EPT: L2's values, of the bits that are L0's */
	hpa_t root02;			/* and what vmcs02 holds as CR3 */
	u16 vpid02;			/* hardware VPID of the last entry */
	u16 cold_accesses;		/* exits of L1 for cold fields since the last entry */
	u16 busy;			/* entries in a row with many of them */
	u16 wide;			/* entries for which the shadow holds cold fields, too */
	struct nested_vmcs *link;	/* a guess at the slot of the link pointer, or NULL */
	hpa_t link02;			/* what vmcs02 holds */
	struct nested_merged_page msr_bitmap, io_bitmap[2];
	struct nested_merged_page field_bitmap[2];	/* of VMREAD and VMWRITE */
	struct field_set dirty;		/* v[] is newer than vmcs02 */
	struct field_set stale;		/* vmcs02 is newer than v[] */
	struct field_set shadow_dirty;	/* v[] is newer than the shadow VMCS */
	u64 v[VF_COUNT];		/* vmcs12, zero-extended to 64 bits */
};

/* Hardware VPIDs for the VPIDs that L1 gives its guests (vpid.c). */
#define NESTED_VPIDS 64
#define NESTED_VPID_FIRST 256
struct nested_vpids {
	u16 vpid12[NESTED_VPIDS];	/* [i]: owner of NESTED_VPID_FIRST + i; 0: free */
	u16 next;
};

struct nested_vcpu {
	struct vm *vm;
	u64 *gpr;			/* of L1 or L2, by enum x86_gpr; [GPR_RSP] is unused */
	const struct vmx_caps *hw;
	struct vmx_caps caps;		/* what L1 is told */
	struct field_set exists;	/* fields of L1's virtual VMCS */
	struct vmx_places at;		/* fields of hardware VMCSs */
	u8 copied;			/* the last merge class that is copied */
	struct vtlb *vtlb;		/* without EPT in the hardware; else NULL */
	bool check_all;			/* before each entry, whatever the hardware will say */
	bool barrier;			/* L1 must not run on what L2 taught the predictors */
	bool explain;			/* say why instructions and entries fail */
	bool nmi_exits;			/* L0 takes all NMIs, and gives on what is not its own */
	bool use_shadow;		/* hardware VMCS shadowing for L1 */
	bool hide_ept;			/* L1 shall do without EPT */
	bool always_ept5;		/* EPT of five levels, also without the CPU's help */
	bool breakpoints;		/* L1 may have some enabled; memo[] is empty then */

	hpa_t vmcs01;
	bool vmxon, in_l2;
	gpa1_t vmxon_region;
	struct nested_vmcs *current;	/* L1's current VMCS, or NULL */
	u64 clock;			/* counts uses of slots */
	struct nested_vmcs slot[NESTED_SLOTS];

	u64 eptp_checked;		/* of the last INVEPT that was accepted, ^ GOOD_EPTP */
	struct mmu_memo memo[MMU_MEMOS];	/* of operands' pages, by their number */
	struct ept02_set *ept02s;
	u64 ept02_flushed[EPT02_ROOTS];	/* stamp of each root's last INVEPT here */
	struct nested_vpids vpids;
	hpa_t msr_bitmap01, io_bitmap01[2];	/* what L0 itself intercepts */
	/* With use_shadow. For ordinary VMCSs of L1, wide ones; shadow VMCSs, reads and writes. */
	hpa_t vmread_bitmap, vmwrite_bitmap, wide_bitmap[2], fields_bitmap;
	bool linked;			/* VMCS shadowing is on in vmcs01 */
	u64 linked_bitmap;		/* the VMREAD bitmap that vmcs01 holds; 0: not said yet */
	u64 tsc_offset01;		/* of L1 */
	u64 eptp01;			/* for an L2 without EPT */
	u32 entry_controls01;		/* of vmcs01, but for "IA-32e mode guest" */
	u16 vpid01;
};

static inline bool field_test(const struct field_set *s, unsigned i)
{
	return s->w[i / 64] >> (i % 64) & 1;
}

static inline void field_set(struct field_set *s, unsigned i)
{
	s->w[i / 64] |= BIT(i % 64);
}

static inline void field_clear(struct field_set *s, unsigned i)
{
	s->w[i / 64] &= ~BIT(i % 64);
}

/* caps.c: L1's capabilities from the hardware's; fills n->caps and n->exists. */
void nested_caps_init(struct nested_vcpu *n);
/* A VMX capability MSR (480H-493H) as L1 reads it; false: #GP. */
bool nested_caps_read(const struct nested_vcpu *n, u32 msr, u64 *value);

/*
 * instr.c: L1 executed a VMX instruction (exit reason VMCALL..VMXON, INVEPT,
 * INVVPID); vmcs01 is current. Or L2 executed VMREAD or VMWRITE and L0 owns the
 * exit; vmcs02 is current. No side effect unless the outcome is OK,
 * VMFAIL (RFLAGS and the error field only) or ENTER_L2.
 */
struct outcome nested_vmx_instruction(struct nested_vcpu *n, u32 reason);
/* Writes flags and, for VMfailValid, the error field; advances nothing. */
void nested_commit_flags(struct nested_vcpu *n, struct outcome o);

/* slots.c: the bounded cache of active VMCSs. */
struct nested_vmcs *nested_slot_find(struct nested_vcpu *n, gpa1_t gpa);
/*
 * Makes the region at gpa active (evicting if need be) and loads vmcs12 from it. The
 * caller has read its first word, which is not read again, and tells of what type it is.
 */
struct nested_vmcs *nested_slot_load(struct nested_vcpu *n, gpa1_t gpa, bool is_shadow);
/* Writes vmcs12 and launch state to L1's page; the slot becomes free. */
void nested_slot_flush(struct nested_vcpu *n, struct nested_vmcs *s);
/* shadow.c: points vmcs01's link pointer at the current slot's shadow VMCS (or at nothing). */
void nested_slot_link(struct nested_vcpu *n);
/* vmcs12 as L1's VMREAD and VMWRITE see it; vmcs01 is current before and after. */
u64 nested_field_read(struct nested_vcpu *n, struct nested_vmcs *s, unsigned index);
void nested_field_write(struct nested_vcpu *n, struct nested_vmcs *s, unsigned index, u64 value);
/* fields.c: index of an encoding (without the high-access bit), or -1. */
int nested_field_index(u32 encoding);
extern const u16 nested_field_encoding[VF_COUNT];
extern const u8 nested_field_exists[VF_COUNT], nested_field_merge[VF_COUNT];
extern const u8 nested_field_group[VF_COUNT];
extern const char *const nested_field_name[VF_COUNT];
extern const struct field_set nested_fields_hot, nested_fields_cold;
extern const struct field_set nested_fields_shadow_ro, nested_fields_shadow_rw;

/* shadow_bitmap.c: fills two pages of L0 for vmcs01's VMCS shadowing. */
void nested_shadow_bitmaps(const struct nested_vcpu *n, bool wide, u8 *vmread, u8 *vmwrite);
/* A page that lets every field of L1's VMCS pass, and nothing else. */
void nested_fields_bitmap(const struct nested_vcpu *n, u8 *bitmap);

/* sync.c: brings COLD fields of vmcs02 into vmcs12; vmcs01 is current before and after. */
void nested_sync_cold(struct nested_vcpu *n, struct nested_vmcs *s);

/* enter.c: VMLAUNCH and VMRESUME behind the common prologue; vmcs01 is current. */
struct outcome nested_enter(struct nested_vcpu *n);

enum nested_verdict {
	NESTED_L0,		/* L0 owns the exit: handle it, then resume L2 */
	NESTED_RESUME,		/* absorbed: resume L2 */
	NESTED_DONE,		/* an instruction of L2 is done: advance RIP, nested_l2_stepped() */
	NESTED_REFLECTED,	/* L1 has its exit; vmcs01 is current */
};
/* exit.c: L2 exited with this full exit reason; vmcs02 is current. */
enum nested_verdict nested_l2_exit(struct nested_vcpu *n, u32 reason);
/* The hardware refused vmcs02 (VMfail): L1 gets the verdict its vmcs12 deserves. */
struct outcome nested_entry_refused(struct nested_vcpu *n, u32 vm_instruction_error);

/*
 * Without EPT (vtlb.c). CR0, CR4 and paging of whoever runs, which are not those in
 * its VMCS (current), and new values after an instruction of L2's that L0 carries out.
 */
u64 nested_vtlb_cr0(struct nested_vcpu *n);
u64 nested_vtlb_cr4(struct nested_vcpu *n);
void nested_vtlb_paging(struct nested_vcpu *n, struct mmu_paging *p);
void nested_vtlb_set_cr(struct nested_vcpu *n, u64 cr0, u64 cr4);
/* The value that L2 writes, in bits that are not L1's; old is L2's present one. */
u64 nested_l2_own_cr0(const struct nested_vcpu *n, u64 old, u64 value);
u64 nested_l2_own_cr4(const struct nested_vcpu *n, u64 old, u64 value);
/*
 * msr_list.c: RDMSR and WRMSR of L1 or L2, carried out by L0: what lives in the VMCS
 * (current) is read and written there. False: #GP.
 */
bool nested_msr_read(struct nested_vcpu *n, u32 msr, u64 *value);
bool nested_msr_write(struct nested_vcpu *n, u32 msr, u64 value);

/* The TLB of whoever runs is flushed, or its paging is another. */
void nested_vtlb_flush(struct nested_vcpu *n);

/* SDM 3A "Interrupt 8-Double Fault Exception": #PF while this event was delivered. */
enum nested_second { SECOND_PF, SECOND_DF, SECOND_TRIPLE };
enum nested_second nested_second_fault(u64 vectoring_info);

/*
 * L0 emulates something for L2 and it faults: L2 gets the exception, or L1 an exit
 * when it intercepts that. vmcs02 is current.
 */
enum nested_verdict nested_l2_fault(struct nested_vcpu *n, struct outcome fault);
/* exit_ept.c: a fault is dealt with, and whoever runs goes on as if there had been none. */
void nested_absorb(struct nested_vcpu *n, bool nmi_unblocked);
/* L0 carried out an instruction of L2; RIP is behind it. */
enum nested_verdict nested_l2_stepped(struct nested_vcpu *n);
/*
 * An NMI that arrived while L0 ran, and L2 is to be entered, or has been. NESTED_L0: it
 * waits until the entry has been, which is going to fail, or to be blocked by STI.
 */
enum nested_verdict nested_l2_nmi(struct nested_vcpu *n, bool entered);
/* It must wait, be it that L2 would take it or that L1 would have an exit. */
bool nested_l2_nmi_blocked(struct nested_vcpu *n);
/* L2 exited for a reason that is L0's own business; it goes on as if nothing had been. */
void nested_l2_interrupted(struct nested_vcpu *n);
/* Between an exit of L2 and its entry, other vcpus changed what is mapped. */
void nested_l2_memory_changed(struct nested_vcpu *n);
/*
 * An INIT has waited for the end of VMX root operation, and L2 is to be entered, or
 * has been. NESTED_RESUME: it must wait on.
 */
enum nested_verdict nested_l2_init(struct nested_vcpu *n, bool entered);

/* breakpoint.c: from now on, L1 may have breakpoints enabled in DR7. */
void nested_use_breakpoints(struct nested_vcpu *n);
/* L0 accessed this port in the place of L1 or L2. */
void nested_breakpoint_port(struct nested_vcpu *n, u16 port, u32 size);

/* bitmaps.c: L1 (or its guest) writes to a page that op_gpa1_watch() protects. */
void nested_page_written(struct nested_vcpu *n, gpa1_t page);

/* state.c: the legal combinations above; tests call it after every step. */
bool nested_invariant(const struct nested_vcpu *n);
