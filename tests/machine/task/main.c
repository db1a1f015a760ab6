/*
 * Hardware task switches in 32-bit protected mode, one line per case: what each task saw, and
 * how it ended. In VMX non-root operation each is an exit that the hypervisor has to do itself.
 * SDM 3A: Task Management.
 */
#include "world.h"

static const u8 *case_code;

static void print_busy(const struct snapshot *s)
{
	print(" busy ");
	for (u32 i = 0; i < TASKS; i++)
		if (s->rights[i] & BIT(9))
			put_char((char)('A' + i));
}

static void print_flags(u32 eflags)
{
	static const struct { u32 bit; const char *name; } names[] = {
		{ 0x100, "TF" }, { 0x200, "IF" }, { 0x4000, "NT" }, { 0x10000, "RF" },
		{ 0x20000, "VM" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (eflags & names[i].bit)
			print(" %s", names[i].name);
}

static void print_segments(const struct snapshot *s)
{
	static const char *const names[] = { "ES", "CS", "SS", "DS", "FS", "GS" };

	for (unsigned int i = 0; i < 6; i++)
		print(" %s %x", names[i], s->seg[i]);
	print(" LDTR %x", s->ldtr);
}

static void print_registers(const struct snapshot *s)
{
	print(" registers");
	for (unsigned int i = 0; i < 8; i++)
		if (i != 4)
			print(" %x", s->gpr[i] & 0xffff);
}

/* Offsets in the stack that ends at a page's end. */
static u32 depth(u32 esp)
{
	return -esp & (WORLD_STACK - 1);
}

static void print_eip(u32 eip)
{
	u32 start = (u32)(u64)case_code;

	if (eip - start < 64)
		print(" at +%u", eip - start);
	else if (eip == tss32(TASK_B)->eip)
		print(" at B's start");
}

static void print_snapshot(const struct snapshot *s, unsigned int show)
{
	u32 task = (s->tr - TASK_A) / 8;

	if (s->vector != NO_VECTOR) {
		trap_last.vector = (int)s->vector;
		trap_last.error = s->error;
		if (s->vector < 32)
			print(" | %s in %s", fault_text(), task_name(s->tr));
		else
			print(" | INT %x in %s", s->vector, task_name(s->tr));
		print_eip(s->eip);
	} else {
		print(" | %s", task_name(s->tr));
	}
	if (task < TASKS && (s->eflags & 0x4000))
		print("<%s", task_name(s->link[task]));
	print_flags(s->eflags);
	print("%s", s->cr0 & CR0_TS ? " TS" : "");
	print_busy(s);
	print(" depth %u", depth(s->gpr[4]));
	if (show & SHOW_TOP)
		print(" top %x", s->top & (task == 2 ? 0xffff : ~0u));
	if (show & SHOW_GPR)
		print_registers(s);
	if (show & SHOW_SEGMENTS)
		print_segments(s);
	if (show & SHOW_PROBE)
		print(" probe %x", s->probe);
	if (show & SHOW_CR2)
		print(" CR2 %x", s->cr2);
	if (show & SHOW_DEBUG)
		print(" DR6 %x DR7 %x", s->dr6, s->dr7);
	if ((show & SHOW_FRAME) && s->vector != NO_VECTOR) {
		print(" CS %x, EFLAGS %x", s->frame[0] & 0xffff, s->frame[1]);
		if ((s->frame[0] & 3) || (s->frame[1] & 0x20000))
			print(", SS %x", s->frame[3] & 0xffff);
	}
}

/* What the CPU left in task A's TSS. */
static void print_saved(unsigned int show)
{
	const struct tss32 *t = tss32(TASK_A);
	bool kept = true;

	if (t->eip != (u32)(u64)case_code)
		print(" | A: EIP +%d", t->eip - (u32)(u64)case_code);
	print_flags(t->eflags);
	if (!(show & SHOW_STATE))
		return;
	for (unsigned int i = 0; i < 8; i++)
		kept &= i == 4 || t->gpr[i] == 0xa0a0a0a0 + 0x01010101 * i;
	print(" registers %s, depth %u, segments", kept ? "kept" : "lost", depth(t->gpr[4]));
	for (unsigned int i = 0; i < 6; i++)
		print(" %x", t->seg[i]);
}

static void run_case(const struct task_case *c)
{
	world_reset();
	case_space = (struct address_space){ 0, 0 };
	case_code = c->code;
	tss32(TASK_A)->eip = (u32)(u64)c->code;
	if (c->prepare)
		c->prepare();
	world_run(c->code, case_space.cr3, case_space.cr4);
	print("%s", c->name);
	for (u32 i = 0; i < world_count; i++)
		print_snapshot(&world_log[i], c->show);
	print_saved(c->show);
	print("\n");
}

int main(void)
{
	apic_enable();
	for (unsigned int i = 0; i < task_case_count; i++)
		run_case(&task_cases[i]);
	gdt[SEL_TSS / 8] &= ~BIT(41);	/* no longer busy */
	asm volatile("ltr %w0" : : "r" (SEL_TSS));
	return 0;
}
