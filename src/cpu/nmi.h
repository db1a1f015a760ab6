/*
 * Code that an NMI must not interrupt, because what the NMI says would be looked
 * at too late: where an NMI comes in between two labels, execution goes on at a
 * third, which begins the code again. For assembler files.
 */
#pragma once

/* From label START on and before END, an NMI continues at TO; nothing is kept but RSP. */
#define CPU_NMI_RESTART(start, end, to)			\
	.pushsection .nmi_table, "a";			\
	.balign 8;					\
	.quad start, end, to;				\
	.popsection
