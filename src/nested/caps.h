/*
 * The table behind L1's capabilities: which controls the engine passes on when
 * the hardware has them, and why the others are withheld.
 */
#pragma once

#include "nested/nested.h"

#define NESTED_REVISION 0x504c5301u	/* of L1's VMCS regions; bit 31 is clear */

enum nested_cap_register {
	CAP_PIN, CAP_PROC, CAP_PROC2, CAP_EXIT, CAP_ENTRY, CAP_MISC, CAP_EPT_VPID,
	CAP_REGISTERS,
};

struct nested_cap_row {
	enum nested_cap_register reg;
	u64 bits;
	const char *withheld;	/* NULL: passed on */
};

extern const struct nested_cap_row nested_cap_rows[];
extern const unsigned nested_cap_row_count;
