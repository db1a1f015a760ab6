/*
 * Registers and memory operands of VMX instructions, and of INS and OUTS: effective
 * address, the segment's say on it, then memory through paging, and for an L2 through
 * L1's EPT. Of VMX instructions those in compatibility, real and virtual-8086
 * mode never get here: the prologue refused them.
 */
#include "nested/operand.h"

#include "engine_ops.h"
#include "nested/engine.h"
#include "x86.h"

#define INFO_SCALE(info) ((info) & 3)
#define INFO_ADDRESS_SIZE(info) (((info) >> 7) & 7)
#define INFO_SEGMENT(info) (((info) >> 15) & 7)
#define INFO_INDEX(info) (((info) >> 18) & 15)
#define INFO_NO_INDEX BIT32(22)
#define INFO_BASE(info) (((info) >> 23) & 15)
#define INFO_NO_BASE BIT32(27)

/* Type bits of a code or data segment. */
#define TYPE_CODE BIT32(3)
#define TYPE_EXPAND_DOWN BIT32(2)
#define TYPE_RW BIT32(1)	/* data: writable; code: readable */

static u64 effective_address(const struct nested_insn *in)
{
	u64 ea = op_hw_read(in->n, VMCS_EXIT_QUALIFICATION);	/* displacement */

	if (!(in->info & INFO_NO_BASE))
		ea += nested_gpr_read(in, INFO_BASE(in->info));
	if (!(in->info & INFO_NO_INDEX))
		ea += nested_gpr_read(in, INFO_INDEX(in->info)) << INFO_SCALE(in->info);
	switch (INFO_ADDRESS_SIZE(in->info)) {
	case 0:
		return (u16)ea;
	case 1:
		return (u32)ea;
	default:
		return ea;
	}
}

static bool segment_fault(unsigned seg, struct outcome *fault)
{
	*fault = OUTCOME_FAULT(seg == SEG_SS ? X86_SS : X86_GP, 0);
	return false;
}

bool nested_is_canonical(u64 a, u64 cr4)
{
	unsigned unused = cr4 & CR4_LA57 ? 7 : 16;

	return (u64)((s64)(a << unused) >> unused) == a;
}

static u64 base64(struct nested_vcpu *n, unsigned seg)
{
	if (likely(seg != SEG_FS && seg != SEG_GS))
		return 0;
	return op_hw_read(n, seg == SEG_FS ? VMCS_GUEST_FS_BASE : VMCS_GUEST_GS_BASE);
}

static bool linear64(struct nested_vcpu *n, unsigned seg, u64 ea, size_t len, u64 cr4,
		     gva_t *out, struct outcome *fault)
{
	u64 linear = ea + base64(n, seg);

	if (!nested_is_canonical(linear, cr4) || !nested_is_canonical(linear + len - 1, cr4))
		return segment_fault(seg, fault);
	*out = GVA(linear);
	return true;
}

/* SDM Vol. 3A "Type Checking" and "Limit Checking", for offsets first..last. */
static bool segment_allows(u32 ar, u64 limit, u64 first, u64 last, bool write)
{
	if (ar & AR_UNUSABLE)
		return false;
	if (write && (ar & TYPE_CODE || !(ar & TYPE_RW)))
		return false;
	if (!write && (ar & TYPE_CODE) && !(ar & TYPE_RW))
		return false;
	if (!(ar & TYPE_CODE) && (ar & TYPE_EXPAND_DOWN))
		return first > limit && last <= (ar & AR_DB ? 0xffffffff : 0xffff);
	return last <= limit;
}

static bool linear32(struct nested_vcpu *n, unsigned seg, u64 ea, size_t len, bool write,
		     gva_t *out, struct outcome *fault)
{
	u32 ar = (u32)op_hw_read(n, VMCS_GUEST_ES_AR + 2 * seg);
	u64 limit = op_hw_read(n, VMCS_GUEST_ES_LIMIT + 2 * seg);

	if (!segment_allows(ar, limit, ea, ea + len - 1, write))
		return segment_fault(seg, fault);
	*out = GVA((u32)(op_hw_read(n, VMCS_GUEST_ES_BASE + 2 * seg) + ea));
	return true;
}

/* An operand found: its linear address, and the paging that it goes through. */
struct place {
	gva_t gva;
	struct mmu_paging paging;
	struct nested_stage2 stage2;
};

/*
 * The bits that steer translation are the guest's own: L0 masks only such as VMXE
 * and NE (without EPT, others), and L1's masks for L2 say what L2 reads, not what it
 * runs with.
 */
