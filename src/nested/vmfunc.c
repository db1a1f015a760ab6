/*
 * VM functions of L2. vmcs02 lets L2 execute VMFUNC and enables no function, so
 * that each comes here; there is one, EPTP switching, which L0 carries out with
 * the roots of ept02. Source: SDM 3C "VM Functions", "EPTP Switching".
 */
#include "nested/check.h"
#include "nested/engine.h"

#include "engine_ops.h"

#define EPTP_LIST_ENTRIES 512u

/* A field of vmcs12 that VMFUNC writes; no entry need check what was checked here. */
static void write_field(struct nested_vmcs *s, unsigned i, u64 value)
{
	s->v[i] = value;
	if (field_test(&nested_fields_shadow_ro, i) || field_test(&nested_fields_shadow_rw, i))
		field_set(&s->shadow_dirty, i);
}

static bool switch_eptp(struct nested_vcpu *n, struct nested_vmcs *s)
{
	u32 index = (u32)n->gpr[GPR_RCX];
	u64 eptp;

	if (index >= EPTP_LIST_ENTRIES ||
	    !op_gpa1_read(n->vm, GPA1(s->v[VF_EPTP_LIST] + 8 * index), &eptp, sizeof(eptp)) ||
	    !nested_check_eptp(&n->caps, eptp))
		return false;
	write_field(s, VF_EPT_POINTER, eptp);
	if (field_test(&n->exists, VF_EPTP_INDEX))
		write_field(s, VF_EPTP_INDEX, index);
	nested_merge_ept(n, s);
	return true;
}

enum nested_verdict nested_vmfunc(struct nested_vcpu *n)
{
	struct nested_vmcs *s = n->current;
	struct nested_exit_info info;
	u32 function = (u32)n->gpr[GPR_RAX];

	if ((nested_proc2(s) & PROC2_VMFUNC) && function == VMFUNC_EPTP_SWITCHING &&
	    (s->v[VF_VMFUNC_CONTROLS] & BIT(VMFUNC_EPTP_SWITCHING)) && switch_eptp(n, s))
		return NESTED_DONE;
	nested_read_exit_info(n, EXIT_VMFUNC, &info);
	return nested_reflect(n, &info);
}
