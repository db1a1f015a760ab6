/* Reading the MTRRs. What they mean is in mmu/mtrr.c. */
#include "vm/mtrr.h"

#include "cpu/cpu.h"

static const u32 fixed_msrs[MTRR_FIXED_COUNT] = {
	MSR_IA32_MTRR_FIX64K, MSR_IA32_MTRR_FIX16K_80000, MSR_IA32_MTRR_FIX16K_A0000,
	MSR_IA32_MTRR_FIX4K_C0000, MSR_IA32_MTRR_FIX4K_C0000 + 1, MSR_IA32_MTRR_FIX4K_C0000 + 2,
	MSR_IA32_MTRR_FIX4K_C0000 + 3, MSR_IA32_MTRR_FIX4K_C0000 + 4,
	MSR_IA32_MTRR_FIX4K_C0000 + 5, MSR_IA32_MTRR_FIX4K_C0000 + 6,
	MSR_IA32_MTRR_FIX4K_C0000 + 7,
};

#define MTRRCAP_COUNT 0xffull
#define MTRRCAP_FIXED BIT(8)

void mtrr_read(struct mtrr_state *s)
{
	u64 cap = cpu_rdmsr(MSR_IA32_MTRRCAP);

	s->maxphyaddr = (u8)cpu_cpuid(0x80000008, 0).eax;
	s->def_type = cpu_rdmsr(MSR_IA32_MTRR_DEF_TYPE);
	s->variable_count = (u8)MIN(cap & MTRRCAP_COUNT, (u64)MTRR_VARIABLE_MAX);
	for (u32 i = 0; i < MTRR_FIXED_COUNT && (cap & MTRRCAP_FIXED); i++)
		s->fixed[i] = cpu_rdmsr(fixed_msrs[i]);
	for (u32 i = 0; i < s->variable_count; i++) {
		s->variable[i].base = cpu_rdmsr(MSR_IA32_MTRR_PHYSBASE0 + 2 * i);
		s->variable[i].mask = cpu_rdmsr(MSR_IA32_MTRR_PHYSBASE0 + 2 * i + 1);
	}
}

u8 mtrr_run(const struct mtrr_state *s, hpa_t start, u64 max, u64 *len)
{
	u64 end = start.v + max, at = start.v;
	u8 type, next;

	mtrr_type(s, start, PAGE_SIZE, &type);
	do {
		u64 boundary = mtrr_next_boundary(s, HPA(at));

		at = boundary > end ? end : ALIGN_DOWN(boundary, PAGE_SIZE);
		if (at >= end)
			break;
		mtrr_type(s, HPA(at), PAGE_SIZE, &next);
	} while (next == type);
	*len = MIN(at, end) - start.v;
	return type;
}