static void load_paging(const struct nested_insn *in, struct place *at)
{
	struct nested_vcpu *n = in->n;
	struct mmu_paging *p = &at->paging;
	u64 pkrs;

	*p = (struct mmu_paging){
		.cr0 = op_hw_read(n, VMCS_GUEST_CR0),
		.cr3 = op_hw_read(n, n->at.cr3),
		.cr4 = op_hw_read(n, VMCS_GUEST_CR4),
		.efer = op_hw_read(n, n->at.efer),
		.maxphyaddr = n->caps.maxphyaddr,
		.cpl = in->cpl,
		.pg_1g = n->caps.pg_1g,
	};
	if (unlikely(n->in_l2))
		p->stage2 = nested_stage2_init(n, &at->stage2);
	if (unlikely(n->vtlb)) {
		p->cr0 = nested_vtlb_cr0(n);
		p->cr4 = nested_vtlb_cr4(n);
	}
	if (p->cr4 & CR4_SMAP)	/* EFLAGS.AC matters only then */
		p->rflags = op_hw_read(n, VMCS_GUEST_RFLAGS);
	if (p->cr4 & CR4_PKE)
		p->pkru = op_pkru(n);
	if ((p->cr4 & CR4_PKS) && op_msr_read(n, MSR_IA32_PKRS, &pkrs))
		p->pkrs = (u32)pkrs;
	if (!(p->cr4 & CR4_PAE) || (p->efer & EFER_LMA))
		return;
	for (unsigned i = 0; i < 4; i++)
		p->pdpte[i] = op_hw_read(n, n->at.pdpte + 2 * i);
}

static bool locate(const struct nested_insn *in, unsigned seg, u64 ea, size_t len, bool write,
		   struct place *at, struct outcome *fault)
{
	load_paging(in, at);
	return in->mode64 ? linear64(in->n, seg, ea, len, at->paging.cr4, &at->gva, fault) :
			    linear32(in->n, seg, ea, len, write, &at->gva, fault);
}

static bool paging_fault(struct place *at, const struct mmu_fault *pf, struct outcome *fault)
{
	*fault = pf->stage2 ? nested_stage2_failed(&at->stage2) :
			      OUTCOME_PF(pf->error_code, pf->cr2);
	return false;
}

static bool read_place(const struct nested_insn *in, struct place *at, void *to, size_t len,
		       struct outcome *fault)
{
	struct mmu_fault pf;

	if (!mmu_gva_read(in->n->vm, &at->paging, at->gva, to, len, 0, &pf))
		return paging_fault(at, &pf, fault);
	nested_breakpoint_memory(in->n, at->gva, len, false);
	return true;
}

static bool write_place(const struct nested_insn *in, struct place *at, const void *from,
			size_t len, struct outcome *fault)
{
	struct mmu_fault pf;

	if (!mmu_gva_write(in->n->vm, &at->paging, at->gva, from, len, 0, &pf))
		return paging_fault(at, &pf, fault);
	nested_breakpoint_memory(in->n, at->gva, len, true);
	return true;
}

static struct mmu_memo *memo_of(struct nested_vcpu *n, u64 linear)
{
	return &n->memo[linear / PAGE_SIZE % MMU_MEMOS];
}

/* 64-bit address, base register, no index, a segment without a base: what compilers like most. */
#define INFO_COMMON_MASK (7 << 7 | INFO_NO_INDEX | INFO_NO_BASE | BIT32(17))
#define INFO_COMMON (2 << 7 | INFO_NO_INDEX)

static always_inline u64 linear_of(const struct nested_insn *in)
{
	unsigned base = INFO_BASE(in->info);

	if (unlikely((in->info & INFO_COMMON_MASK) != INFO_COMMON || base == GPR_RSP))
		return effective_address(in) + base64(in->n, INFO_SEGMENT(in->info));
	return op_hw_read(in->n, VMCS_EXIT_QUALIFICATION) + in->n->gpr[base];
}

/* Where a page is found without a walk, its address was canonical then and is so now. */
static always_inline const void *find_operand(const struct nested_insn *in, size_t len)
{
	struct nested_vcpu *n = in->n;
	const struct mmu_memo *memo;
	const void *found;
	u64 linear;

	if (unlikely(!in->mode64))
		return NULL;
	linear = linear_of(in);
	memo = memo_of(n, linear);
	found = mmu_memo_find(n->vm, memo, op_hw_read(n, n->at.cr3),
			      op_hw_read(n, VMCS_GUEST_CR4), linear, len);
	return likely(!memo->xd) || (op_hw_read(n, n->at.efer) & EFER_NXE) ? found : NULL;
}

static bool read_memory(const struct nested_insn *in, const struct mmu_paging *p, gva_t gva,
			void *to, size_t len, struct mmu_fault *pf)
{
	struct nested_vcpu *n = in->n;
	gpa1_t gpa;

	if (!in->mode64 || n->breakpoints || (gva.v & ~PAGE_MASK) > PAGE_SIZE - len)
		return mmu_gva_read(n->vm, p, gva, to, len, 0, pf);
	if (!mmu_memo_walk(n->vm, p, gva, memo_of(n, gva.v), &gpa, pf))
		return false;
	if (!op_gpa1_read(n->vm, gpa, to, len))
		__builtin_memset(to, 0xff, len);
	return true;
}

