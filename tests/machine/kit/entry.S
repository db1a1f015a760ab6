/*
 * Where exceptions and interrupts enter, and the way to CPL 3 and back. Every stub pushes an error
 * code (0 where the CPU pushes none) and its vector, so that struct trap_frame is the same for all.
 */
#include "macros.h"

	.text
	.balign 16
	.globl trap_stubs
trap_stubs:
	trap_stubs_to trap_common
trap_common:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, %rdi
	mov %rsp, %rbx
	and $~15, %rsp
	cld
	call trap_handle
	mov %rbx, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	/* void user_enter(const void *code): returns when trap_handle() continues at user_back. */
	.globl user_enter, user_back
user_enter:
	save_registers
	mov %rsp, user_back_rsp
	push $SEL_USER_DATA + 3
	push $user_stack_top
	push $0x3002		/* IOPL 3: the console works at CPL 3 */
	push $SEL_USER_CODE + 3
	push %rdi
	iretq
user_back:
	restore_registers
	ret

	.bss
	.balign 4096
	.globl user_back_rsp, user_stack_top, ring0_stack_top
	.skip 8192
user_stack_top:
	.skip 16384
ring0_stack_top:
user_back_rsp:
	.quad 0
