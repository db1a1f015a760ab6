/*
 * The local APIC of the CPU that calls, in whichever mode the firmware left
 * it: who it is, commands to others, and what an INIT does to it. Changes no mode
 * and takes no interrupts; L1 owns the APIC.
 */
#pragma once

#include "types.h"

/* Commands: delivery mode, level asserted (SDM 3A "Interrupt Command Register (ICR)"). */
#define CPU_APIC_NMI 0x4400u
#define CPU_APIC_INIT 0x4500u
#define CPU_APIC_STARTUP(page) (0x4600u | (u32)((page) >> 12))

/* Whether it is switched on, and where L0 can reach it. */
bool cpu_apic_usable(void);

/* The ID, from CPUID where the APIC is not usable. */
u32 cpu_apic_id(void);

/*
 * The state that an INIT leaves behind, but for interrupts that are requested (SDM 3A "Local
 * APIC State After It Receives an INIT-Deassert IPI"). Where it is usable.
 */
void cpu_apic_init(void);

/* Whether its mode has room for that ID in a command. */
bool cpu_apic_can_name(u32 id);

/*
 * Sends a command, and waits for a while until it is out. A destination that L1 may
 * have written for a command of its own stays.
 */
void cpu_apic_send(u32 id, u32 command);
