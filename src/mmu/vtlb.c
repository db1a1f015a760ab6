/*
 * The tables of a vtlb: finding, making, revalidating.
 *
 * A table that hardware has not walked for some revalidations is unlinked from
 * the one above it, so that a flush costs what the guest uses and not what it
 * has ever used.
 */
#include "mmu/vtlb_table.h"

#include "engine_ops.h"

#define TURNS_UNUSED 16u		/* revalidations after which an unused entry goes */

bool vtlb_init(struct vtlb *v, struct vm *vm, const struct ept01 *ept01, hpa_t base, u32 pages)
{
	u64 each = VTLB_TABLE_PAGES * VTLB_DESCRIPTORS + 1;
	u64 capacity = (pages - 1) / each * VTLB_DESCRIPTORS +
		       (pages - 1) % each / VTLB_TABLE_PAGES;
	u64 descriptors = (capacity + VTLB_DESCRIPTORS - 1) / VTLB_DESCRIPTORS;

	*v = (struct vtlb){
		.vm = vm, .ept01 = ept01, .descriptors = base,
		.pages = HPA(base.v + descriptors * PAGE_SIZE),
		.capacity = (u32)MIN(capacity, (u64)VTLB_TABLES_MAX),
	};
	return pages >= VTLB_MIN_PAGES;
}

void vtlb_drop(struct vtlb *v)
{
	v->used = v->free = 0;
	v->drops++;
	__builtin_memset(v->bucket, 0, sizeof(v->bucket));
}

static u16 *bucket_of(struct vtlb *v, u64 source, u32 role)
{
	u64 hash = (source >> 5 ^ (u64)role << 40) * 0x9e3779b97f4a7c15ull;

	return &v->bucket[(hash >> 32) % VTLB_BUCKETS];
}

/* The number of a table for a new owner; capacity: none is left. */
static u32 take(struct vtlb *v)
{
	u32 number = v->free;

	if (!number)
		return v->used < v->capacity ? v->used++ : v->capacity;
	v->free = vtlb_table_of(v, number - 1)->next;
	return number - 1;
}

/* The clock in the middle between now and the last use of the table used least recently. */
static u64 middle(const struct vtlb *v)
{
	u64 oldest = v->epoch;

	for (u32 i = 0; i < v->used; i++)
		oldest = MIN(oldest, vtlb_table_of(v, i)->validated);
	return oldest + (v->epoch - oldest + 1) / 2;
}

void vtlb_recycle(struct vtlb *v)
{
	u64 limit = middle(v);

	v->free = 0;
	__builtin_memset(v->bucket, 0, sizeof(v->bucket));
	for (u32 i = 0; i < v->used; i++) {
		struct vtlb_table *t = vtlb_table_of(v, i);
		u16 *list = bucket_of(v, t->source, t->role);

		if (!t->role || t->validated < limit) {
			v->recycled += t->role != 0;
			t->role = 0;
			t->validated = ~0ull;
			list = &v->free;
		}
		t->next = *list;
		*list = (u16)(i + 1);
	}
	if (!v->free)
		vtlb_drop(v);
}

struct vtlb_table *vtlb_table_get(struct vtlb *v, u64 source, u32 role)
{
	u16 *bucket = bucket_of(v, source, role);
	struct vtlb_table *t;
	u32 number;

	for (u32 i = *bucket; i; i = t->next) {
		t = vtlb_table_of(v, i - 1);
		if (t->source == source && t->role == role)
			return t;
	}
	number = take(v);
	if (number == v->capacity)
		return NULL;
	t = vtlb_table_of(v, number);
	*t = (struct vtlb_table){
		.source = source, .role = role, .number = (u16)number, .next = *bucket,
		.validated = v->clock,
	};
	*bucket = (u16)(number + 1);
	__builtin_memset(vtlb_entries(v, t), 0, PAGE_SIZE);
	return t;
}

static u32 role_of_mode(const struct mmu_paging *p)
{
	enum vtlb_mode mode = VTLB_32BIT;

	if (!(p->cr0 & CR0_PG))
		return ROLE_DIRECT;
	if (p->efer & EFER_LMA)
		mode = VTLB_LONG;
	else if (p->cr4 & CR4_PAE)
		mode = VTLB_PAE;
	return (u32)mode << ROLE_MODE_SHIFT | (p->cr4 & CR4_PSE ? ROLE_PSE : 0) |
	       (p->efer & EFER_NXE ? ROLE_NXE : 0) | (p->cr4 & CR4_SMEP ? ROLE_SMEP : 0) |
	       (p->cr0 & CR0_WP ? ROLE_WP : 0);
}

struct vtlb_table *vtlb_root_get(struct vtlb *v, const struct mmu_paging *p)
{
	u32 role = role_of_mode(p) | ROLE_W | ROLE_U;

	switch (vtlb_mode(role)) {
	case VTLB_LONG: return vtlb_table_get(v, p->cr3 & EPT_ADDR, role | 4);
	case VTLB_PAE: return vtlb_table_get(v, p->cr3 & 0xffffffe0, role | ROLE_ROOT | 3);
	case VTLB_32BIT: return vtlb_table_get(v, p->cr3 & 0xfffff000, role | ROLE_ROOT | 3);
	case VTLB_UNPAGED: break;
	}
	return vtlb_table_get(v, 0, role | ROLE_ROOT | 3);
}

