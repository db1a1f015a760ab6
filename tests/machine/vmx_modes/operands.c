/*
 * Memory operands: how each is found, and each fault on the way, for the eight instructions that
 * have one. What succeeds must have read or written exactly these bytes, and set the accessed and
 * dirty flags.
 * SDM 3A: Type Checking, Limit Checking, Linear-Address Translation; SDM 1: Memory Operands.
 */
#include "vmx_modes.h"

#define PLACE	0x800u		/* of the operand in the window, as a rule */
#define STACK	0x400u		/* SP for stacks in the window */
#define CR4_SMEP	BIT(20)
#define CR4_SMAP	BIT(21)
#define RFLAGS_AC	BIT(18)
#define BEFORE	0xaaaaaaaaaaaaaaaaull

static struct address address;
static unsigned int size, place;

static void base(int reg, u64 value)
{
	address.base = reg;
	trip.gpr[reg] = value;
}

/* By an override, unless it is DS, in a segment of this base; the offset is in (R)DI. */
static void via_at(unsigned int seg, u64 offset, u32 limit, u32 type)
{
	trip_gdt[SEL_CASE_A / 8] = segment((u32)(WINDOW + PLACE - offset), limit, type);
	trip.seg[seg] = SEL_CASE_A;
	address.seg = seg == DS ? NO_REG : (int)seg;
	trip.gpr[RDI] = offset;
	if (seg == SS)
		trip.gpr[RSP] = STACK;
}

static void via(unsigned int seg, u32 limit, u32 type)
{
	via_at(seg, PLACE, limit, type);
}

static void via_code(u32 type)
{
	trip_gdt[SEL_CASE_A / 8] = segment(0, 0xfffff, type);
	trip.seg[CS] = SEL_CASE_A;
	address.seg = CS;
}

static void scaled(int b, u64 b_value, int index, u64 i_value, unsigned int scale, u64 disp)
{
	address = (struct address){ b, index, scale, 0, NO_REG, (int)disp };
	if (b != NO_REG)
		trip.gpr[b] = b_value;
	if (index != NO_REG)
		trip.gpr[index] = i_value;
}

/* Upper halves of the registers do not matter. */
static void short_form(unsigned int seg, int b, u32 b_value, int index, u32 i_value, int disp)
{
	via(seg, 0xfffff, 0xc093);
	scaled(b, 0xdead0000 | b_value, index, 0xbeef0000 | i_value, 0, (u64)(int64_t)disp);
	address.size = 16;
}

static void smap(const struct mode *m)
{
	space_change(m, 0, 0, PTE_U);
	trip.cr4 |= (u32)CR4_SMAP;
}

static void across(unsigned int bytes)
{
	place = (unsigned int)PAGE_SIZE - bytes / 2;
	trip.gpr[RDI] = WINDOW + place;
}

#define M16	1u
#define M32	2u
#define MPAE	4u
#define M64	8u
#define LEGACY	(M16 | M32)
#define PAGED	(M32 | MPAE | M64)
#define ALL	(LEGACY | PAGED)

#define CASE(id, text, in, setup) \
	static void setup_##id(const struct mode *m) { (void)m; setup; }
#include "operands.def"
#undef CASE

static const struct operand_case {
	const char *text;
	unsigned int modes;
	void (*setup)(const struct mode *m);
} cases[] = {
#define CASE(id, text, in, setup)	{ text, in, setup_##id },
#include "operands.def"
#undef CASE
};

static void fill_window(enum insn_id id)
{
	u64 operand[2];

	for (unsigned int i = 0; i < 2; i++)
		memset(window_byte(i * PAGE_SIZE), (u8)BEFORE, PAGE_SIZE);
	if (insn_writes(&insns[id]))
		return;
	operand_for(id, operand);
	for (unsigned int i = 0; i < size; i++)
		*window_byte(place + i) = ((u8 *)operand)[i];
}

