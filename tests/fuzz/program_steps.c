/* See program_steps.h. */
#include "program_steps.h"

#include "nested/caps.h"
#include "nested/operand.h"

static void tell_outcome(struct outcome o)
{
	fuzz_tell("outcome", o.kind);
	fuzz_tell("error or vector", o.kind == OUT_FAULT ? o.vector : o.error_code);
	fuzz_tell("value", o.value);
}

/* After L1 got control back: what it finds. */
static void l1_runs(struct program *p)
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

static void l2_runs(struct program *p)
{
	p->over = p->f->vm.killed;
	if (p->over)
		return;
	fuzz_check_vmcs02(p->f, p->still);
	fuzz_tell_bytes("vmcs02", fx_vmcs02(p->f, 0), sizeof(u64) * VF_COUNT);
}

/* The engine may leave a VMX abort's indicator in the current VMCS's region. */
static void allow_abort(struct fx *f)
{
	if (f->n.current)
		fuzz_allow(f->n.current->gpa.v + 4, 4);
}

static struct outcome instruction(struct program *p, u32 reason, u32 info, u64 displacement)
{
	struct fx *f = p->f;
	struct outcome o;

	allow_abort(f);
	FX01(f, EXIT_INSTR_INFO) = info;
	FX01(f, EXIT_QUALIFICATION) = displacement;
	o = fx_instruction(f, reason);
	fuzz_forbid();
	tell_outcome(o);
	if (o.kind != OUT_ENTER_L2) {
		l1_runs(p);
		return o;
	}
	fuzz_check_copied(f);
	l2_runs(p);
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

static void poke(struct fx *f, u64 at, const void *src, size_t len)
{
	if (at < FX_L1_RAM && len <= FX_L1_RAM - at)
		fx_l1_writes(f, at, src, len);
}

struct outcome program_instruction(struct program *p, u32 reason, u64 low, u64 high, u64 reg2)
{
	const u64 operand[2] = { low, high };

	poke(p->f, FM_OPERAND, operand, sizeof(operand));
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

/* Pages that fields and entries of good states name, those beyond memory, and the rest. */
static u64 read_address(struct fuzz_input *in)
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

static u64 region(struct fuzz_input *in)
{
	u8 which = fuzz_u8(in);

	return which < 0xe0 ? FX_VMCS(which % FM_REGIONS) : read_address(in);
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
		return read_address(p->in) | (how & 0x20 ? EPTP_WALK_4 | MT_WB : 0);
	return fuzz_value(p->in);
}

static unsigned field(struct fuzz_input *in)
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
	unsigned i = field(p->in);

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
	u64 encoding = nested_field_encoding[field(p->in)] | (how >> 6 & 1);
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
	u64 type = fuzz_below(p->in, 5);
	u64 what = reason == EXIT_INVEPT ? read_address(p->in) | EPTP_WALK_4 | MT_WB :
					   fuzz_value(p->in);