/* The guest's table in memory; NULL: there is no memory. */
static const void *memory_of(struct vtlb *v, struct vtlb_table *t)
{
	u64 epoch = op_gpa1_epoch(v->vm) + 1;

	if (unlikely(t->memory_epoch != epoch)) {
		t->memory = op_gpa1_ptr(v->vm, GPA1(t->source), PAGE_SIZE);
		t->memory_epoch = t->memory ? op_gpa1_epoch(v->vm) + 1 : 0;
	}
	return t->memory;
}

/* 32-bit paging: the part of the guest's table that a table here is made of. */
static const u32 *narrow_part(const struct vtlb_table *t, const void *memory)
{
	u32 quadrant = t->role >> ROLE_QUADRANT_SHIFT & 3;

	return (const u32 *)memory + quadrant * (vtlb_level(t) == 2 ? 256 : 512);
}

/* The guest's entry for entry i, as memory has it now; shift: of i, where one makes two here. */
static always_inline u64 guest_entry(const void *memory, bool narrow, u32 shift, u32 i)
{
	if (narrow)
		return __atomic_load_n((const u32 *)memory + (i >> shift), __ATOMIC_RELAXED);
	return __atomic_load_n((const u64 *)memory + i, __ATOMIC_RELAXED);
}

static void drop_entry(struct vtlb_table *t, u64 *entries, u32 i)
{
	entries[i] = 0;
	t->live[i / 64] &= ~BIT(i % 64);
	if (!t->live[i / 64])
		t->words &= ~BIT32(i / 64);
}

static void drop_all_of(struct vtlb *v, struct vtlb_table *t)
{
	__builtin_memset(vtlb_entries(v, t), 0, PAGE_SIZE);
	__builtin_memset(t->live, 0, sizeof(t->live));
	t->words = 0;
}

/* PDPTEs are registers of the guest's; 32-bit paging has none. */
static void validate_root(struct vtlb *v, struct vtlb_table *t, const struct mmu_paging *p,
			  u64 since)
{
	u64 *entries = vtlb_entries(v, t), *seen = vtlb_seen(v, t);

	for (u32 i = 0; i < 4; i++) {
		if (!(t->live[0] & BIT(i)))
			continue;
		if (vtlb_mode(t->role) == VTLB_PAE && seen[i] != p->pdpte[i])
			drop_entry(t, entries, i);
		else
			vtlb_validate(v, vtlb_child(v, entries[i]), p, since);
	}
}

/* Made of ept01 alone, as is all that it leads to: nothing can have changed. */
static void validate_direct(struct vtlb *v, struct vtlb_table *t, const struct mmu_paging *p,
			    u64 since)
{
	const u64 *entries = vtlb_entries(v, t);

	for (u32 i = 0; i < VTLB_ENTRIES && vtlb_level(t) > 1; i++)
		if ((entries[i] & (PTE_P | PTE_PS)) == PTE_P)
			vtlb_validate(v, vtlb_child(v, entries[i]), p, since);
}

/* What hardware has not used since the last time goes. */
static void age_entries(struct vtlb *v, struct vtlb_table *t)
{
	u64 *entries = vtlb_entries(v, t);

	for (u32 words = t->words; words; words &= words - 1) {
		u32 w = (u32)__builtin_ctz(words);

		for (u64 left = t->live[w]; left; left &= left - 1) {
			u32 i = w * 64 + (u32)__builtin_ctzll(left);

			if (entries[i] & PTE_A)
				entries[i] &= ~PTE_A;
			else
				drop_entry(t, entries, i);
		}
	}
}

static always_inline void validate_entries(struct vtlb *v, struct vtlb_table *t,
					   const struct mmu_paging *p, const void *memory,
					   u64 since, bool narrow, bool links)
{
	u64 *entries = vtlb_entries(v, t), *seen = vtlb_seen(v, t);

	for (u32 words = t->words; words; words &= words - 1) {
		u32 w = (u32)__builtin_ctz(words);

		for (u64 left = t->live[w]; left; left &= left - 1) {
			u32 i = w * 64 + (u32)__builtin_ctzll(left);

			if (unlikely(guest_entry(memory, narrow, links ? 1 : 0, i) != seen[i]))
				drop_entry(t, entries, i);
			else if (links && !(entries[i] & PTE_PS))
				vtlb_validate(v, vtlb_child(v, entries[i]), p, since);
		}
	}
}

void vtlb_validate(struct vtlb *v, struct vtlb_table *t, const struct mmu_paging *p, u64 since)
{
	const void *memory;

	if (t->validated >= since)
		return;
	t->validated = since;
	if (t->role & ROLE_DIRECT) {
		validate_direct(v, t, p, since);
		return;
	}
	if (t->role & ROLE_ROOT) {
		validate_root(v, t, p, since);
		return;
	}
	if (unlikely(++t->turns % TURNS_UNUSED == 0))
		age_entries(v, t);
	memory = memory_of(v, t);
	if (unlikely(!memory))
		drop_all_of(v, t);
	else if (vtlb_mode(t->role) == VTLB_32BIT)
		validate_entries(v, t, p, narrow_part(t, memory), since, true, vtlb_level(t) > 1);
	else if (vtlb_level(t) > 1)
		validate_entries(v, t, p, memory, since, false, true);
	else
		validate_entries(v, t, p, memory, since, false, false);
}

hpa_t vtlb_root(struct vtlb *v, const struct mmu_paging *p)
{
	struct vtlb_table *t;

	v->epoch = ++v->clock;
	t = vtlb_root_get(v, p);
	if (!t) {
		vtlb_recycle(v);
		t = vtlb_root_get(v, p);
	}
	vtlb_validate(v, t, p, v->epoch);
	return vtlb_page(v, t);
}
