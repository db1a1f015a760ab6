/*
 * Executes instruction vectors: brings the machine into the state that a vector
 * starts from, executes its instruction with exceptions caught, and writes what it
 * did in six bytes.
 */
#include "../gen_insn.h"
#include "runner.h"

#define USER_ALIAS (1ull << 39)	/* the first 4 GiB again, for CPL 3 */

extern const u8 snippets[];
extern volatile u64 snippet_flags;
void snippet_run(const void *code, u64 *registers);

static u64 scratch;
static bool is_on = true;	/* as the caller leaves it */

static u64 page(enum gen_page n)
{
	return scratch + n * PAGE_SIZE;
}

void insn_bring_into(enum insn_state state)
{
	u64 current = is_on ? vmptrst() : ~0ull;

	if (state == STATE_OFF) {
		if (is_on)
			must(vmxoff(), "VMXOFF");
		is_on = false;
		return;
	}
	if (!is_on)
		must(vmxon(page(PAGE_VMXON)), "VMXON");
	is_on = true;
	if (current != ~0ull)
		must(vmclear(current), "VMCLEAR of the current VMCS");
	must(vmclear(page(PAGE_VMCS)), "VMCLEAR");
	if (state == STATE_CURRENT)
		must(vmptrld(page(PAGE_VMCS)), "VMPTRLD");
	if (state == STATE_SHADOW) {
		must(vmclear(page(PAGE_LINK_SHADOW)), "VMCLEAR");
		must(vmptrld(page(PAGE_LINK_SHADOW)), "VMPTRLD");
	}
}

static u8 what_it_did(void)
{
	if (trap_last.vector != NO_FAULT)
		return (u8)(INSN_FAULT + trap_last.vector);
	switch (snippet_flags & 0x8d5) {
	case 0:
		return INSN_OK;
	case BIT(0):
		return OUTCOME_VMFAIL_INVALID;
	case BIT(6):
		return (u8)(OUTCOME_VMFAIL + vmread(VM_INSN_ERROR));
	}
	return OUTCOME_ODD;
}

/* Whether VMX operation is on now: VMPTRST says, or is undefined. */
static u64 pointer_after(void)
{
	u64 pointer = 0;

	trap_rax = (u64)&pointer;
	is_on = TRY("vmptrst (%%rax)");
	return is_on ? pointer : 1;
}

void insn_put_outcome(struct insn_outcome o)
{
	put_char((char)o.did);
	put_char((char)(0x30 + (o.error & 0x3f)));
	for (unsigned int i = 0; i < 4; i++)
		put_char((char)(0x30 + (o.rest >> 6 * i & 0x3f)));
}

static struct insn_outcome execute(const struct insn_vector *x)
{
	const u8 *code = snippets + 32 * (FORM_COUNT * x->insn + x->form);
	u64 registers[] = { x->rax, x->rcx, x->rdx, x->rsi, x->rbp }, value;
	struct insn_outcome o = { 0 };

	insn_bring_into(x->state);
	if (x->insn == INSN_VMREAD && x->state >= STATE_CURRENT)
		vmwrite_try(x->rdx, x->prepared);
	gen_insn_place((void *)scratch, x);
	trap_last.vector = NO_FAULT;
	trap_last.error = 0;
	snippet_flags = 0;
	if (x->user)
		user_run(code + USER_ALIAS);
	else
		snippet_run(code, registers);
	o.did = what_it_did();
	o.error = trap_last.vector == NO_FAULT ? 0 : (u8)trap_last.error;
	value = trap_last.vector == 14 ? trap_last.cr2 : o.did == INSN_OK ? registers[1] : 0;
	o.rest = gen_insn_rest(value, pointer_after() - scratch, gen_insn_memory((void *)scratch));
	if (x->insn == INSN_VMXON)	/* its region may be another */
		insn_bring_into(STATE_OFF);
	return o;
}

void insn_init(const struct gen_world *world)
{
	scratch = world->w[W_SCRATCH];
}

void insn_run(const struct gen_world *world, u64 seed, u64 from, u64 count)
{
	struct insn_vector x;
	u32 sum = 0;
	u64 *root = (u64 *)world->w[W_CR3];

	insn_init(world);
	root[1] = root[0] | BIT(2);
	root[WINDOW >> 39] = ((u64 *)page(PAGE_ROOT))[WINDOW >> 39];
	wrmsr(MSR_FS_BASE, WINDOW);
	for (u64 i = from; i < from + count; i++) {
		gen_insn(world, seed, i, &x);
		sum = gen_insn_sum(sum, &x);
		insn_put_outcome(execute(&x));
		if ((i + 1 - from) % GEN_BLOCK == 0 || i + 1 == from + count) {
			print("\n%08x\n", sum);
			sum = 0;
		}
	}
	insn_bring_into(STATE_ROOT);	/* as other kinds of vectors begin */
}
