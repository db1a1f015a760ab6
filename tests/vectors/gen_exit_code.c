/*
 * The instructions of exit vectors, as bytes that mean the same in every mode as
 * far as there is such a thing. In 16-bit code a memory operand is BX+SI.
 */
#include "gen_exit.h"
#include "gen_state.h"

/* What keeps L2 from sleeping, or the host side from not knowing what it must. */
enum need { NOTHING, NEED_HLT, NEED_MWAIT };

enum operand { NONE, MEMORY, PORT, MSR, REGISTER, CONTROL0, CONTROL3, CONTROL4, CONTROL8,
	       FUNCTION };

struct instruction {
	u8 length, bytes[7], operand, need;
};

#define I(operand, need, ...) \
	{ sizeof((const u8[]){ __VA_ARGS__ }), { __VA_ARGS__ }, operand, need }

static const struct instruction instructions[] = {
	I(NONE, NOTHING, 0x0f, 0x01, 0xc1),		/* VMCALL */
	I(NONE, NOTHING, 0x0f, 0xa2),			/* CPUID */
	I(NONE, NOTHING, 0x0f, 0x31),			/* RDTSC */
	I(NONE, NOTHING, 0x0f, 0x01, 0xf9),		/* RDTSCP */
	I(NONE, NOTHING, 0x0f, 0x33),			/* RDPMC */
	I(NONE, NEED_HLT, 0xf4),			/* HLT */
	I(MEMORY, NOTHING, 0x0f, 0x01, 0x38),		/* INVLPG */
	I(CONTROL0, NOTHING, 0x0f, 0x22, 0xc0),		/* MOV to CR0 */
	I(CONTROL0, NOTHING, 0x0f, 0x22, 0xc0),
	I(REGISTER, NOTHING, 0x0f, 0x20, 0xc0),		/* MOV from CR0 */
	I(CONTROL3, NOTHING, 0x0f, 0x22, 0xd8),		/* MOV to CR3 */
	I(REGISTER, NOTHING, 0x0f, 0x20, 0xd8),		/* MOV from CR3 */
	I(CONTROL4, NOTHING, 0x0f, 0x22, 0xe0),		/* MOV to CR4 */
	I(CONTROL4, NOTHING, 0x0f, 0x22, 0xe0),
	I(REGISTER, NOTHING, 0x44, 0x0f, 0x20, 0xc0),	/* MOV from CR8 */
	I(CONTROL8, NOTHING, 0x44, 0x0f, 0x22, 0xc0),	/* MOV to CR8; else INC ESP, MOV to CR0 */
	I(CONTROL0, NOTHING, 0x0f, 0x01, 0xf0),		/* LMSW */
	I(MEMORY, NOTHING, 0x0f, 0x01, 0x30),
	I(REGISTER, NOTHING, 0x0f, 0x01, 0xe0),		/* SMSW */
	I(NONE, NOTHING, 0x0f, 0x06),			/* CLTS */
	I(REGISTER, NOTHING, 0x0f, 0x21, 0xf8),		/* MOV from DR7 */
	I(REGISTER, NOTHING, 0x0f, 0x23, 0xc0),		/* MOV to DR0 */
	I(PORT, NOTHING, 0xec), I(PORT, NOTHING, 0xed), I(PORT, NOTHING, 0x66, 0xed),	/* IN */
	I(PORT, NOTHING, 0xee), I(PORT, NOTHING, 0xef), I(PORT, NOTHING, 0xe4, 0x84),
	I(PORT, NOTHING, 0xe7, 0x80),			/* OUT */
	I(PORT, NOTHING, 0x6c), I(PORT, NOTHING, 0xf3, 0x6d),	/* INS */
	I(PORT, NOTHING, 0x6e), I(PORT, NOTHING, 0xf3, 0x6f),	/* OUTS */
	I(PORT, NOTHING, 0x64, 0x6e),
	I(MSR, NOTHING, 0x0f, 0x32), I(MSR, NOTHING, 0x0f, 0x32),	/* RDMSR */
	I(MSR, NOTHING, 0x0f, 0x30),			/* WRMSR */
	I(NONE, NOTHING, 0xf3, 0x90),			/* PAUSE */
	I(MEMORY, NOTHING, 0x0f, 0x01, 0xc8),		/* MONITOR */
	I(NONE, NEED_MWAIT, 0x0f, 0x01, 0xc9),		/* MWAIT */
	I(NONE, NOTHING, 0x0f, 0x08),			/* INVD */
	I(NONE, NOTHING, 0x0f, 0x09),			/* WBINVD */
	I(NONE, NOTHING, 0x0f, 0x01, 0xd1),		/* XSETBV */
	I(FUNCTION, NOTHING, 0x0f, 0x01, 0xd4),		/* VMFUNC */
	I(REGISTER, NOTHING, 0x0f, 0x78, 0xc8),		/* VMREAD */
	I(MEMORY, NOTHING, 0x0f, 0x79, 0x08),		/* VMWRITE */
	I(MEMORY, NOTHING, 0x0f, 0xc7, 0x30),		/* VMPTRLD */
	I(MEMORY, NOTHING, 0x0f, 0xc7, 0x38),		/* VMPTRST */
	I(MEMORY, NOTHING, 0x66, 0x0f, 0xc7, 0x30),	/* VMCLEAR */
	I(MEMORY, NOTHING, 0xf3, 0x0f, 0xc7, 0x30),	/* VMXON */
	I(NONE, NOTHING, 0x0f, 0x01, 0xc4),		/* VMXOFF */
	I(NONE, NOTHING, 0x0f, 0x01, 0xc2),		/* VMLAUNCH */
	I(NONE, NOTHING, 0x0f, 0x01, 0xc3),		/* VMRESUME */
	I(MEMORY, NOTHING, 0x66, 0x0f, 0x38, 0x80, 0x08),	/* INVEPT */
	I(MEMORY, NOTHING, 0x66, 0x0f, 0x38, 0x81, 0x08),	/* INVVPID */
	I(MEMORY, NOTHING, 0x66, 0x0f, 0x38, 0x82, 0x08),	/* INVPCID */
	I(MEMORY, NOTHING, 0x0f, 0x01, 0x00),		/* SGDT */
	I(MEMORY, NOTHING, 0x0f, 0x01, 0x08),		/* SIDT */
	I(MEMORY, NOTHING, 0x0f, 0x01, 0x10),		/* LGDT */
	I(MEMORY, NOTHING, 0x0f, 0x01, 0x18),		/* LIDT */
	I(REGISTER, NOTHING, 0x0f, 0x00, 0xc0),		/* SLDT */
	I(MEMORY, NOTHING, 0x0f, 0x00, 0x08),		/* STR */
	I(REGISTER, NOTHING, 0x0f, 0x00, 0xd0),		/* LLDT */
	I(REGISTER, NOTHING, 0x0f, 0x00, 0xd8),		/* LTR */
	I(REGISTER, NOTHING, 0x0f, 0xc7, 0xf0),		/* RDRAND */
	I(REGISTER, NOTHING, 0x0f, 0xc7, 0xf9),		/* RDSEED */
	I(MEMORY, NOTHING, 0x0f, 0xc7, 0x28),		/* XSAVES */
	I(MEMORY, NOTHING, 0x0f, 0xc7, 0x18),		/* XRSTORS */
	I(NONE, NOTHING, 0x0f, 0x37),			/* GETSEC */
	I(NONE, NOTHING, 0x0f, 0xaa),			/* RSM */
	I(NONE, NOTHING, 0x0f, 0x0b),			/* UD2 */
	I(NONE, NOTHING, 0xcc), I(NONE, NOTHING, 0xce),	/* INT3, INTO */
	I(NONE, NOTHING, 0xf1),				/* INT1 */
	I(NONE, NOTHING, 0xcd, 0x30), I(NONE, NOTHING, 0xcd, 0x37), I(NONE, NOTHING, 0xcd, 0xff),
	I(NONE, NOTHING, 0xfb, 0x90, 0x90),		/* STI */
	I(NONE, NOTHING, 0x9c, 0x9d),			/* PUSHF, POPF */
	I(REGISTER, NOTHING, 0x8e, 0xd0),		/* MOV to SS */
	I(REGISTER, NOTHING, 0x8e, 0xd8),		/* MOV to DS */
	/* MOV SS to itself, CPUID */
	I(REGISTER, NOTHING, 0x8c, 0xd0, 0x8e, 0xd0, 0x0f, 0xa2),
	I(MEMORY, NOTHING, 0x8b, 0x00), I(MEMORY, NOTHING, 0x8b, 0x00),	/* a load */
	I(MEMORY, NOTHING, 0x89, 0x00), I(MEMORY, NOTHING, 0x89, 0x00),	/* a store */
	I(MEMORY, NOTHING, 0xf7, 0x30),			/* DIV */
};

