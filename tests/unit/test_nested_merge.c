/* nested/merge*.c: vmcs02 from vmcs12, and what L0 keeps for itself. */
#include "engine_fixture.h"

#define ENTRY_LOADS (ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)
#define SAVES (EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_SAVE_EFER)

static struct fx f;

/* L1 asks for every load, so that no entry depends on registers of its own. */
static void start_with_loads(enum state_base base)
{
	fx_start(&f, base, false);
	FX12_WRITE(&f, ENTRY_CONTROLS, FX12_READ(&f, ENTRY_CONTROLS) | ENTRY_LOADS);
	FX12_WRITE(&f, EXIT_CONTROLS, FX12_READ(&f, EXIT_CONTROLS) | SAVES);
	FX12_WRITE(&f, PROC2_CONTROLS, FX12_READ(&f, PROC2_CONTROLS) | PROC2_VPID);
	FX12_WRITE(&f, VPID, 7);
	fx_enter(&f);
	fx_exit_to_l1(&f);
}

/* Another value that no check minds. */
static u64 other_value(unsigned i, u64 v)
{
	switch (i) {
	case VF_GUEST_CR0: return v ^ CR0_TS;
	case VF_GUEST_CR3: return v ^ 0x4000;
	case VF_GUEST_CR4: return v ^ CR4_PGE;
	case VF_GUEST_RFLAGS: return v ^ RFLAGS_CF;
	case VF_GUEST_INTERRUPTIBILITY: return v ^ BLOCKED_BY_NMI;
	case VF_GUEST_PENDING_DEBUG: return v ^ BIT(12);
	case VF_GUEST_ACTIVITY: return ACTIVITY_HLT;
	case VF_GUEST_TR_LIMIT: return v ^ 0x10;
	case VF_GUEST_CS_AR: return v ^ 2;	/* readable or not */
	case VF_GUEST_LDTR_AR: return v | AR_UNUSABLE;
	case VF_GUEST_TR_AR: return v ^ BIT(12);	/* AVL */
	case VF_GUEST_CS_BASE: case VF_GUEST_SS_BASE: case VF_GUEST_DS_BASE: case VF_GUEST_ES_BASE:
		return v ^ 0x1000;
	}
	if (i >= VF_GUEST_ES_SELECTOR && i <= VF_GUEST_TR_SELECTOR)
		return v ^ 8;
	if (i >= VF_GUEST_ES_LIMIT && i <= VF_GUEST_GS_LIMIT)
		return v ^ 0xfff00000;
	if (i >= VF_GUEST_ES_AR && i <= VF_GUEST_GS_AR)
		return v | AR_UNUSABLE;
	return v ^ 1;
}

static void each_copied_field_is_written_once_when_it_changed(void **state)
{
	unsigned copied = 0;

	(void)state;
	start_with_loads(B64);
	for (unsigned i = 0; i < VF_COUNT; i++) {
		u64 was, value;

		if (!nested_is_copied(&f.n, i) || !field_test(&f.n.exists, i))
			continue;
		was = fx_vmread(&f, i);
		value = other_value(i, was) & nested_field_bits[i];
		assert_int_not_equal(value, was);
		fx_vmwrite(&f, i, value);
		hw_forget(&f.hw);
		fx_enter(&f);
		for (unsigned j = 0; j < VF_COUNT; j++)
			if (f.hw.written[j] != (i == j))
				fail_msg("%s changed, %s was written %u times",
					 nested_field_name[i], nested_field_name[j],
					 f.hw.written[j]);
		assert_int_equal(*fx_vmcs02(&f, i), value);
		fx_exit_to_l1(&f);
		fx_vmwrite(&f, i, was);
		fx_enter(&f);
		fx_exit_to_l1(&f);
		copied++;
	}
	assert_true(copied > 60);
	fx_end(&f);
}

