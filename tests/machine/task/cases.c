/*
 * The cases: a name, the code that task A runs, and what is different from world_reset()'s world.
 * Where a fault after the switch finds no stack, the SDM leaves open which one its handler gets,
 * so that such cases have their handler in a task.
 */
#include "world.h"

struct address_space case_space;

#define CASE_CODE(name)	extern const u8 name[];
CASE_CODE(case_call) CASE_CODE(case_jmp) CASE_CODE(case_call_16) CASE_CODE(case_iret)
CASE_CODE(case_int) CASE_CODE(case_int3) CASE_CODE(case_into) CASE_CODE(case_int1)
CASE_CODE(case_ud) CASE_CODE(case_vmxoff) CASE_CODE(case_de) CASE_CODE(case_gp)
CASE_CODE(case_load_victim)
CASE_CODE(case_pf) CASE_CODE(case_nmi) CASE_CODE(case_interrupt) CASE_CODE(case_trace)
CASE_CODE(case_breakpoints) CASE_CODE(case_again) CASE_CODE(case_set_nt_jmp)
CASE_CODE(task_jmp_a) CASE_CODE(task_call_d) CASE_CODE(task_call_c)
CASE_CODE(task_call_a) CASE_CODE(task_fault) CASE_CODE(task_error_code)
CASE_CODE(task_error_code_16) CASE_CODE(task_leave) CASE_CODE(task_nmi) CASE_CODE(task_interrupt)
CASE_CODE(task_step) CASE_CODE(task_user) CASE_CODE(task_data)
CASE_CODE(task_v86_start) CASE_CODE(task_v86_end)

#define V86_CODE	0x9000

static struct tss16 *task_c(void)
{
	return (struct tss16 *)tss32(TASK_C);
}

static void task_code(u32 task, const u8 *code)
{
	if (task == TASK_C)
		world_gdt[CODE_C / 8] = segment((u32)(u64)code, 0xffff, 0x409b);
	else
		tss32(task)->eip = (u32)(u64)code;
}

static void change(u32 selector, u64 clear, u64 set)
{
	world_gdt[selector / 8] = (world_gdt[selector / 8] & ~clear) | set;
}

#define PRESENT	BIT(47)
#define BUSY	BIT(41)
#define ACCESSED	BIT(40)

/* How a case differs. */
static void by_gate(void) { world_target[1] = GATE_B; }
static void to_c(void) { world_target[1] = TASK_C; }
static void b_calls_d(void) { task_code(TASK_B, task_call_d); }
static void b_calls_c(void) { task_code(TASK_B, task_call_c); }
static void b_calls_a(void) { task_code(TASK_B, task_call_a); }
static void b_jumps(void) { task_code(TASK_B, task_jmp_a); }
static void b_leaves(void) { task_code(TASK_B, task_leave); }

static void d_calls_c(void)
{
	b_calls_d();
	task_code(TASK_D, task_call_c);
}

static void int_to_b(void) { world_gate(0x40, TASK_B); }
static void int_to_c(void) { world_gate(0x40, TASK_C); }

static void int3_to_b(void) { world_gate(3, TASK_B); }
static void into_to_b(void) { world_gate(4, TASK_B); }
static void int1_to_b(void) { world_gate(1, TASK_B); }

static void fault_to(unsigned int vector, u32 task, const u8 *handler, u32 skip)
{
	world_gate(vector, task);
	task_code(task, handler);
	world_skip = skip;
}

static void ud_to_b(void) { fault_to(6, TASK_B, task_fault, 2); }
static void vmxoff_to_b(void) { fault_to(6, TASK_B, task_fault, 3); }
static void ud_to_c(void) { fault_to(6, TASK_C, task_fault, 2); }
static void de_to_b(void) { fault_to(0, TASK_B, task_fault, 2); }
static void gp_to_b(void) { fault_to(13, TASK_B, task_error_code, 2); }
static void gp_to_c(void) { fault_to(13, TASK_C, task_error_code_16, 2); }

static void np_to_b(void)
{
	world_gdt[VICTIM / 8] = segment(0, 0xfffff, 0xc013);
	fault_to(11, TASK_B, task_error_code, 2);
}

static void nmi_to_b(void)
{
	world_gate(2, TASK_B);
	task_code(TASK_B, task_nmi);
}

static void interrupt_to_b(void)
{
	world_gate(0x50, TASK_B);
	task_code(TASK_B, task_interrupt);
}

static void df_to_d(void)
{
	world_gate(8, TASK_D);
	task_code(TASK_D, task_leave);
}

static void df_by_absent_handler(void)
{
	df_to_d();
	world_idt[13] &= ~PRESENT;
}

