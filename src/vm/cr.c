/*
 * MOV to CR0 and CR4 by L1, where it changes bits that L0 masks: CR0.NE and
 * CR4.VMXE, which VMX itself needs; CR4.SMXE, which L1 does not have; and in
 * VMX operation the bits that must stay 1. Without EPT also MOV to and from
 * CR3, and all bits that paging depends on, by L1 and by L2.
 * Source: SDM 2A "MOV-Move to/from Control Registers", 3C "Restrictions on VMX
 * Operation".
 */
#include "vm/cr.h"

#include "cpu/cpu.h"
#include "engine_ops.h"
#include "vm/exits.h"
#include "vm/regs.h"
#include "x86_tss.h"

/* Bits of CR4 that decide how linear addresses are translated or cached. */
#define CR4_PAGING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP)

static u64 cr0_mask(const struct vcpu *v)
{
	u64 mask = v->nested.vmxon ? v->vm->hw.cr0_fixed0 & 0xffffffff : CR0_NE;

	return v->vm->no_ept ? mask | VTLB_CR0_MASK : mask;
}

static void set_masks(struct vcpu *v)
{
	u64 cr4 = CR4_VMXE | (v->vm->hw.cr4_fixed1 & CR4_SMXE);

	if (v->real.on) {
		vmx_write(VMCS_CR0_MASK, ~0ull);
		vmx_write(VMCS_CR4_MASK, ~0ull);
		return;
	}
	vmx_write(VMCS_CR0_MASK, cr0_mask(v));
	vmx_write(VMCS_CR4_MASK, v->vm->no_ept ? cr4 | VTLB_CR4_MASK : cr4);
}

/* What whoever runs has in CR0 and CR4: not what it reads there. */
static u64 cr0_of(struct vcpu *v)
{
	return v->nested.in_l2 ? nested_vtlb_cr0(&v->nested) : vcpu_cr0();
}

static u64 cr4_of(struct vcpu *v)
{
	return v->nested.in_l2 ? nested_vtlb_cr4(&v->nested) : vcpu_cr4();
}

/*
 * At CPL 3 hardware must not ask for alignment, nor forbid what CPL 0 may. VME only where the
 * form wants it.
 */
void vm_cr_set_real(struct vcpu *v, bool vme)
{
	u64 cr0 = vcpu_cr0(), hw4 = vtlb_hw_cr4(cr0, vcpu_cr4() | CR4_VMXE);

	hw4 = (hw4 & ~(CR4_VME | CR4_PVI | CR4_TSD | CR4_UMIP)) | CR4_PCE | (vme ? CR4_VME : 0);
	vmx_write(VMCS_GUEST_CR0, vtlb_hw_cr0(cr0 | CR0_ET) & ~CR0_AM);
	vmx_write(VMCS_GUEST_CR4, hw4 & v->vm->hw.cr4_fixed1);
}

void vm_cr_set(struct vcpu *v, u64 cr0, u64 cr4)
{
	u64 hw0 = cr0 | CR0_NE | CR0_ET, hw4 = cr4 | CR4_VMXE;

	if (v->nested.in_l2) {
		nested_vtlb_set_cr(&v->nested, cr0, cr4);
		return;
	}
	vmx_write(VMCS_CR0_SHADOW, cr0);
	vmx_write(VMCS_CR4_SHADOW, cr4);
	if (v->real.on) {
		vm_cr_set_real(v, false);
		return;
	}
	vmx_write(VMCS_GUEST_CR0, v->vm->no_ept ? vtlb_hw_cr0(hw0) : hw0);
	vmx_write(VMCS_GUEST_CR4, v->vm->no_ept ? vtlb_hw_cr4(cr0, hw4) : hw4);
}

void vm_cr_init(struct vcpu *v, u64 cr0, u64 cr4)
{
	set_masks(v);
	vm_cr_set(v, cr0, cr4);
}

void vm_vmx_operation_changed(struct vcpu *v)
{
	u64 cr0 = vcpu_cr0(), cr4 = vcpu_cr4();

	set_masks(v);
	vmx_write(VMCS_CR0_SHADOW, cr0);
	vmx_write(VMCS_CR4_SHADOW, cr4);
	if (!v->nested.vmxon && v->init_pending) {
		v->init_pending = false;
		vm_exit_init(v);
	}
}

