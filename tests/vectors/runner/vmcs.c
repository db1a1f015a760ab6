/*
 * The VMCS that vectors are written to, entered, and read back from; and the
 * vectors of gen.h, which need no more than that.
 */
#include "runner.h"

#define FIELDS 256

bool vmcs_writable[FIELDS];
static bool vmcs_readable[FIELDS];
static u64 vmcs_holds[FIELDS];		/* but for guest state if stale */
static bool guest_is_stale, launched;

static bool is_guest_field(u32 encoding)
{
	return (encoding >> 10 & 3) == 2 || encoding == ENTRY_INTR_INFO;
}

/* Memory and VMCS as if nothing had been. */
void vmcs_start(const struct gen_world *world)
{
	u64 vmcs = world->w[W_SCRATCH] + PAGE_VMCS * PAGE_SIZE, value;

	if (gen_field_count > FIELDS)
		die("%u fields are more than this runner has room for", gen_field_count);
	must(vmclear(vmcs), "VMCLEAR");
	gen_fill(world, (void *)world->w[W_SCRATCH]);
	must(vmptrld(vmcs), "VMPTRLD");
	launched = guest_is_stale = false;
	for (unsigned int i = 0; i < gen_field_count; i++) {
		bool is_info = (gen_encoding[i] >> 10 & 3) == 1;

		vmcs_readable[i] = vmread_try(gen_encoding[i], &value).kind == DID_OK;
		vmcs_writable[i] = vmcs_readable[i] && !is_info;
		vmcs_holds[i] = vmcs_writable[i] || !vmcs_readable[i] ? 0 : value;
		if (vmcs_writable[i])
			vmwrite(gen_encoding[i], 0);
	}
}

static void write_fields(const u64 *v)
{
	for (unsigned int i = 0; i < gen_field_count; i++) {
		if (!vmcs_writable[i])
			continue;
		if (v[i] == vmcs_holds[i] && !(guest_is_stale && is_guest_field(gen_encoding[i])))
			continue;
		asm volatile("vmwrite %0, %1" : : "r" (v[i]), "r" ((u64)gen_encoding[i]) : "cc");
		vmcs_holds[i] = v[i];
	}
	guest_is_stale = false;
}

static u8 outcome_of_exit(bool from_32)
{
	u64 reason = vmread(EXIT_REASON), qualification = vmread(EXIT_QUALIFICATION);

	if (!(reason & REASON_ENTRY_FAILURE)) {
		launched = !from_32;
		guest_is_stale = true;
		return reason < 0x70 ? (u8)(OUTCOME_ENTERED + reason) : OUTCOME_ODD;
	}
	if ((u16)reason == REASON_GUEST_STATE && qualification < 16)
		return (u8)(OUTCOME_GUEST + qualification);
	if ((u16)reason == REASON_MSR_LOADING)
		return qualification == 1 ? OUTCOME_MSR_FIRST : OUTCOME_MSR_LATER;
	return OUTCOME_ODD;
}

u8 vmcs_execute(const struct gen_world *world, const u64 *v, bool from_32, void (*look)(void))
{
	u64 flags;

	write_fields(v);
	flags = from_32 ? entry_run32() : entry_run(launched);
	if (from_32)
		launched = false;
	if (!flags) {
		if (look)
			look();
		world_restore(world);
		return outcome_of_exit(from_32);
	}
	if (flags & BIT(0))
		return OUTCOME_VMFAIL_INVALID;
	return (u8)(OUTCOME_VMFAIL + vmread(VM_INSN_ERROR));
}

void entries_run(const struct gen_world *world, u64 seed, u64 from, u64 count)
{
	static u64 v[FIELDS];
	u32 sum = 0;

	for (u64 i = from; i < from + count; i++) {
		bool from_32 = gen_entry(world, seed, i, v);

		sum = gen_sum(sum, v);
		put_char((char)vmcs_execute(world, v, from_32, NULL));
		if ((i + 1 - from) % GEN_BLOCK == 0 || i + 1 == from + count) {
			print("\n%08x\n", sum);
			sum = 0;
		}
	}
}


void vmcs_read_back(void (*changed)(unsigned int field, u64 now))
{
	for (unsigned int i = 0; i < gen_field_count; i++) {
		u64 now = vmcs_holds[i];

		if (vmcs_readable[i])
			asm volatile("vmread %1, %0" : "=r" (now) : "r" ((u64)gen_encoding[i]) : "cc");
		if (now == vmcs_holds[i])
			continue;
		changed(i, now);
		vmcs_holds[i] = now;
	}
	guest_is_stale = false;
}
