/*
 * What the tests' assembly does again and again, as macros of the assembler: including this emits
 * nothing. Each says which registers it loses.
 */
#ifndef KIT_MACROS_H
#define KIT_MACROS_H

#include "selectors.h"

	/* What a function keeps for its C caller; 64-bit code. */
	.macro save_registers
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	.endm
	.macro restore_registers
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	.endm

	/* DS, ES and SS, in any protected mode; EAX is lost. */
	.macro load_data selector
	mov $\selector, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	.endm

	/* CR0.PG and IA32_EFER.LME, which change together; EAX, ECX and EDX are lost. */
	.macro paging_off
	mov %cr0, %eax
	and $0x7fffffff, %eax
	mov %eax, %cr0
	.endm
	.macro paging_on
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	.endm
	.macro long_mode_off
	mov $0xc0000080, %ecx
	rdmsr
	and $~0x100, %eax
	wrmsr
	.endm
	.macro long_mode_on
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	.endm

	/* The kit's page tables, and EFER for long mode; EAX, ECX and EDX are lost. */
	.macro load_tables
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx	/* IA32_EFER: LME, NXE */
	rdmsr
	or $0x900, %eax
	wrmsr
	.endm

	/* From 16-bit protected mode to real mode with CS 0, and to 32-bit code; EAX is lost. */
	.macro enter_real place:vararg
	mov %cr0, %eax
	and $~1, %eax
	mov %eax, %cr0
	ljmp $0, $\place
	.endm
	.macro leave_real place:vararg
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	ljmpl $SEL_CODE32, $\place
	.endm

	/*
	 * 256 entries for an IDT, 16 bytes apart. Each pushes an error code (0 where the CPU
	 * pushes none) and its vector, and goes on at `common`.
	 */
	.macro trap_stubs_to common
	.balign 16
	.set vector, 0
	.rept 256
	.balign 16
	.if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
	.else
	push $0
	.endif
	push $vector
	jmp \common
	.set vector, vector + 1
	.endr
	.balign 16
	.endm

#endif
