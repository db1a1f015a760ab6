/*
 * Breakpoints of L1 and L2 on what L0 accesses in their place: operands of
 * instructions that it carries out, and ports. What meets one is a trap that waits
 * behind the instruction, like those of the processor's own accesses: the next entry
 * delivers it, or L1 gets it as an exit. The VMCS of whoever runs is current.
 * Source: SDM 3B "Debug Registers", 3C "Guest Non-Register State".
 */
#include "nested/engine.h"

#include "engine_ops.h"
#include "x86.h"

#define BREAKPOINTS 4u

/* DR7.R/Wn; a read meets the last one only. */
enum { ON_FETCH, ON_WRITE, ON_PORT, ON_ACCESS };

struct range { u64 first, last; };

/* DR7.LENn: 1, 2, 8 or 4 bytes, aligned. */
static struct range watched(struct nested_vcpu *n, unsigned i, u64 dr7)
{
	static const u8 mask[] = { 0, 1, 7, 3 };
	u64 rest = mask[dr7 >> (18 + 4 * i) & 3], at = op_dr_read(n, i) & ~rest;

	return (struct range){ at, at + rest };
}

/* kinds: a bit for each R/Wn that the access meets. */
static void access_meets(struct nested_vcpu *n, struct range access, u32 kinds)
{
	u64 dr7 = op_hw_read(n, VMCS_GUEST_DR7), met = 0;

	for (unsigned i = 0; i < BREAKPOINTS && (dr7 & DR7_ENABLES); i++) {
		struct range r = watched(n, i, dr7);

		if ((dr7 >> 2 * i & 3) && (kinds >> (dr7 >> (16 + 4 * i) & 3) & 1) &&
		    access.first <= r.last && r.first <= access.last)
			met |= BIT(i) | PENDING_DEBUG_ENABLED;
	}
	if (met)
		op_hw_write(n, VMCS_GUEST_PENDING_DEBUG,
			    op_hw_read(n, VMCS_GUEST_PENDING_DEBUG) | met);
}

/* What is found without a walk would meet none: it has to be walked for. */
void nested_use_breakpoints(struct nested_vcpu *n)
{
	n->breakpoints = true;
	for (unsigned i = 0; i < MMU_MEMOS; i++)
		n->memo[i].page = MMU_MEMO_EMPTY;
}

void nested_breakpoint_memory(struct nested_vcpu *n, gva_t gva, size_t len, bool write)
{
	if (n->breakpoints || n->in_l2)
		access_meets(n, (struct range){ gva.v, gva.v + len - 1 },
			     BIT32(ON_ACCESS) | (write ? BIT32(ON_WRITE) : 0));
}

void nested_breakpoint_port(struct nested_vcpu *n, u16 port, u32 size)
{
	if (op_hw_read(n, VMCS_GUEST_CR4) & CR4_DE)
		access_meets(n, (struct range){ port, port + size - 1ull }, BIT32(ON_PORT));
}
