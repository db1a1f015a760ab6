/*
 * The root VM: from what the boot loader left to L1's first instruction. Not
 * here: loading L1 (loader.c), vmcs01 (vcpu.c).
 */
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/home.h"
#include "cpu/memory.h"
#include "debug/accounts.h"
#include "debug/console.h"
#include "debug/dump.h"
#include "vm/cpus.h"
#include "vm/cr.h"
#include "vm/init.h"
#include "vm/io.h"
#include "vm/loader.h"
#include "vm/memory.h"
#include "vm/msr.h"
#include "vm/mtrr.h"
#include "vm/regs.h"
#include "vm/shared.h"
#include "vm/vcpu.h"
#include "vmx/caps.h"
#include "vmx/probe.h"
#include "vmx/setup.h"

static struct vm root_vm;

#define CPUID_1_ECX_XSAVE BIT32(26)

static bool read_physical(void *context, u64 addr, void *buf, size_t len)
{
	(void)context;
	if (addr + len > cpu_direct_map_end.v || addr + len < addr)
		return false;
	memcpy(buf, hpa_to_ptr(HPA(addr)), len);
	return true;
}

static void find_acpi(struct vm *vm, const struct boot_info *bi)
{
	struct acpi_reader reader = { read_physical, NULL };
	const char *error = "the boot loader found no RSDP";

	if (bi->rsdp_size)
		error = acpi_parse(&reader, bi->rsdp, bi->rsdp_size, &vm->acpi);
	if (error)
		con_printf("ACPI: %s; power-off will not be noticed\n", error);
}

static void probe(struct vm *vm)
{
	const char *broken = vmx_probe(&vm->hw, ptr_to_hpa(cpu_alloc_pages(1)),
				       ptr_to_hpa(cpu_alloc_pages(1)));

	if (broken)
		con_info("this processor's %s do not work: not passed on\n", broken);
}

static void enter_vmx(struct vm *vm, const struct boot_options *options)
{
	const char *error;

	vmx_caps_read(&vm->hw);
	error = vmx_caps_missing(&vm->hw);
	if (error)
		debug_refuse("this processor's VMX lacks %s, which Plastron needs: use a newer one, or ./plastron run, which emulates one", error);
	vm->no_ept = !(vm->hw.proc2.may & PROC2_EPT);
	if (vm->no_ept) {
		vmx_caps_without_ept(&vm->hw);
		con_info("no EPT: shadow page tables for L1 and its guests\n");
	}
	if (cpu_cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE)
		cpu_write_cr4(cpu_read_cr4() | CR4_OSXSAVE);	/* for L1's XSETBV */
	error = vmx_enable(&vm->hw, ptr_to_hpa(cpu_alloc_pages(1)));
	if (error)
		debug_refuse("%s: another hypervisor may be in its place", error);
	if (options->probe)
		probe(vm);
}

static struct ept_caps ept_caps_of(const struct vmx_caps *c)
{
	/* Then ept01 is walked by software alone, and may be as it likes. */
	if (!(c->proc2.may & PROC2_EPT))
		return (struct ept_caps){
			.pg_2m = true, .pg_1g = true, .walk5 = true,
			.maxphyaddr = c->maxphyaddr,
		};
	return (struct ept_caps){
		.exec_only = c->ept_vpid & EPTCAP_EXEC_ONLY,
		.pg_2m = c->ept_vpid & EPTCAP_2M,
		.pg_1g = c->ept_vpid & EPTCAP_1G,
		.ad = c->ept_vpid & EPTCAP_AD,
		.mode_based_exec = c->proc2.may & PROC2_MODE_BASED_EXEC,
		.adv_exit_info = c->ept_vpid & EPTCAP_ADV_INFO,
		.walk5 = c->ept_vpid & EPTCAP_WALK5,
		.maxphyaddr = c->maxphyaddr,
	};
}

static void init_pages(struct vm *vm)
{
	vm->msr_bitmap = ptr_to_hpa(cpu_alloc_pages(1));
	vm->io_bitmap[0] = ptr_to_hpa(cpu_alloc_pages(1));
	vm->io_bitmap[1] = ptr_to_hpa(cpu_alloc_pages(1));
	vm->scratch = ptr_to_hpa(cpu_alloc_pages(1));
	if (vm->no_ept)
		vm->real_tss = vm_real_tss();
	vm_msr_bitmap_init(vm, hpa_to_ptr(vm->msr_bitmap));
	vm_io_bitmap_init(vm, hpa_to_ptr(vm->io_bitmap[0]), hpa_to_ptr(vm->io_bitmap[1]));
}

