/* The VMX instructions as bytes, with any memory operand; and what executing one came to. */
#ifndef VMX_MODES_INSN_H
#define VMX_MODES_INSN_H

#include "spaces.h"

enum insn_kind {
	PLAIN,
	READS_POINTER,		/* 8 bytes */
	WRITES_POINTER,
	READS_VALUE,		/* 8 bytes in 64-bit mode, else 4; the field's encoding in ECX */
	WRITES_VALUE,
	READS_DESCRIPTOR,	/* 16 bytes; the type in ECX */
};

enum insn_id {
	VMCALL, VMLAUNCH, VMRESUME, VMXOFF, VMFUNC, VMXON, VMCLEAR, VMPTRLD, VMPTRST, VMREAD,
	VMWRITE, INVEPT, INVVPID, INSNS
};

struct insn {
	const char *name;
	enum insn_kind kind;
	u8 prefix, bytes[3], reg;
};
extern const struct insn insns[INSNS];

#define NO_REG	(-1)
#define RIP	16

struct address {
	int base, index;
	unsigned int scale;	/* a shift */
	unsigned int size;	/* 16, 32, 64; 0: the mode's own */
	int seg;		/* override; NO_REG: none */
	int disp;
};

bool insn_writes(const struct insn *insn);
unsigned int insn_operand_size(const struct insn *insn, const struct mode *m);
/* Puts the instruction at CASE_PAGE, with "int $0x81" behind it; its length. No address: EAX. */
unsigned int insn_make(const struct insn *insn, const struct address *a, const struct mode *m);
/* Runs it there. False: it faulted. */
bool insn_run(const struct mode *m);
/* Prints the outcome, and whatever is not as it should be for that outcome. */
void insn_print(const struct insn *insn, const struct mode *m, unsigned int length);

#endif