static bool is_there(const struct gen *g, enum need need)
{
	switch (need) {
	case NEED_HLT:
		return V(PROC_CONTROLS) & PROC_HLT;
	case NEED_MWAIT:
		return V(PROC_CONTROLS) & PROC_MWAIT;
	default:
		return true;
	}
}

/* One that L2 may write: an exit saves it, or L1 has no use for it. */
static u64 msr(struct gen *g, bool write)
{
	u64 index = PICK(g, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
			 MSR_FS_BASE, MSR_GS_BASE, 0xc0000081, 0xc0000082, 0x12345678,
			 MSR_EFER, MSR_IA32_PAT, 0x480, 0x1fff, 0x2000, 0xc0001fff, 0xc0002000);

	if (write && index == MSR_EFER && !(V(EXIT_CONTROLS) & EXIT_SAVE_EFER))
		return MSR_IA32_SYSENTER_CS;
	if (write && index == MSR_IA32_PAT && !(V(EXIT_CONTROLS) & EXIT_SAVE_PAT))
		return MSR_IA32_SYSENTER_CS;
	return index;
}

/* The emulator stops at virtual-APIC accesses of other sizes than 32 bits. */
static bool may_reach_apic(const struct gen *g, const struct instruction *i)
{
	return (i->bytes[0] == 0x8b || i->bytes[0] == 0x89) && (V(GUEST_CS_AR) & (AR_L | AR_DB));
}

