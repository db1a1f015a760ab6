/*
 * A physical memory map: sorted, without overlaps, neighbours of one type
 * merged. Types are the BIOS E820 ones.
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

/* Gives [start, end) a type, whatever it was before. False: map full, unchanged. */
bool e820_set(struct e820_map *m, u64 start, u64 end, u32 type);

/* Type at an address; 0 where the map says nothing. */
u32 e820_type_at(const struct e820_map *m, u64 addr);

/* Whether all of [start, end) has that type. */
bool e820_all(const struct e820_map *m, u64 start, u64 end, u32 type);

/* Bytes of that type. */
u64 e820_total(const struct e820_map *m, u32 type);

/* End of the highest memory: available, or kept by ACPI. */
u64 e820_end_of_memory(const struct e820_map *m);