bool vm_load_pdptes(struct vcpu *v, u64 cr0, u64 cr4)
{
	u64 reserved = ~(BIT(v->vm->hw.maxphyaddr) - 1) | 0x1e6, entry[4];
	gpa1_t table = GPA1(vmx_read(v->nested.at.cr3) & 0xffffffe0);

	if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE) || (vmx_read(v->nested.at.efer) & EFER_LME))
		return true;
	if (!op_gpa1_read(v->vm, table, entry, sizeof(entry)))
		return false;
	for (u32 i = 0; i < 4; i++)
		if ((entry[i] & 1) && (entry[i] & reserved))
			return false;
	for (u32 i = 0; i < 4; i++)
		vmx_write(v->nested.at.pdpte + 2 * i, entry[i]);
	return true;
}

/* SDM 3A "Initializing IA-32e Mode": what L1 has in CS and TR must fit. */
static bool fits_long_mode(struct vcpu *v)
{
	u64 tr = v->real.on ? v->real.tr.ar : vmx_read(VMCS_GUEST_TR_AR);

	return !(vmx_read(VMCS_GUEST_CS_AR) & AR_L) &&
	       (tr & AR_TYPE) != (SYS_TYPE_TSS16 | SYS_TYPE_TSS_BUSY);
}

static bool cr0_valid(struct vcpu *v, u64 old, u64 cr0)
{
	u64 cr4 = cr4_of(v), efer = vmx_read(v->nested.at.efer);

	if (cr0 >> 32)
		return false;
	if ((cr0 & CR0_PG) && !(cr0 & CR0_PE))
		return false;
	if ((cr0 & CR0_NW) && !(cr0 & CR0_CD))
		return false;
	if (v->nested.vmxon && (v->vm->hw.cr0_fixed0 & ~cr0))
		return false;
	if ((old ^ cr0) & ~old & CR0_PG) {	/* paging on */
		if ((efer & EFER_LME) && (!(cr4 & CR4_PAE) || !fits_long_mode(v)))
			return false;
	}
	if ((old & CR0_PG) && !(cr0 & CR0_PG) && ((cr4 & CR4_PCIDE) || vcpu_code64()))
		return false;
	return true;
}

/* Paging goes on or off in long mode: LMA follows. */
static void update_lma(struct vcpu *v, u64 cr0)
{
	u64 efer = vmx_read(v->nested.at.efer), entry = vmx_read(VMCS_ENTRY_CONTROLS);

	if ((efer & EFER_LME) && (cr0 & CR0_PG)) {
		efer |= EFER_LMA;
		entry |= ENTRY_IA32E;
	} else {
		efer &= ~EFER_LMA;
		entry &= ~(u64)ENTRY_IA32E;
	}
	vmx_write(v->nested.at.efer, efer);
	vmx_write(VMCS_ENTRY_CONTROLS, entry);
}

/* Entries and exits leave these two bits of the CPU as they are. */
static void set_cache_bits(u64 cr0)
{
	const u64 bits = CR0_CD | CR0_NW;

	cpu_write_cr0((cpu_read_cr0() & ~bits) | (cr0 & bits));
}

bool vm_cr0_write(struct vcpu *v, u64 cr0)
{
	u64 old = cr0_of(v), cr4 = cr4_of(v), changed;

	if (v->nested.in_l2)	/* what L1 keeps from L2 stays as it is */
		cr0 = nested_l2_own_cr0(&v->nested, old, cr0);
	cr0 = (cr0 & ~0x1ffaffd0ull) | CR0_ET;	/* reserved bits of the low half are ignored */
	changed = old ^ cr0;
	if (!cr0_valid(v, old, cr0) ||
	    ((changed & (CR0_PG | CR0_CD | CR0_NW)) && !vm_load_pdptes(v, cr0, cr4)))
		return false;
	if (v->real.on && (cr0 & CR0_PE))
		vm_real_leave(v);
	vm_cr_set(v, cr0, cr4);
	if (changed & (CR0_CD | CR0_NW))
		set_cache_bits(cr0);
	if (changed & CR0_PG)
		update_lma(v, cr0);
	if (changed & (CR0_PG | CR0_WP))
		vcpu_flush(v);
	return true;
}

