/*
 * The opcodes of real mode that this emulator has to know, by their bytes: one
 * row for each that hardware may leave to L0. See emulate_run.h.
 * Source: SDM 2D "Opcode Map".
 */
#include "vm/real/emulate_run.h"

#define M REAL_MODRM
#define ML (REAL_MODRM | REAL_LOCKS)
#define STORES { NULL, REAL_MODRM | REAL_STORES }
#define ALU { real_alu_reg, ML }

const struct real_row real_one_byte[256] = {
	[0x00 ... 0x01] = ALU, [0x08 ... 0x09] = ALU, [0x10 ... 0x11] = ALU, [0x18 ... 0x19] = ALU,
	[0x20 ... 0x21] = ALU, [0x28 ... 0x29] = ALU, [0x30 ... 0x31] = ALU,
	[0x06] = { real_push_sreg, 0 }, [0x0e] = { real_push_sreg, 0 },
	[0x16] = { real_push_sreg, 0 }, [0x1e] = { real_push_sreg, 0 },
	[0x07] = { real_pop_sreg, 0 },
	[0x17] = { real_pop_sreg, 0 },
	[0x1f] = { real_pop_sreg, 0 },
	[0x63] = { real_undefined, M },			/* ARPL */
	[0x80] = { real_alu_imm, ML | REAL_IMM8 },
	[0x81] = { real_alu_imm, ML | REAL_IMM },
	[0x82] = { real_alu_imm, ML | REAL_IMM8 },
	[0x83] = { real_alu_imm, ML | REAL_IMM8 },
	[0x86 ... 0x87] = { real_xchg, ML },
	[0x88 ... 0x89] = { real_mov_reg, M },
	[0x8c] = { real_mov_from_sreg, M },
	[0x8e] = { real_mov_to_sreg, M },
	[0x8f] = { real_pop_rm, M },
	[0x9a] = { real_far_call, REAL_FAR },
	[0x9c] = { real_pushf, 0 },
	[0x9d] = { real_popf, 0 },
	[0xa2 ... 0xa3] = { real_mov_offset, REAL_MOFFS },
	[0xc0 ... 0xc1] = STORES,			/* shifts */
	[0xc4 ... 0xc5] = { real_load_far_pointer, M },
	[0xc6] = { real_mov_imm, M | REAL_IMM8 },
	[0xc7] = { real_mov_imm, M | REAL_IMM },
	[0xca] = { real_far_return, REAL_IMM16 },
	[0xcb] = { real_far_return, 0 },
	[0xcc] = { real_int, 0 },
	[0xcd] = { real_int, REAL_IMM8 },
	[0xce] = { real_int, 0 },
	[0xcf] = { real_iret, 0 },
	[0xd0 ... 0xd3] = STORES,
	[0xd9] = STORES, [0xdb] = STORES, [0xdd] = STORES, [0xdf] = STORES,	/* x87 */
	[0xea] = { real_far_jump, REAL_FAR },
	[0xf1] = { real_int, 0 },
	[0xf4] = { real_machine, 0 },			/* HLT */
	[0xf6 ... 0xf7] = { real_group3, ML },
	[0xfa] = { real_cli, 0 },
	[0xfb] = { real_sti, 0 },
	[0xfe ... 0xff] = { real_group45, ML },
};

const struct real_row real_two_bytes[256] = {
	[0x00] = { real_undefined, M },			/* SLDT to VERW */
	[0x01] = { real_group7, M },
	[0x02 ... 0x03] = { real_undefined, M },	/* LAR, LSL */
	[0x06] = { real_machine, 0 },			/* CLTS */
	[0x08 ... 0x09] = { real_machine, 0 },		/* INVD, WBINVD */
	[0x11] = STORES, [0x13] = STORES, [0x17] = STORES, [0x29] = STORES, [0x2b] = STORES,
	[0x20 ... 0x23] = { real_mov_control, M | REAL_NO_MEMORY },
	[0x30] = { real_machine, 0 },			/* WRMSR */
	[0x32] = { real_machine, 0 },			/* RDMSR */
	[0x38] = { NULL, REAL_STORES },			/* three bytes */
	[0x3a] = { NULL, REAL_STORES },
	[0x7e ... 0x7f] = STORES,
	[0x90 ... 0x9f] = STORES,			/* SETcc */
	[0xa0] = { real_push_sreg, 0 },
	[0xa1] = { real_pop_sreg, 0 },
	[0xa4 ... 0xa5] = STORES,
	[0xa8] = { real_push_sreg, 0 },
	[0xa9] = { real_pop_sreg, 0 },
	[0xab ... 0xae] = STORES,
	[0xb0 ... 0xb1] = STORES,			/* CMPXCHG */
	[0xb2] = { real_load_far_pointer, M },
	[0xb3] = STORES,
	[0xb4 ... 0xb5] = { real_load_far_pointer, M },
	[0xba ... 0xbb] = STORES,
	[0xc0 ... 0xc1] = STORES,			/* XADD */
	[0xc3] = STORES, [0xc7] = STORES, [0xd6] = STORES, [0xe7] = STORES,
	[0xf7] = { NULL, REAL_STORES },			/* MASKMOVQ */
};
