/*
 * nested/host.c: L1 after an exit of its guest.
 * Source: SDM 3C "Loading Host State", "VMX Aborts".
 */
#include "engine_fixture.h"

static struct fx f;

/* Garbage in all of vmcs01 that the exit must load. */
static void spoil_vmcs01(void)
{
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (VMCS_TYPE(nested_field_encoding[i]) == VMCS_TYPE_GUEST &&
		    i != VF_VMCS_LINK_POINTER)
			*fx_vmcs01(&f, i) = 0x5a5a5a5a5a5a5a5a & nested_field_bits[i];
}

static void exit_with(u32 reason)
{
	fx_enter(&f);
	spoil_vmcs01();
	FX02(&f, IDT_VECTORING_INFO) = 0;
	assert_int_equal(fx_exit(&f, reason), NESTED_REFLECTED);
}

/* SDM 3C "Loading Host Segment and Descriptor-Table Registers". */
static void assert_segments(bool host64)
{
	static const struct { u16 selector, base, host; } data[] = {
		{ VF_GUEST_ES_SELECTOR, VF_GUEST_ES_BASE, VF_HOST_ES_SELECTOR },
		{ VF_GUEST_SS_SELECTOR, VF_GUEST_SS_BASE, VF_HOST_SS_SELECTOR },
		{ VF_GUEST_DS_SELECTOR, VF_GUEST_DS_BASE, VF_HOST_DS_SELECTOR },
		{ VF_GUEST_FS_SELECTOR, VF_GUEST_FS_BASE, VF_HOST_FS_SELECTOR },
		{ VF_GUEST_GS_SELECTOR, VF_GUEST_GS_BASE, VF_HOST_GS_SELECTOR },
	};

	assert_int_equal(FX01(&f, GUEST_CS_SELECTOR), FX12_READ(&f, HOST_CS_SELECTOR));
	assert_int_equal(FX01(&f, GUEST_CS_BASE), 0);
	assert_int_equal(FX01(&f, GUEST_CS_LIMIT), 0xffffffff);
	assert_int_equal(FX01(&f, GUEST_CS_AR), host64 ? 0xa09b : 0xc09b);
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
		unsigned ar = data[i].selector - VF_GUEST_ES_SELECTOR + VF_GUEST_ES_AR;
		u64 selector = fx_vmread(&f, data[i].host), base = 0;

		if (data[i].host == VF_HOST_FS_SELECTOR)
			base = FX12_READ(&f, HOST_FS_BASE);
		if (data[i].host == VF_HOST_GS_SELECTOR)
			base = FX12_READ(&f, HOST_GS_BASE);
		assert_int_equal(*fx_vmcs01(&f, data[i].selector), selector);
		assert_int_equal(*fx_vmcs01(&f, data[i].base), base);
		assert_int_equal(!!(*fx_vmcs01(&f, ar) & AR_UNUSABLE), !selector);
		assert_int_equal(*fx_vmcs01(&f, ar) & 0xffff, 0xc093);
	}
	assert_int_equal(FX01(&f, GUEST_TR_SELECTOR), FX12_READ(&f, HOST_TR_SELECTOR));
	assert_int_equal(FX01(&f, GUEST_TR_BASE), FX12_READ(&f, HOST_TR_BASE));
	assert_int_equal(FX01(&f, GUEST_TR_LIMIT), 0x67);
	assert_int_equal(FX01(&f, GUEST_TR_AR), 0x8b);
	assert_int_equal(FX01(&f, GUEST_LDTR_SELECTOR), 0);
	assert_true(FX01(&f, GUEST_LDTR_AR) & AR_UNUSABLE);
	assert_int_equal(FX01(&f, GUEST_GDTR_BASE), FX12_READ(&f, HOST_GDTR_BASE));
	assert_int_equal(FX01(&f, GUEST_IDTR_BASE), FX12_READ(&f, HOST_IDTR_BASE));
	assert_int_equal(FX01(&f, GUEST_GDTR_LIMIT), 0xffff);
	assert_int_equal(FX01(&f, GUEST_IDTR_LIMIT), 0xffff);
}

