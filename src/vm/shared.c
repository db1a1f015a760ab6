/*
 * See shared.h. The way of an exit: left(), vm_exit(), enter().
 */
#include "vm/shared.h"

#include "cpu/kick.h"
#include "vm/exits.h"
#include "vm/power.h"
#include "vm/regs.h"

/* So long that a CPU has left its guest by then, if it ever does. */
#define STOP_TICKS (1ull << 34)

/* The VM is this vcpu's. The wait for that is no time of the guest's. */
static void left(struct vcpu *v)
{
	u64 now = cpu_rdtsc();

	__atomic_store_n(&v->in_guest, false, __ATOMIC_RELEASE);
	cpu_lock(&v->vm->lock);
	v->frame.again = 0;
	v->stats.entered += cpu_rdtsc() - now;
}

/* Others may have changed the tables that this CPU has cached, and those that L2 runs on. */
static void flush(struct vcpu *v)
{
	v->stopped = false;
	vmx_invept(INVEPT_SINGLE, v->nested.eptp01);
	if (v->nested.in_l2)
		nested_l2_memory_changed(&v->nested);
}

/*
 * SDM 3C "Guest Non-Register State": NMIs do not reach a CPU that waits for a SIPI,
 * and it uses no translations.
 */
static bool takes_nmis(void)
{
	return vmx_read(VMCS_GUEST_ACTIVITY) != ACTIVITY_WAIT_SIPI;
}

/* The parameter and the result: VMRESUME? */
static bool enter(struct vcpu *v, bool resume)
{
	struct vm *vm = v->vm;

	if (unlikely(v->stopped)) {
		flush(v);
		resume = vm_prepare_entry(v, v->l2_entered);
	}
	/* What wakes it is not for it. (Some forget that it slept when they tell of an NMI.) */
	if (unlikely(v->waits_init))
		vmx_write(VMCS_GUEST_ACTIVITY, ACTIVITY_HLT);
	vm->alone = false;
	__atomic_store_n(&v->in_guest, takes_nmis(), __ATOMIC_RELEASE);
	cpu_unlock(&vm->lock);
	return resume && v->launched;
}

/* The exit is an NMI, and that is L0's own. */
static bool is_kick(void)
{
	bool kick;

	if (vmx_read(VMCS_EXIT_REASON) != EXIT_EXCEPTION_NMI ||
	    (vmx_read(VMCS_EXIT_INTR_INFO) & INTR_TYPE) != INTR_TYPE_NMI)
		return false;
	kick = cpu_kick_arrived();
	cpu_unblock_nmi();
	return kick;
}

/* Whoever ran goes on, and it was an exit. */
static void absorb_kick(struct vcpu *v)
{
	struct vm_level_stats *st = v->nested.in_l2 ? &v->stats.l2 : &v->stats.l1;

	st->ticks += cpu_rdtsc() - v->stats.entered;
	st->exits[EXIT_EXCEPTION_NMI]++;
	if (v->nested.in_l2)
		nested_l2_interrupted(&v->nested);
}

bool vm_exit_shared(struct vmx_frame *frame)
{
	struct vcpu *v = vcpu_of_frame(frame);

	left(v);
	v->launched = true;
	v->l2_entered = v->nested.in_l2;
	if (likely(!is_kick()))
		return enter(v, vm_exit(frame));
	absorb_kick(v);
	return enter(v, vm_prepare_entry(v, v->l2_entered));
}

bool vm_entry_refused_shared(struct vmx_frame *frame)
{
	struct vcpu *v = vcpu_of_frame(frame);

	left(v);
	return enter(v, vm_entry_refused(frame));
}

bool vm_again(struct vmx_frame *frame)
{
	struct vcpu *v = vcpu_of_frame(frame);

	left(v);
	return enter(v, vm_prepare_entry(v, v->l2_entered));
}

void vm_enter_shared(struct vcpu *v)
{
	v->pcpu->again = &v->frame.again;
	vmx_first_entry_shared(&v->frame);
}

static bool is_in_guest(const struct vcpu *v)
{
	return __atomic_load_n(&v->in_guest, __ATOMIC_SEQ_CST);
}

/* False: it is in its guest, and L0 has no way to it. */
static bool call_out(struct vcpu *v)
{
	v->stopped = true;
	__atomic_store_n(&v->frame.again, 1, __ATOMIC_SEQ_CST);
	return !is_in_guest(v) || (!v->apic_off && cpu_kick(v->pcpu));
}

static bool leaves(const struct vcpu *v)
{
	u64 start = cpu_rdtsc();

	while (is_in_guest(v)) {
		if (cpu_rdtsc() - start > STOP_TICKS)
			return false;
		cpu_pause();
	}
	return true;
}

/* NULL, or why one of them stays in its guest. Those that can leave do. */
static const char *stop(struct vm *vm, const struct vcpu *self)
{
	const char *why = NULL;

	for (u32 i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpu[i] != self && !call_out(vm->vcpu[i]))
			why = "L1 has switched off a local APIC, by which L0 stops its CPUs";
	for (u32 i = 0; i < vm->vcpu_count && !why; i++)
		if (vm->vcpu[i] != self && !leaves(vm->vcpu[i]))
			why = "an NMI does not bring a CPU of L1's back to L0";
	return why;
}

void vm_stop_others(struct vm *vm)
{
	struct vcpu *self = cpu_this()->vcpu;
	const char *why;

	if (likely(!vm->shared) || vm->alone)
		return;
	vm->alone = true;
	why = stop(vm, self);
	if (likely(!why))
		return;
	/* Not at the end of the exit: a guest still uses what the caller would take away. */
	vm_kill(vm, why);
	vm_power_killed(self);
}
