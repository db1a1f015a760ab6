/* See program_steps.h. L1's instructions, and which step is next. */
#include "program_parts.h"

#include "nested/caps.h"
#include "nested/operand.h"

void program_tell(struct outcome o)
{
	fuzz_tell("outcome", o.kind);
	fuzz_tell("error or vector", o.kind == OUT_FAULT ? o.vector : o.error_code);
	fuzz_tell("value", o.value);
}

/* After L1 got control back: what it finds. */
void program_l1_runs(struct program *p)
{
	struct fx *f = p->f;

	p->over = f->vm.killed;
	fuzz_tell("over", p->over);
	if (p->over)
		return;
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (VMCS_TYPE(nested_field_encoding[i]) == VMCS_TYPE_GUEST &&
		    i != VF_VMCS_LINK_POINTER)
			fuzz_tell(nested_field_name[i], *fx_vmcs01(f, i));
	fuzz_check_vmcs01(f);
}

void program_l2_runs(struct program *p)
{
	p->over = p->f->vm.killed;
	if (p->over)
		return;
	fuzz_check_vmcs02(p->f, p->still);
	fuzz_tell_bytes("vmcs02", fx_vmcs02(p->f, 0), sizeof(u64) * VF_COUNT);
}

/* The engine may leave a VMX abort's indicator in the current VMCS's region. */
void program_allow_abort(struct fx *f)
{
	if (f->n.current)
		fuzz_allow(f->n.current->gpa.v + 4, 4);
}

static struct outcome instruction(struct program *p, u32 reason, u32 info, u64 displacement)
{
	struct fx *f = p->f;
	struct outcome o;

	program_allow_abort(f);
	FX01(f, EXIT_INSTR_INFO) = info;
	FX01(f, EXIT_QUALIFICATION) = displacement;
	o = fx_instruction(f, reason);
	fuzz_forbid();
	program_tell(o);
	if (o.kind != OUT_ENTER_L2) {
		program_l1_runs(p);
		return o;
	}
	fuzz_check_copied(f);
	program_l2_runs(p);
	return o;
}

static bool is_64bit(struct fx *f)
{
	return FX01(f, GUEST_EFER) & EFER_LMA;
}

/* A memory operand at an address, in DS, and register RDX. */
static u32 memory_info(struct fx *f)
{
	return (is_64bit(f) ? 2u : 1u) << 7 | (u32)SEG_DS << 15 | BIT32(22) | BIT32(27) |
	       (u32)GPR_RDX << 28;
}

void program_poke(struct fx *f, u64 at, const void *src, size_t len)
{
	if (at < FX_L1_RAM && len <= FX_L1_RAM - at)
		fx_l1_writes(f, at, src, len);
}

struct outcome program_instruction(struct program *p, u32 reason, u64 low, u64 high, u64 reg2)
{
	const u64 operand[2] = { low, high };

	program_poke(p->f, FM_OPERAND, operand, sizeof(operand));
	p->f->gpr[GPR_RDX] = reg2;
	return instruction(p, reason, memory_info(p->f), FM_OPERAND);
}

static void expect_outcome(struct outcome o, struct outcome want)
{
	if (o.kind != want.kind || (want.kind != OUT_ENTER_L2 && o.error_code != want.error_code) ||
	    (want.kind == OUT_ENTRY_FAIL && o.value != want.value))
		fail_msg("an entry comes to kind %d, %#x, %llu; not kind %d, %#x, %llu", o.kind,
			 o.error_code, (unsigned long long)o.value, want.kind, want.error_code,
			 (unsigned long long)want.value);
}

void program_enter(struct program *p, bool wrong)
{
	struct fx *f = p->f;
	const struct nested_vmcs *s = FX_SLOT(f);
	bool resume = (s && s->launched) != wrong;
	bool judged = p->still && f->n.vmxon && s && !s->is_shadow && !wrong;
	struct nested_vpids vpids = f->n.vpids;
	struct outcome o, want;

	if (judged)
		want = fuzz_verdict(f);
	hw_forget(&f->hw);
	fuzz_allow_regions(f);	/* the VMCS of the link pointer takes another's place */
	o = instruction(p, resume ? EXIT_VMRESUME : EXIT_VMLAUNCH, 0, 0);
	if (judged)
		expect_outcome(o, want);
	fuzz_check_vpids(f, &vpids);
}

static u64 region(struct fuzz_input *in)
{
	u8 which = fuzz_u8(in);

	return which < 0xe0 ? FX_VMCS(which % FM_REGIONS) : program_address(in);
}

