/* Parts of the test vmx_modes, and the regions that they share. */
#ifndef VMX_MODES_H
#define VMX_MODES_H

#include "insn.h"

/* Makes VMX operation begin for the trip: at once in 64-bit mode, else on the way. */
void vmx_enter_for(const struct mode *m, bool current);
/* Ends it, whoever began it; trip.after says whether it was on and which error number was left. */
void vmx_leave_for(const struct mode *m);
/* 16 bytes with which the instruction succeeds. */
void operand_for(enum insn_id id, u64 *data);

enum region { REGION_NONE, REGION_ON, REGION_CURRENT, REGION_OTHER, REGION_WRONG,
	      REGION_UNMAPPED };
u64 region_address(enum region region);	/* WRONG: of another revision */
/* In 64-bit mode: a field of the VMCS that trips have as current; returns what it was. */
u64 exchange_field(u32 field, u64 value);
/* What VMPTRST and VMREAD of GUEST_RIP must have written. */
u64 operand_written(enum insn_id id);
/* Whether VMWRITE of its operand to GUEST_RIP was done, or nothing was; puts the old value back. */
bool field_written(bool done, u64 mask);
const struct mode *mode_named(const char *name);
/* What the processor has not got is left out. */
bool have_insn(enum insn_id id);

void test_matrix(void);
void test_operands(void);
void test_failures(void);
void test_host32(void);

#endif
