/*
 * For test_nested_instr*.c: one instruction of L1's with good operands, run, or run and seen
 * to change nothing. What lies behind VMLAUNCH, INVEPT and INVVPID is replaced by recorders.
 */
#pragma once

#include "nested_kit.h"

#include "nested/engine.h"
#include "nested/vpid.h"

static struct {
	unsigned entries, invept_single, invept_all, invvpid;
	u64 eptp;
	u32 type;
	u16 vpid;
	u64 address;
} seen;

struct outcome nested_enter(struct nested_vcpu *n)
{
	(void)n;
	seen.entries++;
	return OUTCOME_ENTER_L2;
}

/* L2's operands are test_nested_stage2.c's affair. */
struct mmu_stage2 *nested_stage2_init(struct nested_vcpu *n, struct nested_stage2 *s)
{
	(void)n, (void)s;
	return NULL;
}

struct outcome nested_stage2_failed(struct nested_stage2 *s)
{
	(void)s;
	return OUTCOME_UD;
}

void ept02_invalidate(struct ept02_set *set, u64 eptp12)
{
	assert_non_null(set);
	seen.invept_single++;
	seen.eptp = eptp12;
}

void ept02_invalidate_all(struct ept02_set *set)
{
	assert_non_null(set);
	seen.invept_all++;
}

void nested_vpid_flush(struct nested_vcpu *n, u32 type, u16 vpid12, gva_t a)
{
	(void)n;
	seen.invvpid++;
	seen.type = type;
	seen.vpid = vpid12;
	seen.address = a.v;
}

/* Operands with which everything but the tested thing is good. */
static inline void prepare(struct kit *k, u32 reason, u64 at)
{
	static const u64 desc[] = {
		[EXIT_INVEPT] = 0x5000 | EPTP_WALK_4 | MT_WB,
		[EXIT_INVVPID] = 7,
		[EXIT_VMXON] = KIT_VMXON,
	};
	u64 operand = reason < ARRAY_SIZE(desc) && desc[reason] ? desc[reason] : KIT_VMCS(0);

	kit_poke(k, KIT_OPERAND, operand);
	k->gpr[GPR_RDX] = reason == EXIT_VMREAD || reason == EXIT_VMWRITE ? VMCS_GUEST_RIP : 1;
	kit_set(k, VMCS_EXIT_INSTR_INFO, KIT_INFO_MEM64 | KIT_REG2(GPR_RDX));
	kit_set(k, VMCS_EXIT_QUALIFICATION, at);
	hw_save_lma(&k->hw, k->n.at.efer);
}

static inline struct outcome run(struct kit *k, u32 reason, u64 at)
{
	struct outcome o;

	prepare(k, reason, at);
	o = nested_vmx_instruction(&k->n, reason);
	assert_true(nested_invariant(&k->n));
	return o;
}

/* Runs what must fail, and sees that nothing at all changed. */
static inline struct outcome run_for_nothing(struct kit *k, u32 reason, u64 at)
{
	static struct kit_image image;
	struct outcome o;

	prepare(k, reason, at);
	kit_image_take(k, &image);
	o = nested_vmx_instruction(&k->n, reason);
	kit_image_assert_same(k, &image);
	return o;
}