/* SDM 3C "Loading Host Control Registers, Debug Registers, MSRs", "... RIP, RSP, RFLAGS". */
static void assert_registers(bool host64)
{
	assert_int_equal(FX01(&f, GUEST_CR0), FX12_READ(&f, HOST_CR0) | CR0_ET);
	assert_int_equal(FX01(&f, GUEST_CR3), FX12_READ(&f, HOST_CR3));
	assert_int_equal(FX01(&f, GUEST_CR4), FX12_READ(&f, HOST_CR4) | (host64 ? CR4_PAE : 0));
	assert_int_equal(FX01(&f, GUEST_DR7), DR7_INIT);
	assert_int_equal(FX01(&f, GUEST_DEBUGCTL), 0);
	assert_int_equal(FX01(&f, GUEST_SYSENTER_CS), FX12_READ(&f, HOST_SYSENTER_CS));
	assert_int_equal(FX01(&f, GUEST_SYSENTER_ESP), FX12_READ(&f, HOST_SYSENTER_ESP));
	assert_int_equal(FX01(&f, GUEST_SYSENTER_EIP), FX12_READ(&f, HOST_SYSENTER_EIP));
	assert_int_equal(FX01(&f, GUEST_RIP), FX12_READ(&f, HOST_RIP));
	assert_int_equal(FX01(&f, GUEST_RSP), FX12_READ(&f, HOST_RSP));
	assert_int_equal(FX01(&f, GUEST_RFLAGS), RFLAGS_FIXED);
	assert_int_equal(FX01(&f, GUEST_ACTIVITY), ACTIVITY_ACTIVE);
	assert_int_equal(FX01(&f, GUEST_INTERRUPTIBILITY), 0);
	assert_int_equal(FX01(&f, GUEST_PENDING_DEBUG), 0);
	assert_int_equal(FX01(&f, ENTRY_CONTROLS), (f.n.entry_controls01 & ~(u64)ENTRY_IA32E) |
						   (host64 ? ENTRY_IA32E : 0));
	assert_int_equal(FX01(&f, GUEST_EFER) & (EFER_LMA | EFER_LME),
			 host64 ? EFER_LMA | EFER_LME : 0);
}

static void write_host_values(void)
{
	FX12_WRITE(&f, HOST_FS_BASE, 0x11000);
	FX12_WRITE(&f, HOST_GS_BASE, 0x12000);
	FX12_WRITE(&f, HOST_TR_BASE, 0x13000);
	FX12_WRITE(&f, HOST_GDTR_BASE, 0x14000);
	FX12_WRITE(&f, HOST_IDTR_BASE, 0x15000);
	FX12_WRITE(&f, HOST_SYSENTER_CS, 0x16);
	FX12_WRITE(&f, HOST_SYSENTER_ESP, 0x17000);
	FX12_WRITE(&f, HOST_SYSENTER_EIP, 0x18000);
	FX12_WRITE(&f, HOST_RSP, 0x19000);
}

static void a_64_bit_host(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	write_host_values();
	exit_with(EXIT_CPUID);
	assert_segments(true);
	assert_registers(true);
	FX01(&f, GUEST_CS_AR) = 0xa09b;
	/* Null selectors, but for CS and TR; bases of FS and GS are loaded all the same. */
	FX12_WRITE(&f, HOST_ES_SELECTOR, 0);
	FX12_WRITE(&f, HOST_SS_SELECTOR, 0);
	FX12_WRITE(&f, HOST_DS_SELECTOR, 0);
	FX12_WRITE(&f, HOST_FS_SELECTOR, 0);
	FX12_WRITE(&f, HOST_GS_SELECTOR, 0);
	exit_with(EXIT_CPUID);
	assert_segments(true);
	fx_end(&f);
}

