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
