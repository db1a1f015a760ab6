/*
 * What breaks rules about VM-execution, VM-exit and VM-entry control fields
 * (SDM 3C "Checks on VMX Controls"), or comes close to it.
 */
#include "gen_state.h"

/* Bits whose meaning the generator knows; others are flipped only where the CPU lacks them. */
#define KNOWN_PIN 0x000000e9u
#define KNOWN_PROC 0xfbf99e8cu
#define KNOWN_PROC2 0x025f7fffu
#define KNOWN_EXIT 0x007c9204u
#define KNOWN_ENTRY 0x0000ee04u

/* One bit over; the controls that all have are flipped least, since most rules break then. */
static void flip(struct gen *g, u64 *field, struct vmx_allowed a, u32 known)
{
	u32 bit = BIT32(gen_below(g, 32));
	u32 want = gen_one_in(g, 4) ? a.must : gen_one_in(g, 3) ? ~a.may : known;

	for (unsigned i = 0; i < 32 && !(bit & want); i++)
		bit = bit << 1 | bit >> 31;
	if ((bit & known) || !(bit & a.may) || (bit & a.must))
		*field ^= bit;
}

static void pin(struct gen *g)
{
	flip(g, &V(PIN_CONTROLS), g->caps.pin, KNOWN_PIN);
}

static void proc(struct gen *g)
{
	flip(g, &V(PROC_CONTROLS), g->caps.proc, KNOWN_PROC);
}

static void proc2(struct gen *g)
{
	gen_proc(g, PROC_SECONDARY);
	flip(g, &V(PROC2_CONTROLS), g->caps.proc2, KNOWN_PROC2);
}

static void exit_controls(struct gen *g)
{
	flip(g, &V(EXIT_CONTROLS), g->caps.exit, KNOWN_EXIT);
}

static void entry_controls(struct gen *g)
{
	flip(g, &V(ENTRY_CONTROLS), g->caps.entry, KNOWN_ENTRY);
}

static void cr3_targets(struct gen *g)
{
	V(CR3_TARGET_COUNT) = gen_one_in(g, 2) ? gen_below(g, 8) :
						 PICK(g, 255, 256, 260, 0xffffffff);
}

static void io_bitmaps(struct gen *g)
{
	gen_proc(g, PROC_IO_BITMAPS);
	if (gen_one_in(g, 2))
		V(IO_BITMAP_A) = gen_physical(g, PAGE(BITMAP), GEN_PAGE_SIZE);
	else
		V(IO_BITMAP_B) = gen_physical(g, PAGE(BITMAP), GEN_PAGE_SIZE);
}

static void msr_bitmap(struct gen *g)
{
	gen_proc(g, PROC_MSR_BITMAPS);
	V(MSR_BITMAP) = gen_physical(g, PAGE(BITMAP), GEN_PAGE_SIZE);
}

static void nmis(struct gen *g)
{
	u64 r = gen_random(g);

	V(PIN_CONTROLS) &= ~(u64)(PIN_NMI | PIN_VIRTUAL_NMI);
	V(PROC_CONTROLS) &= ~(u64)PROC_NMI_WINDOW;
	gen_pin(g, (u32)r & (PIN_NMI | PIN_VIRTUAL_NMI));
	gen_proc(g, (u32)(r >> 1) & PROC_NMI_WINDOW);
}

static void shadowing(struct gen *g)
{
	gen_proc2(g, PROC2_SHADOW_VMCS);
	if (gen_one_in(g, 2))
		V(VMREAD_BITMAP) = gen_physical(g, PAGE(BITMAP), GEN_PAGE_SIZE);
	else
		V(VMWRITE_BITMAP) = gen_physical(g, PAGE(BITMAP), GEN_PAGE_SIZE);
}

static void ve_info(struct gen *g)
{
	gen_proc2(g, PROC2_EPT_VE);
	V(VE_INFO_ADDR) = gen_physical(g, PAGE(VE), GEN_PAGE_SIZE);
}