static u64 window_value(unsigned int offset)
{
	u64 value = 0;

	for (unsigned int i = 0; i < 8; i++)
		value |= (u64)*window_byte(offset + i) << (8 * i);
	return value;
}

/* Of the operand and of the eight bytes on its either side. */
static void check_memory(enum insn_id id, bool done)
{
	u64 value = window_value(place), wanted = BEFORE, mask = size == 4 ? 0xffffffff : ~0ull;

	if (window_value(place - 8) != BEFORE || window_value(place + size) != BEFORE)
		print(", memory beside it changed");
	if (done)
		wanted = (operand_written(id) & mask) | (BEFORE & ~mask);
	if (insn_writes(&insns[id]) && value != wanted)
		print(", memory %lx", value);
	if (id == VMWRITE)
		print("%s", field_written(done, mask) ? "" : ", field differs");
}

/* Not where the stack is in the same pages. */
static void check_flags(const struct mode *m, enum insn_id id)
{
	u64 wanted = PTE_A | (insn_writes(&insns[id]) ? PTE_D : 0);

	if (trip.seg[SS] == SEL_CASE_A)
		return;
	for (unsigned int i = place / PAGE_SIZE; i <= (place + size - 1) / PAGE_SIZE; i++)
		if ((space_entry(m, i) & (PTE_A | PTE_D)) != wanted)
			print(", page %u flags %lx", i, space_entry(m, i) & (PTE_A | PTE_D));
}

static unsigned int make(const struct insn *insn, const struct mode *m)
{
	unsigned int length = insn_make(insn, &address, m);

	if (address.base != RIP)
		return length;
	address.disp = (int)(WINDOW + PLACE - CASE_PAGE - length);
	return insn_make(insn, &address, m);
}

/* SMEP and SMAP */
static bool have_cr4(void)
{
	u32 ebx = cpuid(7, 0).ebx;

	return (!(trip.cr4 & CR4_SMEP) || ebx & BIT(7)) &&
	       (!(trip.cr4 & CR4_SMAP) || ebx & BIT(20));
}

static void run_case(const struct operand_case *c, const struct mode *m, enum insn_id id)
{
	u64 efer = rdmsr(MSR_EFER);
	unsigned int length;
	bool done;

	trip_reset(m);
	address = (struct address){ RDI, NO_REG, 0, 0, NO_REG, 0 };
	place = PLACE;
	size = insn_operand_size(&insns[id], m);
	trip.gpr[RDI] = WINDOW + place;
	trip.gpr[RCX] = insns[id].kind == READS_DESCRIPTOR ? 2 : GUEST_RIP;
	if (m->bits == 16)
		via(DS, 0xfffff, 0xc093);
	if (id != VMXON)
		vmx_enter_for(m, true);
	c->setup(m);
	if (!have_cr4()) {
		vmx_leave_for(m);
		return;
	}
	fill_window(id);
	length = make(&insns[id], m);
	done = insn_run(m);
	wrmsr(MSR_EFER, efer);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, 0);
	vmx_leave_for(m);
	print("%s, %s | %s: ", m->name, c->text, insns[id].name);
	insn_print(&insns[id], m, length);
	check_memory(id, done);
	if (done)
		check_flags(m, id);
	print("\n");
}

static void run_all(const struct operand_case *c, const struct mode *m)
{
	for (enum insn_id id = VMXON; id < INSNS; id++)
		if (have_insn(id))
			run_case(c, m, id);
}

void test_operands(void)
{
	static const struct { const char *name; unsigned int bit; } where[] = {
		{ "16-bit", M16 }, { "32-bit", M32 }, { "PAE", MPAE }, { "64-bit", M64 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(where); i++) {
		const struct mode *m = mode_named(where[i].name);

		for (unsigned int j = 0; j < ARRAY_SIZE(cases); j++)
			if (cases[j].modes & where[i].bit)
				run_all(&cases[j], m);
	}
}
