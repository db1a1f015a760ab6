/*
 * Making a vcpu: vmcs01, which lets L1 run at native speed until it uses VMX,
 * and the pages the engine needs, all taken once and for good.
 */
#include "vm/vcpu.h"

#include "cpu/home.h"
#include "cpu/memory.h"
#include "cpu/cpu.h"
#include "vm/init.h"
#include "vm/regs.h"
#include "vmx/setup.h"

#define CPUID_7_EDX_IBRS BIT32(26)

static hpa_t page(void)
{
	return ptr_to_hpa(cpu_alloc_pages(1));
}

static void write_controls(struct vcpu *v)
{
	const struct vmx_caps *hw = &v->vm->hw;
	u32 exit = EXIT_HOST_64 | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
		   EXIT_SAVE_EFER | EXIT_LOAD_EFER;
	u32 entry = ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER;
	u32 proc = PROC_MSR_BITMAPS | PROC_IO_BITMAPS | PROC_SECONDARY | PROC_MOV_DR |
		   (v->vm->no_ept ? PROC_INVLPG | PROC_CR3_LOAD | PROC_CR3_STORE : 0);
	/* What L1 may execute needs a control that says so. */
	u32 proc2 = PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED | PROC2_RDTSCP |
		    PROC2_INVPCID | PROC2_XSAVES | PROC2_USER_WAIT | PROC2_PCONFIG;

	v->nested.entry_controls01 = vmx_adjust(hw->entry, entry);
	vmx_write(VMCS_PIN_CONTROLS,
		  vmx_adjust(hw->pin, v->vm->shared ? PIN_NMI | PIN_VIRTUAL_NMI : 0));
	vmx_write(VMCS_PROC_CONTROLS, vmx_adjust(hw->proc, proc));
	vmx_write(VMCS_PROC2_CONTROLS, vmx_adjust(hw->proc2, proc2));
	vmx_write(VMCS_EXIT_CONTROLS, vmx_adjust(hw->exit, exit));
	vmx_write(VMCS_ENTRY_CONTROLS, v->nested.entry_controls01);
	vmx_write(VMCS_EXCEPTION_BITMAP, v->vm->no_ept ? BIT32(X86_PF) : 0);
	vmx_write(VMCS_PF_ERROR_MASK, 0);
	vmx_write(VMCS_PF_ERROR_MATCH, 0);
	vmx_write(VMCS_CR3_TARGET_COUNT, 0);
	vmx_write(VMCS_MSR_BITMAP, v->vm->msr_bitmap.v);
	vmx_write(VMCS_IO_BITMAP_A, v->vm->io_bitmap[0].v);
	vmx_write(VMCS_IO_BITMAP_B, v->vm->io_bitmap[1].v);
	if (hw->proc2.may & PROC2_VPID)
		vmx_write(VMCS_VPID, v->vpid);
	vmx_write(VMCS_VMCS_LINK_POINTER, ~0ull);
	if (hw->proc2.may & PROC2_XSAVES)
		vmx_write(VMCS_XSS_EXIT_BITMAP, 0);
}

/* Registers that INIT does not touch: as the firmware left them. */
static void write_machine_state(struct vcpu *v)
{
	vmx_write(v->nested.at.pat, cpu_rdmsr(MSR_IA32_PAT));
	vmx_write(VMCS_GUEST_DEBUGCTL, cpu_rdmsr(MSR_IA32_DEBUGCTL));
	vmx_write(VMCS_GUEST_SYSENTER_CS, cpu_rdmsr(MSR_IA32_SYSENTER_CS));
	vmx_write(VMCS_GUEST_SYSENTER_ESP, cpu_rdmsr(MSR_IA32_SYSENTER_ESP));
	vmx_write(VMCS_GUEST_SYSENTER_EIP, cpu_rdmsr(MSR_IA32_SYSENTER_EIP));
	vmx_write(VMCS_GUEST_CR0, cpu_read_cr0() & (CR0_CD | CR0_NW));
}

