/*
 * Getting another CPU's attention by an NMI: it leaves its guest, where NMIs are
 * made to exit, and does not enter one where it is just about to (nmi.h).
 *
 * NMIs carry no name, and L1 sends them too: the CPU takes the first NMI after a
 * kick for the kick's. One of L1's that comes at the same instant is the same NMI to
 * the processor, and goes with it.
 */
#pragma once

#include "types.h"

struct pcpu;

/* False: the local APIC of this CPU is switched off or out of reach. */
bool cpu_kick(struct pcpu *p);

/* An NMI has reached this CPU: was it a kick's? */
bool cpu_kick_arrived(void);

/* After a VM exit by an NMI: the next one may come (SDM 3C "Updating Non-Register State"). */
void cpu_unblock_nmi(void);
