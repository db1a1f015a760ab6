/*
 * What a processor does with one action of its guest, by the SDM alone: does it
 * exit under this VMCS? Slow, and nothing of the engine's: a judge over vmcs12,
 * which says what L1 wants, and over vmcs02, which says what happens.
 *
 * It is not a whole processor: what an exit needs besides controls (an interrupt
 * that arrives, an instruction that exists) is taken to be there.
 * Source: SDM 3C "Instructions That Cause VM Exits", "Other Causes of VM Exits".
 */
#pragma once

#include "types.h"
#include "vmx.h"
#include "x86.h"

struct processor {
	const u64 *v;				/* the VMCS in use */
	const u8 *(*page)(u64 address);		/* memory, as this VMCS addresses it */
};

enum act_kind {
	ACT_ALWAYS, ACT_PIN, ACT_PROC, ACT_PROC2,	/* exits if one control is 1 */
	ACT_RDTSCP, ACT_INVPCID, ACT_USER_WAIT, ACT_XSAVES,
	ACT_MOV_TO_CR0, ACT_MOV_TO_CR4, ACT_CLTS, ACT_LMSW, ACT_MOV_TO_CR3,
	ACT_EXCEPTION, ACT_IO, ACT_RDMSR, ACT_WRMSR, ACT_VMREAD, ACT_VMWRITE,
	ACT_TPR_THRESHOLD, ACT_EOI, ACT_VMFUNC,
	ACT_KINDS,
};

struct act {
	enum act_kind kind;
	u32 reason;		/* of the exit */
	u32 control;		/* of ACT_PIN, ACT_PROC, ACT_PROC2 */
	u64 value;		/* source operand, encoding, MSR, port, vector, EAX */
	u32 extra;		/* error code, size of an access, ECX */
};

static inline bool processor_bit(const struct processor *p, u64 page, u32 bit)
{
	return p->page(page)[bit / 8] >> (bit % 8) & 1;
}

static inline bool processor_has(const struct processor *p, u32 proc2)
{
	return (p->v[VF_PROC_CONTROLS] & PROC_SECONDARY) && (p->v[VF_PROC2_CONTROLS] & proc2);
}

/* Bits of *value that the guest believes it changes and that its hypervisor owns. */
static inline u64 processor_owned_change(const struct processor *p, unsigned mask, unsigned shadow,
					 u64 value)
{
	return p->v[mask] & (p->v[shadow] ^ value);
}

static inline bool processor_lmsw(const struct processor *p, u64 source)
{
	u64 owned = processor_owned_change(p, VF_CR0_MASK, VF_CR0_SHADOW, source);

	/* LMSW cannot clear PE. */
	return (owned & (CR0_MP | CR0_EM | CR0_TS)) || ((owned & CR0_PE) && (source & CR0_PE));
}

static inline bool processor_cr3(const struct processor *p, u64 value)
{
	if (!(p->v[VF_PROC_CONTROLS] & PROC_CR3_LOAD))
		return false;
	for (unsigned i = 0; i < p->v[VF_CR3_TARGET_COUNT]; i++)
		if (p->v[VF_CR3_TARGET0 + i] == value)
			return false;
	return true;
}

/* SDM 3C "Exception Bitmap", "Page-Fault Error-Code Mask and Match". */
static inline bool processor_exception(const struct processor *p, u32 vector, u32 error_code)
{
	bool bit = p->v[VF_EXCEPTION_BITMAP] >> vector & 1;
	bool equal = (error_code & (u32)p->v[VF_PF_ERROR_MASK]) == (u32)p->v[VF_PF_ERROR_MATCH];

	return vector == X86_PF && !equal ? !bit : bit;
}

/* SDM 3C "I/O-Bitmap Addresses": unconditional exiting does not count where bitmaps are used. */
static inline bool processor_io(const struct processor *p, u32 port, u32 size)
{
	if (!(p->v[VF_PROC_CONTROLS] & PROC_IO_BITMAPS))
		return p->v[VF_PROC_CONTROLS] & PROC_UNCOND_IO;
	for (u32 at = port; at < port + size; at++)
		if (at > 0xffff ||
		    processor_bit(p, p->v[at < 0x8000 ? VF_IO_BITMAP_A : VF_IO_BITMAP_B],
				  at & 0x7fff))
			return true;
	return false;
}

