/*
 * One instruction or event of real mode under way. Shared by emulate*.c and
 * nobody else.
 *
 * Always: what is executed works on `cpu` and puts writes to memory in a queue;
 * L1 sees neither before real_commit(). A function that returns false has put
 * its fault's vector in insn->vector.
 */
#pragma once

#include "vm/real/emulate.h"

#define REAL_NO_GPR 0xffu
#define REAL_MAX_WRITES 3u

struct real_queued {
	u32 at, len;		/* linear address */
	u8 data[8];
};

struct real_run {
	struct vm *vm;
	struct real_cpu cpu;		/* as it will be */
	struct real_insn *insn;
	/* The instruction, taken apart. Sizes in bytes. */
	u8 opcode;			/* the second byte of those that begin with 0F */
	u8 operand_size, address_size;
	u8 seg;				/* of the memory operand */
	bool from_cs, lock;		/* prefixes */
	u32 blocks;			/* BLOCKED_BY_*: events wait for one more instruction */
	u8 mod, reg, rm;
	u8 base, index, scale;
	u32 disp, imm;
	u16 selector;			/* of an immediate far pointer */
	/* Writes to come. With `exchange` there is one, and only if memory is still this. */
	u32 writes;
	struct real_queued write[REAL_MAX_WRITES];
	bool exchange;
	u32 expected;
};

/* What follows the opcode, and whether LOCK may come before it. */
#define REAL_MODRM BIT32(0)
#define REAL_IMM8 BIT32(1)	/* sign-extended */
#define REAL_IMM16 BIT32(2)
#define REAL_IMM BIT32(3)	/* of the operand size */
#define REAL_FAR BIT32(4)	/* REAL_IMM and a selector */
#define REAL_MOFFS BIT32(5)	/* a displacement of the address size */
#define REAL_NO_MEMORY BIT32(6)	/* whatever mod says */
#define REAL_LOCKS BIT32(7)
#define REAL_STORES BIT32(8)	/* not executed here, and can write to memory */

/* Without `run` hardware executes it in every form, unless it writes through CS. */
struct real_row {
	enum real_end (*run)(struct real_run *r);
	u32 form;
};

extern const struct real_row real_one_byte[256], real_two_bytes[256];

/* emulate_decode.c: the instruction at CS:EIP; *row: what it is. EIP stays. */
bool real_decode(struct real_run *r, const struct real_row **row);

/* emulate_operand.c */
bool real_fault(struct real_run *r, u8 vector);
static inline bool real_is_memory(const struct real_run *r)
{
	return r->mod != 3;
}
/* A general-purpose register of 1, 2 or 4 bytes, by its number in instructions. */
u32 real_gpr(const struct real_run *r, u32 n, u32 size);
void real_set_gpr(struct real_run *r, u32 n, u32 size, u32 value);
/* The memory operand, or the part of it that begins at `skip`: within its segment? */
u32 real_offset(const struct real_run *r);
bool real_linear(struct real_run *r, u32 seg, u32 offset, u32 len, u32 *linear);
bool real_load(struct real_run *r, void *to, u32 len);
bool real_store(struct real_run *r, const void *from, u32 len);
/* The operand r/m16, a register or memory. */
bool real_load_rm16(struct real_run *r, u16 *value);
bool real_push(struct real_run *r, u32 value, u32 size);
bool real_pop(struct real_run *r, u32 *value, u32 size);
void real_add_to_sp(struct real_run *r, u32 n);
/* All that was queued, and that is all of it. false: memory is not as expected; nothing is done. */
bool real_commit(struct real_run *r);

/* emulate_event.c: IP and CS of the vector table, with a return to eip. */
bool real_enter_vector(struct real_run *r, u32 vector, u32 eip);

/* emulate_far.c: transfers of control, segment registers. */
void real_set_segment(struct real_run *r, u32 seg, u16 selector);
bool real_jump(struct real_run *r, u16 cs, u32 eip);
enum real_end real_far_jump(struct real_run *r);
enum real_end real_far_call(struct real_run *r);
enum real_end real_far_indirect(struct real_run *r);
enum real_end real_far_return(struct real_run *r);
enum real_end real_iret(struct real_run *r);
enum real_end real_int(struct real_run *r);
enum real_end real_mov_to_sreg(struct real_run *r);
enum real_end real_pop_sreg(struct real_run *r);
enum real_end real_load_far_pointer(struct real_run *r);

/* emulate_store.c: what may write to memory through CS. */
enum real_end real_mov_reg(struct real_run *r);
enum real_end real_mov_imm(struct real_run *r);
enum real_end real_mov_offset(struct real_run *r);
enum real_end real_pop_rm(struct real_run *r);
enum real_end real_xchg(struct real_run *r);
enum real_end real_alu_reg(struct real_run *r);
enum real_end real_alu_imm(struct real_run *r);
enum real_end real_group3(struct real_run *r);
enum real_end real_group45(struct real_run *r);

/* emulate_shown.c: what does not fault, and would show L1 what is L0's. */
enum real_end real_mov_from_sreg(struct real_run *r);
enum real_end real_push_sreg(struct real_run *r);
enum real_end real_pushf(struct real_run *r);
enum real_end real_popf(struct real_run *r);
enum real_end real_cli(struct real_run *r);
enum real_end real_sti(struct real_run *r);

/* emulate_system.c */
enum real_end real_undefined(struct real_run *r);
enum real_end real_group7(struct real_run *r);
enum real_end real_mov_control(struct real_run *r);
enum real_end real_machine(struct real_run *r);
