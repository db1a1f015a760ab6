/*
 * The checks of VM entry (SDM 3C "VM Entries"), each a row of entry_checks.def.
 * Pure: they read vmcs12, capabilities, and the few places of guest memory the
 * SDM names; they change nothing.
 */
#pragma once

#include "nested/nested.h"

enum check_id {
#define C(id, stage, field, rule, section) CHECK_##id,
#include "nested/entry_checks.def"
#undef C
	CHECK_COUNT,
};

struct check_env {
	struct vm *vm;			/* for the reads the SDM asks for */
	const struct vmx_caps *caps;	/* L1's */
	const u64 *v;			/* vmcs12, whole */
	bool lma;			/* L1's IA32_EFER.LMA at the entry */
	u64 vmptr, vmxon_region;	/* GPA1; for the link pointer's rules */
	u64 perf_global;		/* bits of L1's IA32_PERF_GLOBAL_CTRL */
	u32 disabled;			/* for mutation tests: CHECK id to skip + 1; 0 none */
};

struct check_failure {
	enum check_id id;
	unsigned field;			/* vmcs_index of the field at fault */
	u64 qualification;		/* for guest-state checks */
};

/* true: all passed. Else *f says which failed first, in the SDM's order. */
bool nested_check_controls(const struct check_env *e, struct check_failure *f);
bool nested_check_host(const struct check_env *e, struct check_failure *f);
bool nested_check_guest(const struct check_env *e, struct check_failure *f);

/* Only those on control registers and PDPTEs. */
bool nested_check_guest_paging(const struct check_env *e, struct check_failure *f);

/* Would a VM entry accept this EPTP? */
bool nested_check_eptp(const struct vmx_caps *caps, u64 eptp);

/* What a check that fails comes to: VMfail 7, VMfail 8, or exit 33 with this qualification. */
enum check_stage {
	STAGE_CONTROLS, STAGE_HOST,
	STAGE_GUEST,		/* 0 */
	STAGE_PDPTE,		/* 2 */
	STAGE_NMI,		/* 3 */
	STAGE_LINK,		/* 4 */
};

struct check_row { const char *id, *field, *rule, *section; u8 stage; };
extern const struct check_row nested_check_rows[CHECK_COUNT];

/* Tells the user, in one line, why L1's VMLAUNCH or VMRESUME (what) failed. */
void nested_explain_failure(struct nested_vcpu *n, const char *what,
			    const struct check_env *e, const struct check_failure *f);
