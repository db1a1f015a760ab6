/*
 * RDMSR and WRMSR of L1: the rows of msrs.def, else the hardware, which also
 * judges the value.
 */
#include "vm/msr.h"

#include "cpu/apic.h"
#include "cpu/cpu.h"
#include "cpu/home.h"
#include "vm/memory.h"
#include "vm/regs.h"

typedef bool (*msr_read_fn)(struct vcpu *v, u32 msr, u64 *value);
typedef bool (*msr_write_fn)(struct vcpu *v, u32 msr, u64 value);

static bool vm_msr_read_hw(struct vcpu *v, u32 msr, u64 *value)
{
	(void)v;
	return cpu_rdmsr_safe(msr, value);
}

static bool vm_msr_write_hw(struct vcpu *v, u32 msr, u64 value)
{
	(void)v;
	return cpu_wrmsr_safe(msr, value);
}

static bool vm_msr_read_gp(struct vcpu *v, u32 msr, u64 *value)
{
	(void)v, (void)msr, (void)value;
	return false;
}

static bool vm_msr_write_gp(struct vcpu *v, u32 msr, u64 value)
{
	(void)v, (void)msr, (void)value;
	return false;
}

static bool vm_msr_write_ignore(struct vcpu *v, u32 msr, u64 value)
{
	(void)v, (void)msr, (void)value;
	return true;
}

static bool vm_msr_read_feature_control(struct vcpu *v, u32 msr, u64 *value)
{
	(void)v, (void)msr;
	*value = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
	return true;
}

static bool vm_msr_read_vmx_capability(struct vcpu *v, u32 msr, u64 *value)
{
	return nested_caps_read(&v->nested, msr, value);
}

#define APIC_BASE_ADDRESS (~(u64)0xfff)
#define MISC_ENABLE_XD_DISABLE BIT(34)
#define XSS_PT BIT(8)
#define XSS_LBR BIT(15)
#define TEST_CTRL_UC_LOCK_DISABLE BIT(28)	/* they fault */

static bool vm_msr_write_apic_base(struct vcpu *v, u32 msr, u64 value)
{
	u64 page = value & APIC_BASE_ADDRESS;

	if (page - cpu_home.base.v < cpu_home.size || !cpu_wrmsr_safe(msr, value))
		return false;
	v->apic_off = !cpu_apic_usable();
	return true;
}

static bool vm_msr_write_test_ctrl(struct vcpu *v, u32 msr, u64 value)
{
	(void)v;
	return cpu_wrmsr_safe(msr, value & ~TEST_CTRL_UC_LOCK_DISABLE);
}

/* XRSTORS must not load the MSRs of processor trace and of LBRs. */
static bool vm_msr_write_xss(struct vcpu *v, u32 msr, u64 value)
{
	(void)v;
	return !(value & (XSS_PT | XSS_LBR)) && cpu_wrmsr_safe(msr, value);
}

static bool vm_msr_write_misc_enable(struct vcpu *v, u32 msr, u64 value)
{
	(void)v;
	return cpu_wrmsr_safe(msr, value & ~MISC_ENABLE_XD_DISABLE);
}

static bool vm_msr_read_efer(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = vmx_read(v->nested.at.efer);
	return true;
}

/*
 * Without EPT the processor's NXE is L0's, which shadow tables need; SCE is that
 * of whoever runs; LMA and LME are the VM entry's doing.
 */
static bool vm_msr_write_efer(struct vcpu *v, u32 msr, u64 value)
{
	u64 old = vmx_read(v->nested.at.efer), cr0 = v->nested.in_l2 ? CR0_PG : vcpu_cr0();

	if (value & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
		return false;
	if (((value ^ old) & EFER_LME) && (cr0 & CR0_PG))
		return false;
	vmx_write(v->nested.at.efer, (value & ~EFER_LMA) | (old & EFER_LMA));
	cpu_wrmsr(msr, (cpu_rdmsr(msr) & ~EFER_SCE) | (value & EFER_SCE));
	if ((value ^ old) & EFER_NXE)
		nested_vtlb_flush(&v->nested);
	return true;
}

static bool vm_msr_write_mtrr(struct vcpu *v, u32 msr, u64 value)
{
	if (!cpu_wrmsr_safe(msr, value))
		return false;
	/* An OS turns MTRRs off, changes them, and turns them on: once is enough. */
	if (cpu_rdmsr(MSR_IA32_MTRR_DEF_TYPE) & MTRR_DEF_ENABLE)
		vm_memory_types_changed(v->vm);
	return true;
}

static const struct {
	u32 first, last;
	msr_read_fn read;
	msr_write_fn write;
} rows[] = {
#define M(first, last, rd, wr, why) { first, last, vm_msr_read_##rd, vm_msr_write_##wr },
#include "msrs.def"
#undef M
};

void vm_msr_bitmap_init(const struct vm *vm, u8 *bitmap)
{
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].first == MSR_EFER && !vm->no_ept)
			continue;
		for (u32 msr = rows[i].first; msr <= rows[i].last; msr++) {
			u32 at = (msr & 0x1fff) / 8 + (msr >= 0xc0000000 ? 0x400 : 0);

			if (rows[i].read != vm_msr_read_hw)
				bitmap[at] |= (u8)(1 << msr % 8);
			if (rows[i].write != vm_msr_write_hw)
				bitmap[at + 0x800] |= (u8)(1 << msr % 8);
		}
	}
}

bool vm_rdmsr(struct vcpu *v, u32 msr, u64 *value)
{
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (msr >= rows[i].first && msr <= rows[i].last)
			return rows[i].read(v, msr, value);
	return cpu_rdmsr_safe(msr, value);
}

bool vm_wrmsr(struct vcpu *v, u32 msr, u64 value)
{
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (msr >= rows[i].first && msr <= rows[i].last)
			return rows[i].write(v, msr, value);
	return cpu_wrmsr_safe(msr, value);
}
