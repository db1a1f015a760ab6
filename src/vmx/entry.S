/*
 * The world switch. HOST_RSP points just above a struct vmx_frame; an exit
 * builds the frame, calls vm_exit(frame), and enters again: with VMRESUME if
 * the result is true, with VMLAUNCH if not. L1's and L2's general registers
 * live in the frame, in instruction-encoding order.
 */
#include "vmx/frame.h"

	.text
	.macro	push_gprs
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%r11
	push	%r10
	push	%r9
	push	%r8
	push	%rdi
	push	%rsi
	push	%rbp
	push	%rax		/* RSP is in the VMCS; the slot is unused */
	push	%rbx
	push	%rdx
	push	%rcx
	push	%rax
	.endm

	.globl	vmx_exit_entry
vmx_exit_entry:
	push_gprs
	mov	%rsp, %rdi
	call	vm_exit
enter:
	test	%al, %al
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rbx
	lea	8(%rsp), %rsp
	pop	%rbp
	pop	%rsi
	pop	%rdi
	pop	%r8
	pop	%r9
	pop	%r10
	pop	%r11
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	jz	1f
	vmresume
	jmp	2f
1:	vmlaunch
2:	push_gprs
	mov	%rsp, %rdi
	call	vm_entry_refused
	jmp	enter

/* void vmx_first_entry(struct vmx_frame *frame): never returns. */
	.globl	vmx_first_entry
vmx_first_entry:
	mov	%rdi, %rsp
	xor	%eax, %eax
	jmp	enter
