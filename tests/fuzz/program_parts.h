/* Between program_steps.c and its parts, program_l2.c and program_memory.c. Not for others. */
#pragma once

#include "program_steps.h"

/* program_steps.c: after L1 got control back, what it finds; L2 runs: its state is checked. */
void program_l1_runs(struct program *p);
void program_l2_runs(struct program *p);
void program_tell(struct outcome o);
/* The engine may leave a VMX abort's indicator in the current VMCS's region. */
void program_allow_abort(struct fx *f);
/* L1 writes this, if there is memory. */
void program_poke(struct fx *f, u64 at, const void *src, size_t len);
/* A field of the VMCS, by index. */
unsigned program_field(struct fuzz_input *in);

/* program_memory.c */
u64 program_address(struct fuzz_input *in);
/* Of an EPTP; five are an error where L1 is not offered them. */
u64 program_levels(bool five);
void program_write_memory(struct program *p);
void program_write_ept12(struct program *p);
void program_write_eptp(struct program *p);
void program_use_log(struct program *p);
void program_write_msr_entry(struct program *p);

/* program_l2.c: L2 exits, for a reason of the input's or this one. */
void program_l2_exits(struct program *p);
void program_l2_exits_for(struct program *p, u32 reason);