/* The handler's task of a contributory exception has no stack segment: #TS in its delivery. */
static void df_in_task(void)
{
	df_to_d();
	world_gate(13, TASK_B);
	tss32(TASK_B)->seg[2] = 0;
}

static void ts_to_d(void)
{
	world_gate(10, TASK_D);
	task_code(TASK_D, task_leave);
}

static void ts_in_ud(void)
{
	ts_to_d();
	world_gate(6, TASK_B);
	tss32(TASK_B)->seg[2] = 0;
}

static void ts_in_int(void)
{
	ts_to_d();
	world_gate(0x40, TASK_B);
	tss32(TASK_B)->seg[2] = 0;
}

/* Faults before the switch. */
static void null_target(void) { world_target[1] = 0; }
static void ldt_target(void) { world_target[1] = TASK_B | 4; }
static void outside_target(void) { world_target[1] = 0x100; }
static void busy_target(void) { change(TASK_B, 0, BUSY); }
static void self_target(void) { world_target[1] = TASK_A; }
static void absent_target(void) { change(TASK_B, PRESENT, 0); }
static void small_target(void) { change(TASK_B, 0xffff, 0x66); }
static void small_c(void) { to_c(); change(TASK_C, 0xffff, 0x2a); }
static void absent_gate(void) { by_gate(); change(GATE_B, PRESENT, 0); }
static void busy_in_gate(void) { by_gate(); change(TASK_B, 0, BUSY); }
static void busy_in_int(void) { int_to_b(); change(TASK_B, 0, BUSY); }
static void busy_in_ud(void) { ud_to_b(); change(TASK_B, 0, BUSY); }
static void absent_in_int(void) { int_to_b(); change(TASK_B, PRESENT, 0); }
static void small_in_int(void) { int_to_b(); change(TASK_B, 0xffff, 0x66); }

static void no_link(void) { tss32(TASK_A)->link = 0; }
static void link_available(void) { tss32(TASK_A)->link = TASK_B; }
static void link_absent(void) { link_available(); change(TASK_B, PRESENT, BUSY); }
static void link_small(void) { link_available(); change(TASK_B, 0xffff, BUSY | 0x66); }
static void link_busy(void) { link_available(); change(TASK_B, 0, BUSY); b_leaves(); }
static void link_data(void) { tss32(TASK_A)->link = DATA; }
static void link_ldt(void) { tss32(TASK_A)->link = TASK_B | 4; }

static void paged(void)
{
	case_space = flat_space(0xaaaa);
	for (u32 task = TASK_A; task <= TASK_D; task += 8)
		if (task != TASK_C)
			tss32(task)->cr3 = case_space.cr3;
}

static void tss_unmapped(void)
{
	paged();
	world_gdt[TASK_B / 8] = segment(0x50000000, 103, 0x89);
}

/* Faults after the switch: the new task's. */
static void victim_in_b(unsigned int seg, u64 descriptor)
{
	world_gdt[VICTIM / 8] = descriptor;
	tss32(TASK_B)->seg[seg] = VICTIM;
}

static void ldt_in_b(u32 selector) { tss32(TASK_B)->ldtr = selector; ts_to_d(); }
static void good_ldt(void) { tss32(TASK_B)->ldtr = LDT; tss32(TASK_B)->seg[3] = IN_LDT; }
static void ldt_local(void) { ldt_in_b(LDT | 4); }
static void ldt_data(void) { ldt_in_b(DATA); }
static void ldt_outside(void) { ldt_in_b(0x100); }
static void ldt_absent(void) { ldt_in_b(LDT); change(LDT, PRESENT, 0); }
static void ss_null(void) { tss32(TASK_B)->seg[2] = 0; ts_to_d(); }
static void ss_read_only(void) { victim_in_b(2, segment(0, 0xfffff, 0xc091)); ts_to_d(); }
static void ss_dpl(void) { victim_in_b(2, segment(0, 0xfffff, 0xc0f3)); ts_to_d(); }
static void ss_rpl(void) { tss32(TASK_B)->seg[2] = DATA | 3; ts_to_d(); }
static void ss_outside(void) { tss32(TASK_B)->seg[2] = 0x200; ts_to_d(); }

static void ss_absent(void)
{
	victim_in_b(2, segment(0, 0xfffff, 0xc013));
	world_gate(12, TASK_D);
	task_code(TASK_D, task_leave);
}

