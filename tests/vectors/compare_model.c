/*
 * Vectors for a machine that no model of the emulator is, for checks that no
 * model lets a vector break: SGX, processor trace, sub-page rights, CET and RTM,
 * EPT without accessed flags, a secondary control that must be 1; and what an older
 * emulator has not got. What must come of them is stated here, once more and by
 * itself, for these checks alone.
 */
#include "compare_print.h"

#define VECTORS 30000u
#define SEED 1u

static struct gen_world make_up(const struct gen_world *like)
{
	struct gen_world world = *like;
	u64 *w = world.w;

	w[W_PROC2] |= PROC2_RDTSCP | (u64)(PROC2_RDTSCP | PROC2_EPT | PROC2_ENCLS | PROC2_SPP |
					   PROC2_PT_GPA | PROC2_MODE_BASED_EXEC |
					   PROC2_VIRTUAL_INTR) << 32;
	w[W_PROC] |= (u64)(PROC_SECONDARY | PROC_MTF | PROC_TPR_SHADOW) << 32;
	w[W_PIN] |= (u64)(PIN_EXTERNAL_INTERRUPT | PIN_POSTED_INTERRUPTS) << 32;
	w[W_EXIT] |= (u64)(GEN_EXIT_CLEAR_RTIT | EXIT_ACK_INTERRUPT) << 32;
	w[W_ENTRY] |= (u64)GEN_ENTRY_LOAD_RTIT << 32;
	w[W_CR4_FIXED1] |= CR4_CET;
	w[W_FEATURES] |= W_HAS_RTM;
	w[W_EPT_VPID] = (w[W_EPT_VPID] | EPTCAP_WALK4 | EPTCAP_WB) & ~EPTCAP_AD;
	return world;
}

/* -1: nothing is said of this check here; else whether the vector breaks it. */
static int breaks(const struct judge *j, enum check_id id)
{
	u64 proc2 = SET(PROC_CONTROLS, PROC_SECONDARY) ? V(PROC2_CONTROLS) : 0;
	u64 blocked = V(GUEST_INTERRUPTIBILITY), pending = V(GUEST_PENDING_DEBUG);
	bool posted = SET(PIN_CONTROLS, PIN_POSTED_INTERRUPTS);
	bool ept = proc2 & PROC2_EPT, pt = proc2 & PROC2_PT_GPA, spp = proc2 & PROC2_SPP;

	switch (id) {
	case CHECK_PROC2_MUST_BE_1:
		return SET(PROC_CONTROLS, PROC_SECONDARY) && !(proc2 & PROC2_RDTSCP);
	case CHECK_POSTED_NEEDS_VIRTUAL_INTR:
		return posted && !(proc2 & BIT(9));
	case CHECK_POSTED_NEEDS_ACK:
		return posted && !SET(EXIT_CONTROLS, BIT(15));
	case CHECK_POSTED_VECTOR:
		return posted && V(POSTED_INTR_VECTOR) > 255;
	case CHECK_POSTED_DESCRIPTOR:
		return posted &&
		       (SET(POSTED_INTR_DESC, 63) || V(POSTED_INTR_DESC) >> j->caps.maxphyaddr);
	case CHECK_MODE_EXEC_NEEDS_EPT:
		return (proc2 & PROC2_MODE_BASED_EXEC) && !ept;
	case CHECK_EPTP_ACCESSED_DIRTY:
		return ept && SET(EPT_POINTER, BIT(6));
	case CHECK_SPP_NEEDS_EPT:
		return spp && !ept;
	case CHECK_SPP_TABLE:
		return spp && (SET(SPP_TABLE, 0xfff) || V(SPP_TABLE) >> j->caps.maxphyaddr);
	case CHECK_PT_NEEDS_EPT:
		return pt && !ept;
	case CHECK_PT_NEEDS_LOAD:
		return pt && !SET(ENTRY_CONTROLS, BIT(18));
	case CHECK_PT_NEEDS_CLEAR:
		return pt && !SET(EXIT_CONTROLS, BIT(25));
	case CHECK_HOST_CET_NEEDS_WP:
		return SET(HOST_CR4, BIT(23)) && !SET(HOST_CR0, BIT(16));
	case CHECK_GUEST_CET_NEEDS_WP:
		return SET(GUEST_CR4, BIT(23)) && !SET(GUEST_CR0, BIT(16));
	case CHECK_BLOCKING_ENCLAVE:
		return (blocked & BIT(4)) && (blocked & BIT(1));
	case CHECK_PENDING_RTM:
		return (pending & BIT(16)) &&
		       (pending != (BIT(16) | BIT(12)) || (blocked & BIT(1)));
	default:
		return -1;
	}
}

static bool is_right(struct judge *j, const struct verdict *r)
{
	if (r->fails)
		return breaks(j, r->f.id) != 0;
	for (unsigned i = 0; i < CHECK_COUNT; i++)
		if (breaks(j, (enum check_id)i) > 0)
			return false;
	return true;
}

static u64 wrong_vector(const struct verdict *r, u64 number)
{
	static unsigned shown;

	if (shown++ < 20)
		printf("made-up machine, vector %llu: %s\n", (unsigned long long)number,
		       r->fails ? nested_check_rows[r->f.id].id : "enters, and breaks a check");
	return 1;
}

u64 model_run(const struct gen_world *like, struct totals *t)
{
	static struct judge j;
	struct verdict r;
	u64 wrong = 0;

	j.world = make_up(like);
	judge_init(&j);
	for (u64 i = 0; i < VECTORS; i++) {
		gen_entry_base(&j.world, SEED, i, j.v);
		j.host32 = !(j.v[VF_EXIT_CONTROLS] & EXIT_HOST_64);
		r = judge_vector(&j, 0);
		if (r.fails)
			wrong += wrong_vector(&r, i);
		j.host32 = gen_entry(&j.world, SEED, i, j.v);
		r = judge_vector(&j, 0);
		if (!is_right(&j, &r))
			wrong += wrong_vector(&r, i);
		if (r.fails && breaks(&j, r.f.id) > 0 &&
		    judge_vector(&j, r.f.id + 1u).outcome != r.outcome)
			t->modelled[r.f.id]++;
	}
	host_memory_free(&j.memory);
	return wrong;
}
