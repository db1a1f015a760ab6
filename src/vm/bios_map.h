/*
 * The BIOS's answer to "where is memory?" (INT 15h, AX=E820h, AX=E801h, AH=88h), which a guest may
 * ask for itself instead of reading what its loader says. The firmware knows nothing of L0's home;
 * a handler in a page of base memory answers in its place, from L1's map, and leaves all else to
 * it.
 */
#pragma once

#include "boot_info.h"

/*
 * Puts the handler into mem (physical memory) and takes its page from bi->l1_map. False: L1's map
 * is full, or there is no room. Does nothing where there is no BIOS.
 */
bool bios_map_install(u8 *mem, struct boot_info *bi);
