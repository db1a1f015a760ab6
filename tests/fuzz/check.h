/* What must hold of the engine whatever L1 and L2 do: asked after every step. */
#pragma once

#include "machine.h"

/*
 * vmcs02 is about to run: it has all that L0 needs, every intercept that L1 asked
 * for, and no address of L0's home but those of L0's own pages. still: L1's
 * memory does not change by itself.
 */
void fuzz_check_vmcs02(struct fx *f, bool still);
/* Right after a VM entry of L1: what is copied or merged is what L1 wrote. */
void fuzz_check_copied(struct fx *f);
/*
 * What an entry of the current VMCS comes to: by the rules of vmcs12, then by L1's
 * MSR-load list, judged by the SDM alone. Nothing moves.
 */
struct outcome fuzz_verdict(struct fx *f);
/* An exit to L1 ends in a VMX abort, by its MSR-load list; can that be said beforehand? */
bool fuzz_exit_aborts(struct fx *f);
bool fuzz_exit_is_judged(struct fx *f);
/* An entry is over that began with these VPIDs: those that changed hands were flushed. */
void fuzz_check_vpids(struct fx *f, const struct nested_vpids *before);
/* L1 is to run: vmcs01 is one that a processor enters, and what is L0's in it is as ever. */
void fuzz_check_vmcs01(struct fx *f);
