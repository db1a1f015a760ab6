/*
 * Events that L0 brings to L2 on its own account. L1 is asked first: an event
 * it intercepts becomes an exit. vmcs02 is current.
 */
#include "nested/engine.h"

#include "engine_ops.h"

/* The entry before it counts, even if the hardware never saw it. */
static enum nested_verdict synthetic_exit(struct nested_vcpu *n, struct nested_exit_info info)
{
	n->current->launched = true;
	return nested_reflect(n, &info);
}

static void inject(struct nested_vcpu *n, u32 info, u32 error_code)
{
	op_hw_write(n, VMCS_ENTRY_INTR_INFO, info);
	if (info & INTR_ERROR_CODE)
		op_hw_write(n, VMCS_ENTRY_ERROR_CODE, error_code);
}

enum nested_second nested_second_fault(u64 vectoring_info)
{
	u32 vector = (u32)vectoring_info & INTR_VECTOR;

	if ((vectoring_info & (INTR_VALID | INTR_TYPE)) != (INTR_VALID | INTR_TYPE_HW_EXCEPTION))
		return SECOND_PF;
	if (vector == X86_DF)
		return SECOND_TRIPLE;
	return vector == X86_PF ? SECOND_DF : SECOND_PF;
}

/* SDM 3C "Exception Bitmap": for #PF mask and match may invert the bit. */
bool nested_l1_wants_exception(const struct nested_vcpu *n, u32 vector, u32 error_code)
{
	const u64 *v = n->current->v;
	bool bit = v[VF_EXCEPTION_BITMAP] >> (vector & 31) & 1;

	if (vector != X86_PF)
		return bit;
	return bit == ((error_code & v[VF_PF_ERROR_MASK]) == v[VF_PF_ERROR_MATCH]);
}

enum nested_verdict nested_l2_fault(struct nested_vcpu *n, struct outcome fault)
{
	u32 info = INTR_VALID | INTR_TYPE_HW_EXCEPTION | fault.vector;

	/* Real mode delivers no error codes. */
	if (fault.has_error_code && (op_hw_read(n, VMCS_GUEST_CR0) & CR0_PE))
		info |= INTR_ERROR_CODE;

	if (!nested_l1_wants_exception(n, fault.vector, fault.error_code)) {
		if (fault.vector == X86_PF)
			op_cr2_write(n, fault.value);
		inject(n, info, fault.error_code);
		return NESTED_RESUME;
	}
	return synthetic_exit(n, (struct nested_exit_info){
		.reason = EXIT_EXCEPTION_NMI,
		.intr_info = info,
		.intr_error = info & INTR_ERROR_CODE ? fault.error_code : 0,
		.qualification = fault.vector == X86_PF ? fault.value : 0,
	});
}

/* SDM 3C "Monitor Trap Flag": an instruction that L1 steps over ends in an exit. */
enum nested_verdict nested_l2_stepped(struct nested_vcpu *n)
{
	if (likely(!(n->current->v[VF_PROC_CONTROLS] & PROC_MTF)))
		return NESTED_RESUME;
	return synthetic_exit(n, (struct nested_exit_info){ .reason = EXIT_MONITOR_TRAP });
}

/*
 * With "NMI exiting" and without virtual NMIs, IRET does not end blocking by NMI: it is what
 * it was at the entry, whatever vmcs02 has (SDM 3C "NMI Exiting", "Virtual NMIs").
 */
bool nested_nmi_blocked_for_good(const struct nested_vmcs *s)
{
	return (s->v[VF_GUEST_INTERRUPTIBILITY] & BLOCKED_BY_NMI) ||
	       (s->v[VF_ENTRY_INTR_INFO] & (INTR_VALID | INTR_TYPE)) == (INTR_VALID | INTR_TYPE_NMI);
}

bool nested_l2_nmi_blocked(struct nested_vcpu *n)
{
	const struct nested_vmcs *s = n->current;
	u64 pin = s->v[VF_PIN_CONTROLS], state;

	if (pin & PIN_VIRTUAL_NMI)
		return false;
	if (pin & PIN_NMI)
		return nested_nmi_blocked_for_good(s);
	state = op_hw_read(n, VMCS_GUEST_INTERRUPTIBILITY);
	return state & (BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI);
}

/* A state that was never entered must be one that the hardware would enter. */
static bool is_enterable(struct nested_vcpu *n, struct nested_vmcs *s)
{
	struct check_failure f;
	struct check_env e;
	bool good;

	op_hw_load(n, n->vmcs01);
	nested_sync_cold(n, s);
	nested_check_env(n, s, &e);
	good = nested_check_guest(&e, &f);
	op_hw_load(n, s->vmcs02);
	return good;
}

/*
 * Processors may refuse an NMI behind STI, which blocks none (SDM 3C "Checks on Guest
 * Non-Register State"). Of an entry still to come the state is L1's, and stays: false.
 */
static bool unblock_sti(struct nested_vcpu *n, bool entered)
{
	u64 state = op_hw_read(n, VMCS_GUEST_INTERRUPTIBILITY);

	if (!(state & BLOCKED_BY_STI))
		return true;
	if (entered)
		op_hw_write(n, VMCS_GUEST_INTERRUPTIBILITY, state & ~(u64)BLOCKED_BY_STI);
	return entered;
}

enum nested_verdict nested_l2_nmi(struct nested_vcpu *n, bool entered)
{
	u32 info = INTR_VALID | INTR_TYPE_NMI | 2;

	if (!(n->current->v[VF_PIN_CONTROLS] & PIN_NMI)) {
		if (!unblock_sti(n, entered))
			return NESTED_L0;
		inject(n, info, 0);
		return NESTED_RESUME;
	}
	if (!entered && !is_enterable(n, n->current))
		return NESTED_L0;
	return synthetic_exit(n, (struct nested_exit_info){
		.reason = EXIT_EXCEPTION_NMI,
		.intr_info = info,
	});
}

/*
 * SDM 3C "Other Causes of VM Exits": at once after the entry, if that succeeds, and
 * behind the event that it injects. Wait-for-SIPI blocks it.
 */
enum nested_verdict nested_l2_init(struct nested_vcpu *n, bool entered)
{
	struct nested_vmcs *s = n->current;

	if ((op_hw_read(n, VMCS_ENTRY_INTR_INFO) & INTR_VALID) ||
	    op_hw_read(n, VMCS_GUEST_ACTIVITY) == ACTIVITY_WAIT_SIPI ||
	    (!entered && !is_enterable(n, s)))
		return NESTED_RESUME;
	return synthetic_exit(n, (struct nested_exit_info){ .reason = EXIT_INIT });
}
