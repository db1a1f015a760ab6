/*
 * One VM entry and the exit that ends it. The VMM's stack holds the struct vm on top while the
 * guest runs. The layout of struct vm is that of vmx.h: regs[16] in the order of encoding.
 */
#include "macros.h"

	.text
	/* u64 vm_enter(struct vm *vm, bool resume): 0 after an exit, else RFLAGS of the failure */
	.globl vm_enter, vm_exit
vm_enter:
	save_registers
	push %rdi
	mov $0x6c14, %eax	/* HOST_RSP; fails with no current VMCS, and the entry then too */
	vmwrite %rsp, %rax
	test %esi, %esi
	mov 0(%rdi), %rax
	mov 8(%rdi), %rcx
	mov 16(%rdi), %rdx
	mov 24(%rdi), %rbx
	mov 40(%rdi), %rbp
	mov 48(%rdi), %rsi
	mov 64(%rdi), %r8
	mov 72(%rdi), %r9
	mov 80(%rdi), %r10
	mov 88(%rdi), %r11
	mov 96(%rdi), %r12
	mov 104(%rdi), %r13
	mov 112(%rdi), %r14
	mov 120(%rdi), %r15
	mov 56(%rdi), %rdi
	jnz 1f
	vmlaunch
	jmp 2f
1:	vmresume
2:	pushfq
	pop %rax
	pop %rdi
	jmp 3f
vm_exit:
	xchg %rdi, (%rsp)
	mov %rax, 0(%rdi)
	mov %rcx, 8(%rdi)
	mov %rdx, 16(%rdi)
	mov %rbx, 24(%rdi)
	mov %rbp, 40(%rdi)
	mov %rsi, 48(%rdi)
	mov %r8, 64(%rdi)
	mov %r9, 72(%rdi)
	mov %r10, 80(%rdi)
	mov %r11, 88(%rdi)
	mov %r12, 96(%rdi)
	mov %r13, 104(%rdi)
	mov %r14, 112(%rdi)
	mov %r15, 120(%rdi)
	pop 56(%rdi)
	xor %eax, %eax
3:	restore_registers
	ret
