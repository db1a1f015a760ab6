/*
 * The engine's ops for host tests: what the hypervisor does with the machine
 * happens here to arrays. The memory half is ops_memory.h.
 */
#pragma once

#include "ops_memory.h"

struct vm {
	struct host_memory memory;
};

static inline struct host_memory *host_memory_of(struct vm *vm)
{
	return &vm->memory;
}
