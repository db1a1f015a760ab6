/* Steps of boot_main(), for src/boot only. */
#pragma once

#include "boot_info.h"
#include "cpu/home.h"

struct boot_range {
	u64 start, end;
};

/* CPUs in the firmware's list; 1 if there is none. */
u32 boot_count_cpus(const struct boot_info *bi);

/* Home: chosen among available memory, avoiding modules and the ranges given. */
bool boot_home_choose(const struct boot_info *bi, u32 cpus, const struct boot_range *avoid,
		      size_t n);

/* Makes L0's own page tables for an image that starts at image; the CR3 for them. */
u64 boot_paging_make(hpa_t image, u64 end_of_memory);

/* Stops with a message that says what to do, unless this CPU has VMX to use. */
void boot_check_vmx(void);

/* entry.S */
void boot_move_image(void *to, const void *from, size_t len, u64 cr3);
void boot_call_on_stack(const void *arg, void (*fn)(const void *), u64 stack_top)
	__attribute__((noreturn));
