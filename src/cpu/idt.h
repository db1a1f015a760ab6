/* The interrupt descriptor table that all CPUs share. */
#pragma once

#include "types.h"

#define CPU_VECTORS 32
#define CPU_IDT_LIMIT (CPU_VECTORS * 16 - 1)
#define CPU_STUB_SIZE 16		/* bytes per entry of cpu_exception_stubs */

/* Fills the table; before the first cpu_enter(). */
void cpu_idt_init(void);
