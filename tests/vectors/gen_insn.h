/*
 * The generator of instruction vectors: one VMX instruction in 64-bit mode, with
 * its operands, L1's state before it, and memory for the operand. Like gen.h, for
 * both sides.
 *
 * Operands lie in a window of linear addresses of its own, whose pages have
 * different rights; the window's tables are in the scratch area.
 */
#pragma once

#include "gen.h"

enum insn_kind {
	INSN_VMREAD, INSN_VMWRITE, INSN_INVEPT, INSN_INVVPID,	/* a second operand in RDX */
	INSN_VMPTRLD, INSN_VMCLEAR, INSN_VMPTRST, INSN_VMXON,
	INSN_VMLAUNCH, INSN_VMRESUME, INSN_VMXOFF, INSN_VMCALL,	/* none */
	INSN_COUNT,
};

enum insn_form {
	FORM_RAX,		/* (%rax) */
	FORM_RBP,		/* (%rbp), in SS; without operand: behind a MOV to SS */
	FORM_FS,		/* %fs:(%rax) */
	FORM_INDEX,		/* 0x10(%rax, %rsi, 2) */
	FORM_REGISTER,		/* %rcx; VMREAD and VMWRITE only */
	FORM_COUNT,
};

/* VMX operation; with a current VMCS; one of the shadow type. */
enum insn_state { STATE_OFF, STATE_ROOT, STATE_CURRENT, STATE_SHADOW };

struct insn_vector {
	enum insn_kind insn;
	enum insn_form form;
	enum insn_state state;
	_Bool user;		/* at CPL 3 */
	_Bool unpaged;		/* CR0.PG is 0 */
	uint64_t rax, rbp, rcx, rdx, rsi;
	uint64_t target;	/* the linear address that they come to */
	uint64_t operand[2];	/* what memory holds there, where there is any */
	uint64_t prepared;	/* a VMCS is current: written to the field of VMREAD before it */
};

#define WINDOW (2ull << 39)	/* of linear addresses; the base of FS */
#define WINDOW_PAGES 8u

void gen_insn(const struct gen_world *world, uint64_t seed, uint64_t number,
	      struct insn_vector *x);
/* Memory as the instruction finds it; area is the scratch area. */
void gen_insn_place(void *area, const struct insn_vector *x);
/* A sum over what the instruction may have written there. */
uint32_t gen_insn_memory(const void *area);
/* All else: a result or CR2, the current VMCS relative to the scratch area, memory. */
uint32_t gen_insn_rest(uint64_t value, uint64_t pointer, uint32_t memory);
uint32_t gen_insn_sum(uint32_t sum, const struct insn_vector *x);

/* Six bytes an outcome: what it did (or 80H + vector), an error code, 24 bits of all else. */
#define INSN_BYTES 6u
#define INSN_OK 0x30
#define INSN_FAULT 0x80
struct insn_outcome {
	uint8_t did, error;
	uint32_t rest;
};
