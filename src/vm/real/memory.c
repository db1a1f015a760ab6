/*
 * L1's memory as its own instructions reach it, devices and firmware's ROM
 * included: accesses have the width that the instruction has, for L1 itself
 * means them. See emulate.h.
 *
 * Always: every page is looked up in ept01; what that does not map is not there.
 */
#include "cpu/memory.h"
#include "vm/memory.h"
#include "vm/real/emulate.h"
#include "vm/vm.h"

#include <string.h>

#define CACHE_LINE 64u

/* To be accessed up to the end of its page; NULL: nothing is there. */
static void *memory_at(struct vm *vm, u32 at, bool write)
{
	void *p = vm_memory_ptr(vm, GPA1(at), write);
	struct ept01_mapping m;

	if (likely(p))
		return p;
	m = ept01_lookup(&vm->ept01, GPA1(at));
	if (!m.present || (write && !(m.perms & EPT_W)) || m.hpa.v >= cpu_direct_map_end.v)
		return NULL;
	return hpa_to_ptr(m.hpa);
}

/* A locked access across lines may be #AC, if L1 has asked for that. */
static bool crosses_line(u32 at, u32 len)
{
	return at % CACHE_LINE + len > CACHE_LINE;
}

static u32 left_in_page(u32 at, u32 len)
{
	return MIN(len, (u32)(PAGE_SIZE - at % PAGE_SIZE));
}

/* memcpy() may take other widths. */
static void copy(void *to, const void *from, u32 len)
{
	if (len == 4)
		*(volatile u32 *)to = *(const volatile u32 *)from;
	else if (len == 2)
		*(volatile u16 *)to = *(const volatile u16 *)from;
	else if (len == 1)
		*(volatile u8 *)to = *(const volatile u8 *)from;
	else
		memcpy(to, from, len);
}

void real_read(struct vm *vm, u32 at, void *to, u32 len)
{
	for (u32 part; len; len -= part, at += part, to = (u8 *)to + part) {
		const void *from = memory_at(vm, at, false);

		part = left_in_page(at, len);
		if (from)
			copy(to, from, part);
		else
			memset(to, 0xff, part);
	}
}

void real_write(struct vm *vm, u32 at, const void *from, u32 len)
{
	for (u32 part; len; len -= part, at += part, from = (const u8 *)from + part) {
		void *to = memory_at(vm, at, true);

		part = left_in_page(at, len);
		if (to)
			copy(to, from, part);
	}
}

static bool exchange(void *at, u32 len, u32 from, u32 to)
{
	u8 from8 = (u8)from;
	u16 from16 = (u16)from;

	if (len == 4)
		return __atomic_compare_exchange_n((u32 *)at, &from, to, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	if (len == 2)
		return __atomic_compare_exchange_n((u16 *)at, &from16, (u16)to, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return __atomic_compare_exchange_n((u8 *)at, &from8, (u8)to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool real_exchange(struct vm *vm, u32 at, u32 len, u32 from, u32 to)
{
	void *p;

	if (crosses_line(at, len)) {
		real_write(vm, at, &to, len);
		return true;
	}
	/* Where nothing is, ones were read, and nothing is written. */
	p = memory_at(vm, at, true);
	return !p || exchange(p, len, from, to);
}