/* A value for a field: often near the one it has. */
static u64 field_value(struct program *p, unsigned i)
{
	u8 how = fuzz_u8(p->in);
	u64 now = p->f->n.current ? fx_vmread(p->f, i) : 0;

	if (i == VF_ENTRY_MSR_LOAD_COUNT || i == VF_EXIT_MSR_LOAD_COUNT ||
	    i == VF_EXIT_MSR_STORE_COUNT)
		return how < 0xf0 ? how & 3 : fuzz_value(p->in);
	if (how < 0x80)
		return now ^ BIT(how & 63);
	if (how < 0xc0)
		return program_address(p->in) |
		       (how & 0x20 ? program_levels(how & 0x10) | MT_WB : 0);
	return fuzz_value(p->in);
}

unsigned program_field(struct fuzz_input *in)
{
	/* Those that decide what happens, more often than the others. */
	static const u8 often[] = {
		VF_PIN_CONTROLS, VF_PROC_CONTROLS, VF_PROC2_CONTROLS, VF_EXIT_CONTROLS,
		VF_ENTRY_CONTROLS, VF_MSR_BITMAP, VF_IO_BITMAP_A, VF_IO_BITMAP_B, VF_VPID,
		VF_EPT_POINTER, VF_VIRTUAL_APIC_ADDR, VF_APIC_ACCESS_ADDR, VF_POSTED_INTR_DESC,
		VF_ENTRY_MSR_LOAD_COUNT, VF_ENTRY_MSR_LOAD_ADDR, VF_EXIT_MSR_LOAD_COUNT,
		VF_EXIT_MSR_LOAD_ADDR, VF_EXIT_MSR_STORE_COUNT, VF_EXIT_MSR_STORE_ADDR,
		VF_ENTRY_INTR_INFO, VF_EXCEPTION_BITMAP, VF_PF_ERROR_MASK, VF_GUEST_ACTIVITY,
		VF_GUEST_INTERRUPTIBILITY, VF_VMCS_LINK_POINTER, VF_GUEST_CR3, VF_HOST_CR3,
		VF_GUEST_EFER, VF_HOST_EFER, VF_TSC_OFFSET, VF_VMFUNC_CONTROLS, VF_EPTP_LIST,
		VF_PML_ADDRESS, VF_PML_INDEX, VF_VE_INFO_ADDR,
	};
	u8 which = fuzz_u8(in);

	return which < VF_COUNT ? which : often[(which - VF_COUNT) % ARRAY_SIZE(often)];
}

static void write_field(struct program *p)
{
	unsigned i = program_field(p->in);

	if (p->f->n.current && field_test(&p->f->n.exists, i))
		fx_vmwrite(p->f, i, field_value(p, i));
}

/* Some of the controls that L1 may choose, of one kind; their addresses are good ones. */
static void choose_controls(struct program *p)
{
	const struct vmx_caps *c = &p->f->n.caps;
	const struct { u8 field; struct vmx_allowed allowed; } kind[] = {
		{ VF_PIN_CONTROLS, c->pin }, { VF_PROC_CONTROLS, c->proc },
		{ VF_PROC2_CONTROLS, c->proc2 }, { VF_EXIT_CONTROLS, c->exit },
		{ VF_ENTRY_CONTROLS, c->entry },
	};
	unsigned k = fuzz_below(p->in, ARRAY_SIZE(kind));
	u32 free = kind[k].allowed.may & ~kind[k].allowed.must, flip = (u32)fuzz_bytes(p->in, 4);

	/* What goes with L1's and L2's mode stays: else hardly an entry would succeed. */
	if (k == 3)
		free &= ~EXIT_HOST_64;
	if (k == 4)
		free &= ~ENTRY_IA32E;
	if (k == 2)
		free &= ~(PROC2_EPT | PROC2_UNRESTRICTED);
	if (p->f->n.current)
		fx_vmwrite(p->f, kind[k].field, fx_vmread(p->f, kind[k].field) ^ (flip & free));
}

