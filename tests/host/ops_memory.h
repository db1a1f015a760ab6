/*
 * The memory half of the engine's ops for host tests: the machine is an array,
 * L1's memory is what ept01 makes of it. Tests can watch and disturb: every
 * read and write of L1's memory is counted, and may be preceded by a hook; so
 * may every compare-and-exchange, by that of reads.
 *
 * Always: an access that L0 must never make (a table page outside the array,
 * L1 reaching L0's home) ends the test at once.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mmu/ept01.h"

struct vm;

struct host_memory {
	u8 *ram;		/* the machine's memory, from HPA 0 on */
	u64 ram_size;
	u64 home, home_end;	/* L0's own part of it: tables only */
	struct ept01 *ept01;	/* absent: GPA1 is HPA */
	u64 reads, writes;
	void (*before_read)(struct vm *vm, gpa1_t a, size_t len);
	void (*before_write)(struct vm *vm, gpa1_t a, const void *src, size_t len);
	void *hook_data;
};

/* Defined by engine_ops.h, which knows struct vm. */
static inline struct host_memory *host_memory_of(struct vm *vm);

static inline void host_memory_init(struct host_memory *m, u64 ram_size, u64 home, u64 home_end)
{
	*m = (struct host_memory){ .ram_size = ram_size, .home = home, .home_end = home_end };
	m->ram = calloc(1, ram_size);
	if (!m->ram)
		abort();
}

static inline void host_memory_free(struct host_memory *m)
{
	free(m->ram);
	m->ram = NULL;
}

static inline u64 *op_table(struct vm *vm, hpa_t page)
{
	struct host_memory *m = host_memory_of(vm);

	if ((page.v & ~PAGE_MASK) || page.v < m->home || page.v >= m->home_end) {
		fprintf(stderr, "op_table: %#llx is no table page\n", (unsigned long long)page.v);
		abort();
	}
	return (u64 *)(void *)(m->ram + page.v);
}

/*
 * The part of [a, a+len) in a's page, as bytes of the array; NULL: no memory, or not these rights.
 */
static inline u8 *host_gpa1(struct vm *vm, gpa1_t a, size_t *len, u64 perms)
{
	struct host_memory *m = host_memory_of(vm);
	hpa_t hpa = HPA(a.v);

	*len = MIN(*len, (size_t)(PAGE_SIZE - (a.v & ~PAGE_MASK)));
	if (m->ept01) {
		struct ept01_mapping map = ept01_lookup(m->ept01, a);

		if (!map.present || (map.perms & perms) != perms)
			return NULL;
		hpa = map.hpa;
	}
	if (hpa.v >= m->ram_size)
		return NULL;
	if (hpa.v >= m->home && hpa.v < m->home_end) {
		fprintf(stderr, "L1 reaches L0's page %#llx\n", (unsigned long long)hpa.v);
		abort();
	}
	return m->ram + hpa.v;
}

static inline bool op_gpa1_read(struct vm *vm, gpa1_t a, void *dst, size_t len)
{
	struct host_memory *m = host_memory_of(vm);
	u8 *to = dst;

	m->reads++;
	if (m->before_read)
		m->before_read(vm, a, len);
	while (len) {
		size_t part = len;
		u8 *from = host_gpa1(vm, a, &part, EPT_R);

		if (!from)
			return false;
		memcpy(to, from, part);
		to += part;
		a.v += part;
		len -= part;
	}
	return true;
}

/* Within a page. What is read there later, no hook sees. */
static inline const void *op_gpa1_ptr(struct vm *vm, gpa1_t a, size_t len)
{
	struct host_memory *m = host_memory_of(vm);
	size_t part = len;
	u8 *at;

	m->reads++;
	if (m->before_read)
		m->before_read(vm, a, len);
	at = host_gpa1(vm, a, &part, EPT_R);
	return part == len ? at : NULL;
}

static inline u64 op_gpa1_epoch(struct vm *vm)
{
	struct host_memory *m = host_memory_of(vm);

	return m->ept01 ? m->ept01->changes : 0;
}

static inline bool op_gpa1_write(struct vm *vm, gpa1_t a, const void *src, size_t len)
{
	struct host_memory *m = host_memory_of(vm);
	const u8 *from = src;

	m->writes++;
	if (m->before_write)
		m->before_write(vm, a, src, len);
	while (len) {
		size_t part = len;
		u8 *to = host_gpa1(vm, a, &part, EPT_R | EPT_W);

		if (!to)
			return false;
		memcpy(to, from, part);
		from += part;
		a.v += part;
		len -= part;
	}
	return true;
}

static inline bool op_gpa1_cmpxchg(struct vm *vm, gpa1_t a, unsigned size, u64 *expected,
				   u64 desired)
{
	struct host_memory *m = host_memory_of(vm);
	size_t len = size;
	u64 now = 0;
	u8 *at;

	if (m->before_read)
		m->before_read(vm, a, size);
	at = host_gpa1(vm, a, &len, EPT_R | EPT_W);
	if (!at || len != size)
		return false;
	memcpy(&now, at, size);
	if (now == *expected)
		memcpy(at, &desired, size);
	else
		*expected = now;
	return true;
}
