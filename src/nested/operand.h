/*
 * Operands of VMX instructions, INS and OUTS, as the VM-exit instruction information
 * and the exit qualification describe them. Reads the VMCS of whoever executed
 * it, L1 or L2, which is current.
 *
 * Always: a read or write that faults has changed nothing but what a processor
 * would have (flags and log of ept12).
 */
#pragma once

#include "engine_ops.h"
#include "nested/nested.h"
#include "x86.h"

/* An exit by such an instruction, decoded as far as the prologue needs it. */
struct nested_insn {
	struct nested_vcpu *n;
	const char *name;
	u32 info;		/* VM-exit instruction information; 0: no operands */
	bool mode64;		/* CS.L in IA-32e mode; else protected mode */
	u8 cpl;
};

/* SDM 3C "Information for VM Exits Due to Instruction Execution". */
#define INSN_IS_REGISTER(info) ((info) & BIT32(10))
#define INSN_REG1(info) (((info) >> 3) & 15)
#define INSN_REG2(info) ((info) >> 28)

static inline u64 nested_gpr_read(const struct nested_insn *in, unsigned reg)
{
	u64 v = reg == GPR_RSP ? op_hw_read(in->n, VMCS_GUEST_RSP) : in->n->gpr[reg];

	return in->mode64 ? v : (u32)v;
}

static inline void nested_gpr_write(const struct nested_insn *in, unsigned reg, u64 value)
{
	if (!in->mode64)
		value = (u32)value;
	if (reg == GPR_RSP)
		op_hw_write(in->n, VMCS_GUEST_RSP, value);
	else
		in->n->gpr[reg] = value;
}

/* 48 bits of linear address, or 57 with CR4.LA57; the rest copies the top one. */
bool nested_is_canonical(u64 a, u64 cr4);

/* The memory operand, 4 or 8 bytes; false: *fault is what L1 gets instead. */
bool nested_operand_read(const struct nested_insn *in, u64 *to, size_t len, struct outcome *fault);
/* The same, 16 bytes. */
bool nested_descriptor_read(const struct nested_insn *in, u64 to[2], struct outcome *fault);
/* The same for a VMX instruction of L2, which may also come to OUT_INTERRUPTED. */
bool nested_operand_read_l2(const struct nested_insn *in, u64 *to, size_t len,
			    struct outcome *fault);
bool nested_operand_write(const struct nested_insn *in, const void *from, size_t len,
			  struct outcome *fault);

/*
 * INS (to memory) or OUTS: the operand at RDI or RSI. In any mode, at any CPL.
 * mask: of the address size, which is the size of the counter as well.
 */
struct nested_string {
	struct nested_insn in;
	u32 segment;
	u64 offset, mask;
};
void nested_string_decode(struct nested_vcpu *n, bool to_memory, struct nested_string *s);
bool nested_string_read(const struct nested_string *s, void *to, size_t len,
			struct outcome *fault);
/* Would a write fault? Asked before the port is read. */
bool nested_string_check(const struct nested_string *s, size_t len, struct outcome *fault);
bool nested_string_write(const struct nested_string *s, const void *from, size_t len,
			 struct outcome *fault);
