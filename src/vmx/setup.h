/* VMX operation of this processor, and the parts of a VMCS that are L0's own. */
#pragma once

#include "vmx/frame.h"
#include "vmx_caps.h"

/*
 * Enters VMX root operation with the region given (a zeroed page of L0);
 * NULL, or what went wrong. SDM 3C "Restrictions on VMX Operation".
 */
const char *vmx_enable(const struct vmx_caps *c, hpa_t vmxon_region);

/* Makes a zeroed page of L0 a VMCS region (shadow: for VMCS shadowing) and clears it. */
void vmx_prepare_region(const struct vmx_caps *c, hpa_t page, bool shadow);

/*
 * Writes the host-state area of the current VMCS: an exit lands in vmx_exit_entry, or
 * vmx_exit_entry_shared, with this frame.
 */
void vmx_write_host_state(struct vmx_frame *frame, bool shared);

/* Default settings adjusted to a capability: wanted bits, plus what must be 1. */
static inline u32 vmx_adjust(struct vmx_allowed a, u32 wanted)
{
	return (wanted | a.must) & a.may;
}
