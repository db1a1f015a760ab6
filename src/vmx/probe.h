/* Features that a processor reports and does not have. */
#pragma once

#include "vmx/frame.h"
#include "vmx_caps.h"

/*
 * Takes from *c what turns out not to work when tried. region: a page of L0 for
 * a VMCS, scratch: another, of any content. In VMX root operation; no VMCS is
 * current afterwards. Returns the names of what was taken away, or NULL.
 */
const char *vmx_probe(struct vmx_caps *c, hpa_t region, hpa_t scratch);
