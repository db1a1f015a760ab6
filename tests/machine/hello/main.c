/*
 * A kernel that is no hypervisor: what a CPU does for every kernel must go on unchanged.
 * Details that depend on the CPU model are not printed, nor an unknown MSR read: the emulator is
 * configured to ignore those.
 */
#include "cpu.h"
#include "legacy.h"

static void show(const char *what)
{
	print("%s: %s\n", what, fault_text());
}

#define CASE(what, insn, ...)	do { TRY(insn, ##__VA_ARGS__); show(what); } while (0)

static void test_cpuid(void)
{
	struct cpuid_regs r = cpuid(0, 0);
	u32 vendor[4] = { r.ebx, r.edx, r.ecx, 0 };
	bool before, after;

	print("CPUID: %s, leaf 7 %s\n", (const char *)vendor, r.eax >= 7 ? "yes" : "no");
	print("CPUID: VMX %u, extended leaves %s\n", cpuid(1, 0).ecx >> 5 & 1,
	      cpuid(0x80000000, 0).eax >= 0x80000008 ? "yes" : "no");
	before = cpuid(1, 0).ecx >> 27 & 1;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	after = cpuid(1, 0).ecx >> 27 & 1;
	print("CPUID: OSXSAVE follows CR4: %u %u\n", before, after);
	trap_rcx = 0;
	trap_rdx = 0;
	trap_rax = 1;
	CASE("XSETBV 1", "xsetbv");
	print("XSAVE area %u", cpuid(0xd, 0).ebx);
	trap_rax = 7;
	TRY("xsetbv");
	print(" %u\n", cpuid(0xd, 0).ebx);
	trap_rax = 0;
	CASE("XSETBV 0", "xsetbv");
	trap_rax = 5;
	CASE("XSETBV 5", "xsetbv");
	trap_rax = 7;
	trap_rcx = 9;
	CASE("XSETBV of XCR9", "xsetbv");
	trap_rcx = 0;
	TRY("xgetbv");
	print("XCR0 %lx\n", trap_rax);
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
	CASE("XSETBV without OSXSAVE", "xsetbv");
}

static void msr_keeps(const char *name, u32 msr, u64 value)
{
	u64 old = rdmsr(msr);

	wrmsr(msr, value);
	print("%s keeps its value: %s\n", name, rdmsr(msr) == value ? "yes" : "no");
	wrmsr(msr, old);
}

static void wrmsr_case(const char *what, u32 msr, u64 value)
{
	trap_rcx = msr;
	trap_rax = (u32)value;
	trap_rdx = value >> 32;
	CASE(what, "wrmsr");
}