static inline bool processor_msr(const struct processor *p, u32 msr, bool write)
{
	u32 quarter = write ? 2 : 0;

	if (!(p->v[VF_PROC_CONTROLS] & PROC_MSR_BITMAPS))
		return true;
	if (msr >= 0xc0000000 && msr <= 0xc0001fff)
		quarter++;
	else if (msr > 0x1fff)
		return true;
	return processor_bit(p, p->v[VF_MSR_BITMAP], quarter * 0x2000 + (msr & 0x1fff));
}

static inline bool processor_field(const struct processor *p, u64 encoding, unsigned bitmap)
{
	if (!processor_has(p, PROC2_SHADOW_VMCS) || (encoding & ~0x7fffull))
		return true;
	return processor_bit(p, p->v[bitmap], (u32)encoding);
}

/* SDM 3C "TPR Virtualization". */
static inline bool processor_tpr(const struct processor *p)
{
	if (!(p->v[VF_PROC_CONTROLS] & PROC_TPR_SHADOW) || processor_has(p, PROC2_VIRTUAL_INTR))
		return false;
	return p->page(p->v[VF_VIRTUAL_APIC_ADDR])[0x80] >> 4 < (p->v[VF_TPR_THRESHOLD] & 15);
}

/* Where VMFUNC is not enabled it is an undefined instruction. What EPTP switching makes of
 * the entry it finds is not asked here. */
static inline bool processor_vmfunc(const struct processor *p, u64 function, u32 index)
{
	if (!processor_has(p, PROC2_VMFUNC))
		return false;
	if (function > 63 || !(p->v[VF_VMFUNC_CONTROLS] >> function & 1))
		return true;
	return function == 0 && index > 511;
}

static inline bool processor_exits(const struct processor *p, const struct act *a)
{
	const u64 *v = p->v;

	switch (a->kind) {
	case ACT_ALWAYS: return true;
	case ACT_PIN: return v[VF_PIN_CONTROLS] & a->control;
	case ACT_PROC: return v[VF_PROC_CONTROLS] & a->control;
	case ACT_PROC2: return processor_has(p, a->control);
	case ACT_RDTSCP: return processor_has(p, PROC2_RDTSCP) && v[VF_PROC_CONTROLS] & PROC_RDTSC;
	case ACT_INVPCID:
		return processor_has(p, PROC2_INVPCID) && v[VF_PROC_CONTROLS] & PROC_INVLPG;
	case ACT_USER_WAIT:
		return processor_has(p, PROC2_USER_WAIT) && v[VF_PROC_CONTROLS] & PROC_RDTSC;
	case ACT_XSAVES: return processor_has(p, PROC2_XSAVES) && v[VF_XSS_EXIT_BITMAP] & a->value;
	case ACT_MOV_TO_CR0: return processor_owned_change(p, VF_CR0_MASK, VF_CR0_SHADOW, a->value);
	case ACT_MOV_TO_CR4: return processor_owned_change(p, VF_CR4_MASK, VF_CR4_SHADOW, a->value);
	case ACT_CLTS: return v[VF_CR0_MASK] & v[VF_CR0_SHADOW] & CR0_TS;
	case ACT_LMSW: return processor_lmsw(p, a->value);
	case ACT_MOV_TO_CR3: return processor_cr3(p, a->value);
	case ACT_EXCEPTION: return processor_exception(p, (u32)a->value, a->extra);
	case ACT_IO: return processor_io(p, (u32)a->value, a->extra);
	case ACT_RDMSR: return processor_msr(p, (u32)a->value, false);
	case ACT_WRMSR: return processor_msr(p, (u32)a->value, true);
	case ACT_VMREAD: return processor_field(p, a->value, VF_VMREAD_BITMAP);
	case ACT_VMWRITE: return processor_field(p, a->value, VF_VMWRITE_BITMAP);
	case ACT_TPR_THRESHOLD: return processor_tpr(p);
	case ACT_EOI:
		return processor_has(p, PROC2_VIRTUAL_INTR) &&
		       v[VF_EOI_EXIT_BITMAP0 + a->value / 64] >> (a->value % 64) & 1;
	case ACT_VMFUNC: return processor_vmfunc(p, a->value, a->extra);
	case ACT_KINDS: break;
	}
	return true;
}