static void init_slot(struct vcpu *v, struct nested_vmcs *s)
{
	const struct vmx_caps *hw = &v->vm->hw;

	s->gpa = NESTED_NO_VMPTR;
	s->vmcs02 = page();
	vmx_prepare_region(hw, s->vmcs02, false);
	if (v->nested.use_shadow) {
		s->shadow = page();
		vmx_prepare_region(hw, s->shadow, true);
		s->field_bitmap[0].page = page();
		s->field_bitmap[1].page = page();
	}
	s->msr_bitmap.page = page();
	s->io_bitmap[0].page = page();
	s->io_bitmap[1].page = page();
}

static bool has_ibrs(void)
{
	return cpu_cpuid(0, 0).eax >= 7 && (cpu_cpuid(7, 0).edx & CPUID_7_EDX_IBRS);
}

static void init_nested(struct vcpu *v, const struct boot_options *options)
{
	struct nested_vcpu *n = &v->nested;
	struct vm *vm = v->vm;

	n->vm = vm;
	n->gpr = v->frame.gpr;
	n->hw = &vm->hw;
	n->explain = options->explain;
	n->check_all = options->check_all;
	n->barrier = options->nested_ibpb && has_ibrs();
	n->use_shadow = options->nested_shadow && (vm->hw.proc2.may & PROC2_SHADOW_VMCS) &&
			(vm->hw.misc & MISC_VMWRITE_ANY);
	n->hide_ept = !options->nested_ept;
	n->always_ept5 = options->nested_ept5;
	n->nmi_exits = vm->shared;
	n->vmcs01 = v->vmcs01;
	n->ept02s = &vm->ept02s;
	n->vtlb = vm->no_ept ? &vm->vtlb : NULL;
	n->msr_bitmap01 = vm->msr_bitmap;
	n->io_bitmap01[0] = vm->io_bitmap[0];
	n->io_bitmap01[1] = vm->io_bitmap[1];
	n->vpid01 = v->vpid;
	nested_caps_init(n);
	for (u32 i = 0; i < NESTED_SLOTS; i++)
		init_slot(v, &n->slot[i]);
	if (n->use_shadow) {
		n->vmread_bitmap = page();
		n->vmwrite_bitmap = page();
		n->fields_bitmap = page();
		nested_fields_bitmap(n, hpa_to_ptr(n->fields_bitmap));
		nested_shadow_bitmaps(n, false, hpa_to_ptr(n->vmread_bitmap),
				      hpa_to_ptr(n->vmwrite_bitmap));
		n->wide_bitmap[0] = page();
		n->wide_bitmap[1] = page();
		nested_shadow_bitmaps(n, true, hpa_to_ptr(n->wide_bitmap[0]),
				      hpa_to_ptr(n->wide_bitmap[1]));
	}
}

void vcpu_use_memory(struct vcpu *v)
{
	v->stats.started = v->stats.entered = cpu_rdtsc();
	if (v->vm->no_ept)
		return;
	v->nested.eptp01 = v->vm->ept01.eptp;
	vmx_write(VMCS_EPT_POINTER, v->nested.eptp01);
}

struct vcpu *vcpu_create(struct vm *vm, const struct boot_options *options)
{
	struct vcpu *v = cpu_alloc_pages(ALIGN_UP(sizeof(*v), PAGE_SIZE) / PAGE_SIZE);

	v->vm = vm;
	v->pcpu = cpu_this();
	v->pcpu->vcpu = v;
	v->vpid = (u16)(VPID_L1_FIRST + vm->vcpu_count);
	v->vmcs01 = page();
	vm->vcpu[vm->vcpu_count++] = v;
	init_nested(v, options);
	vmx_prepare_region(&vm->hw, v->vmcs01, false);
	vmx_load(v->vmcs01);
	vmx_write_host_state(&v->frame, vm->shared);
	write_controls(v);
	if (v->nested.use_shadow) {
		vmx_write(VMCS_VMREAD_BITMAP, v->nested.vmread_bitmap.v);
		vmx_write(VMCS_VMWRITE_BITMAP, v->nested.vmwrite_bitmap.v);
	}
	write_machine_state(v);
	vm_init_state(v);
	return v;
}
