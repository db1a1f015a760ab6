/* Parser of the Multiboot2 boot information. */
#pragma once

#include "boot_info.h"

/*
 * Fills bi from the structure, whose size must be trusted to at most limit
 * bytes. NULL, or what is wrong with it. Options, home and l1_map are not
 * touched. bi keeps pointers into the structure.
 */
const char *boot_mb2_parse(const void *mbi, size_t limit, struct boot_info *bi);