static void an_unchanged_vmcs12_writes_nothing(void **state)
{
	(void)state;
	start_with_loads(B64);
	hw_forget(&f.hw);
	fx_enter(&f);
	assert_int_equal(f.hw.count.writes, 0);
	assert_int_equal(f.hw.count.loads, 1);
	assert_int_equal(f.hw.count.invepts + f.hw.count.invvpids, 0);
	fx_exit_to_l1(&f);
	/* Not even after L1 looked at what stayed in vmcs02. */
	FX12_READ(&f, GUEST_GDTR_BASE);
	hw_forget(&f.hw);
	fx_enter(&f);
	assert_int_equal(f.hw.count.writes, 0);
	fx_exit_to_l1(&f);
	/* Nor after a write of what is there already. */
	FX12_WRITE(&f, GUEST_RIP, FX12_READ(&f, GUEST_RIP));
	hw_forget(&f.hw);
	fx_enter(&f);
	assert_int_equal(f.hw.count.writes, 0);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* Nor are PDPTEs that an exit left in vmcs02. */
static void unchanged_pdptes_are_not_written(void **state)
{
	(void)state;
	start_with_loads(B32);
	hw_forget(&f.hw);
	fx_enter(&f);
	assert_int_equal(f.hw.count.writes, 0);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* The timer, the event, and loads that L1 did not ask for are all that an entry repeats. */
static void what_an_unchanged_vmcs12_does_write(void **state)
{
	(void)state;
	start_with_loads(B64);
	FX12_WRITE(&f, PIN_CONTROLS, FX12_READ(&f, PIN_CONTROLS) | PIN_PREEMPTION_TIMER);
	FX12_WRITE(&f, PREEMPTION_TIMER, 1000);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	hw_forget(&f.hw);
	fx_enter(&f);
	assert_int_equal(f.hw.count.writes, 1);
	assert_int_equal(f.hw.written[VF_PREEMPTION_TIMER], 1);
	fx_exit_to_l1(&f);

	FX12_WRITE(&f, PIN_CONTROLS, FX12_READ(&f, PIN_CONTROLS) & ~(u64)PIN_PREEMPTION_TIMER);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, ENTRY_INTR_INFO, INTR_VALID | INTR_TYPE_HW_EXCEPTION | X86_UD);
	hw_forget(&f.hw);
	fx_enter(&f);
	assert_int_equal(f.hw.count.writes, 3);
	assert_int_equal(f.hw.written[VF_ENTRY_INTR_INFO], 1);
	fx_exit_to_l1(&f);

	FX12_WRITE(&f, ENTRY_CONTROLS, FX12_READ(&f, ENTRY_CONTROLS) & ~(u64)ENTRY_LOAD_PAT);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	hw_forget(&f.hw);
	fx_enter(&f);
	assert_true(f.hw.count.writes <= 4);
	assert_int_equal(f.hw.written[VF_GUEST_PAT], 1);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* Controls that all go well together, with every address that they need. */
static void write_rich_fields(void)
{
	static const u16 pages[] = {
		VF_IO_BITMAP_A, VF_IO_BITMAP_B, VF_MSR_BITMAP, VF_APIC_ACCESS_ADDR,
		VF_POSTED_INTR_DESC,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		fx_vmwrite(&f, pages[i], FX_PAGE(i));
	FX12_WRITE(&f, VIRTUAL_APIC_ADDR, VAPIC_PAGE);
	FX12_WRITE(&f, POSTED_INTR_DESC, FX_PAGE(4) + 0x40);
	FX12_WRITE(&f, POSTED_INTR_VECTOR, 0xf2);
	FX12_WRITE(&f, VPID, 3);
	FX12_WRITE(&f, TSC_MULTIPLIER, BIT(48));
	FX12_WRITE(&f, EPT_POINTER, FX_EPT12 | EPTP_WALK_4 | MT_WB);
}

static u32 some_of(struct vmx_allowed a)
{
	return (((u32)fx_random(&f) | (fx_below(&f, 2) ? (u32)fx_random(&f) : 0)) & a.may) | a.must;
}

/* Intercepts of the primary controls but those of I/O. */
#define PROC_INTERCEPTS \
	(PROC_INTERRUPT_WINDOW | PROC_HLT | PROC_INVLPG | PROC_MWAIT | PROC_RDPMC | PROC_RDTSC | \
	 PROC_CR3_LOAD | PROC_CR3_STORE | PROC_CR8_LOAD | PROC_CR8_STORE | PROC_NMI_WINDOW | \
	 PROC_MOV_DR | PROC_MTF | PROC_MONITOR | PROC_PAUSE)

static void assert_controls_merged(void)
{
	const u64 *v = FX_SLOT(&f)->v;
	u64 proc12 = v[VF_PROC_CONTROLS],
	    proc2_12 = proc12 & PROC_SECONDARY ? v[VF_PROC2_CONTROLS] : 0;
	u64 proc = FX02(&f, PROC_CONTROLS), exit = FX02(&f, EXIT_CONTROLS);
	u64 entry = FX02(&f, ENTRY_CONTROLS), l0_exit, l0_entry;

	assert_int_equal(FX02(&f, PIN_CONTROLS), v[VF_PIN_CONTROLS]);
	assert_int_equal(proc & PROC_INTERCEPTS, proc12 & PROC_INTERCEPTS);
	assert_int_equal(proc & (PROC_TPR_SHADOW | PROC_MSR_BITMAPS),
			 proc12 & (PROC_TPR_SHADOW | PROC_MSR_BITMAPS));
	assert_true(proc & PROC_SECONDARY);
	/* No port is reached but through a bitmap of L0's. */
	assert_true(proc & (PROC_IO_BITMAPS | PROC_UNCOND_IO));
	if (proc12 & PROC_IO_BITMAPS)
		assert_true(proc & PROC_IO_BITMAPS);
	else
		assert_int_equal(!!(proc & PROC_UNCOND_IO), !!(proc12 & PROC_UNCOND_IO));
	assert_int_equal(FX02(&f, PROC2_CONTROLS),
			 (proc2_12 & ~(u64)(PROC2_PML | PROC2_EPT_VE)) | PROC2_EPT | PROC2_VPID);

	l0_exit = EXIT_HOST_64 | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
		  EXIT_SAVE_EFER | EXIT_LOAD_EFER;
	assert_int_equal(exit & l0_exit, l0_exit);
	assert_int_equal(exit & EXIT_ACK_INTERRUPT, v[VF_EXIT_CONTROLS] & EXIT_ACK_INTERRUPT);
	assert_int_equal(!!(exit & EXIT_SAVE_PREEMPTION),
			 !!(v[VF_PIN_CONTROLS] & PIN_PREEMPTION_TIMER));
	l0_entry = ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER;
	assert_int_equal(entry & l0_entry, l0_entry);
	assert_int_equal(entry & ENTRY_IA32E, v[VF_ENTRY_CONTROLS] & ENTRY_IA32E);
	assert_int_equal(entry & (ENTRY_SMM | ENTRY_DEACTIVATE_DUAL), 0);
	assert_int_equal(FX02(&f, VMCS_LINK_POINTER), ~0ull);
}

static void L0_keeps_its_controls_whatever_L1_writes(void **state)
{
	unsigned entered = 0;

	(void)state;
	fx_start(&f, B64, false);
	write_rich_fields();
	for (unsigned round = 0; round < 20000; round++) {
		u64 entry = some_of(f.n.caps.entry), exit = some_of(f.n.caps.exit);
		struct outcome o;

		FX12_WRITE(&f, PIN_CONTROLS, some_of(f.n.caps.pin));
		FX12_WRITE(&f, PROC_CONTROLS, some_of(f.n.caps.proc));
		FX12_WRITE(&f, PROC2_CONTROLS, some_of(f.n.caps.proc2));
		FX12_WRITE(&f, EXIT_CONTROLS, exit | EXIT_HOST_64);
		FX12_WRITE(&f, ENTRY_CONTROLS, entry | ENTRY_IA32E);
		o = fx_launch(&f);
		if (o.kind != OUT_ENTER_L2)
			continue;
		entered++;
		assert_controls_merged();
		fx_exit_to_l1(&f);
	}
	assert_true(entered > 200);
	assert_null(strstr(f.hw.log, "vmcs02 refused"));
	fx_end(&f);
}

/* SDM 3C "VM-Execution Control Fields": "I/O bitmaps" overrides "unconditional". */
static void three_modes_of_io(void **state)
{
	static const struct { u32 l1, expect; bool own; } modes[] = {
		{ 0, PROC_IO_BITMAPS, true },
		{ PROC_UNCOND_IO, PROC_UNCOND_IO, false },
		{ PROC_IO_BITMAPS, PROC_IO_BITMAPS, false },
		{ PROC_IO_BITMAPS | PROC_UNCOND_IO, PROC_IO_BITMAPS, false },
	};

	(void)state;
	fx_start(&f, B64, false);
	write_rich_fields();
	for (unsigned round = 0; round < 16; round++) {
		unsigned m = round & 8 ? 3 - round % 4 : round % 4;
		u64 both = PROC_IO_BITMAPS | PROC_UNCOND_IO;

		FX12_WRITE(&f, PROC_CONTROLS, (FX12_READ(&f, PROC_CONTROLS) & ~both) | modes[m].l1);
		fx_enter(&f);
		assert_int_equal(FX02(&f, PROC_CONTROLS) & both, modes[m].expect);
		if (modes[m].expect == PROC_IO_BITMAPS) {
			const struct nested_vmcs *s = FX_SLOT(&f);

			assert_int_equal(FX02(&f, IO_BITMAP_A),
					 modes[m].own ? f.n.io_bitmap01[0].v :
							s->io_bitmap[0].page.v);
			assert_int_equal(FX02(&f, IO_BITMAP_B),
					 modes[m].own ? f.n.io_bitmap01[1].v :
							s->io_bitmap[1].page.v);
		}
		fx_exit_to_l1(&f);
	}
	fx_end(&f);
}

static void addresses_go_through_ept01(void **state)
{
	(void)state;
	fx_start(&f, B64, false);
	write_rich_fields();
	FX12_WRITE(&f, PIN_CONTROLS, 0x16 | PIN_EXTERNAL_INTERRUPT | PIN_POSTED_INTERRUPTS);
	FX12_WRITE(&f, PROC_CONTROLS, FX12_READ(&f, PROC_CONTROLS) | PROC_TPR_SHADOW |
				      PROC_MSR_BITMAPS | PROC_IO_BITMAPS);
	FX12_WRITE(&f, PROC2_CONTROLS, PROC2_EPT | PROC2_APIC_ACCESS | PROC2_VIRTUAL_INTR);
	FX12_WRITE(&f, EXIT_CONTROLS, FX12_READ(&f, EXIT_CONTROLS) | EXIT_ACK_INTERRUPT);
	fx_enter(&f);
	assert_int_equal(FX02(&f, VIRTUAL_APIC_ADDR), VAPIC_PAGE + FX_SHIFT);
	assert_int_equal(FX02(&f, APIC_ACCESS_ADDR), FX_PAGE(3) + FX_SHIFT);
	assert_int_equal(FX02(&f, POSTED_INTR_DESC), FX_PAGE(4) + 0x40 + FX_SHIFT);
	/* Tables and bitmaps are L0's own pages. */
	assert_true((FX02(&f, EPT_POINTER) & EPT_ADDR) >= FX_HOME);
	assert_true(FX02(&f, MSR_BITMAP) >= FX_HOME);
	assert_true(FX02(&f, IO_BITMAP_A) >= FX_HOME && FX02(&f, IO_BITMAP_B) >= FX_HOME);
	fx_exit_to_l1(&f);

	/* L0's own memory is not L1's to name. */
	FX12_WRITE(&f, VIRTUAL_APIC_ADDR, FX_NOWHERE);
	FX12_WRITE(&f, APIC_ACCESS_ADDR, FX_NOWHERE + PAGE_SIZE);
	FX12_WRITE(&f, POSTED_INTR_DESC, FX_NOWHERE + 2 * PAGE_SIZE);
	fx_enter(&f);
	assert_true(FX02(&f, VIRTUAL_APIC_ADDR) < FX_HOME);
	assert_true(FX02(&f, APIC_ACCESS_ADDR) < FX_HOME);
	assert_true(FX02(&f, POSTED_INTR_DESC) < FX_HOME);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* Without EPT of L1's, L2's physical addresses are L1's. */
static void an_L2_without_EPT_runs_on_ept01(void **state)
{
	(void)state;
	fx_start(&f, B32_MEMORY, false);
	fx_enter(&f);
	assert_int_equal(FX02(&f, EPT_POINTER), f.n.eptp01);
	assert_true(FX02(&f, PROC2_CONTROLS) & PROC2_EPT);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, PROC2_CONTROLS, PROC2_EPT);
	FX12_WRITE(&f, EPT_POINTER, FX_EPT12 | EPTP_WALK_4 | MT_WB);
	FX12_WRITE(&f, GUEST_PDPTE0, 0);
	fx_enter(&f);
	assert_int_not_equal(FX02(&f, EPT_POINTER), f.n.eptp01);
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, PROC2_CONTROLS, 0);
	fx_enter(&f);
	assert_int_equal(FX02(&f, EPT_POINTER), f.n.eptp01);
	fx_exit_to_l1(&f);
	fx_end(&f);
}

/* SDM 3C "Loading Page-Directory-Pointer-Table Entries". */
static void pdptes_come_from_memory_or_from_fields(void **state)
{
	static const u64 in_memory[4] = { 0x8001, 0x9001, 0, 0xa001 };

	(void)state;
	fx_start(&f, B32_MEMORY, false);
	memcpy(fx_at(&f, PDPT), in_memory, sizeof(in_memory));
	fx_enter(&f);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(*fx_vmcs02(&f, VF_GUEST_PDPTE0 + i), in_memory[i]);
	fx_exit_to_l1(&f);
	/* Nothing is saved where there is no EPT. */
	assert_int_equal(FX12_READ(&f, GUEST_PDPTE0), 0);
	fx_end(&f);

	fx_start(&f, B32, false);
	for (unsigned i = 0; i < 4; i++)
		fx_vmwrite(&f, VF_GUEST_PDPTE0 + i, 0x10001 + i * PAGE_SIZE);
	fx_enter(&f);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(*fx_vmcs02(&f, VF_GUEST_PDPTE0 + i), 0x10001 + i * PAGE_SIZE);
	FX02(&f, GUEST_PDPTE2) = 0x20001;	/* L2 loads CR3 */
	fx_exit_to_l1(&f);
	FX12_WRITE(&f, GUEST_PDPTE1, 0x30001);
	fx_enter(&f);
	assert_int_equal(FX02(&f, GUEST_PDPTE0), 0x10001);
	assert_int_equal(FX02(&f, GUEST_PDPTE1), 0x30001);
	assert_int_equal(FX02(&f, GUEST_PDPTE2), 0x20001);
	fx_exit_to_l1(&f);
	/* Saved ones outlive an entry without EPT, which leaves the fields alone. */
	FX12_WRITE(&f, PROC2_CONTROLS, 0);
	FX12_WRITE(&f, GUEST_CR3, PDPT);
	fx_enter(&f);
	fx_exit_to_l1(&f);
	assert_int_equal(FX12_READ(&f, GUEST_PDPTE2), 0x20001);
	fx_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_copied_field_is_written_once_when_it_changed),
		cmocka_unit_test(an_unchanged_vmcs12_writes_nothing),
		cmocka_unit_test(unchanged_pdptes_are_not_written),
		cmocka_unit_test(what_an_unchanged_vmcs12_does_write),
		cmocka_unit_test(L0_keeps_its_controls_whatever_L1_writes),
		cmocka_unit_test(three_modes_of_io),
		cmocka_unit_test(addresses_go_through_ept01),
		cmocka_unit_test(an_L2_without_EPT_runs_on_ept01),
		cmocka_unit_test(pdptes_come_from_memory_or_from_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
