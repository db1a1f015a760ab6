/*
 * EPTs of L1 of one table for each level, and faults on them.
 */
#pragma once

#include "ept12_builder.h"

#define FINAL (EPTQ_GLA_VALID | EPTQ_GLA_FINAL)

/* L1's tables, and a gigabyte of data, one to one. */
static inline void l1_plain_memory(struct machine *m)
{
	assert_true(ept01_map(&m->ept01, GPA1(0), TABLES_END, HPA(0), EPT_RWX, MT_WB));
	assert_true(ept01_map(&m->ept01, GPA1(DATA), SZ_1G, HPA(DATA), EPT_RWX, MT_WB));
}

static inline void set_entry(struct machine *m, u64 at, u64 value)
{
	assert_true(op_gpa1_write(&m->vm, GPA1(at), &value, 8));
}

static inline u64 entry_at(struct machine *m, u64 at)
{
	u64 v = 0;

	op_gpa1_read(&m->vm, GPA1(at), &v, 8);
	return v;
}

/* PML4, PDPT, PD, PT in a row from table on, for GPA2 0. */
static inline u64 simple_ept(struct machine *m, u64 table, u64 flags)
{
	u64 i;

	for (i = 0; i < 3; i++)
		set_entry(m, table + i * PAGE_SIZE, (table + (i + 1) * PAGE_SIZE) | 7);
	return table | EPTP_WALK_4 | MT_WB | flags;
}

static inline enum ept02_verdict fault(struct machine *m, u64 role, u64 gpa, u64 q,
				       struct ept02_fault *out)
{
	struct ept02 *root;

	ept02_root(&m->set, role, &root);
	return ept02_fault(&m->set, root, GPA2(gpa), q, out);
}

static inline struct hw_walk walk(struct machine *m, u64 role, u64 gpa)
{
	struct ept02 *root;

	ept02_root(&m->set, role, &root);
	return hw_walk(&m->vm, root->eptp, false, gpa);
}