static void ds_outside(void) { tss32(TASK_B)->seg[3] = 0x200; }
static void ds_absent(void) { victim_in_b(3, segment(0, 0xfffff, 0xc013)); }
static void ds_rpl(void) { tss32(TASK_B)->seg[3] = DATA | 3; }
static void ds_execute_only(void) { victim_in_b(3, segment(0, 0xfffff, 0xc099)); }
static void es_system(void) { tss32(TASK_B)->seg[0] = TASK_D; }
static void gs_no_ldt(void) { tss32(TASK_B)->seg[5] = IN_LDT; }
static void fs_gs_null(void) { tss32(TASK_B)->seg[4] = 0; tss32(TASK_B)->seg[5] = 3; }
static void fs_code(void) { victim_in_b(4, segment(0, 0xfffff, 0xc09a)); }
static void cs_null(void) { tss32(TASK_B)->seg[1] = 0; }
static void cs_data(void) { tss32(TASK_B)->seg[1] = DATA; }
static void cs_dpl(void) { victim_in_b(1, segment(0, 0xfffff, 0xc0fb)); }
static void cs_absent(void) { victim_in_b(1, segment(0, 0xfffff, 0xc01b)); }
static void cs_conforming(void) { victim_in_b(1, segment(0, 0xfffff, 0xc09f)); }
static void cs_small(void) { victim_in_b(1, segment(0, 0xfff, 0x409b)); }
static void not_accessed(void) { victim_in_b(4, segment(0, 0xfffff, 0xc092)); b_leaves(); }

static void fs_down(void)
{
	victim_in_b(4, segment(0, 0x1000, 0xc096));
}

static void stack_full(void)
{
	gp_to_b();
	victim_in_b(2, segment(0, 0xfff, 0x4093));
	tss32(TASK_B)->gpr[4] = 0x1002;
	df_to_d();
}

/* An expand-down stack of which the top two bytes are missing for an error code. */
static void stack_down(void)
{
	gp_to_b();
	victim_in_b(2, segment(0, (u32)(u64)world_stack[1] + WORLD_STACK - 9, 0x4097));
}

static void b_flags(u32 flags) { tss32(TASK_B)->eflags = 2 | flags; }
static void b_reserved_flags(void) { b_flags(0xffc08028); b_leaves(); }
static void b_traces(void) { b_flags(0x100); task_code(TASK_B, task_step); }
static void b_traps(void) { tss32(TASK_B)->trap = 1; }

static void b_traps_in_task(void)
{
	b_traps();
	world_gate(1, TASK_D);
	task_code(TASK_D, task_leave);
}

static void b_is_user(void)
{
	struct tss32 *t = tss32(TASK_B);

	for (unsigned int i = 0; i < 6; i++)
		t->seg[i] = i == 1 ? USER_CODE | 3 : USER_DATA | 3;
	task_code(TASK_B, task_user);
}

static void b_is_user_with_gate(void)
{
	b_is_user();
	world_gate(0x30, TASK_D);
}

static void user_with_kernel_data(void)
{
	b_is_user();
	tss32(TASK_B)->seg[3] = DATA;
}

static void b_is_v86(void)
{
	struct tss32 *t = tss32(TASK_B);

	memcpy((void *)V86_CODE, task_v86_start, (size_t)(task_v86_end - task_v86_start));
	for (unsigned int i = 0; i < 6; i++)
		t->seg[i] = 0x1000 + 0x111 * i;
	t->seg[1] = V86_CODE >> 4;
	t->eip = 0;
	t->gpr[4] = 0x800;
	b_flags(0x20000);
}

static void v86_gp_to_d(void)
{
	b_is_v86();
	world_gate(13, TASK_D);
	task_code(TASK_D, task_leave);
}

static void v86_bad_ldt(void)
{
	b_is_v86();
	tss32(TASK_B)->ldtr = DATA;
	df_to_d();
}

static void other_space(struct address_space a, struct address_space b)
{
	case_space = a;
	tss32(TASK_A)->cr3 = a.cr3;
	tss32(TASK_B)->cr3 = b.cr3;
	tss32(TASK_B)->gpr[6] = PROBE;
	task_code(TASK_B, task_data);
}

static void flat_spaces(void) { other_space(flat_space(0x1111), flat_space(0x2222)); }
static void flat_spaces_jmp(void) { flat_spaces(); b_jumps(); }
static void pae_spaces(void) { other_space(pae_space(0x3333), pae_space(0x4444)); }

static void paged_to_c(void)
{
	paged();
	to_c();
}

static void pf_to_b(void)
{
	paged();
	fault_to(14, TASK_B, task_error_code, 10);
}

static void stack_unmapped(unsigned int vector)
{
	paged();
	df_to_d();
	world_gate(vector, TASK_B);
	tss32(TASK_B)->gpr[4] = 0x50001000;
}

