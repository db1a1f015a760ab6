/*
 * The local APIC of the CPU that calls, in whichever mode the firmware left
 * it: who it is, and commands to others. Changes no mode and takes no
 * interrupts; L1 owns the APIC.
 */
#pragma once

#include "types.h"

/* Commands: delivery mode, level asserted (SDM 3A "Interrupt Command Register (ICR)"). */
#define CPU_APIC_INIT 0x4500u
#define CPU_APIC_STARTUP(page) (0x4600u | (u32)((page) >> 12))

/* Whether it is switched on, and where L0 can reach it. */
bool cpu_apic_usable(void);

/* The ID, from CPUID where the APIC is not usable. */
u32 cpu_apic_id(void);

/* Whether its mode has room for that ID in a command. */
bool cpu_apic_can_name(u32 id);

/* Sends a command, and waits for a while until it is out. */
void cpu_apic_send(u32 id, u32 command);
