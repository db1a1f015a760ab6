/* Between the files of the runner. */
#pragma once

#include "../gen_insn.h"
#include "vmx.h"

/* world.c: finds out what the machine is, and makes it so that any legal host state can be left. */
void world_make(struct gen_world *world);
/* Control registers and MSRs, after an exit. */
void world_restore(const struct gen_world *world);

/* enter.S */
u64 entry_run(u64 resume);
extern const u8 entry_exit[], entry_stub[];
extern u64 entry_registers[5];
/* After an exit, before anything was put right. */
extern u64 entry_seen_rsp, entry_seen_rflags, entry_seen_bases[2];	/* FS, GS */
extern u16 entry_seen_selectors[8];
extern struct table_register entry_seen_gdtr, entry_seen_idtr;

/* vmcs.c: memory and VMCS as if nothing had been; VMX operation must be on. */
void vmcs_start(const struct gen_world *world);
/* OUTCOME_* of an entry with these fields; look: called after an exit, before all is put right. */
u8 vmcs_execute(const struct gen_world *world, const u64 *v, bool from_32, void (*look)(void));
/* Each field that is not what was last written or read; entries write what differs from that. */
void vmcs_read_back(void (*changed)(unsigned int field, u64 now));
extern bool vmcs_writable[];
void entries_run(const struct gen_world *world, u64 seed, u64 from, u64 count);

/* exit.c: the vectors of gen_exit.h */
void exits_run(const struct gen_world *world, u64 seed, u64 from, u64 count);
void insn_init(const struct gen_world *world);
void insn_bring_into(enum insn_state state);	/* from VMX operation, or from where it left */
void insn_put_outcome(struct insn_outcome o);
/* real.c: the vectors of gen_real.h; leaves VMX operation for them */
void real_run(const struct gen_world *world, u64 seed, u64 from, u64 count);
/* mode.c: the vectors of gen_mode.h; the last ones. */
void modes_run(const struct gen_world *world, u64 seed, u64 from, u64 count);
/* insn.c: the vectors of gen_insn.h; VMX operation must be on. */
void insn_run(const struct gen_world *world, u64 seed, u64 from, u64 count);

/* enter32.S */
u64 entry_run32(void);
extern const u8 entry_exit32[];
extern u64 entry32_cr3, entry32_vmxon, entry32_vmcs;