static __attribute__((noinline)) bool read_by_walk(const struct nested_insn *in, void *to,
						   size_t len, struct outcome *fault)
{
	u64 ea = effective_address(in);
	struct mmu_fault pf;
	struct place at;

	if (!locate(in, INFO_SEGMENT(in->info), ea, len, false, &at, fault))
		return false;
	if (!read_memory(in, &at.paging, at.gva, to, len, &pf))
		return paging_fault(&at, &pf, fault);
	nested_breakpoint_memory(in->n, at.gva, len, false);
	return true;
}

bool nested_operand_read(const struct nested_insn *in, u64 *to, size_t len, struct outcome *fault)
{
	const void *found = find_operand(in, len);

	if (unlikely(!found))
		return read_by_walk(in, to, len, fault);
	__builtin_memcpy(to, found, sizeof(*to));
	return true;
}

bool nested_descriptor_read(const struct nested_insn *in, u64 to[2], struct outcome *fault)
{
	const void *found = find_operand(in, 2 * sizeof(u64));

	if (unlikely(!found))
		return read_by_walk(in, to, 2 * sizeof(u64), fault);
	__builtin_memcpy(to, found, 2 * sizeof(u64));
	return true;
}

bool nested_operand_read_l2(const struct nested_insn *in, u64 *to, size_t len,
			    struct outcome *fault)
{
	struct place at;

	return locate(in, INFO_SEGMENT(in->info), effective_address(in), len, false, &at, fault) &&
	       read_place(in, &at, to, len, fault);
}

bool nested_operand_write(const struct nested_insn *in, const void *from, size_t len,
			  struct outcome *fault)
{
	struct place at;

	return locate(in, INFO_SEGMENT(in->info), effective_address(in), len, true, &at, fault) &&
	       write_place(in, &at, from, len, fault);
}

/* A processor that does not tell (IA32_VMX_BASIC bit 54): as if there were no prefixes. */
static u32 string_info(const struct nested_insn *in)
{
	u32 size = in->mode64 ? 2 : op_hw_read(in->n, VMCS_GUEST_CS_AR) & AR_DB ? 1 : 0;

	if (in->n->hw->basic & BASIC_INS_OUTS)
		return (u32)op_hw_read(in->n, VMCS_EXIT_INSTR_INFO);
	return size << 7 | SEG_DS << 15;
}

void nested_string_decode(struct nested_vcpu *n, bool to_memory, struct nested_string *s)
{
	static const u64 mask[] = { 0xffff, 0xffffffff, ~0ull };
	struct nested_insn *in = &s->in;

	*in = (struct nested_insn){ .n = n };
	in->mode64 = (op_hw_read(n, VMCS_ENTRY_CONTROLS) & ENTRY_IA32E) &&
		     (op_hw_read(n, VMCS_GUEST_CS_AR) & AR_L);
	in->cpl = (u8)((op_hw_read(n, VMCS_GUEST_SS_AR) & AR_DPL) >> AR_DPL_SHIFT);
	in->info = string_info(in);
	s->segment = to_memory ? SEG_ES : INFO_SEGMENT(in->info);
	s->mask = mask[MIN(INFO_ADDRESS_SIZE(in->info), 2u)];
	s->offset = n->gpr[to_memory ? GPR_RDI : GPR_RSI] & s->mask;
}

static bool find_string(const struct nested_string *s, size_t len, bool write, struct place *at,
			struct outcome *fault)
{
	return locate(&s->in, s->segment, s->offset, len, write, at, fault);
}

/* SDM 3A "Interrupt 17-Alignment Check Exception". */
static bool aligned(const struct nested_string *s, const struct place *at, size_t len,
		    struct outcome *fault)
{
	if (likely(!(at->gva.v & (len - 1))) || s->in.cpl != 3 || !(at->paging.cr0 & CR0_AM) ||
	    !(op_hw_read(s->in.n, VMCS_GUEST_RFLAGS) & RFLAGS_AC))
		return true;
	*fault = OUTCOME_FAULT(X86_AC, 0);
	return false;
}

bool nested_string_read(const struct nested_string *s, void *to, size_t len,
			struct outcome *fault)
{
	struct place at;

	return find_string(s, len, false, &at, fault) && aligned(s, &at, len, fault) &&
	       read_place(&s->in, &at, to, len, fault);
}

bool nested_string_check(const struct nested_string *s, size_t len, struct outcome *fault)
{
	struct mmu_fault pf;
	struct place at;

	return find_string(s, len, true, &at, fault) && aligned(s, &at, len, fault) &&
	       (mmu_gva_check(s->in.n->vm, &at.paging, at.gva, len, MMU_WRITE, 0, &pf) ||
		paging_fault(&at, &pf, fault));
}

bool nested_string_write(const struct nested_string *s, const void *from, size_t len,
			 struct outcome *fault)
{
	struct place at;

	return find_string(s, len, true, &at, fault) && write_place(&s->in, &at, from, len, fault);
}
