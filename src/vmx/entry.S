/*
 * The world switch. HOST_RSP points just above the registers of a struct
 * vmx_frame; an exit pushes them, calls vm_exit(frame), and enters again: with
 * VMRESUME if the result is true, with VMLAUNCH if not. L1's and L2's general
 * registers live in the frame, in instruction-encoding order.
 *
 * A vcpu that has others beside it comes and goes by the second way. There it must
 * not enter when another has just asked for it: from the last look at `again` to the
 * entry, an NMI leads back to vm_again() (cpu/nmi.h).
 */
#include "cpu/nmi.h"
#include "vmx/frame.h"

#define VMCS_HOST_RSP 0x6c14

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

	/* AL: VMRESUME, else VMLAUNCH. Goes on where it fails. */
	.macro	enter_guest
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
2:
	.endm

	.globl	vmx_exit_entry
vmx_exit_entry:
	push_gprs
	mov	%rsp, %rdi
	call	vm_exit
enter:
	enter_guest
	push_gprs
	mov	%rsp, %rdi
	call	vm_entry_refused
	jmp	enter

	.globl	vmx_first_entry
vmx_first_entry:
	mov	%rdi, %rsp
	xor	%eax, %eax
	jmp	enter

	.globl	vmx_exit_entry_shared
vmx_exit_entry_shared:
	push_gprs
	mov	%rsp, %rdi
	call	vm_exit_shared
enter_shared:
	cmpl	$0, VMX_FRAME_AGAIN(%rsp)
	jne	again
	enter_guest
enter_shared_end:
	push_gprs
	mov	%rsp, %rdi
	call	vm_entry_refused_shared
	jmp	enter_shared

	/* Popping took nothing from the frame. */
again:
	mov	$VMCS_HOST_RSP, %eax
	vmread	%rax, %rdi
	sub	$VMX_FRAME_AGAIN, %rdi
	.globl	vmx_first_entry_shared
vmx_first_entry_shared:
	mov	%rdi, %rsp
	call	vm_again
	jmp	enter_shared

	CPU_NMI_RESTART(enter_shared, enter_shared_end, again)
