/*
 * The generator of VMX instructions outside 64-bit mode: in each mode that a CPU has,
 * with 16-bit and 32-bit addresses, through segments with bases, limits and types.
 * Like gen.h, for both sides.
 *
 * Where the instruction exists, its operand lies in a window of linear addresses as in
 * gen_insn.h, or in the data pages themselves where there is no paging.
 */
#pragma once

#include "gen_insn.h"

enum mode_format { FORMAT_32, FORMAT_PAE, FORMAT_LONG };

/* In the order of tests/machine/vmx_modes/trip.c, whose trips the runner makes. */
struct gen_mode {
	_Bool user, v86, paging, real;
	uint8_t bits, format;
};
#define GEN_MODES 14
extern const struct gen_mode gen_modes[GEN_MODES];

struct mode_segment {
	unsigned index;			/* ES, CS, SS, DS, FS, GS */
	_Bool own, null;		/* not the flat one */
	uint32_t base, limit, type;	/* limit: 20 bits; type: bits 40-55 of a descriptor */
};

#define MODE_CODE_BYTES 16u
#define MODE_WINDOW 0x50000000u

struct mode_vector {
	struct insn_vector x;
	unsigned mode;			/* of gen_modes */
	struct mode_segment segment;
	uint32_t gpr[8];		/* ESP: the runner's own */
	uint32_t info, displacement;	/* as an exit tells them */
	uint8_t code[MODE_CODE_BYTES], length;
};

/* Pages behind PAGE_MODES. */
enum mode_page { MP_PD32, MP_PT32, MP_PDPT, MP_PD, MP_PD1, MP_COUNT };

_Static_assert(MP_COUNT <= PAGE_COUNT - PAGE_MODES, "the scratch area holds them");

void gen_mode_vector(const struct gen_world *world, uint64_t seed, uint64_t number,
		     struct mode_vector *m);
void gen_mode_place(const struct gen_world *world, void *area, const struct mode_vector *m);
/* CR3 for the modes in which the instructions exist. */
uint32_t gen_mode_cr3(const struct gen_world *world, const struct gen_mode *mode);
uint32_t gen_mode_sum(uint32_t sum, const struct mode_vector *m);
