/*
 * From 64-bit mode to 32-bit protected mode without paging, where two hardware tasks call each
 * other, on to real mode, and back. Results go to legacy_result[].
 * SDM: Task Management; Mode Switching.
 */
#include "macros.h"

#define RESULT(n)	legacy_result + 4 * (n)
#define REAL(label)	(label - real_start + 0x8000)

	.text
	.code64
	.globl legacy_run
legacy_run:
	mov $in_32_bits, %edi
	jmp legacy_enter

	.code32
in_32_bits:
	mov $stack32_top, %esp
	call test_tasks
	call test_real
	jmp legacy_leave

test_tasks:
	mov $SEL_TASK_A, %eax
	ltr %ax
	movl $task_b_code, task_b + 0x20
	movl $2, task_b + 0x24
	movl $0xbbbb, task_b + 0x28		/* EAX */
	movl $stack_b_top, task_b + 0x38
	movl $SEL_DATA32, task_b + 0x48		/* ES, SS, DS */
	movl $SEL_CODE32, task_b + 0x4c
	movl $SEL_DATA32, task_b + 0x50
	movl $SEL_DATA32, task_b + 0x54
	clts
	mov $0x1111, %ebx
	mov $0x2222, %esi
	lcall $SEL_TASK_B, $0
	mov %ebx, RESULT(6)
	mov %esi, RESULT(7)
	pushf
	pop %eax
	and $0x4000, %eax
	mov %eax, RESULT(8)
	call busy_bits
	mov %eax, RESULT(9)
	mov %edx, RESULT(10)
	ljmp $SEL_TASK_GATE, $0
	clts
	ret

task_b_code:
	mov %eax, RESULT(0)
	movzwl task_b, %eax
	mov %eax, RESULT(1)
	pushf
	pop %eax
	and $0x4000, %eax
	mov %eax, RESULT(2)
	mov %cr0, %eax
	and $8, %eax
	mov %eax, RESULT(3)
	call busy_bits
	mov %eax, RESULT(4)
	mov %edx, RESULT(5)
	iret				/* NT is set: back to task A; resumed by its JMP */
	movl $0xcccc, RESULT(11)
	ljmp $SEL_TASK_A, $0

busy_bits:				/* of tasks A and B, in EAX and EDX */
	mov gdt + SEL_TASK_A + 4, %eax
	shr $9, %eax
	and $1, %eax
	mov gdt + SEL_TASK_B + 4, %edx
	shr $9, %edx
	and $1, %edx
	ret

test_real:
	mov %esp, saved_esp
	lidt real_idt
	mov $0x12345678, %ebx
	mov $SEL_DATA16, %eax
	mov %eax, %ss
	mov %eax, %es
	mov $SEL_DATA32, %eax	/* DS keeps its 4-GiB limit in real mode */
	mov %eax, %ds
	ljmp $SEL_CODE16, $0x8000
back32:
	load_data SEL_DATA32
	mov saved_esp, %esp
	ret

	/* copied to 0x8000 */
	.code16
	.globl real_start, real_end
real_start:
	enter_real REAL(1f)
1:	mov $0x400000, %edi	/* beyond 64 KiB, by the big DS */
	mov (%edi), %ebx
	mov $RESULT(14), %edi
	mov %ebx, (%edi)
	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $0x7c00, %sp
	mov 0x60 * 4, %ecx
	movw $REAL(interrupt), 0x60 * 4
	movw $0, 0x60 * 4 + 2
	mov $5, %ax
	int $0x60
	mov %ecx, 0x60 * 4
	movzwl %ax, %edi
	int $0x12
	movzwl %ax, %esi
	mov $1, %eax
	cpuid
	shr $5, %ecx
	and $1, %ecx
	mov %ecx, %ebx
	leave_real REAL(2f)
interrupt:
	add $0x100, %ax
	iret
	.code32
2:	mov $SEL_DATA32, %eax
	mov %eax, %ds
	mov %edi, RESULT(12)
	mov %esi, RESULT(13)
	mov %ebx, RESULT(15)
	mov $back32, %eax
	jmp *%eax
real_end:

	.data
	.balign 8
real_idt:
	.word 0x3ff
	.long 0
	.balign 8
saved_esp:
	.long 0
	.globl legacy_result
legacy_result:
	.skip 64

	.bss
	.balign 16
	.globl task_a, task_b
task_a:	.skip 104
	.balign 16
task_b:	.skip 104
	.skip 4096
stack32_top:
	.skip 4096
stack_b_top:
