/* Discovery of the processor's VMX capabilities. */
#pragma once

#include "vmx_caps.h"

/* Reads the capability MSRs and CPUID of this processor. */
void vmx_caps_read(struct vmx_caps *c);

/* What Plastron cannot do without; NULL when all is there. */
const char *vmx_caps_missing(const struct vmx_caps *c);
