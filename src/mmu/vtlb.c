/*
 * The tables of a vtlb: finding, making, revalidating.
 *
 * What hardware has not walked for some revalidations is put to rest
 * (vtlb_rest.c), so that a flush costs what the guest uses and not what it has
 * ever used.
 */
#include "mmu/vtlb_table.h"

#include "engine_ops.h"

#define PAGES_PER_LIST 64u
#define AGE 128u			/* ticks of the clock after which an unused entry rests */

static void init(struct vtlb *v, struct vm *vm, const struct ept01 *ept01, hpa_t base, u32 pages)
{
	u32 lists = MIN(pages / PAGES_PER_LIST, VTLB_LISTS_MAX);
	u64 each = VTLB_TABLE_PAGES * VTLB_DESCRIPTORS + 1;
	u64 left = pages - lists * VTLB_LIST_PAGES - 1;
	u64 capacity = left / each * VTLB_DESCRIPTORS + left % each / VTLB_TABLE_PAGES;
	u64 descriptors = (capacity + VTLB_DESCRIPTORS - 1) / VTLB_DESCRIPTORS;

	*v = (struct vtlb){
		.vm = vm, .ept01 = ept01, .descriptors = base,
		.pages = HPA(base.v + descriptors * PAGE_SIZE),
		.capacity = (u32)MIN(capacity, (u64)VTLB_TABLES_MAX), .lists = lists,
		.list_pages = HPA(base.v + (pages - lists * VTLB_LIST_PAGES) * PAGE_SIZE),
	};
}

bool vtlb_init(struct vtlb *v, struct vm *vm, const struct ept01 *ept01, hpa_t base, u32 pages)
{
	if (pages < VTLB_MIN_PAGES)
		return false;
	init(v, vm, ept01, base, pages);
	return true;
}

