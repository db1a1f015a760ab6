/*
 * Fields that stay in vmcs02 after an exit of L2 until L1 asks for one: then
 * all of them come at once, because reaching vmcs02 is what costs.
 */
#include "nested/engine.h"

#include "engine_ops.h"

void nested_sync_field(struct nested_vcpu *n, struct nested_vmcs *s, unsigned i)
{
	s->v[i] = op_hw_read(n, nested_field_encoding[i]);
	field_clear(&s->stale, i);
}

void nested_sync_cold(struct nested_vcpu *n, struct nested_vmcs *s)
{
	op_hw_load(n, s->vmcs02);
	for (unsigned w = 0; w < VF_WORDS; w++) {
		for (u64 d = s->stale.w[w]; d; d &= d - 1) {
			unsigned i = w * 64 + (unsigned)__builtin_ctzll(d);

			s->v[i] = op_hw_read(n, nested_field_encoding[i]);
		}
		s->stale.w[w] = 0;
	}
	op_hw_load(n, n->vmcs01);
}
