/*
 * VMCS field encodings and indices, generated from vmcs_fields.def.
 * VMCS_<NAME> is the encoding; VF_<NAME> the index into tables and vmcs12.
 */
#pragma once

#include "types.h"

enum vmcs_encoding {
#define F(name, enc, exists, merge, sync, shadow, group) VMCS_##name = enc,
#include "vmcs_fields.def"
#undef F
};

enum vmcs_index {
#define F(name, enc, exists, merge, sync, shadow, group) VF_##name,
#include "vmcs_fields.def"
#undef F
	VF_COUNT,
};

/* What a field's existence depends on: a capability of the (virtual) CPU. */
enum vmcs_exists {
	EXISTS_ALWAYS, EXISTS_VPID, EXISTS_POSTED, EXISTS_EPT, EXISTS_EPT_VE,
	EXISTS_VIRTUAL_INTR, EXISTS_PML, EXISTS_MSR_BITMAP, EXISTS_TPR_SHADOW,
	EXISTS_APIC_ACCESS, EXISTS_VMFUNC, EXISTS_SHADOW_VMCS, EXISTS_XSAVES,
	EXISTS_ENCLS, EXISTS_SPP, EXISTS_TSC_SCALING, EXISTS_PAT, EXISTS_EFER,
	EXISTS_PERF, EXISTS_SECONDARY, EXISTS_PLE, EXISTS_PREEMPTION,
};

enum vmcs_merge {
	MERGE_COPY, MERGE_PAGING,	/* in this order: nested_is_copied() */
	MERGE_INFO, MERGE_L0, MERGE_CTL, MERGE_IO, MERGE_MSR, MERGE_EPT,
	MERGE_VPID, MERGE_APIC, MERGE_TSC, MERGE_STATE, MERGE_PDPTE, MERGE_EVENT,
	MERGE_TIMER, MERGE_FIELDS,
};
enum vmcs_sync { SYNC_NONE, SYNC_HOT, SYNC_COLD, SYNC_INFO };
enum vmcs_shadow { SHADOW_NO, SHADOW_RO, SHADOW_RW };
enum vmcs_group { GROUP_NONE, GROUP_CTL, GROUP_HOST, GROUP_GUEST };

/* Parts of an encoding (SDM 3C "Field Encoding in VMCS"). */
#define VMCS_HIGH_ACCESS 1u
#define VMCS_TYPE(enc) (((enc) >> 10) & 3u)
#define VMCS_WIDTH(enc) (((enc) >> 13) & 3u)
enum vmcs_type { VMCS_TYPE_CONTROL, VMCS_TYPE_INFO, VMCS_TYPE_GUEST, VMCS_TYPE_HOST };
enum vmcs_width { VMCS_WIDTH_16, VMCS_WIDTH_64, VMCS_WIDTH_32, VMCS_WIDTH_NATURAL };
