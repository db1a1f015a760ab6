/*
 * Instructions of real mode that reach further than a real_cpu: control and
 * debug registers, MSRs, HLT, caches. CPL is 0 there, so that only operands can
 * be wrong.
 */
#include "vm/real/mode.h"

#include "cpu/cpu.h"
#include "nested/operand.h"
#include "vm/cr.h"
#include "vm/msr.h"
#include "vm/regs.h"

#define DR7_GD BIT(13)
#define DR7_ZERO 0xd800ull		/* reserved, as is what L1 cannot set to 0: */
#define DR7_ONE 0x400ull
/* Of IA32_DEBUGCTL: every processor with VMX has them, and L0 itself must not run with them. */
#define DEBUGCTL_ACTIVE 0x7c3ull
#define LMSW_BITS (CR0_PE | CR0_MP | CR0_EM | CR0_TS)

static bool write_cr(struct vcpu *v, u32 reg, u32 value)
{
	switch (reg) {
	case 0: return vm_cr0_write(v, value);
	case 2: cpu_write_cr2(value); return true;
	case 3: return vm_cr3_write(v, value);
	default: return vm_cr4_write(v, value);
	}
}

static u32 read_cr(struct vcpu *v, u32 reg)
{
	switch (reg) {
	case 0: return (u32)vcpu_cr0();
	case 2: return (u32)cpu_read_cr2();
	case 3: return (u32)vmx_read(v->nested.at.cr3);
	default: return (u32)vcpu_cr4();
	}
}

/* LMSW sets PE and never clears it. */
static u64 lmsw(u32 value)
{
	u64 old = vcpu_cr0();

	return (old & (~LMSW_BITS | CR0_PE)) | (value & LMSW_BITS);
}

static bool debug_register_fault(u32 reg, u8 *vector)
{
	if ((reg == 4 || reg == 5) && (vcpu_cr4() & CR4_DE)) {
		*vector = X86_UD;
		return true;
	}
	*vector = X86_DB;
	return vmx_read(VMCS_GUEST_DR7) & DR7_GD;
}

static void write_dr7(struct vcpu *v, u32 value)
{
	if (value & DR7_ENABLES)
		nested_use_breakpoints(&v->nested);
	vmx_write(VMCS_GUEST_DR7, (value & ~DR7_ZERO) | DR7_ONE);
}

static void write_dr(struct vcpu *v, u32 reg, u32 value)
{
	switch (reg) {
	case 0: cpu_write_dr0(value); break;
	case 1: cpu_write_dr1(value); break;
	case 2: cpu_write_dr2(value); break;
	case 3: cpu_write_dr3(value); break;
	case 4:
	case 6: cpu_write_dr6(value); break;
	default: write_dr7(v, value);
	}
}

static u32 read_dr(u32 reg)
{
	switch (reg) {
	case 0: return (u32)cpu_read_dr0();
	case 1: return (u32)cpu_read_dr1();
	case 2: return (u32)cpu_read_dr2();
	case 3: return (u32)cpu_read_dr3();
	case 4:
	case 6: return (u32)cpu_read_dr6();
	default: return (u32)vmx_read(VMCS_GUEST_DR7);
	}
}

static bool set_base(struct real_segment *s, u64 base)
{
	s->base = (u32)base;
	return true;
}

/* The processor judges the other bits: a VM entry with one that it has not would fail. */
static bool write_debugctl(struct vcpu *v, u64 value)
{
	u64 own = cpu_rdmsr(MSR_IA32_DEBUGCTL);

	if (!cpu_wrmsr_safe(MSR_IA32_DEBUGCTL, value & ~DEBUGCTL_ACTIVE))
		return false;
	cpu_wrmsr(MSR_IA32_DEBUGCTL, own);
	return nested_msr_write(&v->nested, MSR_IA32_DEBUGCTL, value);
}

/* In vmcs01 these are not L1's, or it gets them from real_mode.cpu. */
static bool write_msr(struct vcpu *v, u32 msr, u64 value)
{
	struct real_mode *r = &v->real;

	switch (msr) {
	case MSR_IA32_SYSENTER_CS:
		r->sysenter_cs = (u32)value;
		return true;
	case MSR_FS_BASE:
		return nested_is_canonical(value, 0) && set_base(&r->cpu.seg[SEG_FS], value);
	case MSR_GS_BASE:
		return nested_is_canonical(value, 0) && set_base(&r->cpu.seg[SEG_GS], value);
	case MSR_IA32_DEBUGCTL:
		return write_debugctl(v, value);
	default:
		return nested_msr_write(&v->nested, msr, value);
	}
}

static bool read_msr(struct vcpu *v, u32 msr, u64 *value)
{
	const struct real_mode *r = &v->real;

	switch (msr) {
	case MSR_IA32_SYSENTER_CS:
		*value = r->sysenter_cs;
		return true;
	case MSR_FS_BASE:
		*value = r->cpu.seg[SEG_FS].base;
		return true;
	case MSR_GS_BASE:
		*value = r->cpu.seg[SEG_GS].base;
		return true;
	default:
		return nested_msr_read(&v->nested, msr, value);
	}
}

static bool rdmsr(struct vcpu *v, u32 *gpr)
{
	u64 value;

	if (!read_msr(v, gpr[GPR_RCX], &value))
		return false;
	gpr[GPR_RAX] = (u32)value;
	gpr[GPR_RDX] = (u32)(value >> 32);
	return true;
}

static u64 edx_eax(const u32 *gpr)
{
	return gpr[GPR_RAX] | (u64)gpr[GPR_RDX] << 32;
}

static bool xsetbv(const u32 *gpr, u8 *vector)
{
	if (!(vcpu_cr4() & CR4_OSXSAVE)) {
		*vector = X86_UD;
		return false;
	}
	return cpu_xsetbv_safe(gpr[GPR_RCX], edx_eax(gpr));
}

bool vm_real_machine(struct vcpu *v, const struct real_insn *insn, u8 *vector)
{
	u32 *gpr = v->real.cpu.gpr;

	*vector = X86_GP;
	switch (insn->op) {
	case REAL_MOV_TO_CR:
		return write_cr(v, insn->reg, gpr[insn->gpr]);
	case REAL_MOV_FROM_CR:
		gpr[insn->gpr] = read_cr(v, insn->reg);
		return true;
	case REAL_MOV_TO_DR:
		if (debug_register_fault(insn->reg, vector))
			return false;
		write_dr(v, insn->reg, gpr[insn->gpr]);
		return true;
	case REAL_MOV_FROM_DR:
		if (debug_register_fault(insn->reg, vector))
			return false;
		gpr[insn->gpr] = read_dr(insn->reg);
		return true;
	case REAL_LMSW:
		return vm_cr0_write(v, lmsw(insn->value));
	case REAL_CLTS:
		return vm_cr0_write(v, vcpu_cr0() & ~CR0_TS);
	case REAL_HLT:
		v->real.activity = ACTIVITY_HLT;
		return true;
	case REAL_RDMSR:
		return rdmsr(v, gpr);
	case REAL_WRMSR:
		return write_msr(v, gpr[GPR_RCX], edx_eax(gpr));
	case REAL_INVD:
	case REAL_WBINVD:
		cpu_wbinvd();	/* INVD itself could lose writes of L0 */
		return true;
	case REAL_INVLPG:
		nested_vtlb_flush(&v->nested);
		return true;
	case REAL_XSETBV:
		return xsetbv(gpr, vector);
	case REAL_MONITOR:
	case REAL_MWAIT:	/* may end at any time */
		return true;
	}
	return true;
}
