/*
 * What the engine makes of an instruction vector: a vcpu of L1 on the hardware
 * model, in the state that the runner brings the machine into. L1 has every
 * capability of the machine.
 */
#include "compare_insn.h"

#include "nested/caps.h"

#include <stdlib.h>

#define HOME 0x80000000ull
#define REGION(n) HPA(HOME + (u64)(n) * PAGE_SIZE)
#define FLAGS 0x8d5ull

static struct insn_l1 l1;

struct insn_l1 *insn_l1(void)
{
	return &l1;
}

static u64 page(enum gen_page n)
{
	return l1.world.w[W_SCRATCH] + (u64)n * PAGE_SIZE;
}

static void *scratch(void)
{
	return l1.vm.memory.ram + l1.world.w[W_SCRATCH];
}

/* nested_caps_init() reduces; here L1 is to have it all. */
static void give_all(void)
{
	u32 classes = vmx_caps_exists(&l1.hw.caps);

	nested_caps_init(&l1.n);
	l1.n.caps = l1.hw.caps;
	l1.n.exists = (struct field_set){ { 0 } };
	for (unsigned i = 0; i < VF_COUNT; i++) {
		l1.hw.exists[i] = true;
		if (classes & BIT32(nested_field_exists[i]))
			field_set(&l1.n.exists, i);
	}
}

/* 64-bit mode, flat. */
void insn_l1_64_bit(void)
{
	const u64 *w = l1.world.w;

	hw_write(&l1.hw, VMCS_GUEST_CR0, w[W_CR0]);
	hw_write(&l1.hw, l1.n.at.cr3, page(PAGE_ROOT));
	hw_write(&l1.hw, VMCS_GUEST_CR4, w[W_CR4]);
	hw_write(&l1.hw, l1.n.at.efer, w[W_EFER]);
	hw_write(&l1.hw, VMCS_VMCS_LINK_POINTER, ~0ull);
	hw_write(&l1.hw, VMCS_GUEST_FS_BASE, WINDOW);
	for (u32 s = SEG_ES; s <= SEG_GS; s++)
		hw_write(&l1.hw, VMCS_GUEST_ES_LIMIT + 2 * s, 0xffffffff);
}

void insn_l1_init(const struct gen_world *world)
{
	memset(&l1, 0, sizeof(l1));
	l1.world = *world;
	l1.world.w[W_BASIC] = (world->w[W_BASIC] & ~0xffffffffull) | NESTED_REVISION;
	host_memory_init(&l1.vm.memory, page(PAGE_COUNT), 0, 0);
	gen_fill(&l1.world, scratch());
	l1.vm.hw = &l1.hw;
	hw_model_init(&l1.hw);
	gen_caps(&l1.world, &l1.hw.caps);
	l1.n.vm = &l1.vm;
	l1.n.hw = &l1.hw.caps;
	l1.n.gpr = l1.gpr;
	l1.n.ept02s = &l1.ept02s;
	l1.n.vmcs01 = REGION(0);
	l1.n.vmxon_region = NESTED_NO_VMPTR;
	give_all();
	hw_region_add(&l1.hw, l1.n.vmcs01, false);
	for (unsigned i = 0; i < NESTED_SLOTS; i++) {
		l1.n.slot[i].vmcs02 = REGION(1 + i);
		hw_region_add(&l1.hw, REGION(1 + i), false);
		l1.n.slot[i].shadow = REGION(1 + NESTED_SLOTS + i);
		hw_region_add(&l1.hw, REGION(1 + NESTED_SLOTS + i), true);
	}
	l1.n.use_shadow = l1.hw.caps.proc2.may & PROC2_SHADOW_VMCS;
	hw_load(&l1.hw, l1.n.vmcs01);
	insn_l1_64_bit();
}

void insn_l1_end(void)
{
	host_memory_free(&l1.vm.memory);
}

static void privilege(bool user)
{
	hw_write(&l1.hw, VMCS_GUEST_CS_AR, user ? 0xa0fb : 0xa09b);
	for (u32 s = SEG_ES; s <= SEG_GS; s++)
		if (s != SEG_CS)
			hw_write(&l1.hw, VMCS_GUEST_ES_AR + 2 * s, user ? 0xc0f3 : 0xc093);
}

static bool after_mov_ss;	/* the next instruction follows one */
static u64 other_flags;		/* its RFLAGS, but for status flags */

static struct outcome instruction(u32 reason, u32 info, u64 displacement)
{
	struct outcome o;

	hw_write(&l1.hw, VMCS_GUEST_RFLAGS, RFLAGS_FIXED | FLAGS | other_flags);
	hw_write(&l1.hw, VMCS_GUEST_INTERRUPTIBILITY, after_mov_ss ? BLOCKED_BY_MOV_SS : 0);
	hw_write(&l1.hw, VMCS_EXIT_INSTR_INFO, info);
	hw_write(&l1.hw, VMCS_EXIT_QUALIFICATION, displacement);
	hw_save_lma(&l1.hw, l1.n.at.efer);
	o = nested_vmx_instruction(&l1.n, reason);
	nested_commit_flags(&l1.n, o);
	return o;
}

#define INFO_NO_INDEX BIT32(22)
#define INFO_64 (2u << 7)
#define INFO_BASE(r) ((u32)(r) << 23)
#define INFO_SEG(s) ((u32)(s) << 15)

/* For the runner's own instructions: a good one with this value in memory. */
static void with_memory(u32 reason, u64 value)
{
	struct outcome o;

	memcpy((u8 *)scratch() + PAGE_DATA * PAGE_SIZE, &value, sizeof(value));
	l1.gpr[GPR_RAX] = WINDOW;
	o = instruction(reason, INFO_64 | INFO_NO_INDEX | INFO_SEG(SEG_DS) | INFO_BASE(GPR_RAX), 0);
	if (o.kind != OUT_OK) {
		fprintf(stderr, "compare: the engine fails where the runner did not (exit %u)\n",
			reason);
		exit(2);
	}
}