static void vpid(struct gen *g)
{
	gen_proc2(g, PROC2_VPID);
	V(VPID) = PICK(g, 0, 0, 1, 0xffff);
}

static void tsc_multiplier(struct gen *g)
{
	gen_proc2(g, PROC2_TSC_SCALING);
	V(TSC_MULTIPLIER) = PICK(g, 0, 0, 1, BIT(63));
}

static void tpr_shadow(struct gen *g)
{
	gen_proc(g, PROC_TPR_SHADOW);
	V(VIRTUAL_APIC_ADDR) = gen_physical(g, PAGE(VAPIC), GEN_PAGE_SIZE);
}

static void tpr_threshold(struct gen *g)
{
	gen_proc(g, PROC_TPR_SHADOW);
	if (gen_below(g, 4))
		V(PROC2_CONTROLS) &= ~(u64)PROC2_VIRTUAL_INTR;
	if (gen_one_in(g, 2))
		V(PROC2_CONTROLS) &= ~(u64)PROC2_APIC_ACCESS;
	V(TPR_THRESHOLD) = gen_one_in(g, 4) ? gen_random(g) : gen_below(g, 18);
}

static void without_tpr_shadow(struct gen *g)
{
	V(PROC_CONTROLS) &= ~(u64)PROC_TPR_SHADOW;
	gen_pin(g, PIN_EXTERNAL_INTERRUPT);
	gen_proc2(g, (u32)PICK(g, PROC2_X2APIC_MODE, PROC2_APIC_REGISTER, PROC2_VIRTUAL_INTR));
}

static void apic_access(struct gen *g)
{
	gen_proc2(g, PROC2_APIC_ACCESS);
	V(APIC_ACCESS_ADDR) = gen_physical(g, PAGE(APIC), GEN_PAGE_SIZE);
	if (gen_one_in(g, 4))
		gen_proc2(g, PROC2_X2APIC_MODE);
}

static void x2apic(struct gen *g)
{
	gen_proc(g, PROC_TPR_SHADOW);
	gen_proc2(g, PROC2_X2APIC_MODE | (gen_one_in(g, 2) ? PROC2_APIC_ACCESS : 0));
}

static void virtual_interrupts(struct gen *g)
{
	gen_proc(g, PROC_TPR_SHADOW);
	gen_proc2(g, PROC2_VIRTUAL_INTR);
	gen_pin(g, PIN_EXTERNAL_INTERRUPT);
	if (gen_one_in(g, 2))
		V(PIN_CONTROLS) &= ~(u64)PIN_EXTERNAL_INTERRUPT;
}

static void posted_interrupts(struct gen *g)
{
	gen_proc(g, PROC_TPR_SHADOW);
	gen_proc2(g, PROC2_VIRTUAL_INTR);
	gen_pin(g, PIN_EXTERNAL_INTERRUPT | PIN_POSTED_INTERRUPTS);
	gen_exit(g, EXIT_ACK_INTERRUPT);
	if (gen_one_in(g, 6)) {
		V(PROC_CONTROLS) &= ~(u64)PROC_TPR_SHADOW;
		V(PROC2_CONTROLS) &= ~(u64)(PROC2_VIRTUAL_INTR | PROC2_APIC_REGISTER |
					    PROC2_X2APIC_MODE);
	}
	switch (gen_below(g, 5)) {
	case 0:
		V(PROC2_CONTROLS) &= ~(u64)PROC2_VIRTUAL_INTR;
		break;
	case 1:
		V(EXIT_CONTROLS) &= ~(u64)EXIT_ACK_INTERRUPT;
		break;
	case 2:
		V(POSTED_INTR_VECTOR) = PICK(g, 0, 255, 256, 0x8000, 0xffff);
		break;
	default:
		V(POSTED_INTR_DESC) = gen_physical(g, PAGE(POSTED), 64);
	}
}

