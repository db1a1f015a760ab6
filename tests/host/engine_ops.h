/*
 * The engine's ops for host tests: what the hypervisor does with the machine
 * happens here to arrays. The memory half is ops_memory.h, the hardware half
 * hw_model.h.
 */
#pragma once

#include "hw_model.h"
#include "ops_memory.h"

struct vm {
	struct host_memory memory;
	struct hw_model *hw;	/* absent in tests of mmu/ alone */
	gpa1_t watched;		/* the page of the last op_gpa1_watch() */
	bool cannot_watch;	/* op_gpa1_watch() is to fail */
	gpa1_t faulted;		/* of the last op_gpa1_fault() */
	unsigned int stops;	/* calls of op_stop_others() */
	const char *killed;	/* why, once the engine gave the VM up */
};

static inline struct host_memory *host_memory_of(struct vm *vm)
{
	return &vm->memory;
}

static inline hpa_t op_gpa1_page(struct vm *vm, gpa1_t page)
{
	struct host_memory *m = &vm->memory;
	struct ept01_mapping map;

	if (!m->ept01)
		return HPA(page.v);
	map = ept01_lookup(m->ept01, page);
	return map.present ? map.hpa : HPA(0);
}

static inline bool op_gpa1_fault(struct vm *vm, gpa1_t a, bool write)
{
	(void)write;
	vm->faulted = a;
	return true;
}

static inline bool op_gpa1_watch(struct vm *vm, gpa1_t page)
{
	vm->watched = page;
	return !vm->cannot_watch;
}

static inline void op_stop_others(struct vm *vm)
{
	vm->stops++;
}

/* Only src/nested has an n; src/mmu does not know what it is. */
#define HW_OF(n) ((n)->vm->hw)
#define op_hw_load(n, region) hw_load(HW_OF(n), region)
#define op_hw_read(n, encoding) hw_read(HW_OF(n), encoding)
#define op_hw_write(n, encoding, v) hw_write(HW_OF(n), encoding, v)
#define op_hw_clear(n, region) hw_clear(HW_OF(n), region)
#define op_hw_init_vmcs02(n) hw_init_vmcs02(HW_OF(n))
#define op_hw_invept(n, eptp) hw_invept(HW_OF(n), eptp)
#define op_hw_invvpid(n, type, vpid, a) hw_invvpid(HW_OF(n), type, vpid, a)
#define op_cr2_write(n, value) ((void)(HW_OF(n)->cr2 = (value)))
#define op_msr_read(n, msr, v) hw_msr_read(HW_OF(n), msr, v)
#define op_msr_write(n, msr, v) hw_msr_write(HW_OF(n), msr, v)
#define op_barrier(n) (HW_OF(n)->count.barriers++)
#define op_dr_read(n, i) (HW_OF(n)->dr[i])
#define op_pkru(n) (HW_OF(n)->pkru)
#define op_log(n, ...) hw_log(HW_OF(n), __VA_ARGS__)
#define op_vm_kill(n, why) ((void)((n)->vm->killed = (why)))
