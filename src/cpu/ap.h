/*
 * Starting the machine's other CPUs, one at a time, from the one that runs.
 * Each gets its struct pcpu and L0's tables, and runs what it is given, or parks.
 * Which ones, and what for, is the caller's business.
 */
#pragma once

#include "types.h"

/* Makes a page of memory below 1 MiB the way in, until cpu_ap_close() gives it back as it was. */
void cpu_ap_open(hpa_t page);
void cpu_ap_close(void);

/* Each must get this some time before it is started. */
void cpu_ap_init(const u32 *apic_id, u32 n);

/*
 * Starts a CPU, which calls prepare() while this one waits, and then run(), which
 * never returns. NULL, or what is wrong: prepare()'s answer, or that there is none.
 */
const char *cpu_ap_start(u32 apic_id, const char *(*prepare)(void), void (*run)(void));

/* To be run: no interrupts, and NMIs and machine checks only wake it to be stopped again. */
void cpu_ap_park(void) __attribute__((noreturn));
