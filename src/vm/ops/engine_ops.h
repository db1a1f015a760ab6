/*
 * The engine's ops in the hypervisor: the real machine, inline. The host tests
 * have another header of this name (tests/host/).
 */
#pragma once

#include "cpu/memory.h"
#include "cpu/cpu.h"
#include "debug/console.h"
#include "types.h"
#include "vm/window.h"
#include "vmx/insn.h"

struct vm;
struct nested_vcpu;

/* vm/engine_glue.c and vm/memory.c: what is not a single instruction. */
bool vm_memory_read(struct vm *vm, gpa1_t gpa, void *dst, size_t len);
bool vm_memory_write(struct vm *vm, gpa1_t gpa, const void *src, size_t len);
void *vm_memory_ptr(struct vm *vm, gpa1_t gpa, bool write);
hpa_t vm_memory_page(struct vm *vm, gpa1_t page);
bool vm_memory_fault(struct vm *vm, gpa1_t gpa, bool write);
bool vm_memory_watch(struct vm *vm, gpa1_t page);
void vm_stop_others(struct vm *vm);
bool vm_msr_read(struct nested_vcpu *n, u32 msr, u64 *value);
bool vm_msr_write(struct nested_vcpu *n, u32 msr, u64 value);
void vm_init_vmcs02(struct nested_vcpu *n);
void vm_kill_nested(struct nested_vcpu *n, const char *why);

static always_inline u64 *op_table(struct vm *vm, hpa_t page)
{
	(void)vm;
	return hpa_to_ptr(page);
}

static always_inline bool op_gpa1_read(struct vm *vm, gpa1_t a, void *dst, size_t len)
{
	const void *p = vm_window_ptr((const struct vm_windows *)vm, a, len, false);

	if (unlikely(!p))
		return vm_memory_read(vm, a, dst, len);
	__builtin_memcpy(dst, p, len);
	return true;
}

/* Memory of L1's within one page, to be read at once or as long as the epoch lasts; NULL: none. */
static always_inline const void *op_gpa1_ptr(struct vm *vm, gpa1_t a, size_t len)
{
	const void *p = vm_window_page((const struct vm_windows *)vm, a);

	(void)len;
	return likely(p) ? p : vm_memory_ptr(vm, a, false);
}

static always_inline u64 op_gpa1_epoch(struct vm *vm)
{
	return ((const struct vm_windows *)vm)->epoch;
}

static always_inline bool op_gpa1_write(struct vm *vm, gpa1_t a, const void *src, size_t len)
{
	void *p = vm_window_ptr((const struct vm_windows *)vm, a, len, true);

	if (unlikely(!p))
		return vm_memory_write(vm, a, src, len);
	__builtin_memcpy(p, src, len);
	return true;
}

static inline bool op_gpa1_cmpxchg(struct vm *vm, gpa1_t a, unsigned size, u64 *expected,
				   u64 desired)
{
	void *p = vm_window_ptr((const struct vm_windows *)vm, a, size, true);
	u32 old = (u32)*expected;

	if (unlikely(!p))
		p = vm_memory_ptr(vm, a, true);
	if (unlikely(!p))
		return false;
	if (size == 8) {
		__atomic_compare_exchange_n((u64 *)p, expected, desired, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		return true;
	}
	if (!__atomic_compare_exchange_n((u32 *)p, &old, (u32)desired, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		*expected = old;
	return true;
}

static always_inline hpa_t op_gpa1_page(struct vm *vm, gpa1_t page)
{
	return vm_memory_page(vm, page);
}

static always_inline bool op_gpa1_fault(struct vm *vm, gpa1_t a, bool write)
{
	return vm_memory_fault(vm, a, write);
}

static always_inline bool op_gpa1_watch(struct vm *vm, gpa1_t page)
{
	return vm_memory_watch(vm, page);
}

/* Before memory that translations lead to, or are kept in, is given to another use. */
static always_inline void op_stop_others(struct vm *vm)
{
	vm_stop_others(vm);
}

static always_inline void op_hw_load(struct nested_vcpu *n, hpa_t region)
{
	(void)n;
	vmx_load(region);
}

static always_inline u64 op_hw_read(struct nested_vcpu *n, u32 field)
{
	(void)n;
	return vmx_read(field);
}

static always_inline void op_hw_write(struct nested_vcpu *n, u32 field, u64 v)
{
	(void)n;
	vmx_write(field, v);
}

static always_inline void op_hw_clear(struct nested_vcpu *n, hpa_t region)
{
	(void)n;
	vmx_clear(region);
}

static always_inline void op_hw_init_vmcs02(struct nested_vcpu *n)
{
	vm_init_vmcs02(n);
}

static always_inline void op_hw_invept(struct nested_vcpu *n, u64 eptp)
{
	(void)n;
	vmx_invept(1, eptp);
}

static always_inline void op_hw_invvpid(struct nested_vcpu *n, u32 type, u16 vpid, gva_t a)
{
	(void)n;
	vmx_invvpid(type, vpid, a);
}

static always_inline void op_cr2_write(struct nested_vcpu *n, u64 value)
{
	(void)n;
	cpu_write_cr2(value);
}

static always_inline bool op_msr_read(struct nested_vcpu *n, u32 msr, u64 *value)
{
	return vm_msr_read(n, msr, value);
}

static always_inline bool op_msr_write(struct nested_vcpu *n, u32 msr, u64 value)
{
	return vm_msr_write(n, msr, value);
}

static always_inline void op_barrier(struct nested_vcpu *n)
{
	(void)n;
	cpu_wrmsr(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
}

/* DR0 to DR3 are those of whoever ran last. */
static inline u64 op_dr_read(struct nested_vcpu *n, unsigned i)
{
	(void)n;
	return i == 0 ? cpu_read_dr0() : i == 1 ? cpu_read_dr1() :
	       i == 2 ? cpu_read_dr2() : cpu_read_dr3();
}

/* The register, for whoever has CR4.PKE set. */
static always_inline u32 op_pkru(struct nested_vcpu *n)
{
	(void)n;
	return cpu_rdpkru();
}

static always_inline void op_vm_kill(struct nested_vcpu *n, const char *why)
{
	vm_kill_nested(n, why);
}

#define op_log(n, ...) ((void)(n), con_printf(__VA_ARGS__))
