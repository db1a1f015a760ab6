/*
 * Address spaces of the trips: all memory at its own address, for the supervisor or for everybody,
 * and a window of two small pages whose entries a case may spoil. After it nothing is mapped.
 */
#ifndef VMX_MODES_SPACES_H
#define VMX_MODES_SPACES_H

#include "trip.h"

#define WINDOW		0x50000000ull
#define WINDOW_END	(WINDOW + 2 * PAGE_SIZE)
#define STATUS_FLAGS	0x8d5ull	/* OF SF ZF AF PF CF */

void spaces_init(void);
void space_reset(const struct mode *m);	/* the window's entries */
u32 space_cr3(const struct mode *m);
/* The entries of the window: 0 and 1 its pages', 2 their table's, 3 (not FLAT) the directory's. */
u64 space_entry(const struct mode *m, unsigned int index);
void space_change(const struct mode *m, unsigned int index, u64 clear, u64 set);
/* Where the entry itself is. */
u32 space_entry_address(const struct mode *m, unsigned int index);
u8 *window_byte(u64 offset);		/* where the window's memory really is */

#endif
