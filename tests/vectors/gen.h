/*
 * The generator of VM-entry vectors: a whole VMCS as a function of the machine,
 * a seed and a number. The runner on the emulator and the host program that
 * judges compile the same sources, so that only outcomes go from one to the
 * other. No kit and no engine here: both sides include this.
 *
 * Always: a vector that enters exits at once (L2's first fetch finds no page),
 * and what its exit loads is host state that the runner can continue in.
 */
#pragma once

#include <stdint.h>

/* The machine, as the runner found it; control pairs are the TRUE MSRs where there are such. */
enum gen_item {
	W_BASIC, W_PIN, W_PROC, W_PROC2, W_EXIT, W_ENTRY, W_MISC, W_EPT_VPID, W_VMFUNC,
	W_CR0_FIXED0, W_CR0_FIXED1, W_CR4_FIXED0, W_CR4_FIXED1, W_VMCS_ENUM,
	W_MAXPHYADDR, W_FEATURES, W_PERF_GLOBAL,
	/* where things are, and what the host state must be for the runner to go on */
	W_SCRATCH, W_CR0, W_CR3, W_CR3_OTHER, W_CR4, W_EFER, W_PAT, W_GDT, W_IDT, W_TSS,
	W_RIP, W_RIP_LOW, W_RIP_HIGH, W_CS, W_SS, W_TR,
	W_RIP32, W_CR3_32, W_CS32, W_RSP,
	W_COUNT,
};
#define W_HAS_RTM 1u

struct gen_world {
	uint64_t w[W_COUNT];
};

/* Pages of the scratch area, which gen_fill() writes. */
enum gen_page {
	PAGE_ZERO,		/* a table that maps nothing */
	PAGE_BITMAP,		/* anything that is only read */
	PAGE_VE, PAGE_VAPIC, PAGE_APIC, PAGE_POSTED, PAGE_PML,
	PAGE_LINK, PAGE_LINK_SHADOW, PAGE_LINK_WRONG,
	PAGE_MSRS,		/* three pages of entries that can be loaded and stored */
	PAGE_MSRS_BAD = PAGE_MSRS + 3,	/* no entry can be loaded */
	PAGE_PDPTES,		/* 128 times four PDPTEs, some of them good */
	PAGE_VMCS, PAGE_VMXON,
	PAGE_ROOT,		/* for instruction vectors: a PML4 with the window of gen_insn.h */
	PAGE_WINDOW,		/* three tables */
	PAGE_DATA = PAGE_WINDOW + 3,	/* three pages of operands */
	PAGE_END = PAGE_DATA + 2,
	PAGE_EXITS,		/* what gen_exit.h names */
	PAGE_MODES = PAGE_EXITS + 24,	/* what gen_mode.h names */
	PAGE_COUNT = PAGE_MODES + 5,
};
#define GEN_PAGE_SIZE 4096u
#define GEN_VTPR 0x50u
#define GEN_MSR 0xc0000102u	/* IA32_KERNEL_GS_BASE: any mode, no effect here */

/* The fields of v[], in the order of vmcs_fields.def. */
extern const unsigned gen_field_count;
extern const uint16_t gen_encoding[];
extern const char *const gen_field_name[];

void gen_fill(const struct gen_world *world, void *area);
/* v[gen_field_count]. True: L1 must be in 32-bit mode for this entry. */
_Bool gen_entry(const struct gen_world *world, uint64_t seed, uint64_t number, uint64_t *v);
/* The valid state that this vector was made from. */
void gen_entry_base(const struct gen_world *world, uint64_t seed, uint64_t number, uint64_t *v);
/* A running check that both sides made the same vectors. */
uint32_t gen_sum(uint32_t sum, const uint64_t *v);

/* What became of an entry, as one byte that is no control character. */
#define OUTCOME_VMFAIL_INVALID 0x3f
#define OUTCOME_VMFAIL 0x40	/* + VM-instruction error */
#define OUTCOME_GUEST 0x60	/* + qualification of exit reason 33 */
#define OUTCOME_MSR_FIRST 0x70	/* exit reason 34, qualification 1 */
#define OUTCOME_MSR_LATER 0x71	/* another qualification */
#define OUTCOME_ENTERS 0x7f	/* what the engine can say of that */
#define OUTCOME_ENTERED 0x80	/* + reason of the exit that followed */
#define OUTCOME_ODD 0x21	/* none of these */

#define GEN_BLOCK 256u		/* vectors between two sums */
