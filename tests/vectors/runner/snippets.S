/*
 * Each VMX instruction in each form of operand, 32 bytes apart, in the order of
 * gen_insn.h, and how one of them is executed with given registers.
 */
#include "macros.h"

	.text
	.macro FORM insn:vararg
	.balign 32
	\insn
	pushfq
	popq snippet_flags
	ret
	.endm
	.macro MEMORY insn
	FORM \insn (%rax)
	FORM \insn (%rbp)
	FORM \insn %fs:(%rax)
	FORM \insn 0x10(%rax, %rsi, 2)
	FORM ud2
	.endm
	.macro PLAIN insn
	FORM \insn
	.balign 32
	mov %ss, %r9d
	mov %r9d, %ss
	\insn
	pushfq
	popq snippet_flags
	ret
	.rept 3
	FORM \insn
	.endr
	.endm

	.balign 32
	.globl snippets
snippets:
	FORM vmread %rdx, (%rax)
	FORM vmread %rdx, (%rbp)
	FORM vmread %rdx, %fs:(%rax)
	FORM vmread %rdx, 0x10(%rax, %rsi, 2)
	FORM vmread %rdx, %rcx
	FORM vmwrite (%rax), %rdx
	FORM vmwrite (%rbp), %rdx
	FORM vmwrite %fs:(%rax), %rdx
	FORM vmwrite 0x10(%rax, %rsi, 2), %rdx
	FORM vmwrite %rcx, %rdx
	FORM invept (%rax), %rdx
	FORM invept (%rbp), %rdx
	FORM invept %fs:(%rax), %rdx
	FORM invept 0x10(%rax, %rsi, 2), %rdx
	FORM ud2
	FORM invvpid (%rax), %rdx
	FORM invvpid (%rbp), %rdx
	FORM invvpid %fs:(%rax), %rdx
	FORM invvpid 0x10(%rax, %rsi, 2), %rdx
	FORM ud2
	MEMORY vmptrld
	MEMORY vmclear
	MEMORY vmptrst
	MEMORY vmxon
	PLAIN vmlaunch
	PLAIN vmresume
	PLAIN vmxoff
	PLAIN vmcall

	/* void snippet_run(const void *code, u64 *rax_rcx_rdx_rsi_rbp): RCX comes back */
	.globl snippet_run
snippet_run:
	save_registers
	push %rsi
	mov %rsp, snippet_rsp
	movq $1f, trap_resume
	mov %rdi, %r8
	mov 0(%rsi), %rax
	mov 8(%rsi), %rcx
	mov 16(%rsi), %rdx
	mov 32(%rsi), %rbp
	mov 24(%rsi), %rsi
	pushfq
	orq $0x8d5, (%rsp)
	popfq
	call *%r8
1:	mov snippet_rsp, %rsp
	movq $0, trap_resume
	pop %rsi
	mov %rcx, 8(%rsi)
	restore_registers
	ret

	.bss
	.balign 8
	.globl snippet_flags
snippet_flags:	.quad 0
snippet_rsp:	.quad 0