static void ept_pointer(struct gen *g)
{
	gen_proc2(g, PROC2_EPT);
	if (gen_one_in(g, 3))
		V(EPT_POINTER) = (V(EPT_POINTER) & ~7ull) | gen_below(g, 8);
	else if (gen_one_in(g, 3))
		V(EPT_POINTER) = (V(EPT_POINTER) & ~0x38ull) | gen_below(g, 8) << 3;
	else if (gen_one_in(g, 2))
		V(EPT_POINTER) ^= BIT(6 + gen_below(g, 6));
	else
		V(EPT_POINTER) |= gen_physical(g, PAGE(ZERO), GEN_PAGE_SIZE) & PAGE_MASK;
}

/* Controls that need EPT, with and without it; processor trace with and without its others. */
static void needs_ept(struct gen *g)
{
	u32 bit = (u32)PICK(g, PROC2_UNRESTRICTED, PROC2_PML, PROC2_MODE_BASED_EXEC, PROC2_SPP,
			    PROC2_PT_GPA);

	gen_proc2(g, PROC2_EPT | bit);
	if (bit == PROC2_PT_GPA && gen_below(g, 4))
		gen_entry_control(g, GEN_ENTRY_LOAD_RTIT);
	if (bit == PROC2_PT_GPA && gen_below(g, 4))
		gen_exit(g, GEN_EXIT_CLEAR_RTIT);
	if (gen_one_in(g, 2))
		V(PROC2_CONTROLS) &= ~(u64)PROC2_EPT;
}

static void pml(struct gen *g)
{
	gen_proc2(g, PROC2_EPT | PROC2_PML);
	V(PML_ADDRESS) = gen_physical(g, PAGE(PML), GEN_PAGE_SIZE);
}

static void spp(struct gen *g)
{
	gen_proc2(g, PROC2_EPT | PROC2_SPP);
	V(SPP_TABLE) = gen_physical(g, PAGE(BITMAP), GEN_PAGE_SIZE);
}

static void vm_functions(struct gen *g)
{
	gen_proc2(g, PROC2_EPT | PROC2_VMFUNC);
	V(VMFUNC_CONTROLS) = gen_one_in(g, 4) ? BIT(gen_below(g, 64)) : 1;
	if (gen_one_in(g, 4))
		V(PROC2_CONTROLS) &= ~(u64)PROC2_EPT;
	if (gen_one_in(g, 2))
		V(EPTP_LIST) = gen_physical(g, PAGE(BITMAP), GEN_PAGE_SIZE);
}

static void preemption_timer(struct gen *g)
{
	V(PIN_CONTROLS) &= ~(u64)PIN_PREEMPTION_TIMER;
	gen_exit(g, EXIT_SAVE_PREEMPTION);
	if (gen_one_in(g, 2))
		gen_pin(g, PIN_PREEMPTION_TIMER);
}

/*
 * A list that an exit works on must be whole in memory, or the address so bad
 * that nobody takes it: what lies between ends in a VMX abort.
 */
static void exit_list(struct gen *g, u64 *address, u64 *count)
{
	*address = PAGE(MSRS);	/* not what an earlier change made of it */
	*count = PICK(g, 0, 1, 2, 512);
	switch (gen_below(g, 5)) {
	case 0:
		*address = PAGE(MSRS) | BIT(gen_below(g, 4));
		break;
	case 1:
		*address = PAGE(MSRS) | BIT(g->caps.maxphyaddr + gen_below(g, 64u - g->caps.maxphyaddr));
		break;
	case 2:
		*address = gen_too_high(g) - 16 * PICK(g, 1, 2, 16);
		*count = PICK(g, 17, 512, 0x0fffffff);
		break;
	case 3:
		*address = PAGE(MSRS) + 16 * gen_below(g, 256);
		break;
	}
}

static void exit_store(struct gen *g)
{
	exit_list(g, &V(EXIT_MSR_STORE_ADDR), &V(EXIT_MSR_STORE_COUNT));
}

static void exit_load(struct gen *g)
{
	exit_list(g, &V(EXIT_MSR_LOAD_ADDR), &V(EXIT_MSR_LOAD_COUNT));
}