	program_instruction(p, reason, what, fuzz_value(p->in), type);
}

/* L1's writes, with its own or another CPU's hands. */
static void write_memory(struct program *p)
{
	u64 at = read_address(p->in) + 8ull * fuzz_below(p->in, 512), value = fuzz_value(p->in);

	poke(p->f, at & ~7ull, &value, sizeof(value));
}

/* An entry of L1's EPT, or of what it may take for a table. */
static void write_ept12(struct program *p)
{
	static const u16 index[] = { 0, 1, 2, 8, 511 };
	u64 at = FX_EPT12 + PAGE_SIZE * fuzz_below(p->in, 4) + 8ull * index[fuzz_below(p->in, 5)];
	u64 value = read_address(p->in) | fuzz_bytes(p->in, 2);

	poke(p->f, at, &value, sizeof(value));
}

/* An entry of a list of EPTPs. */
static void write_eptp(struct program *p)
{
	u64 at = FX_PAGE(fuzz_below(p->in, 3)) + 8ull * fuzz_below(p->in, 3);
	u64 eptp = (FX_EPT12 + (fuzz_u8(p->in) & 1) * PAGE_SIZE) | EPTP_WALK_4 | MT_WB;

	u8 how = fuzz_u8(p->in);

	eptp |= how & EPTP_AD;
	if (how & 1)
		eptp ^= BIT(how >> 1 & 15);
	poke(p->f, at, &eptp, sizeof(eptp));
}

/* L1 wants the pages that L2 modifies, and its log is soon full. */
static void use_log(struct program *p)
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
static void write_msr_entry(struct program *p)
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
	poke(p->f, page + 16 * number, entry, sizeof(entry));
	if (!p->f->n.current || how & 8)
		return;
	fx_vmwrite(p->f, how & 16 ? VF_EXIT_MSR_LOAD_ADDR : VF_ENTRY_MSR_LOAD_ADDR, page);
	fx_vmwrite(p->f, how & 16 ? VF_EXIT_MSR_LOAD_COUNT : VF_ENTRY_MSR_LOAD_COUNT, number + 1);
	program_enter(p, false);
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
		poke(f, link, &revision, sizeof(revision));
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
	unsigned i = field(p->in);

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

/* Vectoring information of a kind that a processor writes. */
static u64 vectoring(struct fuzz_input *in)
{
	static const u32 some[] = {
		0, INTR_VALID | INTR_TYPE_EXTERNAL | 0x31, INTR_VALID | INTR_TYPE_NMI | 2,
		INTR_VALID | INTR_TYPE_HW_EXCEPTION | INTR_ERROR_CODE | X86_PF,
		INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_UD,
		INTR_VALID | INTR_TYPE_SW_INTERRUPT | 0x80,
		INTR_VALID | INTR_TYPE_SW_EXCEPTION | X86_BP,
		INTR_VALID | INTR_TYPE_PRIV_SW_EXCEPTION | X86_DB,
	};
	u8 which = fuzz_u8(in);

	return which < 0x80 ? 0 : some[which % ARRAY_SIZE(some)];
}

/* Bits of its state that L2 can change, by MOV, WRMSR and the like. */
static u64 l2_can_change(struct fx *f, unsigned i)
{
	if (!field_test(&f->n.exists, i) ||
	    !(field_test(&nested_fields_hot, i) || field_test(&nested_fields_cold, i)))
		return 0;
	switch (i) {
	case VF_GUEST_EFER:
		return EFER_SCE | EFER_NXE;
	case VF_GUEST_PAT:
		return 0x0101010101010101;
	default:
		return nested_field_bits[i];
	}
}

/* What L2 did until its exit, and what the exit tells. */
static void l2_did(struct program *p, u32 reason)
{
	struct fx *f = p->f;
	unsigned changes = fuzz_below(p->in, 4);

	while (changes--) {
		unsigned i = field(p->in);

		*fx_vmcs02(f, i) ^= fuzz_value(p->in) & l2_can_change(f, i);
	}
	FX02(f, IDT_VECTORING_INFO) = vectoring(p->in);
	FX02(f, IDT_VECTORING_ERROR_CODE) = fuzz_u8(p->in);
	FX02(f, EXIT_QUALIFICATION) = fuzz_value(p->in);
	FX02(f, EXIT_INSTR_LENGTH) = 1 + fuzz_below(p->in, 15);
	FX02(f, EXIT_INSTR_INFO) = (u32)fuzz_value(p->in);
	FX02(f, EXIT_INTR_INFO) = reason == EXIT_EXCEPTION_NMI ?
		INTR_VALID | INTR_TYPE_HW_EXCEPTION | fuzz_below(p->in, 32) : vectoring(p->in);
	if (reason == EXIT_EXCEPTION_NMI && fuzz_flip(p->in))
		FX02(f, EXIT_INTR_INFO) = INTR_VALID | INTR_TYPE_NMI | 2;
	FX02(f, EXIT_INTR_ERROR_CODE) = fuzz_u8(p->in);
	FX02(f, GUEST_LINEAR_ADDRESS) = fuzz_value(p->in);
	FX02(f, GUEST_PHYSICAL_ADDRESS) = (fuzz_flip(p->in) ? fuzz_value(p->in) :
							read_address(p->in)) & (BIT(48) - 1);
	f->gpr[GPR_RCX] = 0;
	if (reason == EXIT_MSR_READ || reason == EXIT_MSR_WRITE)
		f->gpr[GPR_RCX] = fuzz_value(p->in);
	if (reason == EXIT_VMFUNC) {
		f->gpr[GPR_RAX] = fuzz_u8(p->in) >> 7;
		f->gpr[GPR_RCX] = fuzz_below(p->in, 4);
	}
}

/* Where L1 wants MSRs of L2 stored, pages that L2 modified logged, and #VE told of. */
static void allow_exit(struct fx *f)
{
	const u64 *v = f->n.current->v;

	allow_abort(f);
	if (nested_proc2(f->n.current) & PROC2_PML)
		fuzz_allow(v[VF_PML_ADDRESS], PAGE_SIZE);
	if (nested_proc2(f->n.current) & PROC2_EPT_VE)
		fuzz_allow(v[VF_VE_INFO_ADDR], 42);
	if (v[VF_EXIT_MSR_STORE_COUNT] <= 4096)
		fuzz_allow(v[VF_EXIT_MSR_STORE_ADDR], 16 * v[VF_EXIT_MSR_STORE_COUNT]);
}

/* What vm/ does behind an instruction of L2 that L1 does not want to see. */
static enum nested_verdict carried_out(struct program *p, struct outcome o)
{
	struct nested_vcpu *n = &p->f->n;

	tell_outcome(o);
	if (o.kind == OUT_FAULT)
		return nested_l2_fault(n, o);
	if (o.kind == OUT_INTERRUPTED)
		return n->in_l2 ? NESTED_RESUME : NESTED_REFLECTED;
	return nested_l2_stepped(n);
}

static enum nested_verdict absent_field(struct program *p, u32 reason)
{
	struct outcome o = nested_vmx_instruction(&p->f->n, reason);

