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

/* What VMPTRST and VMREAD of GUEST_RIP must have written. */
u64 operand_written(enum insn_id id);
/* Whether VMWRITE of its operand to GUEST_RIP was done, or nothing was; puts the old value back. */
bool field_written(bool done, u64 mask);
const struct mode *mode_named(const char *name);

void test_matrix(void);
void test_operands(void);

#endif
