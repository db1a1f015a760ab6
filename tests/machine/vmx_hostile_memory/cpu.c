/*
 * The hypervisor's own accesses, and what it may tell the processor about physical memory:
 * MTRRs, the local APIC's place.
 */
#include "hostile.h"

static bool try_stores(const struct home *home, u64 page, struct vm *vm)
{
	u64 value = fresh();

	(void)vm;
	words(page)[511] = value;
	return everywhere(home, 0xff8, value) && everywhere(home, 0, 0);
}

static bool try_string(const struct home *home, u64 page, struct vm *vm)
{
	u64 value = fresh();

	(void)page;
	(void)vm;
	for (u64 at = home->base; at < home->base + home->size; at += PAGE_SIZE)
		memset(words(at), 0xa5, PAGE_SIZE);
	words(home->base)[3] = value;
	return everywhere(home, 24, value) && everywhere(home, 32, 0xa5a5a5a5a5a5a5a5);
}

/* A local APIC in a hypervisor's memory would answer its stores. */
static bool try_apic_base(const struct home *home, u64 page, struct vm *vm)
{
	u64 old = rdmsr(MSR_APIC_BASE);

	(void)home;
	(void)vm;
	trap_rax = (u32)(page | (old & 0xfff));
	trap_rdx = 0;
	trap_rcx = MSR_APIC_BASE;
	TRY("wrmsr", "m" (old));
	return trap_last.vector == 13 && rdmsr(MSR_APIC_BASE) == old;
}

static bool try_mtrr(const struct home *home, u64 page, struct vm *vm)
{
	u32 base = 0x200 + 2 * ((rdmsr(MSR_MTRR_CAP) & 0xff) - 1);
	u64 old_base = rdmsr(base), old_mask = rdmsr(base + 1), value = fresh();
	u64 width = BIT(cpuid(0x80000008, 0).eax & 0xff) - 1;
	bool good;

	(void)vm;
	wrmsr(base, page & ~((2ull << 20) - 1));
	wrmsr(base + 1, (width & ~((2ull << 20) - 1)) | BIT(11));
	words(page)[5] = value;
	good = everywhere(home, 40, value);
	wrmsr(base + 1, old_mask);
	wrmsr(base, old_base);
	return good && everywhere(home, 40, value);
}

const struct attack cpu_attacks[] = {
	{ "stores", try_stores, 0 },
	{ "string stores to all of it", try_string, 0 },
	{ "uncacheable by an MTRR", try_mtrr, 0 },
	{ "the local APIC there, refused", try_apic_base, 0 },
	{ NULL, NULL, 0 },
};
