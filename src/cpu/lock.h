/*
 * A spin lock for the few things that CPUs share: whoever comes first gets it
 * first. IF is always 0 in L0.
 */
#pragma once

#include "types.h"

struct cpu_lock {
	u32 next, now;		/* tickets: to be drawn, and whose turn it is */
};

static inline void cpu_lock(struct cpu_lock *l)
{
	u32 mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->now, __ATOMIC_ACQUIRE) != mine)
		asm volatile("pause");
}

static inline void cpu_unlock(struct cpu_lock *l)
{
	__atomic_store_n(&l->now, l->now + 1, __ATOMIC_RELEASE);
}
