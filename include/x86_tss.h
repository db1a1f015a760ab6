/*
 * Task-state segments and the descriptors that a task switch reads. No code
 * but the taking apart of one descriptor.
 * Source: SDM 3A "Task Management", "Segment Descriptors".
 */
#pragma once

#include "types.h"
#include "x86.h"

/* Segment registers in the order of a TSS, which is that of enum x86_seg. */
#define TSS32_SEGS 7		/* ES, CS, SS, DS, FS, GS, LDTR */
#define TSS16_SEGS 4		/* ES, CS, SS, DS; LDTR follows */
#define TSS_SAVED_GPRS 8

struct x86_tss32 {
	u16 link, reserved0;
	struct { u32 esp; u16 ss, reserved; } stack[3];
	u32 cr3;
	u32 eip, eflags, gpr[TSS_SAVED_GPRS];
	struct { u16 selector, reserved; } seg[TSS32_SEGS];
	u16 trap, io_map;
};

struct x86_tss16 {
	u16 link;
	struct { u16 sp, ss; } stack[3];
	u16 ip, flags, gpr[TSS_SAVED_GPRS];
	u16 seg[TSS16_SEGS];
	u16 ldtr;
};

_Static_assert(sizeof(struct x86_tss32) == 104, "a 32-bit TSS has 104 bytes");
_Static_assert(sizeof(struct x86_tss16) == 44, "a 16-bit TSS has 44 bytes");

#define TSS_TRAP 1u

#define SELECTOR_RPL 3u
#define SELECTOR_TI 4u

/* Types of system segments, and bits of a code or data segment's type. */
#define SYS_TYPE_LDT 2u
#define SYS_TYPE_TSS16 1u
#define SYS_TYPE_TSS32 9u
#define SYS_TYPE_TSS_BUSY 2u	/* or-ed to these two */
#define SYS_TYPE_TSS_WIDE 8u
#define SEG_TYPE_ACCESSED 1u
#define SEG_TYPE_WRITABLE 2u	/* of code: readable */
#define SEG_TYPE_DOWN 4u	/* of code: conforming */
#define SEG_TYPE_CODE 8u

/* The byte of a descriptor that holds type, S, DPL and P. */
#define DESCRIPTOR_AR_BYTE 5

struct x86_descriptor {
	u32 at;			/* its own linear address, if somebody wrote that down */
	u32 base, limit;	/* limit in bytes */
	u32 ar;			/* VMCS format */
};

static inline struct x86_descriptor x86_descriptor(u64 raw)
{
	struct x86_descriptor d = {
		.base = (u32)(raw >> 16 & 0xffffff) | (u32)(raw >> 32 & 0xff000000),
		.limit = (u32)(raw & 0xffff) | (u32)(raw >> 32 & 0xf0000),
		.ar = (u32)(raw >> 40) & 0xf0ff,
	};

	if (d.ar & AR_G)
		d.limit = d.limit << 12 | 0xfff;
	return d;
}
