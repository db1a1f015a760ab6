/*
 * A physical memory map: sorted, without overlaps, neighbours of one type
 * merged. Types are the BIOS E820 ones. Functions: vm/e820.h.
 */
#pragma once

#include "types.h"

enum e820_type {
	E820_AVAILABLE = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4, E820_BAD = 5,
};

#define E820_MAX 128

struct e820_entry {
	u64 start, end;
	u32 type;
};

struct e820_map {
	u32 count;
	struct e820_entry entry[E820_MAX];
};