/* Not out of paging without EPT: what the emulator makes of that ends in the machine's memory. */
static u64 control0(struct gen *g)
{
	u64 v = V(GUEST_CR0) ^ PICK(g, 0, CR0_WP, CR0_TS, CR0_PE, CR0_PG, CR0_NE, CR0_MP, CR0_AM,
				    CR0_PE | CR0_PG, CR0_CD, BIT(32));

	return V(PROC2_CONTROLS) & PROC2_UNRESTRICTED ? v : v | CR0_PE | CR0_PG;
}

static void operands(struct gen *g, const struct instruction *i, struct exit_vector *x)
{
	u64 r = gen_random(g);

	x->rax = x->rbx = r;
	x->rdx = x->rcx = 0;
	x->rdi = XA_DATA;
	switch ((enum operand)i->operand) {
	case MEMORY:
		x->rax = x->rbx = PICK(g, XA_DATA, XA_DATA, XA_READ_ONLY, XA_MISCONFIGURED,
				       XA_ABSENT, XA_UNMAPPED, XA_DATA + 0xfff, BIT(47), BIT(32));
		if (may_reach_apic(g, i) && gen_one_in(g, 2))
			x->rax = x->rbx = XA_APIC +
					  PICK(g, 0, 0x20, 0x80, 0xb0, 0x300, 0x310, 0x380);
		x->rcx = r & 3;
		break;
	case PORT:
		x->rdx = PICK(g, 0x80, 0x84, 0xffff, 0xfffd, 0x7fff, 0x8000);
		break;
	case MSR:
		x->rcx = msr(g, i->bytes[1] == 0x30);
		x->rax = r & 0xd01;
		break;
	case CONTROL0:
		x->rax = control0(g);
		break;
	case CONTROL3:
		x->rax = V(GUEST_CR3);
		if (gen_one_in(g, 2))
			x->rax = PICK(g, V(CR3_TARGET0), V(CR3_TARGET3), PAGE(BITMAP),
				      V(GUEST_CR3) | BIT(63), V(GUEST_CR3) | 0x18);
		break;
	case CONTROL4:
		x->rax = V(GUEST_CR4) ^ PICK(g, 0, CR4_PAE, CR4_PGE, CR4_DE, CR4_TSD, CR4_VMXE,
					     CR4_PCIDE, CR4_SMEP, CR4_OSXSAVE, CR4_PSE, BIT(40));
		break;
	case CONTROL8:
		x->rax = V(GUEST_CS_AR) & AR_L ? gen_below(g, 17) : control0(g);
		break;
	case FUNCTION:
		x->rax = r & 1;
		x->rcx = PICK(g, 0, 511, 512);
		break;
	case REGISTER:
		x->rax = PICK(g, 0, 0x18, 0x28, 0x38, 0x3b, r);
		x->rcx = gen_encoding[gen_below(g, gen_field_count)];
		break;
	case NONE:
		break;
	}
}

void gen_exit_code(struct gen *g, struct exit_vector *x)
{
	static const u8 vmcall[] = { 0x0f, 0x01, 0xc1 };
	const struct instruction *i = &instructions[gen_below(g, ARRAY_SIZE(instructions))];

	if (!is_there(g, (enum need)i->need))
		i = &instructions[0];
	for (unsigned k = 0; k < EXIT_CODE_BYTES; k++)
		x->code[k] = k < i->length ? i->bytes[k] : vmcall[(k - i->length) % 3];
	operands(g, i, x);
}
