/*
 * The parts of the test vmx_hostile_memory. Each tries one way to reach the memory that the
 * layer below keeps for itself, and says whether it reached the page that is there instead, and
 * nothing else.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "vmx.h"

/* Four GiB of linear memory, the same address in guest-physical memory */
#define WINDOW	0x140000000ull

struct home {
	u64 base, size;
};

struct attack {
	const char *text;
	/* At this page of the home: did it do what it does with a page of memory? */
	bool (*try)(const struct home *home, u64 page, struct vm *vm);
	u32 needs;	/* secondary controls */
};

extern const struct attack tables_attacks[], fields_attacks[], operands_attacks[], cpu_attacks[];
extern u64 *ept_root;	/* an identity map; the window is empty */
extern u64 *data;	/* a page of other memory, with this word */
#define DATA_WORD	0xda7a000000000001ull

u64 fresh(void);				/* a value that was never used */
u64 *words(u64 page);
/* Does every page of the home have this word at this offset? */
bool everywhere(const struct home *home, u64 offset, u64 value);
u32 run_at(struct vm *vm, const char *code, u64 rsi, u64 rbx);
void use_root(struct vm *vm, const u64 *root);

extern const char guest_end[], guest_read[], guest_write[];

#endif
