/* Building and asking a physical memory map. */
#pragma once

#include "memory_map.h"

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
