/* Waiting for real time to pass, before anybody needs the PIT's second channel. */
#pragma once

#include "types.h"

/* At least that long, up to 50 ms. Uses PIT channel 2, and the TSC where there is no PIT. */
void cpu_delay_us(u32 us);
