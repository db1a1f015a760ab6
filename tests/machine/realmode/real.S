/*
 * The way to real mode and back, and what the tests there have in common: a list of results, and
 * handlers that catch faults. Everything from real_start on is 16-bit code, copied to CODE, where
 * CS, DS, ES and SS are 0 and DI is the next result's place; a test may use all other registers.
 */
#include "macros.h"
#include "real.h"
#include "test.h"

	/* void real_run(test, odd): calls the test in real mode; odd: FS is not as real mode loads it */
	.text
	.code64
	.globl real_run
real_run:
	mov %edi, the_test
	mov %esi, odd
	mov $in_32_bits, %edi
	jmp legacy_enter

	.code32
in_32_bits:
	lidt real_idt
	load_data SEL_DATA16
	mov %eax, %fs
	mov %eax, %gs
	ljmp $SEL_CODE16, $CODE
back32:
	load_data SEL_DATA32
	mov $stack_top, %esp
	jmp legacy_leave

	.data
	.balign 8
	.globl real_idt, the_test
real_idt:
	.word 0x3ff
	.long 0
	.balign 8
the_test:
	.long 0
odd:
	.long 0
	.bss
	.balign 16
	.skip 1024
stack_top:

	.data
	.balign 16
	.code16
	.globl real_start
real_start:
	mov $the_test, %ebx		/* beyond 64 KiB: read before real mode */
	mov $SEL_DATA32, %ax
	mov %ax, %ds
	mov (%ebx), %ecx
	mov 4(%ebx), %edx
	mov $SEL_DATA16, %ax
	mov %ax, %ds
	enter_real REAL(1f)
1:	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov %ax, %gs
	mov $STACK, %esp
	test %dx, %dx
	jnz 2f
	mov %ax, %fs			/* else base 0 with the selector of SEL_DATA16 */
2:	mov $RESULTS, %di
	cld
	call *%cx
	cli
	movl $0, (%di)
	movl $0, 4(%di)
	leave_real back32

/* A fault's vector and what it says of where it was; the test goes on at `resume`. */
	.set vector, 0
	.balign 8
caught_0:
	.rept 16
	push $vector
	jmp caught
	.balign 8
	.set vector, vector + 1
	.endr
caught:
	pop REAL(got_vector)
	pop REAL(got_ip)
	pop REAL(got_cs)
	pop REAL(got_flags)
	pushw REAL(got_flags)
	pushw $0
	pushw REAL(resume)
	iret
got_vector: .word 0
got_ip: .word 0
got_cs: .word 0
got_flags: .word 0
resume: .word 0

	.balign 4
saved_vectors:
	.skip 64
catch_all:			/* vectors 0 to 15 */
	push %di
	xor %si, %si
	mov $REAL(saved_vectors), %di
	mov $32, %cx
	rep movsw
	xor %di, %di
	mov $REAL(caught_0), %ax
	mov $16, %cx
1:	stosw
	movw $0, (%di)
	add $2, %di
	add $8, %ax
	loop 1b
	pop %di
	ret
restore_vectors:
	push %di
	mov $REAL(saved_vectors), %si
	xor %di, %di
	mov $32, %cx
	rep movsw
	pop %di
	ret

#include "segments.inc"
#include "faults.inc"
#include "events.inc"
#include "irq.inc"
#include "system.inc"
#include "bios.inc"

	.globl real_end
real_end:
