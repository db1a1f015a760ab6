/* Hardware VPIDs for the VPIDs that L1 gives its guests. */
#pragma once

#include "nested/nested.h"

/* INVVPID of L1: type as in the instruction, vpid12 and address as L1 named them. */
void nested_vpid_flush(struct nested_vcpu *n, u32 type, u16 vpid12, gva_t a);

/* A transition between L1 and L2 without VPID flushes what VPID 0 tagged. */
void nested_vpid_transition(struct nested_vcpu *n, const struct nested_vmcs *s);
