/* What most instructions of L1 come to, inline: nested_commit_flags() for OUT_OK. */
#pragma once

#include "engine_ops.h"
#include "nested/nested.h"
#include "x86.h"

static always_inline void nested_commit_ok(struct nested_vcpu *n)
{
	u64 flags = op_hw_read(n, VMCS_GUEST_RFLAGS);

	if (flags & RFLAGS_ARITH)
		op_hw_write(n, VMCS_GUEST_RFLAGS, flags & ~RFLAGS_ARITH);
}
