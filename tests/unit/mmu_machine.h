/*
 * A machine for the tests of mmu/: some memory, L0's home in it with a pool
 * for ept01 and one for ept02, and a processor's walk of finished EPT tables.
 */
#pragma once

#include "unit.h"

#include "engine_ops.h"
#include "mmu/ept02.h"

#define RAM_SIZE (20 * SZ_2M)
#define HOME (8 * SZ_2M)
#define HOME_PAGES01 4096u
#define HOME_PAGES02 2048u

static const struct ept_caps full_caps = {
	.exec_only = true, .pg_2m = true, .pg_1g = true, .ad = true,
	.mode_based_exec = true, .adv_exit_info = true, .maxphyaddr = 40,
};
/* Where addresses may need five levels. */
static const struct ept_caps wide_caps = {
	.exec_only = true, .pg_2m = true, .pg_1g = true, .ad = true,
	.mode_based_exec = true, .adv_exit_info = true, .walk5 = true, .maxphyaddr = 52,
};

struct machine {
	struct vm vm;
	struct mmu_pool pool01, pool02;
	struct ept01 ept01;
	struct ept02_set set;
	struct unit_random random;
};

static inline void machine_init_as(struct machine *m, uint64_t seed, u32 pages01, u32 pages02,
				   const struct ept_caps *caps)
{
	memset(m, 0, sizeof(*m));
	m->random.state = seed;
	host_memory_init(&m->vm.memory, RAM_SIZE, HOME,
			 HOME + (HOME_PAGES01 + HOME_PAGES02) * PAGE_SIZE);
	mmu_pool_init(&m->pool01, &m->vm, HPA(HOME), pages01);
	mmu_pool_init(&m->pool02, &m->vm, HPA(HOME + HOME_PAGES01 * PAGE_SIZE), pages02);
	assert_true(ept01_init(&m->ept01, &m->vm, &m->pool01, caps));
	m->vm.memory.ept01 = &m->ept01;
	assert_true(ept02_set_init(&m->set, &m->vm, &m->pool02, &m->ept01, caps, caps));
}

static inline void machine_init(struct machine *m, uint64_t seed, u32 pages01, u32 pages02)
{
	machine_init_as(m, seed, pages01, pages02, &full_caps);
}

static inline void machine_end(struct machine *m)
{
	host_memory_free(&m->vm.memory);
}

static inline uint64_t pick(struct machine *m, uint64_t below)
{
	return unit_random(&m->random) % below;
}

static inline bool chance(struct machine *m, uint64_t one_in)
{
	return !pick(m, one_in);
}

/* What a processor finds in finished EPT tables of L0's. */
struct hw_walk {
	bool present;
	u64 rights;
	u64 hpa;
	u64 leaf;
	u8 shift;
};

static inline struct hw_walk hw_walk(struct vm *vm, u64 eptp, bool mbec, u64 gpa)
{
	struct hw_walk w = { .rights = mbec ? 0x407 : 7 };
	u64 table = eptp & 0xffffffffff000, entry;
	int level = (int)(eptp >> 3 & 7) + 1;

	if (gpa >> (12 + 9 * level))
		return (struct hw_walk){ .shift = (u8)(12 + 9 * level) };
	for (;; level--) {
		w.shift = (u8)(12 + 9 * (level - 1));
		entry = op_table(vm, HPA(table))[gpa >> w.shift & 511];
		if (!(entry & (mbec ? 0x407 : 7)))
			return (struct hw_walk){ .shift = w.shift };
		assert_false(ept_misconfigured(entry, (u32)level, &vm->memory.ept01->caps, mbec));
		w.rights &= entry;
		table = entry & 0xffffffffff000;
		if (level == 1 || (entry & 0x80))
			break;
	}
	w.present = true;
	w.leaf = entry;
	w.hpa = table + (gpa & ((1ull << w.shift) - 1));
	return w;
}