static void test_msrs(void)
{
	msr_keeps("STAR", MSR_STAR, 0x1234567800000000);
	msr_keeps("LSTAR", MSR_LSTAR, 0xffff812345678000);
	msr_keeps("FMASK", MSR_FMASK, 0x47700);
	msr_keeps("KERNEL_GS_BASE", MSR_KERNEL_GS_BASE, 0xffff800000001000);
	msr_keeps("GS_BASE", MSR_GS_BASE, 0x123456789000);
	msr_keeps("SYSENTER_EIP", MSR_SYSENTER_EIP, 0xffff800000002000);
	msr_keeps("PAT", MSR_PAT, 0x0007040600070406);
	msr_keeps("EFER", MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	msr_keeps("TSC_AUX", MSR_TSC_AUX, 77);
	msr_keeps("MTRR base 7", 0x20e, 0xc0000001);
	msr_keeps("MTRR mask 7", 0x20f, 0xff0000800);
	wrmsr_case("WRMSR LSTAR not canonical", MSR_LSTAR, 0x8000000000000000);
	wrmsr_case("WRMSR PAT with type 2", MSR_PAT, 2);
	wrmsr_case("WRMSR EFER with LME clear", MSR_EFER, rdmsr(MSR_EFER) & ~EFER_LME);
	wrmsr_case("WRMSR EFER reserved bit", MSR_EFER, rdmsr(MSR_EFER) | BIT(63));
	/* By these the CPU would write to memory or record branches while a hypervisor runs. */
	wrmsr_case("WRMSR XSS with processor trace", MSR_XSS, BIT(8));
	wrmsr_case("WRMSR XSS with LBRs", MSR_XSS, BIT(15));
	wrmsr_case("WRMSR XSS with nothing", MSR_XSS, 0);
	print("CPUID: processor trace %lu %lu, LBRs %lu %lu\n", cpuid(7, 0).ebx & BIT(25),
	      cpuid(0xd, 1).ecx & BIT(8), cpuid(7, 0).edx & BIT(19), cpuid(0xd, 1).ecx & BIT(15));
	print("APIC base: %lx\n", rdmsr(MSR_APIC_BASE));
	print("RDTSC grows: %s\n", rdtsc() < rdtsc() ? "yes" : "no");
}

static void test_control_registers(void)
{
	u64 cr0 = read_cr0(), cr4 = read_cr4();

	write_cr0(cr0 & ~CR0_NE);
	print("CR0.NE can be clear: %u\n", !(read_cr0() & CR0_NE));
	write_cr0(cr0 | CR0_CD);
	print("CR0.CD can be set: %u\n", !!(read_cr0() & CR0_CD));
	write_cr0(cr0 | CR0_TS);
	asm volatile("clts");
	print("CLTS clears CR0.TS: %u\n", !(read_cr0() & CR0_TS));
	trap_rax = 0xffff;
	TRY("lmsw %%ax");
	print("LMSW: low bits %lx\n", read_cr0() & 0xf);
	write_cr0(cr0 & ~CR0_MP);
	CASE("MOV CR0 bit 32", "mov %3, %%cr0", "r" (cr0 | BIT(32)));
	CASE("MOV CR0 with PG and no PE", "mov %3, %%cr0", "r" (cr0 & ~CR0_PE));
	CASE("MOV CR0 with NW and no CD", "mov %3, %%cr0", "r" (cr0 | BIT(29)));
	write_cr4(cr4 | CR4_VMXE | CR4_PGE | CR4_DE);
	print("CR4 VMXE PGE DE: %u\n", (read_cr4() ^ cr4) == (CR4_VMXE | CR4_PGE | CR4_DE));
	write_cr4(cr4);
	print("CR4 back: %u\n", read_cr4() == cr4);
	CASE("MOV CR4 without PAE", "mov %3, %%cr4", "r" (cr4 & ~CR4_PAE));
	CASE("MOV CR4 bit 31", "mov %3, %%cr4", "r" (cr4 | BIT(31)));
	CASE("MOV CR3 bit 62", "mov %3, %%cr3", "r" (read_cr3() | BIT(62)));
	write_cr8(5);
	print("CR8 %lu\n", read_cr8());
	CASE("MOV CR8 16", "mov %3, %%cr8", "r" (16ul));
	write_cr8(0);
}

static void db_hook(struct trap_frame *frame)
{
	u64 dr6;

	asm volatile("mov %%dr6, %0; mov %1, %%dr6" : "=&r" (dr6) : "r" (0xffff0ff0ul));
	print("#DB: DR6 %lx\n", dr6);
	frame->rflags = (frame->rflags & ~RFLAGS_TF) | BIT(16);
}

static void test_debug(void)
{
	static u64 watched;

	trap_hook[1] = db_hook;
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq; nop" : : : "cc", "memory");
	asm volatile("mov %0, %%dr0; mov %1, %%dr7" : : "r" (&watched), "r" (0xd0402ul) : "memory");
	*(volatile u64 *)&watched = 1;
	asm volatile("mov $1f, %%eax; mov %%rax, %%dr1; mov %0, %%dr7; 1: nop"
		     : : "r" (0x408ul) : "rax", "memory");
	asm volatile("mov %0, %%dr7" : : "r" (0x400ul) : "memory");
	trap_hook[1] = NULL;
	CASE("MOV DR7 bit 32", "mov %3, %%dr7", "r" (BIT(32)));
	CASE("INT3", "int3");
	CASE("UD2", "ud2");
	trap_rax = 1;
	trap_rdx = 0;
	CASE("DIV by zero", "div %3", "r" (0ul));
}

static void wait_for(volatile u32 *count, u32 value)
{
	for (u32 i = 0; i < 1000000 && *count != value; i++)
		asm volatile("pause");
}

static void test_interrupts(void)
{
	apic_enable();
	asm volatile("sti" : : : "memory");
	apic_self_ipi(0x50);
	wait_for(&trap_count[0x50], 1);
	apic_self_nmi();
	wait_for(&trap_count[2], 1);
	apic_timer(0x51, 10000);
	wait_for(&trap_count[0x51], 1);
	asm volatile("int $0x52" : : : "memory");
	asm volatile("cli" : : : "memory");
	apic_self_ipi(0x53);
	for (int i = 0; i < 100; i++)
		asm volatile("pause");
	print("interrupts: IPI %u, NMI %u, timer %u, INT %u, masked %u\n", trap_count[0x50],
	      trap_count[2], trap_count[0x51], trap_count[0x52], trap_count[0x53]);
	asm volatile("sti; nop; cli" : : : "memory");
	print("unmasked %u\n", trap_count[0x53]);
	apic_timer(0x54, 100000);
	asm volatile("sti; hlt; cli" : : : "memory");
	print("HLT woken by the timer: %u\n", trap_count[0x54]);
}

#define USER(name, code)	\
	asm("user_" #name ": " code "; int $0x81"); extern const char user_##name[]
USER(nothing, "nop");
USER(invd, "invd");
USER(wbinvd, "wbinvd");
USER(rdmsr, "rdmsr");
USER(hlt, "hlt");
USER(cr0, "mov %cr0, %rax");
USER(rdtsc, "rdtsc");
USER(xsetbv, "xsetbv");
USER(cpuid, "cpuid");
USER(int3, "int3");
USER(vmcall, "vmcall");
USER(vmxon, "vmxon (%rsp)");
USER(read, "movabs 0x500000000, %eax");
USER(jump, "mov $0x500000000, %rax; jmp *%rax");

static void user_case(const char *what, const void *code)
{
	user_run(code);
	print("CPL 3 %s: %s\n", what, fault_text());
}

static void test_user(void)
{
	user_case("NOP", user_nothing);
	user_case("INVD", user_invd);
	user_case("WBINVD", user_wbinvd);
	user_case("RDMSR", user_rdmsr);
	user_case("HLT", user_hlt);
	user_case("MOV from CR0", user_cr0);
	user_case("RDTSC", user_rdtsc);
	write_cr4(read_cr4() | CR4_TSD | CR4_OSXSAVE);
	user_case("RDTSC with CR4.TSD", user_rdtsc);
	user_case("XSETBV", user_xsetbv);
	write_cr4(read_cr4() & ~(CR4_TSD | CR4_OSXSAVE));
	user_case("CPUID", user_cpuid);
	user_case("INT3", user_int3);
	user_case("VMCALL", user_vmcall);
	user_case("VMXON without CR4.VMXE", user_vmxon);
	user_case("read of an unmapped page", user_read);
	user_case("jump to an unmapped page", user_jump);
}

/* Two pages at 5 GiB through a page table of their own, to change under the TLB. */
static void test_paging(void)
{
	u64 *directory = page_alloc(), *table = page_alloc();
	u64 *a = page_alloc(), *b = page_alloc();
	volatile u64 *p = (u64 *)0x140000000;

	*a = 11;
	*b = 22;
	directory[0] = (u64)table | 7;
	pdpt[5] = (u64)directory | 7;
	table[0] = (u64)a | 3;
	print("page: %lu", *p);
	table[0] = (u64)b | 3;
	invlpg((u64)p);
	print(" %lu", *p);
	table[0] = (u64)a | 1;
	write_cr3(read_cr3());
	print(" %lu,", *p);
	print(" accessed %lx\n", *(volatile u64 *)table & 0x60);
	CASE("write to a read-only page", "movl $1, (%3)", "r" (p));
	table[0] = (u64)a | 3 | BIT(63);
	invlpg((u64)p);
	CASE("write to a no-execute page", "movq $0xc3, (%3)", "r" (p));
	print("dirty: %lx\n", table[0] & 0x60);
	CASE("jump into a no-execute page", "jmp *%3", "r" (p));
	table[0] |= BIT(51);
	invlpg((u64)p);
	CASE("reserved bit", "movl $1, (%3)", "r" (p));
	pdpt[5] = 0;
	write_cr3(read_cr3());
	CASE("unmapped page", "movl $1, (%3)", "r" (p));
	CASE("address not canonical", "mov (%3), %%rax", "r" (BIT(63)));
}

int main(void)
{
	report_boot();
	test_cpuid();
	test_msrs();
	test_control_registers();
	test_debug();
	test_interrupts();
	test_user();
	test_paging();
	CASE("WBINVD", "wbinvd");
	CASE("INVD", "invd");
	CASE("VMCALL outside VMX operation", "vmcall");
	CASE("VMXON without CR4.VMXE", "vmxon (%3)", "r" (&trap_rax));
	test_legacy();
	return 0;
}
