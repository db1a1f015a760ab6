/*
 * Instructions that may fault, and where to go on when they do. A handler
 * sees nothing of the fault: code sets "failed" first and clears it after the
 * instruction.
 */
#pragma once

/* A fault at label INSN continues at label TO; both are assembler labels. */
#define CPU_FIXUP(insn, to)				\
	"\n.pushsection .ex_table, \"a\"\n"		\
	".balign 8\n"					\
	".quad " insn ", " to "\n"			\
	".popsection\n"
