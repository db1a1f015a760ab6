/* Between the files of the runner. */
#pragma once

#include "../gen.h"
#include "vmx.h"

/* world.c: finds out what the machine is, and makes it so that any legal host state can be left. */
void world_make(struct gen_world *world);
void world_restore(const struct gen_world *world);	/* control registers and MSRs, after an exit */

/* enter.S */
u64 entry_run(u64 resume);
extern const u8 entry_exit[], entry_stub[];
/* insn.c: the vectors of gen_insn.h; VMX operation must be on. */
void insn_run(const struct gen_world *world, u64 seed, u64 from, u64 count);

/* enter32.S */
u64 entry_run32(void);
extern const u8 entry_exit32[];
extern u64 entry32_cr3, entry32_vmxon, entry32_vmcs;
