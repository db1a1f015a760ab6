/*
 * The generator of exit vectors: a VMCS whose guest runs, one instruction of it,
 * and what L1 has in registers. Like gen.h, for both sides.
 *
 * The guest sees its pages at the same linear addresses in every mode, and in
 * every mode with paging through tables of its own. Behind the instruction there
 * are only VMCALLs. Nothing but L2's own registers and its data page depends on
 * what L2 does, so that the host side needs to know no more of that than the exit.
 */
#pragma once

#include "gen.h"

/* Pages behind PAGE_EXITS. */
enum exit_page {
	XP_CODE, XP_DATA, XP_IDT, XP_IDT_LONG, XP_GDT,	/* the guest's */
	XP_PML4, XP_PDPT, XP_PD, XP_PT, XP_PAE, XP_PD32, XP_PT32,	/* paging, each kind */
	XP_EPT, XP_EPT_PDPT, XP_EPT_PD, XP_EPT_PT,
	XP_ONES, XP_MIXED,	/* bitmaps */
	XP_ENTRY_LIST, XP_STORE_LIST, XP_LOAD_LIST,
	XP_COUNT,
};
_Static_assert(XP_COUNT <= PAGE_MODES - PAGE_EXITS, "the scratch area holds them");

/* Linear addresses; the same are guest-physical where there is no paging. */
#define XA_CODE 0x8000u
#define XA_DATA 0x9000u
#define XA_IDT 0xa000u
#define XA_GDT 0xb000u
#define XA_APIC 0xc000u
#define XA_READ_ONLY 0xd000u
#define XA_MISCONFIGURED 0xe000u	/* by EPT */
#define XA_ABSENT 0xf000u		/* in EPT */
#define XA_UNMAPPED 0x10000u
#define XA_STACK 0x9800u

#define EXIT_CODE_BYTES 16u

struct exit_vector {
	uint64_t rax, rcx, rdx, rbx, rdi;
	uint64_t pat01, dr7_01;		/* L1's */
	uint8_t code[EXIT_CODE_BYTES];
};

/* What L1 sees of itself after the exit, as the runner reports it after the fields. */
enum exit_seen {
	SEEN_ES, SEEN_CS, SEEN_SS, SEEN_DS, SEEN_FS, SEEN_GS, SEEN_LDTR, SEEN_TR,
	SEEN_FS_BASE, SEEN_GS_BASE, SEEN_GDTR_BASE, SEEN_GDTR_LIMIT, SEEN_IDTR_BASE,
	SEEN_IDTR_LIMIT,
	SEEN_RSP, SEEN_RFLAGS, SEEN_CR0, SEEN_CR3, SEEN_CR4, SEEN_DR7,
	SEEN_EFER, SEEN_PAT, SEEN_DEBUGCTL, SEEN_SYSENTER_CS, SEEN_SYSENTER_ESP, SEEN_SYSENTER_EIP,
	SEEN_GEN_MSR, SEEN_LIST,	/* a sum of the MSR-store list */
	SEEN_COUNT,
};

void gen_exit_vector(const struct gen_world *world, uint64_t seed, uint64_t number, uint64_t *v,
		     struct exit_vector *x);
/* Memory as the entry finds it. */
void gen_exit_place(const struct gen_world *world, void *area, const struct exit_vector *x);
uint64_t gen_exit_list_sum(const void *area);
uint32_t gen_exit_sum(uint32_t sum, const struct exit_vector *x);

/*
 * A report: one byte OUTCOME_*, then each value that is not what it was before
 * (fields in their order, then exit_seen): two characters of its place, the value in
 * hexadecimal digits, a blank; a line end.
 */
#define EXIT_PLACE 0x30
#define EXIT_PLACES 64u
