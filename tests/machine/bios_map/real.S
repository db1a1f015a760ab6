/*
 * Asks the BIOS for the memory's size, in real mode, in each way there is: bios_answers[] are
 * E820's, 24 bytes apart, and bios_result[] AX of INT 12h, AX and BX of E801h, AX of 88h, and EAX
 * of an unknown call.
 */
#include "macros.h"

#define REAL(label)	(label - real_start + 0x8000)
#define ANSWERS		0x9000
#define RESULT		0xa000

	.text
	.code64
	.globl ask_bios
ask_bios:
	mov $in_32_bits, %edi
	jmp legacy_enter

	.code32
in_32_bits:
	lidt real_idt
	load_data SEL_DATA16
	ljmp $SEL_CODE16, $0x8000
back32:
	load_data SEL_DATA32
	mov $stack_top, %esp
	jmp legacy_leave

	.globl real_start, real_end
	.code16
real_start:
	enter_real REAL(1f)
1:	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $0x7c00, %sp
	xor %ebx, %ebx
	mov $ANSWERS, %di
	xor %bp, %bp
next:	mov $0xe820, %eax
	mov $0x534d4150, %edx
	mov $20, %ecx
	stc
	int $0x15
	jc 2f
	cmp $0x534d4150, %eax
	jne 2f
	inc %bp
	add $24, %di
	test %ebx, %ebx
	jnz next
2:	mov %bp, RESULT
	int $0x12
	mov %ax, RESULT + 2
	mov $0xe801, %ax
	int $0x15
	mov %ax, RESULT + 4
	mov %bx, RESULT + 6
	mov $0x88, %ah
	int $0x15
	mov %ax, RESULT + 8
	mov $0xe820, %eax		/* without its signature */
	xor %edx, %edx
	int $0x15
	setc RESULT + 10
	mov $0xc0, %ah			/* something else: the configuration table */
	int $0x15
	setc RESULT + 11
	cli
	leave_real back32
real_end:

	.data
	.balign 8
real_idt:
	.word 0x3ff
	.long 0
	.bss
	.balign 16
	.skip 1024
stack_top:
