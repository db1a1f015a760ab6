/* CPUID of L1: the hardware's, with the bits of cpuid.def. */
#include "cpu/cpu.h"
#include "vm/exits.h"
#include "vm/regs.h"

#define ANY 0xffffffffu

static always_inline bool value_0(const struct vcpu *v, bool hw)
{
	(void)v, (void)hw;
	return false;
}

static always_inline bool value_cr4_osxsave(const struct vcpu *v, bool hw)
{
	(void)v, (void)hw;
	return vmx_read(VMCS_GUEST_CR4) & CR4_OSXSAVE;
}

static always_inline bool value_cr4_pke(const struct vcpu *v, bool hw)
{
	(void)v, (void)hw;
	return vmx_read(VMCS_GUEST_CR4) & CR4_PKE;
}

static always_inline bool value_long_mode(const struct vcpu *v, bool hw)
{
	(void)v, (void)hw;
	return vcpu_code64();
}

static always_inline bool value_ept(const struct vcpu *v, bool hw)
{
	return hw && !v->vm->no_ept;
}

static always_inline void set_bit(u32 *reg, u32 bit, bool value)
{
	*reg = (*reg & ~BIT32(bit)) | (value ? BIT32(bit) : 0);
}

/* Most leaves have no row: may this one? */
static always_inline bool may_have_rows(u32 leaf)
{
	const u64 basic = 0
#define B(lf, sub, reg, bit, value, why) | ((lf) < 64 ? BIT((lf) & 63) : 0)
#include "cpuid.def"
#undef B
	;

	return leaf < 64 ? basic >> leaf & 1 : leaf >= 0x80000000;
}

static always_inline void apply_rows(const struct vcpu *v, u32 leaf, u32 subleaf,
				     struct cpuid_regs *r)
{
#define B(lf, sub, reg, bit, value, why) \
	if (leaf == (lf) && ((sub) == ANY || subleaf == (sub))) \
		set_bit(&r->reg, bit, value_##value(v, r->reg >> (bit) & 1));
#include "cpuid.def"
#undef B
}

void vm_exit_cpuid(struct vcpu *v)
{
	u64 *gpr = v->frame.gpr;
	u32 leaf = (u32)gpr[GPR_RAX], subleaf = (u32)gpr[GPR_RCX];
	struct cpuid_regs r = cpu_cpuid(leaf, subleaf);

	if (unlikely(may_have_rows(leaf)))
		apply_rows(v, leaf, subleaf, &r);
	gpr[GPR_RAX] = r.eax;
	gpr[GPR_RBX] = r.ebx;
	gpr[GPR_RCX] = r.ecx;
	gpr[GPR_RDX] = r.edx;
	vcpu_advance();
}
