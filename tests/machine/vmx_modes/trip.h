/*
 * One instruction in any mode of the CPU: what a trip there starts with, and what came of it.
 * For C and assembly: the offsets are those of struct trip.
 */
#ifndef VMX_MODES_TRIP_H
#define VMX_MODES_TRIP_H

#include "selectors.h"

/* Slots of the trips' GDT after the kit's; a case fills CASE_A and CASE_B. */
#define SEL_USER_CODE32	0x70
#define SEL_TSS32	0x78
#define SEL_CASE_A	0x80
#define SEL_CASE_B	0x88
#define TRIP_SELECTORS	0x90

#define REAL_PAGE	0x8000		/* copies of real-mode code, and an IVT */
#define CASE_PAGE	0x9000		/* code and operands of a case: reachable from real mode */
#define CASE_DATA	0x9800
#define REAL_VECTORS	(REAL_PAGE + 0xc00)

#define VECTOR_EXIT	0x100		/* of an outcome: the end of a VM's run */

#define TRIP_GPR	0		/* 16 of 8 bytes, in the order of encoding */
#define TRIP_RIP	128
#define TRIP_RFLAGS	136
#define TRIP_SEG	144		/* ES CS SS DS FS GS, 4 bytes each */
#define TRIP_CR0	168
#define TRIP_CR3	172
#define TRIP_CR4	176
#define TRIP_VMXON	180		/* addresses of VMX pointers, or 0 */
#define TRIP_VMCS	184
#define TRIP_POKE	188		/* cleared once paging is on; 0: nothing */
#define TRIP_AFTER	192		/* what came of it, laid out as the above */
#define AFTER_RIP	(TRIP_AFTER + 128)
#define AFTER_RFLAGS	(TRIP_AFTER + 136)
#define AFTER_VECTOR	(TRIP_AFTER + 144)
#define AFTER_ERROR	(TRIP_AFTER + 148)
#define AFTER_CR2	(TRIP_AFTER + 152)
#define AFTER_WAS_ON	(TRIP_AFTER + 160)
#define AFTER_NUMBER	(TRIP_AFTER + 164)

/* struct trip_host: what a 32-bit hypervisor found after its VM's last exit */
#define HOST_SAW_GDTR	0
#define HOST_SAW_IDTR	8
#define HOST_SAW_TR	16
#define HOST_SAW_LDTR	18
#define HOST_SAW_SEG	20		/* CS SS DS ES FS GS */
#define HOST_SAW_CR	44		/* CR0 CR3 CR4 */
#define HOST_SAW_FS	56		/* what FS:0 reads */
#define HOST_SAW_EFER	60

#ifndef __ASSEMBLER__
#include "vmx.h"

enum { ES, CS, SS, DS, FS, GS };

struct trip {
	u64 gpr[16];
	u64 rip, rflags;
	u32 seg[6];
	u32 cr0, cr3, cr4;
	u32 vmxon, vmcs;	/* legacy modes: for VMXON and VMPTRLD before the case */
	u32 poke;
	struct {
		u64 gpr[16];
		u64 rip, rflags;
		u32 vector, error;
		u64 cr2;
		u32 was_on;	/* in VMX operation at the end */
		u32 number;	/* VM-instruction error, where a VMCS was current */
	} after;
};

_Static_assert(offsetof(struct trip, seg) == TRIP_SEG && offsetof(struct trip, poke) == TRIP_POKE &&
	       offsetof(struct trip, after.rip) == AFTER_RIP &&
	       offsetof(struct trip, after.number) == AFTER_NUMBER, "offsets for the assembler");

struct trip_host {
	struct { u16 limit; u32 base; u16 fill; } __attribute__((packed)) gdtr, idtr;
	u16 tr, ldtr;
	u32 seg[6], cr[3], fs_value, efer;
};

_Static_assert(offsetof(struct trip_host, cr) == HOST_SAW_CR &&
	       offsetof(struct trip_host, efer) == HOST_SAW_EFER, "offsets for the assembler");

extern struct trip trip;
extern struct trip_host trip_host;
extern u64 trip_gdt[TRIP_SELECTORS / 8];

enum { FLAT, PAE, LONG };	/* formats of page tables */

struct mode {
	const char *name;
	bool user, v86, paging, real;
	u8 bits;		/* of the default address size: 16, 32, 64 */
	u8 format;
	bool vmx;		/* VMX instructions exist here */
};

#define MODES	14
extern const struct mode modes[MODES];

void trip_init(void);
/* The mode's registers and segments, for code at CASE_PAGE. */
void trip_reset(const struct mode *m);
/* There and back. In a 64-bit or compatibility mode, VMX operation is as the caller has it. */
void trip_run(const struct mode *m);
u64 segment(u64 base, u32 limit, u32 type);	/* type: the descriptor's bits 40-55 */

#endif
#endif
