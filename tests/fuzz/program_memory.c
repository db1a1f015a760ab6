/* Steps of a program: what L1, or another CPU of its, writes to memory. See program_steps.h. */
#include "program_parts.h"

/* Pages that fields and entries of good states name, those beyond memory, and the rest. */
u64 program_address(struct fuzz_input *in)
{
	u8 how = fuzz_u8(in);

	switch (how >> 5) {
	case 0:
		return FX_PAGE(how & 31);
	case 1:
		return FX_VMCS(how & 31);
	case 2:
		return FX_EPT12 + (u64)(how & 3) * PAGE_SIZE;
	case 3:
		return 0x1000ull * (how & 31);
	case 4:
		return FX_NOWHERE + (u64)(how & 31) * PAGE_SIZE;
	case 5:
		return FX_VMXON + fuzz_below(in, 0x10000);
	default:
		return fuzz_value(in);
	}
}

u64 program_levels(bool five)
{
	return five ? EPTP_WALK_5 : EPTP_WALK_4;
}

/* L1's writes, with its own or another CPU's hands. */
void program_write_memory(struct program *p)
{
	u64 at = program_address(p->in) + 8ull * fuzz_below(p->in, 512), value = fuzz_value(p->in);

	program_poke(p->f, at & ~7ull, &value, sizeof(value));
}

/* An entry of L1's EPT, or of what it may take for a table. */
void program_write_ept12(struct program *p)
{
	static const u16 index[] = { 0, 1, 2, 8, 511 };
	u64 at = FX_EPT12 + PAGE_SIZE * fuzz_below(p->in, 4) + 8ull * index[fuzz_below(p->in, 5)];
	u64 value = program_address(p->in) | fuzz_bytes(p->in, 2);

	program_poke(p->f, at, &value, sizeof(value));
}

/* An entry of a list of EPTPs. */
void program_write_eptp(struct program *p)
{
	u64 at = FX_PAGE(fuzz_below(p->in, 3)) + 8ull * fuzz_below(p->in, 3);
	u64 eptp = (FX_EPT12 + (fuzz_u8(p->in) & 1) * PAGE_SIZE) | MT_WB;
	u8 how = fuzz_u8(p->in);

	eptp |= program_levels(how & 0x80) | (how & EPTP_AD);
	if (how & 1)
		eptp ^= BIT(how >> 1 & 15);
	program_poke(p->f, at, &eptp, sizeof(eptp));
}

/* L1 wants the pages that L2 modifies, and its log is soon full. */
void program_use_log(struct program *p)
{
	struct fx *f = p->f;

	if (!f->n.current || !field_test(&f->n.exists, VF_PML_INDEX))
		return;
	FX12_WRITE(f, EPT_POINTER, FX12_READ(f, EPT_POINTER) | EPTP_AD);
	FX12_WRITE(f, PROC2_CONTROLS, FX12_READ(f, PROC2_CONTROLS) | PROC2_EPT | PROC2_PML);
	FX12_WRITE(f, PML_INDEX, fuzz_u8(p->in) & 3);
	program_enter(p, false);
}

/* An entry of an MSR list; often that list is used, and this is its last entry. */
void program_write_msr_entry(struct program *p)
{
	static const u32 msr[] = {
		MSR_EFER, MSR_IA32_PAT, MSR_IA32_DEBUGCTL, MSR_IA32_SYSENTER_CS,
		MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP, MSR_FS_BASE, MSR_KERNEL_GS_BASE,
		MSR_TSC_AUX, MSR_IA32_X2APIC_ICR, MSR_IA32_SMBASE, MSR_IA32_SMM_MONITOR_CTL,
		MSR_IA32_FEATURE_CONTROL, 0x12345,
	};
	u8 how = fuzz_u8(p->in);
	u64 page = FX_PAGE(how & 1), number = how & 0xc0 ? 0 : how >> 1 & 3;
	u64 entry[2] = { msr[fuzz_below(p->in, ARRAY_SIZE(msr))] };

	entry[1] = fuzz_value(p->in);
	program_poke(p->f, page + 16 * number, entry, sizeof(entry));
	if (!p->f->n.current || how & 8)
		return;
	fx_vmwrite(p->f, how & 16 ? VF_EXIT_MSR_LOAD_ADDR : VF_ENTRY_MSR_LOAD_ADDR, page);
	fx_vmwrite(p->f, how & 16 ? VF_EXIT_MSR_LOAD_COUNT : VF_ENTRY_MSR_LOAD_COUNT, number + 1);
	program_enter(p, false);
}
