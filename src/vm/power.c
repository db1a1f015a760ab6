/* See power.h. Ports whose writes end the machine are in io.c. */
#include "vm/power.h"

#include "cpu/cpu.h"
#include "debug/console.h"
#include "debug/dump.h"
#include "lib/format.h"
#include "vm/exits.h"
#include "vm/regs.h"
#include "vm/shared.h"

static const char *const exit_names[EXIT_REASON_COUNT] = {
#define X(reason, name, owner, handler, info) [reason] = #name,
#include "exits.def"
#undef X
};

static void print_exits(const char *title, const u64 *count, const char *extra)
{
	char line[1024];
	u64 total = 0;
	int at;

	for (u32 i = 0; i < EXIT_REASON_COUNT; i++)
		total += count[i];
	at = lib_snprintf(line, sizeof(line), "exits %s: %lu%s", title, total, extra);
	for (u32 i = 0; i < EXIT_REASON_COUNT && at < (int)sizeof(line); i++)
		if (count[i])
			at += lib_snprintf(line + at, sizeof(line) - (size_t)at, " %s=%lu",
					   exit_names[i] ? exit_names[i] : "?", count[i]);
	con_printf("%s\n", line);
}

static void add_level(struct vm_level_stats *to, const struct vm_level_stats *from)
{
	to->ticks += from->ticks;
	for (u32 i = 0; i < EXIT_REASON_COUNT; i++)
		to->exits[i] += from->exits[i];
}

/* Of all vcpus. Others than this one have been in their guests till now. */
static void add_up(struct vm *vm, const struct vcpu *self, u64 now, struct vm_stats *sum)
{
	*sum = (struct vm_stats){ 0 };
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *v = vm->vcpu[i];

		add_level(&sum->l1, &v->stats.l1);
		add_level(&sum->l2, &v->stats.l2);
		sum->reflected += v->stats.reflected;
		sum->started += now - v->stats.started;
		if (v != self)
			(v->nested.in_l2 ? &sum->l2 : &sum->l1)->ticks += now - v->stats.entered;
	}
}

void vm_power_summary(struct vcpu *v, const char *why)
{
	static struct vm_stats sum;	/* who prints has stopped the others */
	char reflected[40];

	vm_stop_others(v->vm);
	add_up(v->vm, v, cpu_rdtsc(), &sum);
	con_printf("L1 is off: %s\n", why);
	con_printf("time: L0 %lu L1 %lu L2 %lu total %lu\n",
		   sum.started - sum.l1.ticks - sum.l2.ticks, sum.l1.ticks, sum.l2.ticks,
		   sum.started);
	print_exits("L1", sum.l1.exits, "");
	lib_snprintf(reflected, sizeof(reflected), " reflected=%lu", sum.reflected);
	print_exits("L2", sum.l2.exits, reflected);
}

void vm_kill(struct vm *vm, const char *why)
{
	if (!vm->killed)
		vm->killed = why;
	vm->attention = true;
}

void vm_kill_nested(struct nested_vcpu *n, const char *why)
{
	vm_kill(n->vm, why);
}

void vm_power_killed(struct vcpu *v)
{
	static const struct { const char *name; u32 field; u8 exists; } shown[] = {
#define F(name, enc, exists, merge, sync, shadow, group) { #name, enc, EXISTS_##exists },
#include "vmcs_fields.def"
#undef F
	};

	u32 there = vmx_caps_exists(&v->vm->hw);

	vm_stop_others(v->vm);
	con_printf("the VM is stopped: %s\n", v->vm->killed);
	if (v->real.on)
		vm_real_print(v);
	con_printf("state of L%u:\n", v->nested.in_l2 ? 2 : 1);
	for (u32 i = 0; i < ARRAY_SIZE(shown); i++)
		if ((there & BIT32(shown[i].exists)) &&
		    (VMCS_TYPE(shown[i].field) == VMCS_TYPE_GUEST ||
		     VMCS_TYPE(shown[i].field) == VMCS_TYPE_INFO))
			con_printf("  %s %#lx\n", shown[i].name, vmx_read(shown[i].field));
	for (u32 i = 0; i < GPR_COUNT; i++)
		con_printf("  gpr%u %#lx\n", i, v->frame.gpr[i]);
	vm_power_summary(v, "stopped");
	debug_end();
}

/* Where L1 was, for whoever wrote it: its own registers, not what hardware runs it with. */
static void print_place(struct vcpu *v)
{
	static const char *const name[GPR_COUNT] = {
		"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
		"R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
	};
	struct mmu_paging p;

	vcpu_paging(v, &p);
	con_printf("L1's RIP %#lx CS %#lx RFLAGS %#lx CR0 %#lx CR2 %#lx CR3 %#lx CR4 %#lx EFER %#lx\n",
		   vmx_read(VMCS_GUEST_RIP), vmx_read(VMCS_GUEST_CS_SELECTOR), p.rflags, vcpu_cr0(),
		   cpu_read_cr2(), p.cr3, vcpu_cr4(), p.efer);
	for (u32 i = 0; i < GPR_COUNT; i++)
		con_printf("%s %#lx%s", name[i], vcpu_gpr(v, i), i % 8 < 7 ? " " : "\n");
}

/* As the bare machine would: a CPU in shutdown, which chipsets turn into a reset. */
void vm_exit_triple_fault(struct vcpu *v)
{
	struct cpu_table_reg none = { 0, 0 };

	print_place(v);
	vm_power_summary(v, "triple fault");
	asm volatile("lidt %0; int3" : : "m"(none));
	vm_exit_none(v);
}