static void entry_load(struct gen *g)
{
	V(ENTRY_MSR_LOAD_COUNT) = PICK(g, 1, 2, 512, 0x0fffffff, 0x10000000, 0x10000001,
				       0xffffffff);
	V(ENTRY_MSR_LOAD_ADDR) = gen_one_in(g, 3) ?
		gen_too_high(g) - 16 * PICK(g, 1, 2, 3, 512) : gen_physical(g, PAGE(MSRS_BAD), 16);
}

static void entry_load_good(struct gen *g)
{
	V(ENTRY_MSR_LOAD_ADDR) = PAGE(MSRS) + 16 * gen_below(g, 256);
	V(ENTRY_MSR_LOAD_COUNT) = PICK(g, 0, 1, 2, 512);
}

void gen_event(struct gen *g)
{
	u64 type = gen_below(g, 8) << 8;
	u64 vector = type == INTR_TYPE_NMI ? X86_NMI : type == INTR_TYPE_OTHER ? 0 :
		     gen_below(g, type == INTR_TYPE_HW_EXCEPTION ? 32 : 256);
	bool error = type == INTR_TYPE_HW_EXCEPTION && (V(GUEST_CR0) & CR0_PE) &&
		     (0x27d00u >> (vector & 31) & 1);

	if (type == 1u << 8)
		type = INTR_TYPE_EXTERNAL;
	V(ENTRY_INTR_INFO) = INTR_VALID | type | vector | (error ? INTR_ERROR_CODE : 0);
	V(ENTRY_ERROR_CODE) = gen_below(g, 0x10000);
	V(ENTRY_INSTR_LENGTH) = 1 + gen_below(g, 15);
	if (type == INTR_TYPE_EXTERNAL)
		V(GUEST_RFLAGS) |= RFLAGS_IF;
}

static void event(struct gen *g)
{
	if (!(V(ENTRY_INTR_INFO) & INTR_VALID) || gen_one_in(g, 2))
		gen_event(g);
	switch (gen_below(g, 8)) {
	case 0:
		V(ENTRY_INTR_INFO) = (V(ENTRY_INTR_INFO) & ~0x700ull) | gen_below(g, 8) << 8;
		break;
	case 1:
		V(ENTRY_INTR_INFO) ^= BIT(gen_below(g, 8));
		break;
	case 2:
		V(ENTRY_INTR_INFO) ^= INTR_ERROR_CODE;
		break;
	case 3:
		V(ENTRY_INTR_INFO) ^= BIT(gen_below(g, 32));
		break;
	case 4:
		V(ENTRY_ERROR_CODE) = BIT(gen_below(g, 32));
		break;
	case 5:
		V(ENTRY_INSTR_LENGTH) = PICK(g, 0, 0, 15, 16, 0xffffffff);
		break;
	case 6:
		V(ENTRY_INTR_INFO) = INTR_VALID | (gen_random(g) & 0xfff);
		break;
	default:
		break;
	}
}

static void software_event(struct gen *g)
{
	V(ENTRY_INTR_INFO) = PICK(g, INTR_TYPE_SW_INTERRUPT, INTR_TYPE_PRIV_SW_EXCEPTION,
				  INTR_TYPE_SW_EXCEPTION);
	V(ENTRY_INTR_INFO) |= INTR_VALID | gen_below(g, 256);
	V(ENTRY_INSTR_LENGTH) = PICK(g, 0, 1, 15, 16, BIT(31), 0xffffffff);
}

const gen_mutator gen_control_mutators[] = {
	pin, proc, proc, proc2, proc2, exit_controls, entry_controls, cr3_targets, io_bitmaps,
	msr_bitmap, nmis, shadowing, ve_info, vpid, tsc_multiplier, tpr_shadow, tpr_threshold,
	without_tpr_shadow, apic_access, x2apic, virtual_interrupts, posted_interrupts,
	posted_interrupts, ept_pointer, needs_ept, pml, spp, vm_functions, preemption_timer,
	exit_store, exit_load, entry_load, entry_load_good, event, event, event, software_event,
};
const unsigned gen_control_mutator_count = ARRAY_SIZE(gen_control_mutators);