static void pf_stack_unmapped(void) { stack_unmapped(14); }
static void gp_stack_unmapped(void) { stack_unmapped(13); }

static void interrupt_to_small(void)
{
	interrupt_to_b();
	change(TASK_B, 0xffff, 0x66);
}

static void c_upper(void)
{
	to_c();
	task_c()->seg[3] = DATA;
}

const struct task_case task_cases[] = {
	{ "CALL", case_call, NULL, SHOW_STATE | SHOW_SEGMENTS | SHOW_GPR },
	{ "CALL by a task gate", case_call, by_gate, 0 },
	{ "CALL of 16 bits", case_call_16, NULL, 0 },
	{ "JMP and JMP back", case_jmp, b_jumps, SHOW_STATE | SHOW_GPR },
	{ "CALL and JMP back", case_call, b_jumps, 0 },
	{ "CALL twice", case_again, NULL, 0 },
	{ "JMP with NT", case_set_nt_jmp, b_jumps, 0 },
	{ "CALL, CALL", case_call, b_calls_d, 0 },
	{ "CALL, CALL, CALL of a 16-bit TSS", case_call, d_calls_c, 0 },
	{ "CALL of the caller", case_call, b_calls_a, 0 },
	{ "CALL of a 16-bit TSS", case_call, c_upper, SHOW_STATE | SHOW_SEGMENTS | SHOW_GPR },
	{ "CALL, 16-bit by a 32-bit task", case_call, b_calls_c, SHOW_GPR },
	{ "IRET to a busy task", case_iret, link_busy, 0 },

	{ "INT n", case_int, int_to_b, 0 },
	{ "INT n, 16-bit TSS", case_int, int_to_c, 0 },
	{ "INT3", case_int3, int3_to_b, 0 },
	{ "INTO", case_into, into_to_b, 0 },
	{ "INT1", case_int1, int1_to_b, 0 },
	{ "#UD", case_ud, ud_to_b, 0 },
	{ "#UD, 16-bit TSS", case_ud, ud_to_c, 0 },
	{ "#UD of VMXOFF", case_vmxoff, vmxoff_to_b, 0 },
	{ "#UD of VMXOFF, no task", case_vmxoff, NULL, SHOW_FRAME },
	{ "#DE", case_de, de_to_b, 0 },
	{ "#GP", case_gp, gp_to_b, SHOW_TOP },
	{ "#GP, 16-bit TSS", case_gp, gp_to_c, SHOW_TOP },
	{ "#NP", case_load_victim, np_to_b, SHOW_TOP },
	{ "#PF", case_pf, pf_to_b, SHOW_TOP | SHOW_CR2 },
	{ "NMI", case_nmi, nmi_to_b, 0 },
	{ "external interrupt", case_interrupt, interrupt_to_b, 0 },
	{ "#DF", case_gp, df_by_absent_handler, SHOW_TOP },

	{ "no selector", case_call, null_target, SHOW_FRAME },
	{ "selector of the LDT", case_call, ldt_target, SHOW_FRAME },
	{ "selector outside", case_call, outside_target, SHOW_FRAME },
	{ "busy", case_call, busy_target, SHOW_FRAME },
	{ "JMP to itself", case_jmp, self_target, SHOW_FRAME },
	{ "not present", case_call, absent_target, SHOW_FRAME },
	{ "TSS too small", case_call, small_target, SHOW_FRAME },
	{ "16-bit TSS too small", case_call, small_c, SHOW_FRAME },
	{ "gate not present", case_call, absent_gate, SHOW_FRAME },
	{ "gate of a busy task", case_call, busy_in_gate, SHOW_FRAME },
	{ "INT n to a busy task", case_int, busy_in_int, SHOW_FRAME },
	{ "#UD to a busy task", case_ud, busy_in_ud, SHOW_FRAME },
	{ "INT n, not present", case_int, absent_in_int, SHOW_FRAME },
	{ "INT n, TSS too small", case_int, small_in_int, SHOW_FRAME },
	{ "IRET without a link", case_iret, no_link, SHOW_FRAME },
	{ "IRET, link available", case_iret, link_available, SHOW_FRAME },
	{ "IRET, link not present", case_iret, link_absent, SHOW_FRAME },
	{ "IRET, TSS too small", case_iret, link_small, SHOW_FRAME },
	{ "IRET, link no TSS", case_iret, link_data, SHOW_FRAME },
	{ "IRET, link to the LDT", case_iret, link_ldt, SHOW_FRAME },
	{ "TSS not mapped", case_call, tss_unmapped, SHOW_FRAME | SHOW_CR2 },

	{ "LDTR", case_call, good_ldt, SHOW_SEGMENTS },
	{ "LDTR local", case_call, ldt_local, SHOW_TOP },
	{ "LDTR no LDT", case_call, ldt_data, SHOW_TOP },
	{ "LDTR outside", case_call, ldt_outside, SHOW_TOP },
	{ "LDTR not present", case_call, ldt_absent, SHOW_TOP },
	{ "SS null", case_call, ss_null, SHOW_TOP },
	{ "SS read-only", case_call, ss_read_only, SHOW_TOP },
	{ "SS with another DPL", case_call, ss_dpl, SHOW_TOP },
	{ "SS with another RPL", case_call, ss_rpl, SHOW_TOP },
	{ "SS outside", case_call, ss_outside, SHOW_TOP },
	{ "SS not present", case_call, ss_absent, SHOW_TOP },
	{ "DS outside", case_call, ds_outside, SHOW_FRAME },
	{ "DS not present", case_call, ds_absent, SHOW_FRAME },
	{ "DS with RPL 3", case_call, ds_rpl, SHOW_FRAME },
	{ "DS execute-only", case_call, ds_execute_only, SHOW_FRAME },
	{ "FS readable code", case_call, fs_code, SHOW_SEGMENTS },
	{ "ES a system segment", case_call, es_system, SHOW_FRAME },
	{ "GS in no LDT", case_call, gs_no_ldt, SHOW_FRAME },
	{ "FS and GS null", case_call, fs_gs_null, SHOW_SEGMENTS },
	{ "FS expand-down", case_call, fs_down, SHOW_SEGMENTS },
	{ "CS null", case_call, cs_null, SHOW_FRAME },
	{ "CS data", case_call, cs_data, SHOW_FRAME },
	{ "CS with DPL 3", case_call, cs_dpl, SHOW_FRAME },
	{ "CS not present", case_call, cs_absent, SHOW_FRAME },
	{ "CS conforming", case_call, cs_conforming, SHOW_SEGMENTS },
	{ "EIP outside", case_call, cs_small, SHOW_FRAME },
	{ "FS not accessed yet", case_call, not_accessed, SHOW_SEGMENTS },
	{ "no room for the error code", case_gp, stack_full, SHOW_TOP },
	{ "error code, expand-down", case_gp, stack_down, SHOW_TOP },
	{ "no page for #PF's error code", case_pf, pf_stack_unmapped, SHOW_TOP | SHOW_CR2 },
	{ "no page for #GP's error code", case_gp, gp_stack_unmapped, SHOW_TOP | SHOW_CR2 },
	{ "interrupt, TSS too small", case_interrupt, interrupt_to_small, SHOW_FRAME },
	{ "#DF in #GP's task", case_gp, df_in_task, SHOW_TOP },
	{ "#TS in #UD's task", case_ud, ts_in_ud, SHOW_TOP },
	{ "#TS in INT's task", case_int, ts_in_int, SHOW_TOP },

	{ "reserved flags", case_call, b_reserved_flags, 0 },
	{ "TF in the new task", case_call, b_traces, SHOW_FRAME | SHOW_DEBUG },
	{ "TF in the old task", case_trace, NULL, SHOW_FRAME | SHOW_DEBUG },
	{ "T flag", case_call, b_traps, SHOW_FRAME | SHOW_DEBUG },
	{ "T flag, #DB by a task gate", case_call, b_traps_in_task, SHOW_DEBUG },
	{ "local breakpoints", case_breakpoints, NULL, SHOW_DEBUG },
	{ "task at CPL 3", case_call, b_is_user, SHOW_FRAME },
	{ "INT n by a task gate at CPL 3", case_call, b_is_user_with_gate, SHOW_FRAME },
	{ "CPL 3 with DS of DPL 0", case_call, user_with_kernel_data, SHOW_FRAME },
	{ "virtual-8086 task", case_call, b_is_v86, SHOW_FRAME | SHOW_GPR },
	{ "#GP by a task gate in it", case_call, v86_gp_to_d, SHOW_TOP },
	{ "virtual-8086 task, LDTR no LDT", case_call, v86_bad_ldt, SHOW_FRAME },
	{ "CR3", case_call, flat_spaces, SHOW_PROBE | SHOW_GPR },
	{ "CR3 by JMP", case_jmp, flat_spaces_jmp, SHOW_PROBE },
	{ "CR3, PAE", case_call, pae_spaces, SHOW_PROBE | SHOW_GPR },
	{ "paging, 16-bit TSS", case_call, paged_to_c, SHOW_PROBE },
};
const unsigned int task_case_count = ARRAY_SIZE(task_cases);