void insn_l1_bring_into(enum insn_state state)
{
	privilege(false);
	if (state == STATE_OFF) {
		if (l1.n.vmxon)
			instruction(EXIT_VMXOFF, 0, 0);
		return;
	}
	if (!l1.n.vmxon)
		with_memory(EXIT_VMXON, page(PAGE_VMXON));
	if (l1.n.current)
		with_memory(EXIT_VMCLEAR, l1.n.current->gpa.v);
	with_memory(EXIT_VMCLEAR, page(PAGE_VMCS));
	if (state == STATE_CURRENT)
		with_memory(EXIT_VMPTRLD, page(PAGE_VMCS));
	if (state == STATE_SHADOW) {
		with_memory(EXIT_VMCLEAR, page(PAGE_LINK_SHADOW));
		with_memory(EXIT_VMPTRLD, page(PAGE_LINK_SHADOW));
	}
}

static const u32 reasons[INSN_COUNT] = {
	[INSN_VMREAD] = EXIT_VMREAD, [INSN_VMWRITE] = EXIT_VMWRITE, [INSN_INVEPT] = EXIT_INVEPT,
	[INSN_INVVPID] = EXIT_INVVPID, [INSN_VMPTRLD] = EXIT_VMPTRLD, [INSN_VMCLEAR] = EXIT_VMCLEAR,
	[INSN_VMPTRST] = EXIT_VMPTRST, [INSN_VMXON] = EXIT_VMXON, [INSN_VMLAUNCH] = EXIT_VMLAUNCH,
	[INSN_VMRESUME] = EXIT_VMRESUME, [INSN_VMXOFF] = EXIT_VMXOFF, [INSN_VMCALL] = EXIT_VMCALL,
};

/* Instruction information as an exit of this form has it. */
static u32 information(const struct insn_vector *x)
{
	u32 info = (u32)GPR_RDX << 28;

	switch (x->form) {
	case FORM_RAX:
		return info | INFO_64 | INFO_NO_INDEX | INFO_SEG(SEG_DS) | INFO_BASE(GPR_RAX);
	case FORM_RBP:
		return info | INFO_64 | INFO_NO_INDEX | INFO_SEG(SEG_SS) | INFO_BASE(GPR_RBP);
	case FORM_FS:
		return info | INFO_64 | INFO_NO_INDEX | INFO_SEG(SEG_FS) | INFO_BASE(GPR_RAX);
	case FORM_INDEX:
		return info | INFO_64 | 1 | INFO_SEG(SEG_DS) | INFO_BASE(GPR_RAX) |
		       (u32)GPR_RSI << 18;
	default:
		return info | BIT32(10) | (u32)GPR_RCX << 3;
	}
}

static void load_registers(const struct insn_vector *x)
{
	l1.gpr[GPR_RAX] = x->rax;
	l1.gpr[GPR_RCX] = x->rcx;
	l1.gpr[GPR_RDX] = x->rdx;
	l1.gpr[GPR_RSI] = x->rsi;
	l1.gpr[GPR_RBP] = x->rbp;
}

u8 insn_l1_did(struct outcome o)
{
	if (o.kind == OUT_FAULT)
		return (u8)(INSN_FAULT + o.vector);
	switch (hw_read(&l1.hw, VMCS_GUEST_RFLAGS) & FLAGS) {
	case 0:
		return INSN_OK;
	case RFLAGS_CF:
		return OUTCOME_VMFAIL_INVALID;
	case RFLAGS_ZF:
		return (u8)(OUTCOME_VMFAIL +
			    nested_field_read(&l1.n, l1.n.current, VF_VM_INSTRUCTION_ERROR));
	}
	return OUTCOME_ODD;
}

void insn_l1_prepare(const struct insn_vector *x)
{
	insn_l1_bring_into(x->state);
	if (x->insn != INSN_VMREAD || x->state < STATE_CURRENT)
		return;
	load_registers(x);
	l1.gpr[GPR_RCX] = x->prepared;
	instruction(EXIT_VMWRITE, (u32)GPR_RDX << 28 | BIT32(10) | (u32)GPR_RCX << 3, 0);
}

struct outcome insn_l1_run(enum insn_kind insn, u32 info, u64 displacement, u64 flags)
{
	struct outcome o;

	other_flags = flags;
	o = instruction(reasons[insn], info, displacement);
	other_flags = 0;
	return o;
}

struct insn_outcome insn_judge(const struct insn_vector *x)
{
	struct insn_outcome r = { 0 };
	struct outcome o;
	u64 value, pointer;

	insn_l1_prepare(x);
	gen_insn_place(scratch(), x);
	load_registers(x);
	privilege(x->user);
	after_mov_ss = x->insn >= INSN_VMLAUNCH && x->form == FORM_RBP;
	o = instruction(reasons[x->insn], information(x), x->form == FORM_INDEX ? 0x10 : 0);
	after_mov_ss = false;
	r.did = insn_l1_did(o);
	r.error = o.kind == OUT_FAULT && o.has_error_code ? (u8)o.error_code : 0;
	value = r.did == INSN_FAULT + X86_PF ? o.value : r.did == INSN_OK ? l1.gpr[GPR_RCX] : 0;
	pointer = !l1.n.vmxon ? 1 : l1.n.current ? l1.n.current->gpa.v : ~0ull;
	r.rest = gen_insn_rest(value, pointer - page(PAGE_ZERO), gen_insn_memory(scratch()));
	if (x->insn == INSN_VMXON)
		insn_l1_bring_into(STATE_OFF);
	return r;
}
