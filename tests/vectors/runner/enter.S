/*
 * One VM entry and what follows it, for host state that may be anything legal:
 * the way back loads every register that an exit may have left odd but control
 * registers and MSRs, which C puts right. L2 never runs, so its registers are
 * the runner's.
 */
#include "selectors.h"

	.text
	/* u64 entry_run(u64 resume): 0 after an exit, else RFLAGS of the failure */
	.globl entry_run, entry_exit
entry_run:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, entry_rsp
	test %edi, %edi
	jnz 1f
	vmlaunch
	jmp 2f
1:	vmresume
2:	pushfq
	pop %rax
	jmp 4f

entry_exit:
	mov entry_rsp, %rsp
	lgdt gdt_register
	push $SEL_CODE
	push $3f
	lretq
3:	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	andb $~2, gdt + SEL_TSS + 5	/* no longer busy */
	mov $SEL_TSS, %eax
	ltr %ax
	xor %eax, %eax
4:	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	/* A page that is mapped at both ends of what is canonical, entered at either of its own. */
	.balign 4096
	.globl entry_stub
entry_stub:
	movabs $entry_exit, %rax
	jmp *%rax
	.org entry_stub + 0xff0
	movabs $entry_exit, %rax
	jmp *%rax
	.org entry_stub + 4096

	.bss
	.balign 8
entry_rsp:
	.quad 0
