/*
 * INIT and SIPI, and the state of a CPU after them.
 * Source: SDM 3A "Processor State After Reset", 3C "Restrictions on VMX Operation".
 */
#include "vm/init.h"

#include "cpu/apic.h"
#include "cpu/cpu.h"
#include "vm/cr.h"
#include "vm/exits.h"
#include "vm/nmi.h"
#include "vm/regs.h"

#define AR_REAL_DATA (3u | AR_S | AR_P)
#define AR_REAL_CODE (11u | AR_S | AR_P)
#define AR_REAL_LDTR (2u | AR_P)
#define AR_REAL_TR (11u | AR_P)

static void set_segment(u32 i, u16 selector, u64 base, u32 limit, u32 ar)
{
	vmx_write(VMCS_GUEST_ES_SELECTOR + 2 * i, selector);
	vmx_write(VMCS_GUEST_ES_BASE + 2 * i, base);
	vmx_write(VMCS_GUEST_ES_LIMIT + 2 * i, limit);
	vmx_write(VMCS_GUEST_ES_AR + 2 * i, ar);
}

void vm_set_segment(enum x86_seg s, u16 selector, u64 base, u32 limit, u32 ar)
{
	set_segment(s, selector, base, limit, ar);
}

static void set_code(u16 selector)
{
	set_segment(SEG_CS, selector, (u64)selector << 4, 0xffff, AR_REAL_CODE);
}

void vm_init_state(struct vcpu *v)
{
	/* INIT leaves CR0.CD and NW as they are; ET is always 1. */
	u64 cr0 = (vmx_read(VMCS_GUEST_CR0) & (CR0_CD | CR0_NW)) | CR0_ET;

	vm_cr_init(v, cr0, 0);
	vmx_write(v->nested.at.cr3, 0);
	for (u32 s = SEG_ES; s <= SEG_GS; s++)
		set_segment(s, 0, 0, 0xffff, AR_REAL_DATA);
	set_segment(SEG_LDTR, 0, 0, 0xffff, AR_REAL_LDTR);
	set_segment(SEG_TR, 0, 0, 0xffff, AR_REAL_TR);
	set_segment(SEG_CS, 0xf000, 0xffff0000, 0xffff, AR_REAL_CODE);
	vmx_write(VMCS_GUEST_GDTR_BASE, 0);
	vmx_write(VMCS_GUEST_GDTR_LIMIT, 0xffff);
	vmx_write(VMCS_GUEST_IDTR_BASE, 0);
	vmx_write(VMCS_GUEST_IDTR_LIMIT, 0xffff);
	vmx_write(VMCS_GUEST_RIP, 0xfff0);
	vmx_write(VMCS_GUEST_RSP, 0);
	vmx_write(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
	vmx_write(VMCS_GUEST_DR7, DR7_INIT);
	vmx_write(v->nested.at.efer, 0);
	vmx_write(VMCS_ENTRY_CONTROLS, v->nested.entry_controls01);
	vmx_write(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmx_write(VMCS_GUEST_PENDING_DEBUG, 0);
	vmx_write(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	for (u32 i = 0; i < GPR_COUNT; i++)
		v->frame.gpr[i] = 0;
	v->frame.gpr[GPR_RDX] = cpu_cpuid(1, 0).eax;
	cpu_write_cr2(0);
	cpu_write_dr0(0);
	cpu_write_dr1(0);
	cpu_write_dr2(0);
	cpu_write_dr3(0);
	cpu_write_dr6(DR6_INIT);
}

static void start_anew(struct vcpu *v)
{
	if (v->real.on)
		vm_real_leave(v);
	vm_init_state(v);
	vcpu_flush(v);
	cpu_apic_init();
}

/* In real mode, for which there may be no hardware. */
static void go(struct vcpu *v)
{
	if (v->vm->no_ept)
		vm_real_enter(v);
}

/*
 * What a VM entry to that state asks for. All else is for the SIPI to find: if that
 * comes before the CPU waits for it, it is lost, and L1 may send it soon.
 */
static void wait_for_sipi(void)
{
	vmx_write(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmx_write(VMCS_GUEST_PENDING_DEBUG, 0);
	vmx_write(VMCS_ENTRY_INTR_INFO, 0);
	vmx_write(VMCS_GUEST_ACTIVITY, ACTIVITY_WAIT_SIPI);
}

void vm_exit_init(struct vcpu *v)
{
	bool bsp = cpu_rdmsr(MSR_IA32_APIC_BASE) & BIT(8);

	/* It is blocked in VMX root operation: it waits for VMXOFF or a VM entry. */
	if (v->nested.vmxon) {
		v->init_pending = true;
		return;
	}
	v->waits_init = false;
	v->pcpu->nmi_pending = 0;
	if (!bsp) {
		wait_for_sipi();
		return;
	}
	start_anew(v);
	go(v);
}

void vm_init_l2(struct vcpu *v, bool entered)
{
	if (nested_l2_init(&v->nested, entered) == NESTED_REFLECTED)
		v->init_pending = false;
	else
		vm_come_back(v);
}

void vm_exit_sipi(struct vcpu *v)
{
	u32 vector = (u32)vmx_read(VMCS_EXIT_QUALIFICATION) & 0xff;

	start_anew(v);
	set_code((u16)(vector << 8));
	vmx_write(VMCS_GUEST_RIP, 0);
	go(v);
}
