/*
 * A minimal VMX hypervisor: VMX instructions with their outcome as a value, one VM whose guest runs
 * in the same address space as the test (with a stack of its own), and a run loop.
 * A VM starts with the fewest exits that the CPU allows: no bitmaps, no intercepts, EPT and VPID
 * only on request. Tests then change fields by vmwrite().
 */
#ifndef KIT_VMX_H
#define KIT_VMX_H

#include "cpu.h"
#include "vmcs.h"

#define MSR_VMX_BASIC		0x480
#define MSR_VMX_MISC		0x485
#define MSR_VMX_SECONDARY	0x48b
#define MSR_VMX_EPT_VPID	0x48c

/* What an instruction did: OK, VMfailInvalid, VMfailValid with its number, or a fault. */
struct outcome {
	enum { DID_OK, DID_FAIL_INVALID, DID_FAIL_VALID, DID_FAULT, DID_ODD_FLAGS } kind;
	u32 number;
};

struct control_caps {
	u32 must, may;
};

struct vmx_caps {
	u64 basic, misc, ept_vpid;
	struct control_caps pin, primary, secondary, exit, entry;
	u32 revision;
};

extern struct vmx_caps vmx_caps;

/* vmx.c */
void vmx_read_caps(void);
void vmx_prepare(void);		/* CR0, CR4.VMXE, IA32_FEATURE_CONTROL: all but VMXON */
void vmx_on(void);
void vmx_off(void);
u64 *vmx_region(void);		/* a new page with the revision identifier */
struct outcome vmxon(u64 address);
struct outcome vmxoff(void);
struct outcome vmclear(u64 address);
struct outcome vmptrld(u64 address);
u64 vmptrst(void);
struct outcome vmread_try(u64 field, u64 *value);
struct outcome vmwrite_try(u64 field, u64 value);
struct outcome vmlaunch_only(void);	/* for entries that fail before they start */
struct outcome vmresume_only(void);
struct outcome invept(u64 type, u64 eptp);
struct outcome invvpid(u64 type, u16 vpid, u64 address);
const char *outcome_text(struct outcome o);
/* These end the test if they fail. */
u64 vmread(u64 field);
void vmwrite(u64 field, u64 value);
void must(struct outcome o, const char *what);
/*
 * What this CPU lacks, a control or a field: noted in `missing` and left out, if that is tolerated.
 */
extern bool tolerate_missing, missing;
static inline bool has_ept(void)
{
	return vmx_caps.secondary.may & SEC_EPT;
}

/* Sets and clears bits of a control field; false (and no change) if the CPU has not got them. */
bool control_can(u64 field, u32 set);
void control_set(u64 field, u32 set);
void control_clear(u64 field, u32 clear);

/* vm.c */
enum register_index {
	RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
};

struct vm {
	u64 regs[16];		/* the guest's; RSP is in the VMCS */
	u64 *vmcs;
	u8 *stack;
	bool launched;
	struct outcome entry;	/* of the last VMLAUNCH or VMRESUME */
};

#define GUEST_STACK	16384

/* Makes the VM's VMCS current, with host state and a 64-bit guest at CPL 0. */
void vm_init(struct vm *vm);
/* The same state again in the current VMCS, for the next case. */
void vm_reset(struct vm *vm, const void *rip);
#define NO_EXIT	0xffffffffu
/*
 * Enters the guest; the exit reason (bit 31: entry failure), or NO_EXIT if the entry failed early.
 */
u32 vm_run(struct vm *vm);
void vm_skip(void);			/* the instruction that caused the exit */
void vm_load(struct vm *vm);		/* makes its VMCS current */

/* guest_mode.c */
struct guest_mode {
	const char *name;
	u32 code_rights, data_rights;
	enum { GUEST_PROTECTED, GUEST_COMPATIBILITY, GUEST_V86, GUEST_REAL } kind;
	bool wide;	/* 32-bit code */
};

#define GUEST_MODES	5
extern const struct guest_mode guest_modes[GUEST_MODES];
/* After vm_reset(): segments, paging, RIP 0 in a CS with this base, RSP, RFLAGS. */
void vm_set_mode(const struct guest_mode *m, u32 code_base);

/* exits.c */
const char *reason_name(u32 reason);
/* The reason and every exit-information field that the SDM defines for it; no line end. */
void print_exit(const struct vm *vm, u32 reason);
/* RBX of a guest that ends with VMCALL; of another, its exit in brackets. */
void print_rbx_or_exit(const struct vm *vm, u32 reason);

/* ept.c: tables that map an address to itself unless told otherwise */
#define EPT_R		1u
#define EPT_W		2u
#define EPT_X		4u
#define EPT_RWX		7u
#define EPT_WB		(6u << 3)
#define EPT_LARGE	BIT(7)
#define EPT_A		BIT(8)
#define EPT_D		BIT(9)
#define EPT_XU		BIT(10)	/* with mode-based execute control: linear addresses of the user */
#define EPT_CAP_WALK5	BIT(7)	/* of IA32_VMX_EPT_VPID_CAP */
u64 *ept_new(void);
void ept_identity(u64 *root, u64 end, u64 page);	/* [0, end) by pages of this size */
void ept_map(u64 *root, u64 from, u64 to, u64 page, u32 rights);
/* Makes tables, and splits pages, as needed. */
u64 *ept_entry(u64 *root, u64 address, u64 page);
u64 ept_pointer(const u64 *root);
void vm_use_ept(u64 eptp);

#endif
