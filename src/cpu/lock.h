/* A spin lock for the few things that CPUs share. IF is always 0 in L0. */
#pragma once

#include "types.h"

struct cpu_lock {
	u8 held;
};

static inline void cpu_lock(struct cpu_lock *l)
{
	while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
		asm volatile("pause");
}

static inline void cpu_unlock(struct cpu_lock *l)
{
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}
