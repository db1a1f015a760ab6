/*
 * VMX instructions as inline functions. Nothing outside vmx/ and the engine's
 * ops executes them. Failures here are L0's own broken invariants unless the
 * name says "try".
 */
#pragma once

#include "types.h"

static always_inline u64 vmx_read(u32 field)
{
	u64 v;

	asm volatile("vmread %1, %0" : "=r"(v) : "r"((u64)field) : "cc");
	return v;
}

static always_inline void vmx_write(u32 field, u64 v)
{
	asm volatile("vmwrite %0, %1" : : "r"(v), "r"((u64)field) : "cc", "memory");
}

static always_inline bool vmx_try_vmxon(hpa_t region)
{
	bool fail;

	asm volatile("vmxon %1" : "=@ccbe"(fail) : "m"(region.v) : "memory");
	return !fail;
}

static always_inline bool vmx_load(hpa_t region)
{
	bool fail;

	asm volatile("vmptrld %1" : "=@ccbe"(fail) : "m"(region.v) : "memory");
	return !fail;
}

static always_inline bool vmx_clear(hpa_t region)
{
	bool fail;

	asm volatile("vmclear %1" : "=@ccbe"(fail) : "m"(region.v) : "memory");
	return !fail;
}

static always_inline void vmx_invept(u64 type, u64 eptp)
{
	struct { u64 eptp, zero; } d = { eptp, 0 };

	asm volatile("invept %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
}

static always_inline void vmx_invvpid(u64 type, u16 vpid, gva_t a)
{
	struct { u64 vpid, gva; } d = { vpid, a.v };

	asm volatile("invvpid %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
}