void vtlb_drop(struct vtlb *v)
{
	v->used = v->free = 0;
	v->drops++;
	vtlb_lists_drop(v);
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
static u64 middle(struct vtlb *v)
{
	u64 oldest = v->epoch;

	for (u32 i = 0; i < v->used; i++)
		oldest = MIN(oldest, vtlb_validated(v, vtlb_table_of(v, i)));
	return oldest + (v->epoch - oldest + 1) / 2;
}

/* Links to tables that are free now go, and those at rest. */
static void unlink_free(struct vtlb *v, struct vtlb_table *t)
{
	u64 *entries = vtlb_entries(v, t);

	for (u32 i = 0; i < VTLB_ENTRIES && vtlb_level(t) > 1; i++)
		if (!(entries[i] & PTE_PS) &&
		    (!(entries[i] & PTE_P) || !vtlb_child(v, entries[i])->role))
			vtlb_drop_entry(t, entries, i);
}

void vtlb_recycle(struct vtlb *v)
{
	u64 limit = middle(v);

	v->free = 0;
	__builtin_memset(v->bucket, 0, sizeof(v->bucket));
	for (u32 i = 0; i < v->used; i++) {
		struct vtlb_table *t = vtlb_table_of(v, i);
		u16 *list = bucket_of(v, t->source, t->role);

		if (!t->role || vtlb_validated(v, t) < limit) {
			v->recycled += t->role != 0;
			t->role = 0;
			t->validated = ~0ull;
			list = &v->free;
		}
		t->next = *list;
		*list = (u16)(i + 1);
	}
	vtlb_lists_drop(v);
	for (u32 i = 0; i < v->used; i++)
		if (vtlb_table_of(v, i)->role)
			unlink_free(v, vtlb_table_of(v, i));
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

/* The guest is in real mode, and only hardware in virtual-8086 mode. */
static bool is_real_in_v86(const struct mmu_paging *p)
{
	return !(p->cr0 & CR0_PE) && (p->rflags & RFLAGS_VM);
}

static u32 role_of_mode(const struct mmu_paging *p)
{
	enum vtlb_mode mode = VTLB_32BIT;

	if (!(p->cr0 & CR0_PG))
		return ROLE_DIRECT | (is_real_in_v86(p) ? ROLE_TSS : 0);
	if (p->efer & EFER_LMA)
		mode = VTLB_LONG;
	else if (p->cr4 & CR4_PAE)
		mode = VTLB_PAE;
	return (u32)mode << ROLE_MODE_SHIFT | (p->cr4 & CR4_PSE ? ROLE_PSE : 0) |
	       (p->efer & EFER_NXE ? ROLE_NXE : 0) | (p->cr4 & CR4_SMEP ? ROLE_SMEP : 0) |
	       (p->cr0 & CR0_WP ? ROLE_WP : 0);
}

/* The TSS, for the supervisor to read. False: there is no memory left for its tables. */
static bool map_tss(struct vtlb *v, struct vtlb_table *root)
{
	u32 role = ROLE_DIRECT | ROLE_TSS, at = VTLB_TSS >> 30;
	struct vtlb_table *pd, *pt;

	if (root->live[0] & BIT(at))
		return true;
	pd = vtlb_table_get(v, VTLB_TSS, role | 2);
	pt = pd ? vtlb_table_get(v, VTLB_TSS, role | 1) : NULL;
	if (!pt)
		return false;
	for (u32 i = 0; i < v->tss_pages; i++)
		vtlb_put(v, pt, i, (v->tss.v + i * PAGE_SIZE) | PTE_P | PTE_A, 0);
	vtlb_put(v, pd, 0, vtlb_page(v, pt).v | PTE_P | PTE_A, 0);
	vtlb_put(v, root, at, vtlb_page(v, pd).v | PTE_P, 0);
	return true;
}

static struct vtlb_table *direct_root(struct vtlb *v, u32 role)
{
	struct vtlb_table *root = vtlb_table_get(v, 0, role | ROLE_ROOT | 3);

	if (root && (role & ROLE_TSS) && !map_tss(v, root))
		return NULL;
	return root;
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
	return direct_root(v, role);
}

void vtlb_put(struct vtlb *v, struct vtlb_table *t, u32 i, u64 entry, u64 seen)
{
	bool was = t->live[i / 64] >> (i % 64) & 1;

	if (was && vtlb_seen(v, t)[i] != seen)
		vtlb_list_replace(v, t, i, seen);
	else if (!was)
		vtlb_list_add(v, t, i, seen);
	vtlb_seen(v, t)[i] = seen;
	t->live[i / 64] |= BIT(i % 64);
	t->words |= (u16)BIT32(i / 64);
	__atomic_store_n(&vtlb_entries(v, t)[i], entry, __ATOMIC_RELAXED);
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
			vtlb_drop_entry(t, entries, i);
		else
			vtlb_validate(v, vtlb_child(v, entries[i]), p, since, NULL);
	}
}

/* Made of ept01 alone, as is all that it leads to: nothing can have changed. */
static void validate_direct(struct vtlb *v, struct vtlb_table *t, const struct mmu_paging *p,
			    u64 since)
{
	const u64 *entries = vtlb_entries(v, t);

	for (u32 i = 0; i < VTLB_ENTRIES && vtlb_level(t) > 1; i++)
		if ((entries[i] & (PTE_P | PTE_PS)) == PTE_P)
			vtlb_validate(v, vtlb_child(v, entries[i]), p, since, NULL);
}

/* A present link leads there. Most that level 4 has end here. */
static always_inline void follow(struct vtlb *v, struct vtlb_table *t, const struct mmu_paging *p,
				 u64 since, struct vtlb_list *l)
{
	if (vtlb_is_top(t) && vtlb_list_holds(v, t, since))
		t->validated = since;
	else
		vtlb_validate(v, t, p, since, l);
}

static always_inline void validate_entries(struct vtlb *v, struct vtlb_table *t,
					   const struct mmu_paging *p, const u64 *memory,
					   u64 since, struct vtlb_list *l, bool fresh, bool links)
{
	u64 *entries = vtlb_entries(v, t), *seen = vtlb_seen(v, t);

	for (u32 words = t->words; words; words &= words - 1) {
		u32 w = (u32)__builtin_ctz(words);

		for (u64 left = t->live[w]; left; left &= left - 1) {
			u32 i = w * 64 + (u32)__builtin_ctzll(left);

			if (unlikely(__atomic_load_n(&memory[i], __ATOMIC_RELAXED) != seen[i])) {
				vtlb_drop_entry(t, entries, i);
				continue;
			}
			if (fresh)
				vtlb_list_add(v, t, i, seen[i]);
			if (links && !(entries[i] & PTE_PS))
				follow(v, vtlb_child(v, entries[i]), p, since, l);
		}
	}
}

/* 32-bit paging: rare, and in no hurry. */
static void validate_narrow(struct vtlb *v, struct vtlb_table *t, const struct mmu_paging *p,
			    const void *memory, u64 since)
{
	u64 *entries = vtlb_entries(v, t), *seen = vtlb_seen(v, t);

	for (u32 i = 0; i < VTLB_ENTRIES; i++) {
		if (!(entries[i] & PTE_P))
			continue;
		if (vtlb_guest_entry(t, memory, i) != seen[i])
			vtlb_drop_entry(t, entries, i);
		else if (vtlb_level(t) > 1 && !(entries[i] & PTE_PS))
			vtlb_validate(v, vtlb_child(v, entries[i]), p, since, NULL);
	}
}

/* A table of the guest's. */
static void validate_table(struct vtlb *v, struct vtlb_table *t, const struct mmu_paging *p,
			   u64 since, struct vtlb_list *l)
{
	const void *memory;
	bool fresh;

	if ((u32)v->clock - t->aged >= AGE) {
		t->aged = (u32)v->clock;
		vtlb_age(v, t);
	}
	memory = vtlb_memory(v, t);
	fresh = l && vtlb_list_take(v, l, t);
	if (unlikely(!memory))
		drop_all_of(v, t);
	else if (unlikely(vtlb_mode(t->role) == VTLB_32BIT))
		validate_narrow(v, t, p, memory, since);
	else if (vtlb_level(t) > 1)
		validate_entries(v, t, p, memory, since, l, fresh, true);
	else
		validate_entries(v, t, p, memory, since, l, fresh, false);
}

void vtlb_validate(struct vtlb *v, struct vtlb_table *t, const struct mmu_paging *p, u64 since,
		   struct vtlb_list *l)
{
	bool listed = !l || !l->serial || t->serial == l->serial;

	if (listed && (t->validated >= since || vtlb_validated(v, t) >= since))
		return;
	t->validated = since;
	if (unlikely(t->role & ROLE_DIRECT))
		validate_direct(v, t, p, since);
	else if (unlikely(t->role & ROLE_ROOT))
		validate_root(v, t, p, since);
	else if (!vtlb_is_top(t))
		validate_table(v, t, p, since, l);
	else if (!vtlb_list_holds(v, t, since))
		validate_table(v, t, p, since, vtlb_list_begin(v, t));
}

hpa_t vtlb_root(struct vtlb *v, const struct mmu_paging *p)
{
	struct vtlb_table *t;

	v->epoch = ++v->clock;
	t = vtlb_root_get(v, p);
	while (!t) {
		vtlb_recycle(v);
		t = vtlb_root_get(v, p);
	}
	vtlb_validate(v, t, p, v->epoch, NULL);
	return vtlb_page(v, t);
}