	nested_commit_flags(&p->f->n, o);
	return carried_out(p, o);
}

static enum nested_verdict string_io(struct program *p)
{
	size_t size = 1ull << fuzz_below(p->in, 3);
	struct outcome o = { .kind = OUT_DONE };
	bool input = fuzz_below(p->in, 2);
	struct nested_string s;
	u32 value = 0;

	nested_string_decode(&p->f->n, input, &s);
	if (!input) {
		nested_string_read(&s, &value, size, &o);
		fuzz_tell("out", value);
	} else if (nested_string_check(&s, size, &o)) {
		fuzz_allow(0, ~0ull);	/* wherever L2's memory is */
		nested_string_write(&s, &value, size, &o);
	}
	return carried_out(p, o);
}

static void after_exit(struct program *p, enum nested_verdict verdict)
{
	fuzz_forbid();
	fuzz_tell("verdict", verdict);
	if (verdict == NESTED_REFLECTED)
		l1_runs(p);
	else
		l2_runs(p);
}

static void l2_exits_for(struct program *p, u32 reason)
{
	bool judged = p->still && fuzz_exit_is_judged(p->f);
	bool aborts = judged && fuzz_exit_aborts(p->f);
	enum nested_verdict verdict;

	allow_exit(p->f);
	verdict = fx_exit(p->f, reason);
	if (verdict == NESTED_L0 && (reason == EXIT_VMREAD || reason == EXIT_VMWRITE))
		verdict = absent_field(p, reason);
	if (verdict == NESTED_L0 && reason == EXIT_IO)
		verdict = string_io(p);
	if (verdict == NESTED_DONE)
		verdict = nested_l2_stepped(&p->f->n);
	if (judged && verdict == NESTED_REFLECTED)
		assert_int_equal(!!p->f->vm.killed, aborts);
	after_exit(p, verdict);
}

static void l2_exits(struct program *p)
{
	static const u16 often[] = {
		EXIT_EPT_VIOLATION, EXIT_EPT_MISCONFIG, EXIT_EXCEPTION_NMI, EXIT_IO, EXIT_MSR_READ,
		EXIT_MSR_WRITE, EXIT_CPUID, EXIT_EXTERNAL_INTERRUPT, EXIT_VMREAD, EXIT_VMWRITE,
		EXIT_VMFUNC,
	};
	u8 which = fuzz_u8(p->in);
	u32 reason = which < EXIT_REASON_COUNT ? which : often[which % ARRAY_SIZE(often)];

	l2_did(p, reason);
	if (reason == EXIT_EPT_VIOLATION) {
		FX02(p->f, EXIT_QUALIFICATION) &= 0x1fff;
		FX02(p->f, EXIT_QUALIFICATION) |= 1 << fuzz_below(p->in, 3);
	}
	l2_exits_for(p, reason);
}

/* Where a good EPT has pages. */
static void l2_writes(struct program *p)
{
	FX02(p->f, IDT_VECTORING_INFO) = vectoring(p->in);
	FX02(p->f, EXIT_QUALIFICATION) = EPTQ_WRITE | EPTQ_GLA_VALID | EPTQ_GLA_FINAL;
	FX02(p->f, GUEST_PHYSICAL_ADDRESS) = fuzz_u8(p->in) * PAGE_SIZE;
	l2_exits_for(p, EXIT_EPT_VIOLATION);
}

/* L0 emulates something for L2 and it faults, or an NMI came while L0 ran. */
static void l0_interferes(struct program *p)
{
	static const struct outcome faults[] = {
		OUTCOME_UD, OUTCOME_GP, OUTCOME_PF(2, 0x1234), OUTCOME_FAULT(X86_TS, 8),
	};
	u8 which = fuzz_u8(p->in);

	allow_exit(p->f);
	FX02(p->f, IDT_VECTORING_INFO) = 0;
	FX02(p->f, ENTRY_INTR_INFO) &= ~(u64)INTR_VALID;
	after_exit(p, which & 4 ? nested_l2_nmi(&p->f->n, true) :
				  nested_l2_fault(&p->f->n, faults[which & 3]));
}

void program_l2_step(struct program *p)
{
	switch (fuzz_below(p->in, 8)) {
	case 0:
		write_memory(p);
		break;
	case 1:
		write_ept12(p);
		break;
	case 2:
		l0_interferes(p);
		break;
	case 3:
		l2_writes(p);
		break;
	default:
		l2_exits(p);
	}
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
		l2_exits_for(p, EXIT_CPUID);
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
			l2_exits(p);
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
	case 7: program_instruction(p, EXIT_VMXON, read_address(p->in), 0, 0); break;
	case 8: program_enter(p, true); break;
	case 9: access_field(p, false); break;
	case 10: access_field(p, true); break;
	case 11: read_one(p); break;
	case 12: write_memory(p); break;
	case 13: write_ept12(p); break;
	case 14: write_msr_entry(p); break;
	case 15: load_good_state(p); break;
	case 16: p->f->n.explain = fuzz_flip(p->in); break;
	case 17: use_link(p); break;
	case 18: write_eptp(p); break;
	case 19: busy_trips(p); break;
	case 20: case 21: choose_controls(p); break;
	case 22: fuzz_flip(p->in) ? use_log(p) : take_vpids(p); break;
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
