/*
 * Registers and memory operands of VMX instructions: effective address, the
 * segment's say on it, then memory through L1's paging. Compatibility, real and
 * virtual-8086 mode never get here: the prologue refused them.
 */
#include "nested/operand.h"

#include "engine_ops.h"
#include "mmu/guest_walk.h"
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

u64 nested_gpr_read(const struct nested_insn *in, unsigned reg)
{
	u64 v = reg == GPR_RSP ? op_hw_read(in->n, VMCS_GUEST_RSP) : in->n->gpr[reg];

	return in->mode64 ? v : (u32)v;
}

void nested_gpr_write(const struct nested_insn *in, unsigned reg, u64 value)
{
	if (!in->mode64)
		value = (u32)value;
	if (reg == GPR_RSP)
		op_hw_write(in->n, VMCS_GUEST_RSP, value);
	else
		in->n->gpr[reg] = value;
}

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

static u64 base64(const struct nested_insn *in)
{
	unsigned seg = INFO_SEGMENT(in->info);

	if (likely(seg != SEG_FS && seg != SEG_GS))
		return 0;
	return op_hw_read(in->n, seg == SEG_FS ? VMCS_GUEST_FS_BASE : VMCS_GUEST_GS_BASE);
}

static bool linear64(const struct nested_insn *in, u64 ea, size_t len, u64 cr4,
		     gva_t *out, struct outcome *fault)
{
	u64 linear = ea + base64(in);

	if (!nested_is_canonical(linear, cr4) || !nested_is_canonical(linear + len - 1, cr4))
		return segment_fault(INFO_SEGMENT(in->info), fault);
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

static bool linear32(const struct nested_insn *in, u64 ea, size_t len, bool write,
		     gva_t *out, struct outcome *fault)
{
	unsigned seg = INFO_SEGMENT(in->info);
	u32 ar = (u32)op_hw_read(in->n, VMCS_GUEST_ES_AR + 2 * seg);
	u64 limit = op_hw_read(in->n, VMCS_GUEST_ES_LIMIT + 2 * seg);

	if (!segment_allows(ar, limit, ea, ea + len - 1, write))
		return segment_fault(seg, fault);
	*out = GVA((u32)(op_hw_read(in->n, VMCS_GUEST_ES_BASE + 2 * seg) + ea));
	return true;
}

/*
 * The bits that steer translation are L1's own in vmcs01: L0 masks only such
 * as VMXE and NE. PKRU stays in the register and is not asked.
 */
static void load_paging(const struct nested_insn *in, struct mmu_paging *p)
{
	struct nested_vcpu *n = in->n;

	*p = (struct mmu_paging){
		.cr0 = op_hw_read(n, VMCS_GUEST_CR0),
		.cr3 = op_hw_read(n, VMCS_GUEST_CR3),
		.cr4 = op_hw_read(n, VMCS_GUEST_CR4),
		.efer = in->efer,
		.maxphyaddr = n->caps.maxphyaddr,
		.pg_1g = n->caps.pg_1g,
	};
	if (p->cr4 & CR4_SMAP)	/* EFLAGS.AC matters only then */
		p->rflags = op_hw_read(n, VMCS_GUEST_RFLAGS);
	if (!(p->cr4 & CR4_PAE) || (p->efer & EFER_LMA))
		return;
	for (unsigned i = 0; i < 4; i++)
		p->pdpte[i] = op_hw_read(n, VMCS_GUEST_PDPTE0 + 2 * i);
}

static bool locate(const struct nested_insn *in, u64 ea, size_t len, bool write,
		   struct mmu_paging *p, gva_t *gva, struct outcome *fault)
{
	load_paging(in, p);
	return in->mode64 ? linear64(in, ea, len, p->cr4, gva, fault) :
			    linear32(in, ea, len, write, gva, fault);
}

static struct mmu_memo *memo_of(struct nested_vcpu *n, u64 linear)
{
	return &n->memo[linear / PAGE_SIZE % MMU_MEMOS];
}

/* Where a page is found without a walk, its address was canonical then and is so now. */
static const void *find_operand(const struct nested_insn *in, u64 ea, size_t len)
{
	struct nested_vcpu *n = in->n;
	u64 linear;

	if (unlikely(!in->mode64))
		return NULL;
	linear = ea + base64(in);
	return mmu_memo_find(n->vm, memo_of(n, linear), op_hw_read(n, VMCS_GUEST_CR3),
			     op_hw_read(n, VMCS_GUEST_CR4), in->efer, linear, len);
}

static bool read_memory(const struct nested_insn *in, const struct mmu_paging *p, gva_t gva,
			void *to, size_t len, struct mmu_fault *pf)
{
	struct nested_vcpu *n = in->n;
	gpa1_t gpa;

	if (!in->mode64 || (gva.v & ~PAGE_MASK) > PAGE_SIZE - len)
		return mmu_gva_read(n->vm, p, gva, to, len, 0, pf);
	if (!mmu_memo_walk(n->vm, p, gva, memo_of(n, gva.v), &gpa, pf))
		return false;
	if (!op_gpa1_read(n->vm, gpa, to, len))
		__builtin_memset(to, 0xff, len);
	return true;
}

bool nested_operand_read(const struct nested_insn *in, u64 *to, size_t len, struct outcome *fault)
{
	u64 ea = effective_address(in);
	const u8 *found = find_operand(in, ea, len);
	struct mmu_paging p;
	struct mmu_fault pf;
	gva_t gva;

	if (likely(found)) {
		__builtin_memcpy(&to[0], found, sizeof(u64));
		if (len > sizeof(u64))
			__builtin_memcpy(&to[1], found + sizeof(u64), sizeof(u64));
		return true;
	}
	if (!locate(in, ea, len, false, &p, &gva, fault))
		return false;
	if (read_memory(in, &p, gva, to, len, &pf))
		return true;
	*fault = OUTCOME_PF(pf.error_code, pf.cr2);
	return false;
}

bool nested_operand_write(const struct nested_insn *in, const void *from, size_t len,
			  struct outcome *fault)
{
	struct mmu_paging p;
	struct mmu_fault pf;
	gva_t gva;

	if (!locate(in, effective_address(in), len, true, &p, &gva, fault))
		return false;
	if (mmu_gva_write(in->n->vm, &p, gva, from, len, 0, &pf))
		return true;
	*fault = OUTCOME_PF(pf.error_code, pf.cr2);
	return false;
}