void program_good_addresses(struct fx *f)
{
	static const struct { u8 field; u64 at; } good[] = {
		{ VF_ENTRY_MSR_LOAD_ADDR, FX_PAGE(0) }, { VF_EXIT_MSR_LOAD_ADDR, FX_PAGE(1) },
		{ VF_EXIT_MSR_STORE_ADDR, FX_PAGE(2) }, { VF_MSR_BITMAP, FX_PAGE(3) },
		{ VF_IO_BITMAP_A, FX_PAGE(4) }, { VF_IO_BITMAP_B, FX_PAGE(5) },
		{ VF_APIC_ACCESS_ADDR, FX_PAGE(6) }, { VF_POSTED_INTR_DESC, FX_PAGE(7) },
		{ VF_PML_ADDRESS, FX_PAGE(8) }, { VF_EPTP_LIST, FX_PAGE(0) },
		{ VF_VMREAD_BITMAP, FX_PAGE(9) }, { VF_VMWRITE_BITMAP, FX_PAGE(10) },
		{ VF_VE_INFO_ADDR, FX_PAGE(11) }, { VF_VIRTUAL_APIC_ADDR, VAPIC_PAGE },
		{ VF_VPID, 1 }, { VF_VMFUNC_CONTROLS, 1 }, { VF_TSC_MULTIPLIER, BIT(48) },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		if (field_test(&f->n.exists, good[i].field))
			fx_vmwrite(f, good[i].field, good[i].at);
}

/* Might a processor with VMCS shadowing do it without asking the engine? */
static bool in_hardware(struct fx *f, u64 encoding, bool write)
{
	int i = nested_field_of(&f->n, encoding);

	if (!f->n.current || i < 0)
		return false;
	if (f->n.current->is_shadow)
		return f->n.use_shadow;
	return !(encoding & VMCS_HIGH_ACCESS) &&
	       (field_test(&nested_fields_shadow_rw, (unsigned)i) ||
		field_test(&nested_fields_cold, (unsigned)i) ||
		(!write && field_test(&nested_fields_shadow_ro, (unsigned)i)));
}

/* By encoding, existing or not, to and from memory or a register. */
static void access_field(struct program *p, bool write)
{
	struct fx *f = p->f;
	u8 how = fuzz_u8(p->in);
	u64 encoding = nested_field_encoding[program_field(p->in)] | (how >> 6 & 1);
	u32 info = how & 1 ? memory_info(f) : BIT32(10) | (u32)GPR_RAX << 3 | (u32)GPR_RDX << 28;

	if (how & 0x80)
		encoding = fuzz_value(p->in);
	if (!is_64bit(f))
		encoding = (u32)encoding;
	f->gpr[GPR_RAX] = write ? fuzz_value(p->in) : 0;
	if (in_hardware(f, encoding, write))
		return;
	f->gpr[GPR_RDX] = encoding;
	if (!write)
		fuzz_allow(FM_OPERAND, 8);
	instruction(p, write ? EXIT_VMWRITE : EXIT_VMREAD, info, FM_OPERAND);
	fuzz_tell("rax", f->gpr[GPR_RAX]);
}

static void load_region(struct program *p)
{
	fuzz_allow_regions(p->f);
	program_instruction(p, EXIT_VMPTRLD, region(p->in), 0, 0);
}

static void clear_region(struct program *p)
{
	u64 at = region(p->in);

	fuzz_allow_regions(p->f);
	fuzz_allow(at + 8, PAGE_SIZE - 8);
	program_instruction(p, EXIT_VMCLEAR, at, 0, 0);
}

static void leave_and_return(struct program *p)
{
	fuzz_allow_regions(p->f);
	instruction(p, EXIT_VMXOFF, 0, 0);
	if (fuzz_flip(p->in))
		program_enter(p, false);
	program_instruction(p, EXIT_VMXON, FX_VMXON, 0, 0);
}

static void store_pointer(struct program *p)
{
	fuzz_allow(FM_OPERAND, 8);
	program_instruction(p, EXIT_VMPTRST, 0, 0, 0);
	fuzz_tell_bytes("pointer", fx_at(p->f, FM_OPERAND), 8);
}

static void invalidate(struct program *p, u32 reason)
{
	u8 how = fuzz_u8(p->in);
	u64 type = how % 5;
	u64 what = reason == EXIT_INVEPT ?
		   program_address(p->in) | program_levels(how & 0x40) | MT_WB : fuzz_value(p->in);

	program_instruction(p, reason, what, fuzz_value(p->in), type);
}

/* A region becomes a shadow VMCS's, and L2 is let into it. */
static void use_link(struct program *p)
{
	struct fx *f = p->f;
	u64 link = FX_VMCS(fuzz_below(p->in, FM_REGIONS)), bitmap = FX_PAGE(fuzz_u8(p->in) & 3);
	u32 revision = NESTED_REVISION | VMCS_SHADOW_INDICATOR;

	if (!f->n.current || !field_test(&f->n.exists, VF_VMREAD_BITMAP))
		return;
	if (link != f->n.current->gpa.v)
		program_poke(f, link, &revision, sizeof(revision));
	FX12_WRITE(f, VMCS_LINK_POINTER, link);
	FX12_WRITE(f, VMREAD_BITMAP, bitmap);
	FX12_WRITE(f, VMWRITE_BITMAP, bitmap + PAGE_SIZE);
	FX12_WRITE(f, PROC2_CONTROLS, FX12_READ(f, PROC2_CONTROLS) | PROC2_SHADOW_VMCS);
}

static void load_good_state(struct program *p)
{
	u32 base = fuzz_below(p->in, BASES);

	if (!p->f->n.current || base == FULL || (base == HOST32) != !is_64bit(p->f))
		return;
	fx_load_state(p->f, (enum state_base)base);
	program_good_addresses(p->f);
}

static void read_one(struct program *p)
{
	unsigned i = program_field(p->in);

	if (p->f->n.current && field_test(&p->f->n.exists, i))
		fuzz_tell(nested_field_name[i], fx_vmread(p->f, i));
}

void program_read_all(struct program *p)
{
	struct fx *f = p->f;

	if (p->over || !f->n.current || f->n.in_l2)
		return;
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (field_test(&f->n.exists, i))
			fuzz_tell(nested_field_name[i], fx_vmread(f, i));
}

/* L2 runs once; then guests of L1 that are not seen here take some of the hardware's VPIDs,
 * perhaps that of L2; and it runs again. */
static void take_vpids(struct program *p)
{
	struct fx *f = p->f;
	u64 which = fuzz_value(p->in);

	if (!f->n.current || !field_test(&f->n.exists, VF_VPID))
		return;
	FX12_WRITE(f, PROC2_CONTROLS, FX12_READ(f, PROC2_CONTROLS) | PROC2_VPID);
	program_enter(p, false);
	if (f->n.in_l2 && !p->over) {
		FX02(f, IDT_VECTORING_INFO) = 0;
		program_l2_exits_for(p, EXIT_CPUID);
	}
	if (f->n.in_l2 || p->over)
		return;
	for (unsigned i = 0; i < NESTED_VPIDS; i++)
		if (which >> i & 1)
			f->n.vpids.vpid12[i] = (u16)(0x4000 + i);
	program_enter(p, false);
}

/* As a hypervisor does that loads its guest's whole state before each entry. */
static void busy_trips(struct program *p)
{
	struct fx *f = p->f;
	u8 trips = fuzz_u8(p->in) & 7;

	while (trips-- && f->n.current && !f->n.in_l2 && !p->over) {
		FX12_WRITE(f, GUEST_FS_BASE, trips);
		FX12_WRITE(f, GUEST_GS_BASE, FX12_READ(f, GUEST_GS_BASE) + 1);
		FX12_WRITE(f, GUEST_SYSENTER_CS, 8);
		program_enter(p, false);
		if (f->n.in_l2 && !p->over)
			program_l2_exits(p);
	}
}

static void l1_step(struct program *p)
{
	switch (fuzz_below(p->in, 32)) {
	case 0: load_region(p); break;
	case 1: clear_region(p); break;
	case 2: leave_and_return(p); break;
	case 3: store_pointer(p); break;
	case 4: invalidate(p, EXIT_INVEPT); break;
	case 5: invalidate(p, EXIT_INVVPID); break;
	case 6: instruction(p, EXIT_VMCALL, 0, 0); break;
	case 7: program_instruction(p, EXIT_VMXON, program_address(p->in), 0, 0); break;
	case 8: program_enter(p, true); break;
	case 9: access_field(p, false); break;
	case 10: access_field(p, true); break;
	case 11: read_one(p); break;
	case 12: program_write_memory(p); break;
	case 13: program_write_ept12(p); break;
	case 14: program_write_msr_entry(p); break;
	case 15: load_good_state(p); break;
	case 16: p->f->n.explain = fuzz_flip(p->in); break;
	case 17: use_link(p); break;
	case 18: program_write_eptp(p); break;
	case 19: busy_trips(p); break;
	case 20: case 21: choose_controls(p); break;
	case 22: fuzz_flip(p->in) ? program_use_log(p) : take_vpids(p); break;
	case 23: case 24: case 25: case 26:
		program_enter(p, false);
		break;
	default:
		write_field(p);
	}
}

void program_step(struct program *p)
{
	if (p->f->n.in_l2)
		program_l2_step(p);
	else
		l1_step(p);
}