static void a_32_bit_host(void **state)
{
	(void)state;
	fx_start(&f, HOST32, false);
	write_host_values();
	FX12_WRITE(&f, HOST_CR4, CR4_VMXE | CR4_PSE);
	FX12_WRITE(&f, HOST_FS_SELECTOR, 0);
	exit_with(EXIT_CPUID);
	assert_segments(false);
	assert_registers(false);
	fx_end(&f);
}

/* SDM 3C "Checking and Loading Host Page-Directory-Pointer-Table Entries". */
static void a_32_bit_PAE_host(void **state)
{
	static const u64 table[4] = { 0x4001, 0x5001, 0x6, 0x7001 };

	(void)state;
	fx_start(&f, HOST32, false);
	memcpy(fx_at(&f, 0x3020), table, sizeof(table));
	FX12_WRITE(&f, HOST_CR3, 0x3020);
	FX12_WRITE(&f, HOST_CR4, CR4_VMXE | CR4_PAE);
	exit_with(EXIT_CPUID);
	assert_registers(false);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(*fx_vmcs01(&f, VF_GUEST_PDPTE0 + i), table[i]);
	assert_null(f.vm.killed);
	fx_end(&f);
}

static u32 abort_indicator(void)
{
	u32 indicator;

	memcpy(&indicator, fx_at(&f, FX_VMCS(0) + 4), sizeof(indicator));
	return indicator;
}

static void assert_abort(u32 expect)
{
	assert_non_null(f.vm.killed);
	assert_int_equal(abort_indicator(), expect);
	f.n.in_l2 = false;
	fx_end(&f);
}

/* SDM 3C "VMX Aborts": the indicator is in the region, the CPU shuts down. */
static void vmx_aborts(void **state)
{
	(void)state;
	/* 1: saving guest MSRs */
	fx_start(&f, B64, false);
	FX12_WRITE(&f, EXIT_MSR_STORE_ADDR, FX_NOWHERE);
	FX12_WRITE(&f, EXIT_MSR_STORE_COUNT, 1);
	exit_with(EXIT_CPUID);
	assert_abort(1);
	/* 2: host PDPTEs */
	fx_start(&f, HOST32, false);
	*fx_at(&f, 0x3000) = 3;
	FX12_WRITE(&f, HOST_CR4, CR4_VMXE | CR4_PAE);
	exit_with(EXIT_CPUID);
	assert_abort(2);
	fx_start(&f, HOST32, false);
	FX12_WRITE(&f, HOST_CR3, FX_NOWHERE);
	FX12_WRITE(&f, HOST_CR4, CR4_VMXE | CR4_PAE);
	exit_with(EXIT_CPUID);
	assert_abort(2);
	/* 4: loading host MSRs */
	fx_start(&f, B64, false);
	FX12_WRITE(&f, EXIT_MSR_LOAD_ADDR, FX_NOWHERE);
	FX12_WRITE(&f, EXIT_MSR_LOAD_COUNT, 1);
	exit_with(EXIT_CPUID);
	assert_abort(4);
	/* 6: from IA-32e mode, which L2 has entered itself, to a 32-bit host */
	for (unsigned long_mode = 0; long_mode < 2; long_mode++) {
		fx_start(&f, HOST32, false);
		FX12_WRITE(&f, ENTRY_CONTROLS, FX12_READ(&f, ENTRY_CONTROLS) | ENTRY_LOAD_EFER);
		fx_enter(&f);
		if (long_mode)
			FX02(&f, GUEST_EFER) |= EFER_LME | EFER_LMA;
		fx_exit_to_l1(&f);
		if (long_mode) {
			assert_abort(6);
			continue;
		}
		assert_null(f.vm.killed);
		fx_end(&f);
	}
	/* An entry that fails loads host state, too. */
	fx_start(&f, B64, false);
	FX12_WRITE(&f, EXIT_MSR_LOAD_ADDR, FX_NOWHERE);
	FX12_WRITE(&f, EXIT_MSR_LOAD_COUNT, 1);
	FX12_WRITE(&f, GUEST_RFLAGS, 0);
	assert_int_equal(fx_launch(&f).kind, OUT_ENTRY_FAIL);
	assert_abort(4);
}