/* By an instruction that is not real mode's; it may lead there. */
static void write_cr0(struct vcpu *v, u64 cr0)
{
	if (!vm_cr0_write(v, cr0)) {
		vcpu_fault(v, OUTCOME_GP);
		return;
	}
	vcpu_done(v);
	if (v->vm->no_ept && !v->nested.in_l2 && !(vcpu_cr0() & CR0_PE))
		vm_real_enter(v);
}

static bool cr4_valid(struct vcpu *v, u64 old, u64 cr4)
{
	const struct vmx_caps *hw = &v->vm->hw;
	u64 on = cr4 & ~old, efer = vmx_read(v->nested.at.efer);

	if (cr4 & (~hw->cr4_fixed1 | CR4_SMXE))
		return false;
	if (v->nested.vmxon && (hw->cr4_fixed0 & ~cr4))
		return false;
	if ((efer & EFER_LMA) && (!(cr4 & CR4_PAE) || ((old ^ cr4) & CR4_LA57)))
		return false;
	if ((on & CR4_PCIDE) &&
	    (!(efer & EFER_LMA) || (vmx_read(v->nested.at.cr3) & 0xfff)))
		return false;
	if ((cr4 & CR4_CET) && !(cr0_of(v) & CR0_WP))
		return false;
	return true;
}

bool vm_cr4_write(struct vcpu *v, u64 cr4)
{
	u64 old = cr4_of(v), cr0 = cr0_of(v);

	if (v->nested.in_l2)
		cr4 = nested_l2_own_cr4(&v->nested, old, cr4);
	if (!cr4_valid(v, old, cr4) ||
	    (((old ^ cr4) & CR4_PAGING) && !vm_load_pdptes(v, cr0, cr4)))
		return false;
	vm_cr_set(v, cr0, cr4);
	if ((old ^ cr4) & CR4_PAGING)
		vcpu_flush(v);
	return true;
}

/* Exits only without EPT. */
bool vm_cr3_write(struct vcpu *v, u64 cr3)
{
	u64 old = vmx_read(v->nested.at.cr3);

	vmx_write(v->nested.at.cr3, cr3);
	if ((vcpu_long_mode() && cr3 >> v->vm->hw.maxphyaddr) ||
	    !vm_load_pdptes(v, cr0_of(v), cr4_of(v))) {
		vmx_write(v->nested.at.cr3, old);
		return false;
	}
	vcpu_flush(v);
	return true;
}

static void finish(struct vcpu *v, bool done)
{
	if (done)
		vcpu_done(v);
	else
		vcpu_fault(v, OUTCOME_GP);
}

static void read_cr3(struct vcpu *v, u32 gpr)
{
	vcpu_set_gpr(v, gpr, vmx_read(v->nested.at.cr3));
	vcpu_done(v);
}

/* SDM 3C "Exit Qualification for Control-Register Accesses". */
void vm_exit_cr_access(struct vcpu *v)
{
	u64 qual = vmx_read(VMCS_EXIT_QUALIFICATION);
	u64 value = vcpu_gpr(v, CRQ_GPR(qual));
	u32 access = CRQ_ACCESS(qual), reg = CRQ_REGISTER(qual);

	if (!vcpu_code64())
		value = (u32)value;
	if (access == CRQ_TO_CR && reg == 0)
		write_cr0(v, value);
	else if (access == CRQ_TO_CR && reg == 3)
		finish(v, vm_cr3_write(v, value));
	else if (access == CRQ_TO_CR && reg == 4)
		finish(v, vm_cr4_write(v, value));
	else if (access == CRQ_FROM_CR && reg == 3)
		read_cr3(v, CRQ_GPR(qual));
	else if (access == CRQ_LMSW)	/* sets the low four bits, never clears PE */
		write_cr0(v, (cr0_of(v) & ~0xeull) | ((qual >> 16) & 0xf));
	else
		vm_exit_none(v);
}