static bool init_vtlb(struct vm *vm)
{
	bool done = vtlb_init(&vm->vtlb, vm, &vm->ept01, vm->pool02.base, vm->pool02.pages);

	vm->vtlb.tss = vm->real_tss;
	vm->vtlb.tss_pages = REAL_TSS_PAGES;
	return done;
}

/*
 * The pools are all that nobody took, so they come last. Two, because ept02
 * grows to whatever its pool has, and ept01 must still be able to split a page.
 */
static void init_memory(struct vm *vm, const struct boot_info *bi)
{
	hpa_t base;
	size_t pages = cpu_free_pages(&base);
	struct ept_caps caps12 = ept_caps_of(&vm->vcpu[0]->nested.caps);
	u32 pages01 = (u32)pages / 4;

	debug_print_home(pages);
	vm->ept_caps = ept_caps_of(&vm->hw);
	mtrr_read(&vm->mtrr);
	mmu_pool_init(&vm->pool01, vm, base, pages01);
	mmu_pool_init(&vm->pool02, vm, HPA(base.v + pages01 * PAGE_SIZE), (u32)pages - pages01);
	if (!vm_memory_init(vm, bi) ||
	    (vm->no_ept && !init_vtlb(vm)) ||
	    !ept02_set_init(&vm->ept02s, vm, &vm->pool02, &vm->ept01, &vm->ept_caps, &caps12))
		debug_refuse("%zu pages are too few for page tables: give the machine more memory", pages);
}

static void set_flat_segments(const struct loader_entry *e, bool long_mode)
{
	u32 data = 3u | AR_S | AR_P | AR_DB | AR_G, code = 11u | AR_S | AR_P | AR_G;
	u16 cs = e->kind == LOADER_ENTRY_PM32 ? 0x08 : e->cs;
	u16 ds = e->kind == LOADER_ENTRY_PM32 ? 0x10 : e->ds;

	vm_set_segment(SEG_CS, cs, 0, 0xffffffff, code | (long_mode ? AR_L : AR_DB));
	for (u32 s = SEG_ES; s <= SEG_GS; s++)
		if (s != SEG_CS)
			vm_set_segment(s, ds, 0, 0xffffffff, data);
}

static void enter_long_mode(struct vcpu *v, const struct loader_entry *e)
{
	vmx_write(v->nested.at.cr3, e->cr3);
	vm_cr_set(v, CR0_PE | CR0_PG | CR0_WP | CR0_ET, CR4_PAE);
	vmx_write(v->nested.at.efer, EFER_LME | EFER_LMA);
	vmx_write(VMCS_ENTRY_CONTROLS, vmx_read(VMCS_ENTRY_CONTROLS) | ENTRY_IA32E);
}

static void set_entry_state(struct vcpu *v, const struct loader_entry *e)
{
	set_flat_segments(e, e->kind == LOADER_ENTRY_LINUX64);
	if (e->kind == LOADER_ENTRY_LINUX64)
		enter_long_mode(v, e);
	else
		vm_cr_set(v, CR0_PE | CR0_ET, 0);
	if (v->vm->no_ept)
		nested_vtlb_flush(&v->nested);
	if (e->gdt_limit) {
		vmx_write(VMCS_GUEST_GDTR_BASE, e->gdt_base);
		vmx_write(VMCS_GUEST_GDTR_LIMIT, e->gdt_limit);
	}
	vmx_write(VMCS_GUEST_RIP, e->rip);
	vmx_write(VMCS_GUEST_RSP, e->rsp);
	v->frame.gpr[GPR_RAX] = e->eax;
	v->frame.gpr[GPR_RBX] = e->ebx;
	v->frame.gpr[GPR_RSI] = e->rsi;
}

static void __attribute__((noreturn)) first_entry(struct vcpu *v)
{
	if (!v->vm->shared)
		vmx_first_entry(&v->frame);
	vm_release_cpus();
	vm_enter_shared(v);
}

void vm_start(const struct boot_info *bi)
{
	struct vm *vm = &root_vm;
	struct loader_entry entry;
	struct vcpu *v;
	u32 vcpus;

	find_acpi(vm, bi);
	enter_vmx(vm, &bi->options);
	vcpus = vm_count_cpus(vm, &bi->options);
	vm->shared = vcpus > 1;
	init_pages(vm);
	v = vcpu_create(vm, &bi->options);
	vm_start_cpus(vm, bi, vcpus);
	init_memory(vm, bi);
	vcpu_use_memory(v);
	if (!loader_load(hpa_to_ptr(HPA(0)), bi, &entry))
		debug_refuse("%s", entry.error);
	set_entry_state(v, &entry);
	con_printf("L1 starts: %s\n", loader_format_name(entry.format));
	first_entry(v);
}