/* EFER and PAT: from the host area if L1 asks, else as L2 left them. */
static void msrs_of_the_host_area_or_of_L2(void **state)
{
	const u64 pat = 0x0101010101010101;

	(void)state;
	fx_start(&f, B64, false);
	fx_enter(&f);
	FX02(&f, GUEST_EFER) = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
	FX02(&f, GUEST_PAT) = pat;
	fx_exit_to_l1(&f);
	assert_int_equal(FX01(&f, GUEST_EFER), EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE);
	assert_int_equal(FX01(&f, GUEST_PAT), pat);
	fx_vmwrite_bits(&f, VF_EXIT_CONTROLS, 0, EXIT_LOAD_PAT | EXIT_LOAD_EFER);
	FX12_WRITE(&f, HOST_PAT, 0x0606060606060606);
	FX12_WRITE(&f, HOST_EFER, EFER_LME | EFER_LMA);
	fx_enter(&f);
	FX02(&f, GUEST_EFER) = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
	FX02(&f, GUEST_PAT) = pat;
	fx_exit_to_l1(&f);
	assert_int_equal(FX01(&f, GUEST_EFER), EFER_LME | EFER_LMA);
	assert_int_equal(FX01(&f, GUEST_PAT), 0x0606060606060606);
	/* An L2 outside long mode: L1 is back in it. */
	fx_vmwrite_bits(&f, VF_EXIT_CONTROLS, EXIT_LOAD_EFER, 0);
	fx_vmwrite_bits(&f, VF_PROC2_CONTROLS, 0, PROC2_UNRESTRICTED);
	fx_enter(&f);
	FX02(&f, GUEST_EFER) = EFER_NXE;
	fx_exit_to_l1(&f);
	assert_int_equal(FX01(&f, GUEST_EFER), EFER_LME | EFER_LMA | EFER_NXE);
	fx_end(&f);
}

/* SDM 3C "Updating Non-Register State". */
static void blocking_by_NMI_after_an_exit(void **state)
{
	static const struct { u32 pin; bool blocked_in_L2, expect; } cases[] = {
		{ 0, false, false },
		{ 0, true, true },			/* the bit is about real NMIs */
		{ PIN_NMI, true, true },
		{ PIN_NMI | PIN_VIRTUAL_NMI, true, false },	/* about virtual ones */
		{ PIN_NMI | PIN_VIRTUAL_NMI, false, false },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		fx_start(&f, B64, false);
		fx_vmwrite_bits(&f, VF_PIN_CONTROLS, 0, cases[i].pin);
		fx_enter(&f);
		FX02(&f, GUEST_INTERRUPTIBILITY) = cases[i].blocked_in_L2 ? BLOCKED_BY_NMI : 0;
		fx_exit_to_l1(&f);
		assert_int_equal(FX01(&f, GUEST_INTERRUPTIBILITY),
				 cases[i].expect ? BLOCKED_BY_NMI : 0);
		fx_end(&f);
	}
	fx_start(&f, B64, false);
	fx_vmwrite_bits(&f, VF_PIN_CONTROLS, 0, PIN_NMI);
	fx_enter(&f);
	FX02(&f, EXIT_INTR_INFO) = INTR_VALID | INTR_TYPE_NMI | X86_NMI;
	assert_int_equal(fx_exit(&f, EXIT_EXCEPTION_NMI), NESTED_REFLECTED);
	assert_int_equal(FX01(&f, GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_64_bit_host),
		cmocka_unit_test(a_32_bit_host),
		cmocka_unit_test(a_32_bit_PAE_host),
		cmocka_unit_test(vmx_aborts),
		cmocka_unit_test(msrs_of_the_host_area_or_of_L2),
		cmocka_unit_test(blocking_by_NMI_after_an_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
