/*
 * A template, included once for each set: an initialiser of struct field_set
 * with the fields for which SELECT(exists, merge, sync, shadow, group) is true.
 * One inclusion of the table for each of the VF_WORDS. Undefines SELECT.
 */
#define F(name, enc, exists, merge, sync, shadow, group) \
	| ((SELECT(exists, merge, sync, shadow, group)) && \
	   VF_##name / 64 == WORD ? BIT(VF_##name % 64) : 0)
{ {
#define WORD 0
	0
#include "vmcs_fields.def"
	,
#undef WORD
#define WORD 1
	0
#include "vmcs_fields.def"
	,
#undef WORD
#define WORD 2
	0
#include "vmcs_fields.def"
#undef WORD
} }
#undef F
#undef SELECT
