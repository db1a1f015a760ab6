/* For the 16-bit code of the tests: labels, results, and instructions that may fault. */
#ifndef TEST_H
#define TEST_H

#include "real.h"

#define REAL(label)	(label - real_start + CODE)
/* What L1 may see otherwise in FLAGS: IOPL; and what nobody defines. */
#define FLAGS_SHOWN	(0x8fd5 & ~0x8000)

	/* A line of output: a name, and a value of 32 bits; EAX is lost. */
	.macro put name:req, value:vararg
	.pushsection .rodata
7777:	.asciz "\name"
	.popsection
	mov \value, %eax
	stosl
	movl $7777b, %eax
	stosl
	.endm
	.macro put16 name:req, value:vararg
	movzwl \value, %eax
	put "\name", %eax
	.endm

	/* A vector of the table at 0. */
	.macro hook vector:req, label:req
	movw $REAL(\label), \vector * 4
	movw $0, \vector * 4 + 2
	.endm

	/* Executes one instruction: which fault it has (FFFF: none), and where; EAX is lost. */
	.macro try name:req, insn:vararg
	movw $0xffff, REAL(got_vector)
	movw $REAL(8889f), REAL(resume)
8888:	\insn
8889:	movzwl REAL(got_vector), %eax
	put "\name", %eax
	movzwl REAL(got_ip), %eax
	sub $REAL(8888b), %eax
	cmpw $0xffff, REAL(got_vector)
	jne 8890f
	xor %eax, %eax
8890:	put "  at", %eax
	.endm
#endif
