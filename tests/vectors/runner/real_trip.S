/*
 * From 32-bit protected mode to a vector's instruction in real mode, and back from a handler of
 * the vector table. All that real mode needs is copied to REAL_BLOCK, with CS 0.
 */
#include "macros.h"
#include "real.h"

#define AT(symbol) (REAL_BLOCK + (symbol - real_block))
#define CASE(offset) (REAL_BLOCK + (real_case - real_block) + (offset))

	/* The code for legacy_enter(). */
	.text
	.code32
	.globl real_enter
real_enter:
	sgdt AT(own_gdtr)
	mov $SEL_DATA16, %eax
	mov %eax, %ss
	mov CASE(CASE_LIMITS) + 0, %es
	mov CASE(CASE_LIMITS) + 8, %fs
	mov CASE(CASE_LIMITS) + 10, %gs
	mov CASE(CASE_LIMITS) + 6, %ds
	ljmp $SEL_CODE16, $AT(leave_protected)

	.code16
	.balign 16
	.globl real_block, real_block_end, real_case
real_block:
	.set vector, 0
	.rept 256
	.balign 16
	movb $vector, %cs:CASE(SAW_VECTOR)
	jmp ended
	.set vector, vector + 1
	.endr

	.balign 16
leave_protected:
	enter_real AT(1f)
1:	xor %ax, %ax
	mov %ax, %ss
	mov $AT(stack_top), %esp
	lgdtl %cs:CASE(CASE_GDTR)
	lidtl %cs:CASE(CASE_IDTR)
	mov %cs:CASE(CASE_SEG) + 0, %es
	mov %cs:CASE(CASE_SEG) + 6, %ds
	mov %cs:CASE(CASE_SEG) + 8, %fs
	mov %cs:CASE(CASE_SEG) + 10, %gs
	pushl %cs:CASE(CASE_FLAGS)
	popfl
	mov %cs:CASE(CASE_SEG) + 4, %ss
	mov %cs:CASE(CASE_GPR) + 16, %esp
	mov %cs:CASE(CASE_GPR) + 0, %eax
	mov %cs:CASE(CASE_GPR) + 4, %ecx
	mov %cs:CASE(CASE_GPR) + 8, %edx
	mov %cs:CASE(CASE_GPR) + 12, %ebx
	mov %cs:CASE(CASE_GPR) + 20, %ebp
	mov %cs:CASE(CASE_GPR) + 24, %esi
	mov %cs:CASE(CASE_GPR) + 28, %edi
	ljmp *%cs:CASE(CASE_TARGET)

	.macro saw_segment segment, n
	mov %\segment, %ax
	mov %ax, %cs:CASE(SAW_SEG) + 4 * \n
	.endm
ended:
	mov %eax, %cs:CASE(SAW_GPR) + 0
	mov %ecx, %cs:CASE(SAW_GPR) + 4
	mov %edx, %cs:CASE(SAW_GPR) + 8
	mov %ebx, %cs:CASE(SAW_GPR) + 12
	mov %esp, %cs:CASE(SAW_GPR) + 16
	mov %ebp, %cs:CASE(SAW_GPR) + 20
	mov %esi, %cs:CASE(SAW_GPR) + 24
	mov %edi, %cs:CASE(SAW_GPR) + 28
	saw_segment es, 0
	saw_segment cs, 1
	saw_segment ss, 2
	saw_segment ds, 3
	saw_segment fs, 4
	saw_segment gs, 5
	popw %cs:CASE(SAW_FRAME) + 0
	popw %cs:CASE(SAW_FRAME) + 4
	popw %cs:CASE(SAW_FRAME) + 8
	xor %ax, %ax
	mov %ax, %ss
	mov $AT(stack_top), %esp
	pushl $2
	popfl
	sgdtl %cs:AT(table)
	mov %cs:AT(table), %ax
	mov %ax, %cs:CASE(SAW_TABLES) + 0
	mov %cs:AT(table) + 2, %eax
	mov %eax, %cs:CASE(SAW_TABLES) + 4
	sidtl %cs:AT(table)
	mov %cs:AT(table), %ax
	mov %ax, %cs:CASE(SAW_TABLES) + 8
	mov %cs:AT(table) + 2, %eax
	mov %eax, %cs:CASE(SAW_TABLES) + 12
	lgdtl %cs:AT(own_gdtr)
	leave_real AT(1f)
	.code32
1:	load_data SEL_DATA32
	mov $legacy_leave, %eax
	jmp *%eax

	.balign 8
real_case:
	.skip 256
own_gdtr:
	.skip 8
table:
	.skip 8
	.skip 256
stack_top:
real_block_end:
